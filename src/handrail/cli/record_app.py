"""`handrail rulings`, `approvers` and `mandates`: their options and help.

What they do is in `cli/record.py`, `cli/approvers.py` and `cli/mandates.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from cyclopts import App, Parameter

from handrail.cli.common import PLAIN, RULE, By, Common, Digest, Gate, Why, do

mandates = App(
    name="mandates",
    group=RULE,
    help="Allow such as this in advance, or have somebody stand in for you for a time.",
)

Since = Annotated[
    timedelta | datetime | None,
    Parameter(help="Not older than this: 7d, or a date such as 2026-11-01."),
]
Begins = Annotated[datetime | None, Parameter(help="From when on, such as 2026-12-24T08:00; now.")]
Ends = Annotated[datetime | None, Parameter(help="Until when; 31 days at most.")]
Lasts = Annotated[
    timedelta | None, Parameter(name="--for", help="For how long, such as 8h or 10d.")
]
Mandate = Annotated[str, Parameter(help="The mandate's id, or how it begins.")]


def rulings(
    *,
    by: Annotated[str | None, Parameter(help="Of this person only.")] = None,
    case: Annotated[str | None, Parameter(help="On this case only.")] = None,
    since: Since = None,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 50,
    verify: Annotated[
        bool,
        Parameter(negative=(), help="Prove each again with the keyring; 1 if one fails."),
    ] = False,
    common: Common = PLAIN,
) -> int:
    """List proven rulings as they were signed, the newest first."""
    from handrail.cli import record as does  # noqa: PLC0415

    return do(
        common,
        lambda out: does.rulings(out, by=by, case=case, since=since, limit=limit, again=verify),
    )


def approvers(*, since: Since = timedelta(days=90), common: Common = PLAIN) -> int:
    """Show how well people look: their share of yes, their median look, what was planted."""
    from handrail.cli import approvers as does  # noqa: PLC0415

    return do(common, lambda out: does.approvers(out, since=since))


@mandates.command(name="list")
def listing(
    *,
    agent: Annotated[str | None, Parameter(help="Of this agent only.")] = None,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Those that are over, too.")
    ] = False,
    common: Common = PLAIN,
) -> int:
    """List what is allowed in advance, and who stands in for whom."""
    from handrail.cli import mandates as does  # noqa: PLC0415

    return do(common, lambda out: does.listing(out, agent=agent, every=all_))


@mandates.command
def show(mandate: Mandate, *, common: Common = PLAIN) -> int:
    """Show one mandate, with each write that began by it."""
    from handrail.cli import mandates as does  # noqa: PLC0415

    return do(common, lambda out: does.show(out, mandate))


@mandates.command
def revoke(mandate: Mandate, *, by: By, common: Common = PLAIN) -> int:
    """Let no write begin by a mandate any more."""
    from handrail.cli import mandates as does  # noqa: PLC0415

    return do(common, lambda out: does.revoke(out, mandate, by))


@mandates.command
def delegate(
    *,
    agent: Annotated[str, Parameter(help="For which agent, such as shipments.")],
    by: By,
    to: Annotated[str, Parameter(help="Who answers in your place: one whom the policy lets.")],
    begins: Begins = None,
    ends: Ends = None,
    lasts: Lasts = None,
    why: Why = "",
    common: Common = PLAIN,
) -> int:
    """Have somebody answer in your place for a time, such as when you are out of office."""
    from handrail.cli import mandates as does  # noqa: PLC0415

    time = does.Time(begins, ends, lasts)
    return do(common, lambda out: does.delegate(out, agent=agent, by=by, to=to, time=time, why=why))


@mandates.command
def allow(
    gate: Gate,
    *,
    by: By,
    uses: Annotated[int, Parameter(help="At most so many writes; 1000 at most.")],
    up_to: Annotated[
        tuple[str, ...],
        Parameter(
            negative=(), help="A number that is not exceeded: extra_cost=50. May be repeated."
        ),
    ] = (),
    same: Annotated[
        tuple[str, ...],
        Parameter(
            negative=(),
            help="A value that stays: carrier=XY; without = as in the gate. Repeatable.",
        ),
    ] = (),
    role: Annotated[str | None, Parameter(help="As whom; the first asked that you are in.")] = None,
    begins: Begins = None,
    ends: Ends = None,
    lasts: Lasts = None,
    why: Why = "",
    digest: Digest = None,
    common: Common = PLAIN,
) -> int:
    """Allow such as an open gate asks about, within bounds, for a time, so many times.

    Never what cannot be undone. The gate itself stays open.
    """
    from handrail.cli import mandates as does  # noqa: PLC0415

    said = does.Allowing(
        gate=gate,
        by=by,
        up_to=up_to,
        same=same,
        uses=uses,
        time=does.Time(begins, ends, lasts),
        role=role,
        digest=digest,
        why=why,
    )
    return do(common, lambda out: does.allow(out, said))
