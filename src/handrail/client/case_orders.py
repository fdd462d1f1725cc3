"""Orders to single cases: pause, resume, stop, roll back, retry."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.client import WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from handrail.agent import PAUSED_BY_TEMPORAL, is_paused, pause_words
from handrail.client import gates, reopening
from handrail.client.cases import CaseActs, case_summary, until_over
from handrail.client.views import CaseOrder, CaseOrderList, CaseState
from handrail.exceptions import CaseError, LedgerUnavailable
from handrail.states import ENDS, State

if TYPE_CHECKING:
    from temporalio.client import Client

_LOOK = timedelta(milliseconds=200)
_ENDS = {"stop": State.STOPPED, "roll_back": State.ROLLED_BACK}
_RETRIES = {"retry", "retry_from_start"}


class CaseOrderActs(CaseActs):
    """Ordering cases about."""

    async def pause(self, *cases: str, why: str = "", **more: Any) -> CaseOrderList:
        """Have cases begin no step; `more` as `order_cases` takes it, and raises."""
        return await self.order_cases("pause", *cases, why=why, **more)

    async def resume(self, *cases: str, why: str = "", **more: Any) -> CaseOrderList:
        """Have paused cases go on; `more` as `order_cases` takes it, and raises."""
        return await self.order_cases("resume", *cases, why=why, **more)

    async def roll_back(self, *cases: str, why: str = "", **more: Any) -> CaseOrderList:
        """Have what cases wrote undone, last first; `more` as `order_cases` takes it.

        A case that has ended is opened again for it.
        """
        return await self.order_cases("roll_back", *cases, why=why, **more)

    async def retry(
        self, *cases: str, why: str = "", from_start: bool = False, **more: Any
    ) -> CaseOrderList:
        """Have cases that failed, were refused or expired go on after their last receipt.

        What they had read and decided since is read and decided anew. `from_start`: everything
        is; what was written is not written twice all the same, as long as it is decided again.
        `more` as `order_cases` takes it.
        """
        order = "retry_from_start" if from_start else "retry"
        return await self.order_cases(order, *cases, why=why, **more)

    async def order_cases(
        self,
        order: str,
        *cases: str,
        why: str = "",
        wait: bool = False,
        patience: timedelta | None = None,
    ) -> CaseOrderList:
        """Send one order to each case. What becomes of one says nothing of the others.

        `wait`: until it has done what the order says, or asks a human; at most `patience`.
        """
        self._own_seat(f"order to {order.replace('_', ' ')}")
        client = await self.temporal()
        said = {key: value for key, value in (("by", self.by), ("why", why.strip())) if value}
        found: list[CaseOrder] = []
        for case in dict.fromkeys(cases):
            try:
                if order == "roll_back" and self._ledger is not None:
                    known = await gates.existing_case(client, case)
                    over = known.close_time is not None
                    # First, as a stop is: the door lets undos past a stop by this order alone.
                    # Where it cannot be kept, they wait for the end of the stop.
                    with contextlib.suppress(LedgerUnavailable):
                        # Of one that ended so that nothing is undone it would be no order.
                        if not over or case_summary(known).state in reopening.UNDONE:
                            await self._ledger.order_back(case, self.by, self._clock(), why.strip())
                execution = await _give(client, order, case, said)
            except CaseError as error:
                found.append(CaseOrder(case=case, ok=False, error=str(error)))
                continue
            if is_paused(execution):
                found.append(_held_by_temporal(execution, order, wait=wait))
                continue
            done = CaseOrder(case=case, ok=True)
            asked = frozenset(gate.gate for gate in await gates.gates_of(execution))
            found.append(await _await(client, order, case, patience, asked) if wait else done)
        return CaseOrderList(order=order, cases=tuple(found))


async def _give(
    client: Client, order: str, case: str, said: dict[str, str]
) -> WorkflowExecutionDescription:
    """Give an order to one case. Gives how that was before."""
    execution = await gates.existing_case(client, case)
    state = case_summary(execution).state
    if order in _RETRIES:
        if execution.close_time is None:
            raise CaseError(f"{case} is {state.replace('_', ' ')}: only what has ended is retried")
        start = order != "retry"
        at = await reopening.task_to_retry(client, execution, state, from_start=start)
        await reopening.try_again(client, execution, said, at)
        return await gates.existing_case(client, case)
    if execution.close_time is not None:
        if order != "roll_back":
            raise CaseError(f"{case} has ended ({state.replace('_', ' ')}): it takes no orders")
        at = await reopening.last_task(client, execution, state)
        await reopening.undo_ended(client, execution, said, at)
        return execution
    try:
        await client.get_workflow_handle(case).signal(order, said)
    except RPCError as error:
        raise CaseError(_untold(case, order, error)) from error
    return execution


def _held_by_temporal(
    execution: WorkflowExecutionDescription, order: str, *, wait: bool
) -> CaseOrder:
    """What becomes of an order to a case that does nothing until Temporal's own Pause is over."""
    told = f"unpause {execution.id} first: it is {pause_words(execution)}"
    # It stands still as `pause` wants it to. What is to go on, or is waited for, does not.
    ok = order != "resume" and (not wait or order == "pause")
    error, note = ("", told) if ok else (told, "")
    return CaseOrder(case=execution.id, ok=ok, state=PAUSED_BY_TEMPORAL, error=error, note=note)


def _untold(case: str, order: str, error: RPCError) -> str:
    if error.status is RPCStatusCode.NOT_FOUND:
        return f"{case} has ended meanwhile: it takes no orders"
    return (
        f"the server does not take the signal {order} for {case}: {error}. A run takes 10,000 "
        "signals; to end the case all the same, cancel it in the Web UI: it is rolled back"
    )


async def _await(
    client: Client, order: str, case: str, patience: timedelta | None, asked: frozenset[str]
) -> CaseOrder:
    if order in _RETRIES:
        over = await until_over(client, case, patience, but=asked)
        ok = over.state not in reopening.RETRIED
        return CaseOrder(case=case, ok=ok, state=over.state, outcome=over.outcome)
    if order in _ENDS:
        # An undo that fails asks a human. What was asked before the order is withdrawn by it.
        over = await until_over(client, case, patience, but=asked)
        ok = over.state is _ENDS[order]
        return CaseOrder(case=case, ok=ok, state=over.state, outcome=over.outcome)
    state = await _state_of(client, case)
    with contextlib.suppress(TimeoutError):  # the state says how far it came
        async with asyncio.timeout(None if patience is None else patience.total_seconds()):
            while not (_as_meant(order, state) or state in ENDS):
                await asyncio.sleep(_LOOK.total_seconds())
                state = await _state_of(client, case)
    return CaseOrder(case=case, ok=_as_meant(order, state), state=state)


async def _state_of(client: Client, case: str) -> CaseState:
    return case_summary(await gates.existing_case(client, case)).state


def _as_meant(order: str, state: CaseState) -> bool:
    return (state is State.PAUSED) == (order == "pause")
