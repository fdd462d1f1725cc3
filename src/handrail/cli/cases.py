"""`handrail start` and `handrail cases`."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporalio.client import Client

from handrail.cli import words
from handrail.cli.context import (
    PATIENCE,
    client,
    ledger_if_there,
    load_fleet,
    settings,
    text_of,
)
from handrail.cli.output import Code, Output, UsageError
from handrail.client import cases as known
from handrail.client import gates as desk
from handrail.exceptions import CaseError
from handrail.runtime import connect
from handrail.states import State

if TYPE_CHECKING:
    from handrail.actions import Event, Outcome
    from handrail.cli.common import Waiting
    from handrail.client.views import StartedCase
    from handrail.ledger import Ledger
    from handrail.runtime import Fleet

_LOOK = timedelta(milliseconds=300)

CODES = {
    State.DONE: Code.DONE,
    State.REFUSED: Code.REFUSED,
    State.REJECTED: Code.REFUSED,
    State.EXPIRED: Code.REFUSED,
    State.WAITING: Code.WAITS,
}


def code_of(state: State) -> Code:
    """The exit code for a case in this state."""
    return CODES.get(state, Code.FAILED)


async def start(
    out: Output, agent: str, event: str, *, by: str | None, stream: bool, waiting: Waiting
) -> int:
    """Start the case of one event, or of each line of a stream."""
    given = settings()
    fleet = load_fleet(given.fleet)
    if agent not in fleet.agents:
        raise UsageError(f"no agent {agent!r}; there are: {', '.join(fleet.agents)}")
    if stream:
        return await _stream(out, fleet, agent, event, by)
    parsed = _event(fleet, agent, text_of(event))
    connected = await _connect(fleet)
    async with ledger_if_there(given) as ledger:
        started = await _start(fleet, connected, agent, parsed, by, ledger)
    if not waiting.wait:
        _say(out, started)
        out.data({"case": started.case, "duplicate": started.duplicate})
        return Code.DONE
    _say(out, started)
    return await _wait(out, connected, started, waiting.timeout)


async def _stream(out: Output, fleet: Fleet, agent: str, source: str, by: str | None) -> int:
    given = settings()
    connected = await _connect(fleet)
    lines = sys.stdin if source == "-" else iter(text_of(source).splitlines())
    code = Code.DONE
    async with ledger_if_there(given) as ledger:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                event = _event(fleet, agent, line)
                started = await _start(fleet, connected, agent, event, by, ledger)
            except UsageError as error:
                code = Code.USAGE
                out.say(f"line {number}: {error}", "red")
                out.row({"line": number, "error": str(error)})
                continue
            _say(out, started)
            out.row({"line": number, "case": started.case, "duplicate": started.duplicate})
    return code


def _event(fleet: Fleet, agent: str, text: str) -> Event:
    try:
        return fleet.agent(agent).parse_event(text)
    except CaseError as error:
        raise UsageError(str(error)) from error


async def _connect(fleet: Fleet) -> Client:
    given = settings()
    return await connect(given, plugins=[fleet.plugin(given.payload_dir)], patience=PATIENCE)


async def _start(  # noqa: PLR0917  # what a start needs
    fleet: Fleet,
    connected: Client,
    agent: str,
    event: Event,
    by: str | None,
    ledger: Ledger | None,
) -> StartedCase:
    try:
        return await fleet.start(connected, agent, event, requested_by=by, ledger=ledger)
    except CaseError as error:  # the event's key cannot be part of an id
        raise UsageError(str(error)) from error


def _say(out: Output, started: StartedCase) -> None:
    case = words.plain(started.case)
    if started.duplicate:
        out.show(f"{case} is there already: the same event is the same case")
    else:
        out.show(f"started {case}")


async def _wait(
    out: Output, connected: Client, started: StartedCase, patience: timedelta | None
) -> int:
    state, outcome = await until_over(connected, started.case, patience)
    show_end(out, connected, started.case, state, outcome)
    out.data({"case": started.case, "duplicate": started.duplicate, **end_json(state, outcome)})
    return code_of(state)


async def until_over(
    connected: Client, case: str, patience: timedelta | None, *, but: frozenset[str] = frozenset()
) -> tuple[State, Outcome | None]:
    """Wait until a case has ended or asks a human, at most `patience`.

    `but`: gates that were open before, and do not count.
    """
    handle = connected.get_workflow_handle(case)
    ended = asyncio.ensure_future(known.outcome_of(handle))
    asked = asyncio.ensure_future(_until_asked(connected, case, but))
    limit = None if patience is None else patience.total_seconds()
    done, _ = await asyncio.wait({ended, asked}, timeout=limit, return_when="FIRST_COMPLETED")
    for task in {ended, asked} - done:
        task.cancel()
    for task in done:
        task.result()  # raise what it raised
    outcome = ended.result() if ended in done else None
    if outcome is not None:
        return outcome.status, outcome
    return known.row(await handle.describe()).state, None


async def _until_asked(connected: Client, case: str, but: frozenset[str]) -> None:
    while True:
        gates = await desk.gates_of(await desk.existing(connected, case))
        if any(gate.gate not in but for gate in gates):
            return
        await asyncio.sleep(_LOOK.total_seconds())


def end_json(state: State, outcome: Outcome | None) -> dict[str, Any]:
    """How a wait ended, for programs."""
    return {
        "state": state.value,
        "outcome": None if outcome is None else outcome.model_dump(mode="json"),
    }


def show_end(
    out: Output, connected: Client, case: str, state: State, outcome: Outcome | None
) -> None:
    """How a wait ended, for people."""
    why = f": {words.plain(outcome.why)}" if outcome and outcome.why else ""
    out.show(f"{words.plain(case)} is {state.replace('_', ' ')}{why}")
    if state is State.WAITING:
        out.show("it waits for a human: `handrail inbox` shows what is asked")
    elif outcome is None:
        out.show(f"it goes on: {desk.case_url(settings().ui_url, connected.namespace, case)}")


async def listing(
    out: Output, *, agent: str | None, state: str | None, role: str | None, limit: int
) -> int:
    """List cases, newest first."""
    wanted = known.query(agent, state, role)
    connected = await client(settings())
    found = [
        known.row(execution) async for execution in connected.list_workflows(wanted, limit=limit)
    ]
    total = (await connected.count_workflows(wanted)).count
    out.data({"cases": [known.row_json(row) for row in found], "total": total})
    if out.json:
        return Code.DONE
    if not found:
        out.show("no such cases")
        return Code.DONE
    out.show(_table(found))
    if total > len(found):
        out.say(f"{total - len(found)} more; --limit {total} shows them all")
    return Code.DONE


def _table(rows: list[Any]) -> Any:
    from rich.table import Table  # noqa: PLC0415  # only for people

    now = datetime.now(UTC)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("case", "state", "waits for", "until", "began", "ended"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(
            words.plain(row.case),
            words.state(row.state),
            words.plain(", ".join(row.waiting_for)),
            words.left(row.deadline, now),
            words.moment(row.started),
            words.moment(row.closed),
        )
    return table
