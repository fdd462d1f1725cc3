"""Records of cases made again from their histories: what a dead worker lost, or all of them.

The same code makes them as while the cases ran, so what is kept and what is made again are equal.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from handrail.agent import executions
from handrail.client import SCHEDULED_START
from handrail.exceptions import NotKept, RowConflict
from handrail.ledger import CaseRecord, CaseRow, Ledger, as_kept
from handrail.oversight import ROLLOUT_WORKFLOW, STEWARD_WORKFLOW
from handrail.runtime.replays import ReplayedCase, replay_history

if TYPE_CHECKING:
    from temporalio.client import WorkflowHistory
    from temporalio.plugin import SimplePlugin

    from handrail.runtime.agent import Agent

UPKEEP: Final = "Upkeep"
"""The workflow of `handrail.runtime.upkeep`."""

NO_CASES: Final = f"('{STEWARD_WORKFLOW}', '{SCHEDULED_START}', '{ROLLOUT_WORKFLOW}', '{UPKEEP}')"
"""The workflows on an agent's queue that are no cases of it, for a query."""

_AT_ONCE = 50
_LONGEST = timedelta(seconds=60)
_SETTLES = timedelta(seconds=2)
"""How long what a running case hands over may be on its way into the ledger."""

_ENDS = {
    "workflow_execution_terminated_event_attributes": "terminated",
    "workflow_execution_timed_out_event_attributes": "timed_out",
    "workflow_execution_canceled_event_attributes": "cancelled",
    "workflow_execution_failed_event_attributes": "failed",
}
"""The states of cases that Temporal ended, by the last event of their histories."""


@dataclass
class RebuiltRecords:
    """What came of it: how many cases were looked at, which differ and in what, which were kept.

    `kept`: cases whose history is gone, or does not replay, and why: what is kept of them stays.
    """

    agent: str
    looked: int = 0
    differences: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    kept: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


async def rebuild_records(
    agent: Agent, client: Client, ledger: Ledger, plugin: SimplePlugin, *, check: bool = False
) -> RebuiltRecords:
    """Make the records of all cases of an agent again; with `check` only say which differ.

    Raises:
        RPCError: if the server does not answer.
        LedgerUnavailable: if the ledger cannot be used.
    """
    found, seen = RebuiltRecords(agent.name), set[str]()
    async for part in _in_parts(cases_of(client, agent.name)):
        seen |= {each.id for each in part}
        found.looked += len(part)
        made = await _made(agent, client, plugin, part, found.kept)
        differing = await _differences(ledger, made)
        if check and differing:
            # Of what runs meanwhile the record may be on its way.
            await asyncio.sleep(_SETTLES.total_seconds())
            again = [each for each in part if each.id in differing]
            differing = await _differences(
                ledger, await _made(agent, client, plugin, again, list[tuple[str, str]]())
            )
        found.differences += differing.items()
        for each in made.values() if not check else ():
            if each is not None:
                try:
                    await ledger.record_cases([each], anew=True)
                except (NotKept, RowConflict) as error:
                    found.kept.append((each.case.case, str(error)))
    alone = [r for r in await ledger.cases_recorded(agent.name, by="begun") if r.case not in seen]
    invented = await _unexplained(client, ledger, agent.name, alone) if check else set[str]()
    found.differences += [
        (each, "is kept, and the server knows of no such case") for each in sorted(invented)
    ]
    gone = "the server has its history no more"
    found.kept += [(row.case, gone) for row in alone if row.case not in invented]
    return found


async def _unexplained(
    client: Client, ledger: Ledger, agent: str, rows: Sequence[CaseRow]
) -> set[str]:
    """Of cases without a history those that must have one: no retention nor erasure took it."""
    if not rows:
        return set()
    asked = DescribeNamespaceRequest(namespace=client.namespace)
    config = (await client.workflow_service.describe_namespace(asked)).config
    since = datetime.now(UTC) - config.workflow_execution_retention_ttl.ToTimedelta()
    erased = {each.case for each in await ledger.orders(agent, kind="erase")}
    found = set[str]()
    for row in rows:
        if row.case not in erased and (row.ended is None or row.ended > since):
            try:
                # The list of cases is late by seconds.
                await client.get_workflow_handle(row.case).describe()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                found.add(row.case)
    return found


async def cases_of(client: Client, agent: str, more: str = "") -> AsyncIterator[WorkflowExecution]:
    """The last run of each case of an agent that the server knows; `more` narrows the query.

    Raises:
        RPCError: if the server does not answer.
    """
    seen = set[str]()
    query = f"TaskQueue = '{agent}' AND WorkflowType NOT IN {NO_CASES}{more}"
    async for each in executions(client, query):
        if each.id not in seen and each.status is not WorkflowExecutionStatus.CONTINUED_AS_NEW:
            seen.add(each.id)
            yield each


async def record_of(
    agent: Agent, client: Client, plugin: SimplePlugin, execution: WorkflowExecution
) -> CaseRecord | str | None:
    """The record of a case, made from its history; None if an open case has none yet.

    In words why there is none, where its history cannot be replayed.

    Raises:
        RPCError: if the server does not answer.
    """
    handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
    try:
        async with asyncio.timeout(_LONGEST.total_seconds()):
            history = await handle.fetch_history()
            replayed = await replay_history(agent, plugin, history)
        if replayed.fault is not None:
            return f"it does not replay: {replayed.fault}"
        record = recorded(agent.name, history, replayed)
        # After a reset a history names the run that it was made of.
        return record and replace(record, case=replace(record.case, run_id=execution.run_id))
    except TimeoutError:
        return f"it does not replay within {_LONGEST}"
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return "the server has its history no more"
    # Its history, its payloads: whatever is wrong with one case is of this case alone.
    except Exception as error:  # noqa: BLE001
        return f"it cannot be read: {type(error).__name__}: {error}"


def recorded(agent: str, history: WorkflowHistory, replayed: ReplayedCase) -> CaseRecord | None:
    """The record of a history that was replayed, with its end also where Temporal made it."""
    record, last = replayed.record, history.events[-1]
    if record is not None and record.case.ended is not None:
        return record
    kind = str(last.WhichOneof("attributes"))
    state = _ENDS.get(kind)
    if state is None:
        return record
    said: Any = getattr(last, kind)
    why = str(getattr(said, "reason", "") or (said.failure.message if state == "failed" else ""))
    before = replayed.left or record or CaseRecord(_unbegun(agent, history))
    ended = {"state": state, "why": why, "ended": last.event_time.ToDatetime(UTC)}
    return replace(before, case=replace(before.case, **ended, events=len(history.events)))


def _unbegun(agent: str, history: WorkflowHistory) -> CaseRow:
    """What is known of a case that ended before any worker had it."""
    first = history.events[0]
    began = first.workflow_execution_started_event_attributes
    return CaseRow(
        case=history.workflow_id,
        run_id=began.original_execution_run_id,
        agent=agent,
        build="",
        policy="",
        trigger="event",
        event_digest="",
        requester=None,
        parent=None,
        begun=first.event_time.ToDatetime(UTC),
        ended=None,
        state="",
    )


async def _made(
    agent: Agent,
    client: Client,
    plugin: SimplePlugin,
    part: Sequence[WorkflowExecution],
    kept: list[tuple[str, str]],
) -> dict[str, CaseRecord | None]:
    made: dict[str, CaseRecord | None] = {}
    for each in part:
        record = await record_of(agent, client, plugin, each)
        if isinstance(record, str):
            kept.append((each.id, record))
        else:
            made[each.id] = record
    return made


async def _differences(ledger: Ledger, made: dict[str, CaseRecord | None]) -> dict[str, str]:
    """In what records differ from those that are kept, by their cases."""
    kept = await ledger.case_records(list(made))
    found = {
        case: _difference(kept.get(case), None if each is None else as_kept(each))
        for case, each in made.items()
    }
    return {case: why for case, why in found.items() if why}


def _difference(kept: CaseRecord | None, made: CaseRecord | None) -> str:
    if kept is None or made is None:
        return "" if kept is made else ("was not kept" if kept is None else "is kept, and of none")
    said: list[str] = []
    for name in ("case", "decisions", "questions", "errors"):
        said += _of_rows(name, _rows(getattr(kept, name)), _rows(getattr(made, name)))
    return "; ".join(said)


def _rows(of: Any) -> list[dict[str, Any]]:
    # How long the history was says only which of two records is the later.
    given: tuple[Any, ...] = cast("tuple[Any, ...]", of) if isinstance(of, tuple) else (of,)
    rows = [asdict(row) | {"events": 0} for row in given]
    return sorted(rows, key=lambda row: (row.get("number", 0), row.get("gate", "")))


def _of_rows(name: str, kept: list[Any], made: list[Any]) -> Iterable[str]:
    if len(kept) != len(made):
        yield f"{len(kept)} {name} kept, {len(made)} made again"
        return
    for one, other in zip(kept, made, strict=True):
        for column, value in one.items():
            if other[column] != value:
                yield f"{name}.{column} is {value!r}, made again {other[column]!r}"


async def _in_parts(
    cases: AsyncIterator[WorkflowExecution],
) -> AsyncIterator[Sequence[WorkflowExecution]]:
    part: list[WorkflowExecution] = []
    async for each in cases:
        part.append(each)
        if len(part) == _AT_ONCE:
            yield part
            part = []
    if part:
        yield part
