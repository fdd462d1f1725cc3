"""`handrail autonomy`: how much agents may do by themselves now, and turning it up and down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from handrail.cli.context import SomeBody, Why, operator
from handrail.cli.output import PLAIN, Code, Output, label, moment, plain
from handrail.cli.stop import say_became
from handrail.exceptions import InvalidRequest, LedgerUnavailable
from handrail.text import percent

if TYPE_CHECKING:
    from handrail.client import AgentAutonomy, Operator
    from handrail.evidence import ErrorShare, TrackRecord
    from handrail.oversight import StepView, TrustedKey

_CHANGES = 10
"""Changes that are shown of one agent; the JSON has all of them."""

_WHOLE = 10_000
"""All cases, in hundredths of a percent."""


async def autonomy(
    said: Annotated[
        tuple[str, ...],
        Parameter(help="An agent, one of its writes, and a level, if it shall be set."),
    ] = (),
    /,
    *,
    rollout: Annotated[
        str | None, Parameter(help="With full: in so many of its cases, such as 25%.")
    ] = None,
    second: Annotated[
        str | None,
        Parameter(help="As the second person of an order: how its id begins."),
    ] = None,
    by: SomeBody = None,
    why: Why = "",
    out: Output = PLAIN,
) -> int:
    """Show how much agents do by themselves; or set it: stop, pilot, human_led, supervised, full.

    The whole agent without a write. Less counts at once; more takes those whom the policy names.
    """
    if second is not None:
        if by is None or said:
            raise InvalidRequest("write --second ID --by you@example.com, and no more")
        async with operator(out, by, signs=True, ledger="none") as somebody:
            became = await somebody.second(second, why)
        out.show(Text(became.what, "bold"))
        out.data(became)
        return say_became(out, became)
    agent, step, level = read(said)
    if level is None:
        if rollout is not None:
            raise InvalidRequest("--rollout goes with the level full")
        async with operator(out, lacking=[]) as somebody:
            return await _show(out, somebody, agent, step)
    if agent is None or by is None:
        raise InvalidRequest("say who sets it: --by you@example.com")
    async with operator(out, by, signs=True, ledger="none") as somebody:
        target = agent if step is None else f"{agent}/{step}"
        became = await somebody.set_level(target, level, rollout, why)
    out.data(became)
    return say_became(out, became)


def read(said: Sequence[str]) -> tuple[str | None, str | None, str | None]:
    """What `[AGENT [WRITE] [LEVEL]]` names; `AGENT/WRITE` is the same as both.

    Raises:
        InvalidRequest: if there is more, or the last of three is no level.
    """
    from handrail.actions import Level

    first, *rest = said or [""]
    agent, slash, step = first.partition("/")
    parts = [*([step] if slash else []), *rest]
    level = parts.pop() if parts and parts[-1] in set(Level) else None
    if len(parts) > 1:
        raise InvalidRequest(f"{parts[-1]!r} is no level; there are: {', '.join(Level)}")
    return agent or None, parts[0] if parts else None, level


async def _show(out: Output, somebody: Operator, agent: str | None, step: str | None) -> int:
    found = await somebody.autonomy(agent, step)
    documents: list[dict[str, Any]] = []
    for each in found.agents:
        steps = [] if each.picture is None else [s.step for s in each.picture.steps]
        records = await track_records(somebody, each.agent, steps)
        documents.append(each.model_dump(mode="json") | {"figures": list(map(document, records))})
        out.show(*_lines(each, whole=agent is not None))
        if agent is not None:
            out.show(*(line for record in records for line in figure_lines(record)))
    for name in found.silent:
        out.say(f"the steward of {plain(name)} does not answer", "yellow")
    if not (found.agents or found.silent):
        out.show("no agent has a steward yet; a worker begins them")
    out.data(found, agents=documents)
    return Code.DONE


def _lines(found: AgentAutonomy, *, whole: bool) -> list[Text]:
    from handrail.oversight import OrderState, order_in_words

    lines, seen = [Text(plain(found.agent), "bold")], found.picture
    for stop in seen.stops if seen else ():
        who = plain(stop.by) + ("" if stop.proven else " (unproven)")
        why = f": {plain(stop.why)}" if stop.why else ""
        said = f"{plain(stop.what)} since {moment(stop.at)} by {who}{why}"
        lines.append(label("STOPPED", said, "bold red"))
    if seen and seen.fault:
        lines.append(label("fault", plain(seen.fault), "red"))
    lines += [_step(each) for each in (seen.steps if seen else ())]
    lines += [label("ledger", plain(each), "dim") for each in (seen.accepted if seen else ())]
    for each in found.changes:
        if each.stand is OrderState.WAITING:
            asked = f"{order_in_words(each.order)} ({each.order.id[:12]}), asked by {each.order.by}"
            lines.append(label("waits", plain(asked), "yellow"))
    for each in reversed(found.changes[-_CHANGES:] if whole else ()):
        who = ", ".join(map(plain, each.people or (each.order.by,)))
        note = f" ({plain(each.note)})" if each.note else ""
        said = f"{plain(order_in_words(each.order))} by {who}: {each.stand}{note}"
        lines.append(label(moment(each.since), said, "dim"))
    return lines


def _step(step: StepView) -> Text:
    part = step.level == "full" and step.rollout < _WHOLE
    share = f" {percent(step.rollout)}" if part else ""
    because = plain(step.label) if step.label else "by the policy file"
    return label(plain(step.step), f"{step.level}{share}, {because}")


# The figures beside the levels


async def track_records(somebody: Operator, agent: str, steps: Iterable[str]) -> list[TrackRecord]:
    """The figures of each write that was ever made; none where the ledger cannot be read."""
    from handrail.evidence import measure_track_record

    keyring = somebody.keyring
    keys = keyring.current() if keyring is not None else dict[str, "TrustedKey"]()
    try:
        found = [
            await measure_track_record(somebody.ledger, agent, step, keys=keys) for step in steps
        ]
    except LedgerUnavailable:
        return []
    return [each for each in found if each.written or each.planted or each.incidents]


def document(found: TrackRecord) -> dict[str, Any]:
    """Figures for programs; shares are 0..1."""
    from handrail.client import iso

    return asdict(found) | {"until": None if found.until is None else iso(found.until)}


def figure_lines(found: TrackRecord) -> list[Text]:
    """Figures for people."""
    made = f"{found.written} written, {found.alone} alone, {found.rolled_back} rolled back"
    said = [label(plain(found.step or found.agent), made)]
    if found.drawn:
        said.append(label("looked at", _looked_at(found)))
    if found.wrong is not None and found.faulty is not None:
        settled = f" of {found.settled} that ran alone"
        said.append(label("wrong", _share(found.wrong) + settled))
        said.append(label("", f"{_share(found.faulty)} with those that did no harm"))
    if found.incidents:
        said.append(label("incidents", f"{found.incidents}, {found.open_incidents} open"))
    if found.planted:
        said.append(label("planted", f"{found.caught} of {found.planted} caught"))
    return said


def _looked_at(found: TrackRecord) -> str:
    counts = f"{found.right} right, {found.harmless} harmless, {found.found_wrong} wrong"
    waits = f"; {found.waiting} wait" if found.waiting else ""
    late = f", {found.overdue} too long: they count as wrong above" if found.overdue else ""
    bad = f"; {found.unproven} do not prove themselves" if found.unproven else ""
    return f"{found.reviewed} of {found.drawn} drawn: {counts}{waits}{late}{bad}"


def _share(share: ErrorShare) -> str:
    return f"{_percent(share.guess)} % (95 %: {_percent(share.low)} to {_percent(share.high)} %)"


def _percent(share: float) -> str:
    return f"{share * 100:.1f}".removesuffix(".0")
