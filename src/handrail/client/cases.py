"""Cases: listed, shown and waited for.

A list is what the server knows without a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from temporalio.client import (
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from handrail.actions import Outcome
from handrail.agent import (
    DEADLINE_ATTRIBUTE,
    OPEN_QUERY,
    PAUSED_BY_TEMPORAL,
    STATE_ATTRIBUTE,
    WAITING_FOR_ATTRIBUTE,
    describe_execution,
    executions,
    handed_from,
    is_paused,
    pause_words,
)
from handrail.client import gates
from handrail.client.failing import BUSY_QUERY, FAILING_TASK, failing, stuck_cases, thinking
from handrail.client.gate_acts import GateActs
from handrail.client.reopening import reset_words
from handrail.client.starts import StartActs
from handrail.client.views import (
    CaseDetails,
    CaseList,
    CaseState,
    CaseSummary,
    EffectView,
    IncidentView,
    ReviewView,
    WaitResult,
)
from handrail.exceptions import CaseError, LedgerUnavailable
from handrail.ledger import STUCK
from handrail.states import ENDS, State
from handrail.text import moment_in_words

if TYPE_CHECKING:
    from temporalio.client import Client

    from handrail.oversight import GateView

_LOOK = timedelta(milliseconds=200)
_AT_ONCE = 20


# Runs that only went on in another run are no cases of their own.
ANY = "HandrailState IS NOT NULL AND ExecutionStatus != 'ContinuedAsNew'"

_CLOSED_AS = {
    WorkflowExecutionStatus.COMPLETED: State.DONE,
    WorkflowExecutionStatus.FAILED: State.FAILED,
    WorkflowExecutionStatus.CANCELED: State.ROLLED_BACK,
    WorkflowExecutionStatus.TERMINATED: State.FAILED,
    WorkflowExecutionStatus.TIMED_OUT: State.FAILED,
}


def cases_query(
    agent: str | None = None,
    state: str | Sequence[str] | None = None,
    role: str | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> str:
    """The query for these cases. `since`, `until`: when they began.

    Raises:
        ImpossibleName: if there is no such state, or if a name cannot be one.
    """
    parts = [ANY]
    if agent is not None:
        parts.append(f"HandrailAgent = {gates.quoted(agent, 'agent')}")
    states = (state,) if isinstance(state, str) else tuple(state or ())
    if states:
        parts.append(f"({' OR '.join(_in_state(each) for each in states)})")
    if since is not None:
        parts.append(f"StartTime >= '{since.isoformat()}'")
    if until is not None:
        parts.append(f"StartTime < '{until.isoformat()}'")
    if role is not None:
        parts.append(f"HandrailWaitingFor = {gates.quoted(role, 'role')} AND {OPEN_QUERY}")
    return " AND ".join(parts)


def ended_query(since: datetime, until: datetime) -> str:
    """The query for the cases that have ended in a time."""
    return f"{ANY} AND CloseTime >= '{since.isoformat()}' AND CloseTime < '{until.isoformat()}'"


def _in_state(state: str) -> str:
    if state == PAUSED_BY_TEMPORAL:
        return "ExecutionStatus = 'Paused'"
    known = state.replace("-", "_")
    if known not in set(State):
        raise gates.ImpossibleName(f"no state {state!r}; there are: {', '.join(State)}")
    return f"HandrailState = '{known}'"


def case_summary(execution: WorkflowExecution) -> CaseSummary:
    """One case as the server lists it."""
    attributes = execution.typed_search_attributes
    is_open = execution.status is WorkflowExecutionStatus.RUNNING
    return CaseSummary(
        case=execution.id,
        agent=execution.id.partition(":")[0],
        state=_state(execution),
        waiting_for=tuple(attributes.get(WAITING_FOR_ATTRIBUTE) or ()) if is_open else (),
        deadline=_deadline(attributes.get(DEADLINE_ATTRIBUTE)) if is_open else None,
        started=execution.start_time,
        closed=execution.close_time,
    )


def _deadline(said: datetime | None) -> datetime | None:
    """None, too, where it is out of what can be shown: anybody may have written it."""
    try:
        return said and said.astimezone(UTC)
    except OverflowError:
        return None


def _state(execution: WorkflowExecution) -> CaseState:
    if is_paused(execution):
        return PAUSED_BY_TEMPORAL
    said = execution.typed_search_attributes.get(STATE_ATTRIBUTE)
    state = State(said) if said in set(State) else State.WORKING
    if execution.status is None or state in ENDS:
        return state
    # Ended from outside, or before its first step: the case could not say so itself.
    return _CLOSED_AS.get(execution.status, state)


def why_ended(execution: WorkflowExecution) -> str:
    """Why a case ended that could not say so itself; empty where nothing is to be said."""
    notes = {
        WorkflowExecutionStatus.TERMINATED: "terminated through Temporal",
        WorkflowExecutionStatus.TIMED_OUT: "timed out in Temporal",
    }
    return notes.get(execution.status, "") if execution.status else ""


async def outcome_of(handle: WorkflowHandle[Any, Any]) -> Outcome | None:
    """The outcome of a case that has ended; None where it left none (terminated, say)."""
    try:
        result: Any = await handle.result()
    except WorkflowFailureError as error:
        cause = error.cause
        details: Sequence[Any] = cause.details if isinstance(cause, ApplicationError) else ()
        if not details:
            # An error may quote whatever was read.
            return Outcome(status=State.FAILED, why=_reason(error), outside=True)
        result = details[0]
    except RPCError:
        raise
    except Exception:  # noqa: BLE001  # not ours: decoding what it left raises anything
        return None
    try:
        return Outcome.model_validate(result)
    except ValidationError:
        return None


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return getattr(error, "message", None) or str(error)


async def _opened_again(client: Client, found: Iterable[WorkflowExecution]) -> frozenset[str]:
    """Which of these runs have ended, and are followed by another of their case."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def later(run: WorkflowExecution) -> str:
        async with limit:
            return "" if await _latest_run(client, run.id) in {"", run.run_id} else run.id

    ended = (run for run in found if run.close_time is not None)
    return frozenset(await asyncio.gather(*map(later, ended))) - {""}


async def _latest_run(client: Client, case: str) -> str:
    try:
        return (await describe_execution(client, case)).run_id or ""
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return ""  # deleted meanwhile


async def _requester(execution: WorkflowExecution) -> str | None:
    """Who asked for a case, as the server has it."""
    try:
        said: Any = await execution.memo_value("requested_by", None)
    except Exception:  # noqa: BLE001  # anybody may have written it: decoding raises anything
        return None
    return said if isinstance(said, str) else None


async def until_over(
    client: Client, case: str, patience: timedelta | None, *, but: frozenset[str] | None = None
) -> WaitResult:
    """Wait until a case has ended, at most `patience`; with `but` also until it asks a human.

    `but`: gates that were open before, and do not count.
    """
    handle = client.get_workflow_handle(case)
    tasks = {asyncio.ensure_future(outcome_of(handle))}
    if but is not None:
        tasks.add(asyncio.ensure_future(_until_asked(client, case, but)))
    limit = None if patience is None else patience.total_seconds()
    try:
        done, _ = await asyncio.wait(tasks, timeout=limit, return_when="FIRST_COMPLETED")
    finally:
        for task in tasks:
            task.cancel()
    outcome = next(filter(None, [task.result() for task in done]), None)
    state = outcome.status if outcome else _state(await gates.existing_case(client, case))
    return WaitResult(case=case, state=state, outcome=outcome)


async def _until_asked(client: Client, case: str, but: frozenset[str]) -> None:
    while True:
        found = await gates.gates_of(await gates.existing_case(client, case))
        if any(gate.gate not in but for gate in found):
            return
        await asyncio.sleep(_LOOK.total_seconds())


class CaseActs(GateActs, StartActs):
    """Looking at cases, and waiting for them."""

    async def cases(
        self,
        agent: str | None = None,
        *,
        state: str | Sequence[str] | None = None,
        role: str | None = None,
        limit: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> CaseList:
        """Cases of an agent, in a state, waiting for a role, begun in a time: the open ones first.

        Raises:
            ImpossibleName: if there can be no such agent, state or role.
        """
        wanted = cases_query(agent, state, role, since=since, until=until)
        client = await self.temporal()
        found, runs = dict[str, WorkflowExecution](), 0
        async for each in executions(client, wanted, None if limit is None else 2 * limit):
            found.setdefault(each.id, each)
            runs += 1
        # A case that was opened again is its newest run, which another filter may leave out.
        old = await _opened_again(client, found.values()) if state or until else frozenset[str]()
        kept = [each for each in found.values() if each.id not in old][:limit]
        why = await self._reasons(kept)
        shown = [
            case_summary(each).model_copy(update={"why": why.get(each.id, "")}) for each in kept
        ]
        others = runs - len(found) + len(old)
        total = (await client.count_workflows(wanted)).count - others
        return CaseList(cases=tuple(shown), total=max(total, len(shown)))

    async def _reasons(self, cases: Sequence[WorkflowExecution]) -> dict[str, str]:
        """Why each asks, or how it ended: what the server and the ledger know without a worker."""
        ended = [each for each in cases if each.close_time is not None]
        found = {each.id: why_ended(each) for each in ended}
        if self._ledger is not None:
            with contextlib.suppress(LedgerUnavailable):
                kept = await self._ledger.case_records([each.id for each in ended])
                said = ((each, kept[each.id].case) for each in ended if each.id in kept)
                found |= {run.id: row.why for run, row in said if row.run_id == run.run_id}
        for case in cases:
            if case.close_time is None:
                asked = await gates.gates_of(case)
                found[case.id] = "; ".join(gate.why for gate in asked)
        return found

    async def stuck_cases(
        self,
        agent: str | None = None,
        *,
        state: str | Sequence[str] | None = None,
        role: str | None = None,
        lasting: timedelta | None = None,
    ) -> CaseList:
        """Cases in which a step, or their code, has failed for so long already, and goes on so.

        Without `lasting`: for as long as their policy calls stuck, or ten minutes.

        Raises:
            ImpossibleName: if there can be no such agent, state or role.
        """
        wanted = f"{cases_query(agent, state, role)} AND {BUSY_QUERY}"
        known = set[str]()
        if self._ledger is not None and lasting is None and not state and role is None:
            with contextlib.suppress(LedgerUnavailable):
                met = await self._ledger.incidents(agent, open_only=True)
                known = {each.case for each in met if each.kind == STUCK}
        found = [
            case_summary(case).model_copy(update={"failing": steps})
            for case, steps in await stuck_cases(await self.temporal(), wanted, lasting, known)
        ]
        return CaseList(cases=tuple(found), total=len(found))

    async def case(self, case: str) -> CaseDetails:
        """Everything about one case, from wherever it is known.

        Raises:
            CaseError: if there is none of that id; of one that only the ledger knows, with what it
                has of it.
        """
        client, lacking = await self.temporal(), list[str]()
        try:
            execution = await gates.existing_case(client, case)
        except CaseError as error:
            raise CaseError(await self._forgotten(case) or str(error)) from error
        ended = execution.close_time is not None
        outcome = await outcome_of(client.get_workflow_handle(case)) if ended else None
        view, why = await gates.case_view(client, case), why_ended(execution)
        fails = await failing(client, execution)
        broken = next((each for each in fails if each.step == FAILING_TASK), None)
        if is_paused(execution):
            why = pause_words(execution)
            lacking.append(f"{case} is {why}")
        elif view is None and broken is not None:
            lacking.append(
                f"its code cannot go on, and answers nothing: {broken.error}; correct the code and "
                "restart the worker: the case goes on by itself"
            )
        elif view is None:
            more = "" if outcome else ", nor its rulings"
            lacking.append(
                f"no worker answers: the log and the moves of the case are not shown{more}"
            )
        asked = view.gates if view else await self._asked(execution, lacking)
        kept = await self._kept(case, lacking)
        source = outcome or view
        receipts = (
            source.receipts
            if source
            else tuple(e.receipt for e in kept.get("effects") or () if e.receipt is not None)
        )
        said = outcome.why if outcome else why or (view.why if view else "")
        return CaseDetails(
            **dict(case_summary(execution)) | {"failing": fails, "why": said},
            title=view.title if view else None,
            reset=await reset_words(client, execution),
            thinking="" if ended else await thinking(client, execution),
            requester=view.requester if view else await _requester(execution),
            gates=asked,
            receipts=receipts,
            rulings=source.rulings if source else (),
            moves=view.moves if view else None,
            log=view.log if view else None,
            outcome=outcome,
            handed=source.handed if source else (),
            chain=(await handed_from(execution)).chain,
            worker_answered=view is not None,
            lacking=tuple(lacking),
            url=await self.page(case),
            **kept,
        )

    async def _asked(
        self, execution: WorkflowExecution, lacking: list[str]
    ) -> tuple[GateView, ...]:
        """The open gates as the server has them."""
        try:
            return tuple(await gates.memo_gates(execution))
        except CaseError as error:
            lacking.append(str(error))
            return ()

    async def _forgotten(self, case: str) -> str:
        """What the ledger has of a case that Temporal knows no more; empty if that is nothing."""
        if self._ledger is None:
            return ""
        try:
            record = (await self._ledger.case_records([case])).get(case)
            effects = await self._ledger.effects(case)
            erased = await self._ledger.orders(case.partition(":")[0], kind="erase")
        except LedgerUnavailable:
            return ""
        said = [
            f"it was erased at {moment_in_words(each.at)} by {each.by}: {each.why}"
            for each in erased
            if each.case == case
        ]
        if record is not None:
            row = record.case
            end = f", ended {moment_in_words(row.ended)}" if row.ended else ""
            said.append(f"it began {moment_in_words(row.begun)}{end}: {row.state}")
        said += [f"{each.step} is {str(each.state).replace('_', ' ')}" for each in effects]
        if not said:
            return ""
        return (
            f"Temporal knows {case} no more: it ended long ago, was erased, or the server lost it. "
            f"The ledger has of it: {'; '.join(said)}. `handrail rulings --case {case}` has who "
            "let it, `handrail audit` all of its time"
        )

    async def _kept(self, case: str, lacking: list[str]) -> dict[str, Any]:
        """What the ledger has of a case; nothing where there is none, or it does not answer."""
        if self._ledger is None:
            return {}
        try:
            effects = [EffectView.model_validate(e) for e in await self._ledger.effects(case)]
            met = await self._ledger.incidents(case=case)
            drawn = await self._ledger.reviews(case=case)
        except LedgerUnavailable as error:
            lacking.append(str(error))
            return {}
        return {
            "effects": effects,
            "incidents": [IncidentView.model_validate(each) for each in met],
            "reviews": [ReviewView.model_validate(each) for each in drawn],
        }

    async def wait(
        self, case: str, patience: timedelta | None = None, *, but: frozenset[str] = frozenset()
    ) -> WaitResult:
        """Wait until a case has ended or asks a human, at most so long.

        `but`: gates that were open before, and do not count.

        Raises:
            CaseError: if there is no such case.
        """
        client = await self.temporal()
        await gates.existing_case(client, case)
        return await until_over(client, case, patience, but=but)

    async def outcome(self, case: str, patience: timedelta | None = None) -> WaitResult:
        """Wait until a case has ended, at most so long: then its `outcome` is None.

        Raises:
            CaseError: if there is no such case.
        """
        client = await self.temporal()
        await gates.existing_case(client, case)
        return await until_over(client, case, patience)

    async def page(self, case: str) -> str:
        """The page of a case in Temporal's Web UI; empty where it is not known."""
        namespace = (await self.temporal()).namespace
        return gates.case_url(self.ui_url, namespace, case) if self.ui_url else ""

    async def runs(self, case: str) -> bool:
        """Whether there is such a case, and it has not ended."""
        try:
            found = await gates.existing_case(await self.temporal(), case)
        except CaseError:
            return False
        return found.status is WorkflowExecutionStatus.RUNNING

    async def is_paused(self, case: str) -> bool:
        """Whether Temporal's own Pause holds a case.

        Raises:
            CaseError: if there is no such case.
        """
        return is_paused(await gates.existing_case(await self.temporal(), case))
