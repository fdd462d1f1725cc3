"""`handrail start`, `show`, `pause`, `resume`, `roll-back` and `retry`: of single cases."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from handrail.cli import inbox, review
from handrail.cli.context import (
    AT_ONCE,
    SomeBody,
    Waiting,
    Why,
    load_fleet,
    operator,
    settings,
    text_of,
)
from handrail.cli.output import (
    PLAIN,
    Code,
    Output,
    label,
    moment,
    plain,
    state_text,
)
from handrail.exceptions import CaseError, InvalidRequest
from handrail.states import State
from handrail.text import unproven

if TYPE_CHECKING:
    from handrail.actions import HandedCase, Receipt, RulingRecord
    from handrail.client import (
        CaseDetails,
        CaseOrder,
        ChainedCase,
        EffectView,
        FailingStep,
        Operator,
        StartedCase,
        WaitResult,
    )
    from handrail.runtime import Fleet

Cases = Annotated[tuple[str, ...], Parameter(help="Ids of cases, such as shipments:AWB-1042.")]

CODES: dict[str, Code] = {
    State.DONE: Code.DONE,
    State.REFUSED: Code.REFUSED,
    State.REJECTED: Code.REFUSED,
    State.EXPIRED: Code.REFUSED,
    State.WAITING: Code.WAITS,
    State.PILOTED: Code.DONE,
}
"""The exit codes for a case in these states; in any other it is FAILED."""


# Starting


async def start(
    agent: str,
    event: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    by: SomeBody = None,
    stream: Annotated[
        bool, Parameter(negative=(), help="The event is `-` or @file: one event on each line.")
    ] = False,
    waiting: Waiting = AT_ONCE,
    out: Output = PLAIN,
) -> int:
    """Start the case of an event. The same event again is the same case.

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    event
        The event as JSON, @file, or - for stdin.
    """
    fleet = load_fleet(settings().fleet)
    if agent not in fleet.agents:
        raise InvalidRequest(f"no agent {agent!r}; there are: {', '.join(fleet.agents)}")
    async with operator(out, by, fleet=fleet) as program:
        if stream:
            # As they come: what is piped in may never end.
            lines = _lines_in() if event == "-" else text_of(event).split("\n")
            return await _stream(out, program, fleet, agent, lines)
        started = await _start(program, fleet, agent, text_of(event))
        code = _say_started(out, started)
        if not waiting.wait or code is not Code.DONE:
            out.data(started)
            return code
        try:
            over = await program.wait(started.case, waiting.timeout)
        except CaseError:
            if not started.duplicate:
                raise
            raise CaseError(
                f"Temporal knows {started.case} no more: it ended long ago, or the server lost it. "
                "The ledger knows what it wrote, so nothing is done for this event; fix: give it "
                "another key, if something is left to do"
            ) from None
        await _say_over(out, program, over)
        out.data(started, **over.model_dump(mode="json"))
    return CODES.get(over.state, Code.FAILED)


def _lines_in() -> Iterator[str]:
    """What is piped in, line by line; one that is no text stays one line, and is no event."""
    incoming: Any = sys.stdin.buffer
    marked = incoming.peek(2)[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    encoding = "utf-16" if marked else "utf-8"
    yield from io.TextIOWrapper(incoming, encoding, errors="surrogateescape", newline="\n")


async def _start(program: Operator, fleet: Fleet, agent: str, text: str) -> StartedCase:
    try:
        return await program.start(agent, fleet.agent(agent).parse_event(text))
    except CaseError as error:  # it is no event, or its key cannot be part of an id
        raise InvalidRequest(str(error)) from error


async def _stream(
    out: Output, program: Operator, fleet: Fleet, agent: str, lines: Iterable[str]
) -> int:
    code = Code.DONE
    for number, line in enumerate(lines, 1):
        if not line.strip("\ufeff \t\r\n"):
            continue
        try:
            started = await _start(program, fleet, agent, line.lstrip("\ufeff"))
        except InvalidRequest as error:
            code = Code.USAGE
            out.say(f"line {number}: {error}", "red")
            out.row({"line": number, "error": str(error)})
            continue
        code = _say_started(out, started) or code
        out.row(started, line=number)
    return code


def _say_started(out: Output, started: StartedCase) -> Code:
    case = plain(started.case)
    if started.taken:
        out.show(f"{case} is there already, and takes this other event as a change")
    elif started.changed:
        out.say(
            f"handrail: {case} is there already, of another event: nothing is done for this one; "
            "fix: give it another key, if it is something else; an agent that defines "
            "`event_changed` takes it as a change while its case goes on",
            "red",
        )
        return Code.FAILED
    elif started.duplicate:
        out.show(f"{case} is there already: the same event is the same case")
    else:
        out.show(f"started {case}")
    return Code.DONE


async def _say_over(out: Output, program: Operator, over: WaitResult) -> None:
    why = f": {plain(over.outcome.why)}" if over.outcome and over.outcome.why else ""
    out.show(f"{plain(over.case)} is {_spaced(over.state)}{why}")
    if over.state is State.WAITING:
        out.show("it waits for a human: `handrail inbox` shows what is asked")
    elif over.outcome is None:
        out.show(f"it goes on: {await program.page(over.case)}")


def _spaced(state: str) -> str:
    return state.replace("_", " ")


# Listing


# Showing one


async def show(
    case: str,
    *,
    chain: Annotated[
        bool, Parameter(negative=(), help="Which cases handed work to each other, with states.")
    ] = False,
    out: Output = PLAIN,
) -> None:
    """Show everything about a case: state, gates, receipts, rulings, log, ledger.

    Parameters
    ----------
    case
        The case's id, such as shipments:AWB-1042.
    """
    if chain:
        async with operator(out, ledger="none") as somebody:
            line = await somebody.chain(case)
        out.data(line)
        out.show(*(chained(each, case) for each in line.cases))
        return
    lacking: list[str] = []
    async with operator(out, lacking=lacking) as somebody:
        found = await somebody.case(case)
    lacking = [*found.lacking, *lacking]
    more = {} if found.outcome is None else {"total_usage": found.outcome.total_usage}
    gates = [inbox.as_json(gate) for gate in found.gates]
    out.data(found, gates=gates, lacking=lacking, **more)
    if not out.json:
        _print(out, found)
        for text in lacking:
            if not (found.why and text.endswith(found.why)):  # said beside its state
                out.say(text, "yellow")


def chained(each: ChainedCase, asked: str) -> Text:
    """One case of a chain, in one line."""
    name = Text(plain(each.case), "bold" if each.case == asked else "")
    state = "not known to Temporal any more" if each.state is None else state_text(each.state)
    return Text.assemble("  " * each.depth, name, "  ", state)


def handed(each: HandedCase) -> Text:
    """What became of a case that work was handed to, in one line."""
    cost = f", cost {each.usage.cost} {each.usage.currency}" if each.usage.cost else ""
    wrote = f", {len(each.receipts)} receipts{cost}" if each.status else ""
    state = "handed on" if each.status is None else state_text(each.status)
    return Text.assemble(plain(each.case), "  ", state, wrote)


def _print(out: Output, found: CaseDetails) -> None:
    title = f"  {plain(found.title)}" if found.title is not None else ""
    out.show(Text.assemble((plain(found.case), "bold"), title))
    text = Text.assemble(state_text(found.state), f": {plain(found.why)}" if found.why else "")
    out.show(label("state", text), label("began", moment(found.started)))
    if found.closed is not None:
        out.show(label("ended", moment(found.closed)))
    if found.reset:
        out.show(label("reset", plain(found.reset), "yellow"))
    if found.requester:
        out.show(label("asked for by", plain(found.requester)))
    if found.chain:
        out.show(label("handed on by", " -> ".join(map(plain, found.chain))))
    out.show(label("page", found.url))
    _section(out, "fails", [failing_line(each) for each in found.failing])
    for gate in found.gates:
        out.show("", *inbox.lines(gate, datetime.now(UTC)))
    _section(out, "receipts", [_receipt(each) for each in found.receipts])
    _section(out, "handed to", [handed(each) for each in found.handed])
    _section(out, "rulings", [_ruling(each) for each in found.rulings])
    _section(out, "not told", list(map(plain, found.outcome.unsent if found.outcome else ())))
    _section(out, "ledger", [_effect(each) for each in found.effects or ()])
    for incident in found.incidents or ():
        out.show("", *review.incident_lines(incident))
    _section(out, "reviews", [review.line(each) for each in found.reviews or ()])
    _section(out, "log", [f"{moment(each.at)}  {plain(each.text)}" for each in found.log or ()])


def _section(out: Output, name: str, lines: Sequence[str | Text]) -> None:
    if lines:
        out.show("", Text(name, "bold"), *(Text.assemble("  ", line) for line in lines))


def failing_line(each: FailingStep) -> str:
    """What goes on failing in a case, in one line."""
    next_try = f"next try {moment(each.next_try)}" if each.next_try else "being tried now"
    step = f"{plain(each.step)}: attempt {each.attempt} since {moment(each.since)}"
    return f"{step}, {next_try}; last error: {plain(each.error)}"


def _receipt(receipt: Receipt) -> str:
    return f"{moment(receipt.at)}  {plain(receipt.step)} {receipt.how}, key {plain(receipt.key)}"


def _ruling(ruling: RulingRecord) -> str:
    said = f" {ruling.answer}" if ruling.answer else ""
    why = f", {plain(ruling.why)}" if ruling.why else ""
    judged = "accepted" if ruling.accepted else f"refused: {plain(ruling.note)}"
    unknown = unproven(proven=ruling.proven, via=ruling.via)
    who = f"{plain(ruling.verb)}{said} by {plain(ruling.by) or 'somebody'}{unknown}"
    return f"{moment(ruling.at)}  {who}{why}: {judged}"


def _effect(effect: EffectView) -> str:
    error = f", {plain(effect.error)}" if effect.error else ""
    state = effect.state.replace("_", " ")
    return f"{moment(effect.begun)}  {plain(effect.key)}: {state}{error}"


# Ordering


async def pause(
    cases: Cases,
    /,
    *,
    by: SomeBody = None,
    why: Why = "",
    waiting: Waiting = AT_ONCE,
    out: Output = PLAIN,
) -> int:
    """Let cases begin no further step."""
    return await _order(out, "pause", cases, by, why=why, waiting=waiting)


async def resume(
    cases: Cases,
    /,
    *,
    by: SomeBody = None,
    why: Why = "",
    waiting: Waiting = AT_ONCE,
    out: Output = PLAIN,
) -> int:
    """Let paused cases go on."""
    return await _order(out, "resume", cases, by, why=why, waiting=waiting)


async def roll_back(
    cases: Cases,
    /,
    *,
    by: SomeBody = None,
    why: Why = "",
    waiting: Waiting = AT_ONCE,
    out: Output = PLAIN,
) -> int:
    """Undo what cases have written, last first, and end them. Also of cases that have ended."""
    return await _order(out, "roll_back", cases, by, why=why, waiting=waiting)


async def retry(
    cases: Cases,
    /,
    *,
    by: SomeBody = None,
    why: Why = "",
    from_start: Annotated[
        bool, Parameter(negative=(), help="Not only what came after the last receipt.")
    ] = False,
    waiting: Waiting = AT_ONCE,
    out: Output = PLAIN,
) -> int:
    """Try cases again that failed, were refused or expired. What they wrote is not written twice.

    They read and decide anew what they had read and decided since their last receipt.
    """
    order = "retry_from_start" if from_start else "retry"
    return await _order(out, order, cases, by, why=why, waiting=waiting)


async def _order(
    out: Output, order: str, cases: Sequence[str], by: str | None, *, why: str, waiting: Waiting
) -> int:
    if not cases:
        raise InvalidRequest("name at least one case, such as shipments:AWB-1042")
    wait, patience = waiting.wait, waiting.timeout
    # Cases hear of it by the server: a ledger that is away is no reason to let them go on.
    lacking: list[str] = []
    async with operator(out, by, lacking=lacking) as somebody:
        for each in lacking:
            out.say(each, "yellow")
        told = await somebody.order_cases(order, *cases, why=why, wait=wait, patience=patience)
    out.data(told)
    return say_ordered(out, order, told.cases)


def say_ordered(out: Output, order: str, cases: Iterable[CaseOrder]) -> Code:
    """Say what became of an order to each case. The worst of the exit codes."""
    code = Code.DONE
    for each in cases:
        if each.error:
            out.say(f"handrail: {each.error}", "red")
        elif each.state is None:
            out.show(f"told {plain(each.case)} to {order.replace('_', ' ')}")
        else:
            out.show(f"{plain(each.case)} is {_spaced(each.state)}")
        if each.note:
            out.say(each.note, "yellow")
        code = code if each.ok else Code.FAILED
    return code
