"""`handrail review`, `incidents` and `pilot`: their options and help.

What they do is in `cli/review.py`, `cli/incidents.py` and `cli/pilot.py`.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from handrail.cli.common import PLAIN, RULE, By, Common, Why, do
from handrail.cli.record_app import Since

review = App(
    name="review",
    group=RULE,
    help="Look afterwards at a share of what ran alone, and say whether it was right.",
)
incidents = App(
    name="incidents",
    group=RULE,
    help="Writes that failed, are in doubt, or were read back as something else.",
)

Agent = Annotated[str | None, Parameter(help="Of this agent only.")]
Limit = Annotated[int, Parameter(help="At most so many.")]


@review.default
def reviews(
    *,
    agent: Agent = None,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Those that were answered, too.")
    ] = False,
    limit: Limit = 50,
    common: Common = PLAIN,
) -> int:
    """List what waits for a look afterwards, the oldest first."""
    from handrail.cli import review as does  # noqa: PLC0415

    return do(common, lambda out: does.listing(out, agent=agent, every=all_, limit=limit))


@review.command(name="list")
def listing(
    *,
    agent: Agent = None,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Those that were answered, too.")
    ] = False,
    limit: Limit = 50,
    common: Common = PLAIN,
) -> int:
    """List what waits for a look afterwards, the oldest first."""
    return reviews(agent=agent, all_=all_, limit=limit, common=common)


Key = Annotated[str, Parameter(help="The key of the write, how it begins, or its case.")]


@review.command
def show(key: Key, *, common: Common = PLAIN) -> int:
    """Show one write with its reasons, what the guardrails found, and what came of it."""
    from handrail.cli import review as does  # noqa: PLC0415

    return do(common, lambda out: does.show(out, key))


@review.command
def answer(key: Key, what: str, *, by: By, why: Why = "", common: Common = PLAIN) -> int:
    """Say whether a write was right, and sign it. You may answer otherwise later; both are kept.

    Parameters
    ----------
    what
        right, wrong, or harmless (wrong, but it does no harm). Say --why of the latter two.
    """
    from handrail.cli import review as does  # noqa: PLC0415

    return do(common, lambda out: does.answer(out, key, what, by=by, why=why))


@incidents.default
def all_incidents(
    *,
    agent: Agent = None,
    case: Annotated[str | None, Parameter(help="Of this case only.")] = None,
    open_: Annotated[
        bool, Parameter(name="--open", negative=(), help="Those that nobody has closed.")
    ] = False,
    since: Since = None,
    limit: Limit = 50,
    common: Common = PLAIN,
) -> int:
    """List incidents, the newest first."""
    from handrail.cli import incidents as does  # noqa: PLC0415

    return do(
        common,
        lambda out: does.listing(
            out, agent=agent, case=case, since=since, open_only=open_, limit=limit
        ),
    )


@incidents.command
def close(
    incident: Annotated[str, Parameter(help="The incident's id, or how it begins.")],
    *,
    by: By,
    why: Why,
    common: Common = PLAIN,
) -> int:
    """Close an incident: somebody has dealt with it."""
    from handrail.cli import incidents as does  # noqa: PLC0415

    return do(common, lambda out: does.close(out, incident, by=by, why=why))


def pilot(
    agent: str,
    step: str | None = None,
    *,
    since: Since = None,
    csv: Annotated[
        str | None,
        Parameter(allow_leading_hyphen=True, help="Write them to this CSV file; - is stdout."),
    ] = None,
    limit: Annotated[int | None, Parameter(help="At most so many, the latest.")] = None,
    common: Common = PLAIN,
) -> int:
    """List what an agent proposed in pilot, to be compared with what people did.

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    step
        One of its writes only.
    """
    from handrail.cli import pilot as does  # noqa: PLC0415

    return do(
        common,
        lambda out: does.pilot(out, agent, step, since=since, file=csv, limit=limit),
    )
