"""`handrail pause`, `resume`, `stop` and `roll-back`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from handrail.cli import words
from handrail.cli.cases import end_json, until_over
from handrail.cli.context import client, settings
from handrail.cli.output import Code, Output, UsageError
from handrail.client import cases as listing
from handrail.client import gates
from handrail.exceptions import CaseError
from handrail.states import ENDS, State

if TYPE_CHECKING:
    from handrail.cli.common import Waiting

_LOOK = timedelta(milliseconds=200)

_MEANT = {"stop": State.STOPPED, "roll_back": State.ROLLED_BACK}


async def order(  # noqa: PLR0917  # an order has these parts
    out: Output, name: str, cases: Sequence[str], by: str | None, why: str, waiting: Waiting
) -> int:
    """Send one order to each case; the exit code is the worst of them."""
    if not cases:
        raise UsageError("name at least one case, such as shipments:AWB-1042")
    connected = await client(settings())
    code, found = await send(out, connected, name, cases, by, why, waiting)
    out.data({"order": name, "cases": found})
    return code


async def send(  # noqa: PLR0917  # an order has these parts
    out: Output,
    connected: Client,
    name: str,
    cases: Sequence[str],
    by: str | None,
    why: str,
    waiting: Waiting,
) -> tuple[Code, list[dict[str, Any]]]:
    """Send one order to each case. The worst of the exit codes, and what became of each."""
    said = {key: value for key, value in (("by", by), ("why", why)) if value}
    code, found = Code.DONE, list[dict[str, Any]]()
    for case in dict.fromkeys(cases):
        try:
            result = await _one(out, connected, name, case, said, waiting)
        except CaseError as error:
            out.say(f"handrail: {error}", "red")
            result = {"case": case, "ok": False, "error": str(error)}
        found.append(result)
        code = code if result["ok"] else Code.FAILED
    return code, found


async def _one(  # noqa: PLR0917  # an order to one case
    out: Output, connected: Client, name: str, case: str, said: dict[str, str], waiting: Waiting
) -> dict[str, Any]:
    execution = await gates.existing(connected, case)
    if execution.status is not WorkflowExecutionStatus.RUNNING:
        state = listing.row(execution).state.replace("_", " ")
        raise CaseError(f"{case} has ended ({state}): it takes no orders")
    asked = {gate.gate for gate in await gates.gates_of(execution)}
    handle = connected.get_workflow_handle(case)
    try:
        await handle.signal(name, said)
    except RPCError as error:
        raise CaseError(_refused(case, name, error)) from error
    what = name.replace("_", " ")
    if not waiting.wait:
        out.show(f"told {words.plain(case)} to {what}")
        return {"case": case, "ok": True, "state": None}
    state, more = await _await(connected, name, case, waiting.timeout, asked)
    ok = _as_meant(name, state)
    out.show(f"{words.plain(case)} is {state.replace('_', ' ')}")
    return {"case": case, "ok": ok, **more}


def _refused(case: str, name: str, error: RPCError) -> str:
    if error.status is RPCStatusCode.NOT_FOUND:
        return f"{case} has ended meanwhile: it takes no orders"
    return (
        f"the server does not take the signal {name} for {case}: {error}. A run takes 10,000 "
        "signals; to end the case all the same, cancel it in the Web UI: it is rolled back"
    )


async def _await(
    connected: Client, name: str, case: str, patience: timedelta | None, asked: set[str]
) -> tuple[State, dict[str, Any]]:
    if name in _MEANT:
        # An undo that fails asks a human. What was asked before the order is withdrawn by it.
        state, outcome = await until_over(connected, case, patience, but=frozenset(asked))
        return state, end_json(state, outcome)
    state = State.WORKING
    try:
        async with asyncio.timeout(None if patience is None else patience.total_seconds()):
            while not _as_meant(name, state := await _state(connected, case), seen=True):  # noqa: ASYNC110  # no event
                await asyncio.sleep(_LOOK.total_seconds())
    except TimeoutError:
        pass  # the state says how far it came
    return state, {"state": state.value}


async def _state(connected: Client, case: str) -> State:
    return listing.row(await gates.existing(connected, case)).state


def _as_meant(name: str, state: State, *, seen: bool = False) -> bool:
    """Whether the order did what it says. `seen`: or never will, because the case has ended."""
    if name == "pause":
        return state is State.PAUSED or (seen and state in ENDS)
    if name == "resume":
        return state is not State.PAUSED
    return state is _MEANT[name]
