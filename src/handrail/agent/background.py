"""Background: what a case does beside its agent's code, and what has to be done before it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from handrail.actions import RulingRecord
from handrail.agent.case import Case
from handrail.agent.escalation import Pending
from handrail.agent.invoke import (
    LOOKS,
    LOOKS_MOST,
    NOTIFY_ACTIVITY,
    PROVE_ACTIVITY,
    RECEIPT_ACTIVITY,
    Explain,
    beside,
    engine,
    error_in_words,
)
from handrail.oversight import Consultation, NotificationRequest, gate_view
from handrail.text import moment_in_words
from handrail.wire import ProofRequest, ProofResult, ReceiptRequest, RulingReading

AT_MOST = timedelta(seconds=30)
"""How long a case that is over waits for what is still done beside it."""


class Background:
    """The work beside one run of one case."""

    def __init__(self, case: Case, explain: Explain | None) -> None:
        self._case = case
        self._agent = explain
        self._proving: asyncio.Task[None] | None = None
        self._awaited: dict[int, RulingRecord | None] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._explaining: set[tuple[str, str]] = set()
        self._untold: set[str] = set()

    # Rulings

    def prove(self) -> None:
        """Have the rulings that wait for it proven, in their order, and judge them."""
        if self._proving is None or self._proving.done():
            self._proving = asyncio.create_task(self._prove_all())

    async def proven(self, came: Pending) -> RulingRecord:
        """The record of a ruling, when it is judged."""
        self._awaited[came.number] = None
        await workflow.wait_condition(lambda: self._awaited[came.number] is not None)
        record = self._awaited.pop(came.number)
        assert record is not None  # noqa: S101  # it was waited for
        return record

    async def _prove_all(self) -> None:
        while self._case.pending:
            batch, proving = self._case.proving()
            proofs = await self._proofs(proving)
            for came, proof in zip(batch, proofs, strict=True):
                self._judge(came, proof)

    async def _proofs(self, proving: ProofRequest) -> Sequence[ProofResult]:
        try:
            # While it runs the gate's time goes on, and other steps do.
            proofs: tuple[ProofResult, ...] = await engine(
                PROVE_ACTIVITY,
                proving,
                tuple[ProofResult, ...],
                f"who sent {len(proving.rulings)} rulings?",
            )
        except ActivityError as error:
            why = f"who sent it could not be looked at: {error_in_words(error)}; send it again"
            proofs = (_unread(why),) * len(proving.rulings)
        return proofs

    def _judge(self, came: Pending, proof: ProofResult) -> None:
        self._case.pending.remove(came)
        record = self._case.prove(came, proof)
        if came.number in self._awaited:
            self._awaited[came.number] = record

    # Questions to the agent

    def explain(self, gate: str) -> None:
        """Have the agent answer what approvers asked it about a gate."""
        for asked in self._case.questions_to_agent(gate):
            if (gate, asked.id) not in self._explaining:
                self._explaining.add((gate, asked.id))
                self._run(self._explain(gate, asked))

    async def _explain(self, gate: str, asked: Consultation) -> None:
        answer = "this agent answers no questions; its reasons and evidence are all there is"
        if self._agent is not None:
            beside.set(True)
            view = gate_view(self._case.gates[gate], self._case.id)
            try:
                answer = await self._agent(asked.text, view)
            # The agent's own code: whatever it raises, the approver must not wait for it.
            except Exception as error:  # noqa: BLE001
                answer = f"the agent could not answer: {error_in_words(error)}"
        if self._case.gates[gate].closed is None:
            self._case.explained(gate, asked.id, str(answer), workflow.now())

    # Receipts that come late

    def await_receipt(self, gate: str, key: str) -> None:
        """Withdraw a question when the receipt of the write that it asks about comes after all."""
        # Cases that asked before this was looked at go on as they began.
        if workflow.patched("receipts-come-late"):
            self._run(self._await_receipt(gate, key))

    async def _await_receipt(self, gate: str, key: str) -> None:
        case, heard, pause = self._case, 0, LOOKS
        request = ReceiptRequest(case=case.id, key=key)

        def is_closed() -> bool:
            return case.gates[gate].closed is not None

        while not is_closed():
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: is_closed() or case.lifted > heard,  # noqa: B023  # it ends in this turn
                    timeout=pause,
                    timeout_summary="until it looks whether the receipt came after all",
                )
            if is_closed():
                return
            heard, pause = case.lifted, min(2 * pause, LOOKS_MOST)
            summary = "has its receipt come after all?"
            with contextlib.suppress(ActivityError):  # it is looked for again
                at = await engine(RECEIPT_ACTIVITY, request, datetime | None, summary)
                if at is not None:
                    why = f"its receipt came at {moment_in_words(at)}"
                    case.withdraw(gate, workflow.now(), why)

    # Messages to people

    def tell(self, *gates: str) -> None:
        """Have people told by message of gates that opened or changed, and of closed ones."""
        self._untold.update(gates)
        for gate in sorted(self._untold):
            inbox = self._case.gates[gate].question.terms.inbox
            if inbox:
                self._run(
                    self._call(NotificationRequest(case=self._case.id, gate=gate, inbox=inbox))
                )
        self._untold.clear()

    def tell_later(self, gate: str) -> None:
        """Have people told at the next occasion: a write shall not wait for that."""
        self._untold.add(gate)

    async def _call(self, call: NotificationRequest) -> None:
        try:
            await engine(NOTIFY_ACTIVITY, call, None, "tell the people who are asked")
        except ActivityError as error:
            why = f"nobody could be told by message of {call.gate}: {error_in_words(error)}"
            self._case.note(why, workflow.now())

    # The end

    async def finish(self) -> None:
        """Answer everybody, and finish what is being done, before the case is over."""
        if self._proving is not None:
            self._proving.cancel()
        for came in list(self._case.pending):
            self._judge(came, _unread("the case has ended"))
        self.tell()
        if self._running:
            await workflow.wait(list(self._running), timeout=AT_MOST.total_seconds())
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)


def _unread(why: str) -> ProofResult:
    return ProofResult(proven=False, why=why, reading=RulingReading(fault=why))
