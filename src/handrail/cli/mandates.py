"""`handrail mandates`: what people allow in advance, and who stands in for whom."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import By, Digest, Gate, OfAgent, Why, operator, value_of
from handrail.cli.output import PLAIN, Output, exactly, label, moment, plain
from handrail.exceptions import InvalidRequest

if TYPE_CHECKING:
    from pydantic import JsonValue

    from handrail.client import MandateView
    from handrail.oversight import Mandate

Begins = Annotated[datetime | None, Parameter(help="From when on, such as 2026-12-24T08:00; now.")]
Ends = Annotated[datetime | None, Parameter(help="Until when; 31 days at most.")]
Lasts = Annotated[
    timedelta | None, Parameter(name="--for", help="For how long, such as 8h or 10d.")
]
Named = Annotated[str, Parameter(help="The mandate's id, or how it begins.")]


async def listing(
    *,
    agent: OfAgent = None,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Those that are over, too.")
    ] = False,
    out: Output = PLAIN,
) -> None:
    """List what is allowed in advance, and who stands in for whom."""
    async with operator(out, ledger="needed") as somebody:
        found = await somebody.mandates(agent, every=all_)
    out.data(found)
    for each in found.mandates:
        out.show(*_lines(each))
    if not found.mandates:
        out.show("no mandates" if all_ else "no mandates in force; --all shows those that were")


async def show(mandate: Named, *, out: Output = PLAIN) -> None:
    """Show one mandate, with each write that began by it."""
    async with operator(out, ledger="needed") as somebody:
        found = await somebody.mandate(mandate)
    out.data(found)
    out.show(*_lines(found))
    for use in found.uses:
        out.show(label("used", f"{moment(use.at)}  {plain(use.effect)}"))


async def revoke(mandate: Named, *, by: By, out: Output = PLAIN) -> None:
    """Let no write begin by a mandate any more."""
    async with operator(out, by, ledger="needed") as somebody:
        found = await somebody.revoke_mandate(mandate)
    out.data(found)
    of = f" of {plain(found.mandate.by)}" if found.mandate is not None else ""
    out.show(Text(f"revoked the mandate {found.id}{of}", "green"))
    out.show(f"  {found.used} writes began by it; they are not taken back")


async def delegate(
    *,
    agent: Annotated[str, Parameter(help="For which agent, such as shipments.")],
    by: By,
    to: Annotated[str, Parameter(help="Who answers in your place: one whom the policy lets.")],
    begins: Begins = None,
    ends: Ends = None,
    lasts: Lasts = None,
    why: Why = "",
    out: Output = PLAIN,
) -> None:
    """Have somebody answer in your place for a time, such as when you are out of office."""
    from handrail.client import Term

    async with operator(out, by, signs=True, ledger="needed") as somebody:
        given = await somebody.stand_in(agent, to, Term(lasts, ends, begins), why)
    _say_given(out, given)
    out.say("it counts in the roles whose `deputies:` in the policy name them, and in no other")


async def allow(
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
    out: Output = PLAIN,
) -> None:
    """Allow such as an open gate asks about, within bounds, for a time, so many times.

    Never what cannot be undone. The gate itself stays open.
    """
    from handrail.client import Bounds, Term

    async with operator(out, by, signs=True, ledger="needed") as somebody:
        shown = await somebody.find(gate)
        bounds = Bounds(
            uses=uses,
            term=Term(lasts, ends, begins),
            up_to=dict(map(most, up_to)),
            same=dict(kept(shown.action, each) for each in same),
            role=role,
            why=why,
        )
        given = await somebody.allow(shown, bounds, digest=digest)
    _say_given(out, given)
    out.say(f"this gate stays open: `handrail approve {shown.gate}` answers it")


def most(text: str) -> tuple[str, Decimal]:
    """A field and the number that it may not exceed, as it was typed.

    Raises:
        InvalidRequest: if it is none.
    """
    name, equals, number = text.partition("=")
    try:
        bound = Decimal(number)
    except InvalidOperation:
        bound = Decimal("NaN")
    if not (equals and bound.is_finite()):
        raise InvalidRequest(f"--up-to {text}: write field=number, such as extra_cost=50")
    return name, bound


def kept(action: Mapping[str, JsonValue], text: str) -> tuple[str, JsonValue]:
    """A field and its value; without `=` the value that it has in the gate's action."""
    name, equals, value = text.partition("=")
    if not equals or name not in action:
        return name, action.get(name)
    return name, value_of(action[name], value)


def _say_given(out: Output, given: MandateView) -> None:
    if given.mandate is None:
        out.say(f"it does not count yet: {plain(given.why)}", "yellow")
    key = f" with the key {given.kid}" if given.kid else ""
    out.show(Text(f"signed{key} and kept", "green"), *_lines(given))
    out.data(given)


def _lines(found: MandateView) -> list[Text]:
    """A mandate for people. What is not proven is not repeated."""
    colour = {"in force": "green", "not proven": "red"}.get(found.state, "dim")
    head = Text.assemble((f"{plain(found.id)}  ", "bold"), (found.state, colour))
    if found.mandate is None:
        return [head, label("why", plain(found.why))]
    lines = [head, *_said_in(found.mandate, found.units)]
    lines += [label("unproven", plain(found.why), "yellow")] if found.why else []
    if found.mandate.uses is not None:
        lines.append(label("used", f"{found.used} of {found.mandate.uses}"))
    if found.revoked is not None:
        who = plain(found.revoked_by or "")
        lines.append(label("revoked", f"{moment(found.revoked)} by {who}"))
    return lines


def _said_in(mandate: Mandate, units: Mapping[str, str]) -> list[Text]:
    """What a mandate allows, in words."""
    who, agent = plain(mandate.by), plain(mandate.agent)
    if mandate.to is not None:
        what = f"{plain(mandate.to)} answers in the place of {who} for {agent}"
    else:
        what = (
            f"{who} as {plain(mandate.role)} allows {agent} {plain(mandate.step)}, "
            f"at most {mandate.uses} times"
        )
    lines = [label("what", what)]

    def unit(name: str) -> str:
        return f" {plain(said)}" if (said := units.get(f"action.{name}")) else ""

    lines += [
        label("up to", f"{plain(name)} {most:f}{unit(name)}")
        for name, most in mandate.up_to.items()
    ]
    lines += [
        label("only if", f"{plain(name)} is {plain(exactly(value, '').plain)}{unit(name)}")
        for name, value in mandate.same.items()
    ]
    lines += [label("from", moment(mandate.begins)), label("until", moment(mandate.ends))]
    return [*lines, *([label("why", plain(mandate.why))] if mandate.why else [])]
