"""The verbs of an agent, as its case carries them out: write, notify, ask, renew, and undo.

A write goes through the door, and through a gate where the door holds it. What was written is
undone the same way.

This is workflow code. It is deterministic, and the order of its commands is a wire
format: recorded histories are replayed in the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pydantic import JsonValue
from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from typing_extensions import TypeVar

from handrail.actions import Action, Decision, Kind, Verdict, digest_of
from handrail.agent import escalation, provenance
from handrail.agent.background import Background
from handrail.agent.case import Case
from handrail.agent.case_notes import error_kind
from handrail.agent.decided import DecidedAction, recalled
from handrail.agent.escalation import AnswerModel, UndoEntry
from handrail.agent.invoke import (
    HEARTBEAT,
    ROLE_ACTIVITY,
    Explain,
    beside,
    engine,
    error_in_words,
    keep_failure,
    perform,
    taken,
)
from handrail.agent.planning import planned
from handrail.agent.steps import RETRY, Decide, Notify, Write
from handrail.agent.tries import failed_try, pause_after
from handrail.agent.visibility import PublishedState
from handrail.exceptions import Failed, Piloted, Refused
from handrail.oversight import Closing, Question, case_markdown, next_moment
from handrail.states import State
from handrail.wire import Attempt, Notice, NotifyResult, RoleRequest, WriteResult, WriteResultKind

R = TypeVar("R")
A = TypeVar("A", bound=Action)
D = TypeVar("D", bound=Decision[Any, Any])

LONG_RUN = 1_000
"""Events after which a case that renews itself continues as new: about 150 steps."""


class Verbs:
    """What one run of a case can do, and how it is shown."""

    def __init__(self, case: Case, explain: Explain | None, shown: PublishedState) -> None:
        """`explain`: how the agent answers questions. `shown`: what the server shows so far.

        `changed` is called when a question was asked or has closed, and around a pause.
        """
        self.case = case
        self._shown = shown
        self._aside = Background(case, explain)
        self.changed: Callable[[], None] = lambda: None
        self._sent: dict[str, datetime] = {}

    # What is shown

    def details(self) -> str:
        """The case in Markdown, as it is now: made when somebody looks, and not at each step."""
        return case_markdown(self.case.view())

    def note(self, text: str) -> None:
        """Add a line to the log of the case."""
        self.case.note(text, workflow.now())

    def _publish(self) -> None:
        self._shown.publish(self.case)

    def _move(self, state: State, why: str = "") -> None:
        paused = State.PAUSED in {state, self.case.state}
        self.case.move(state, workflow.now(), why)
        self._publish()
        if paused:
            self.changed()

    # The verbs

    async def boundary(self) -> None:
        """Wait here while the case is paused; go no further when it is to end.

        Raises:
            CancelledError: if it is, also when the agent has caught the first one.
        """
        taken()
        if self.case.paused:
            await workflow.wait_condition(lambda: not self.case.paused)
        if self.case.order is not None:
            raise asyncio.CancelledError(self.case.ordered)

    async def decide(self, step: Decide[..., Any], args: list[Any]) -> dict[str, Any]:
        """Run a decide step: as often as it may be tried, and then as often as people let it."""
        tries = 0
        while True:
            try:
                return await perform(self.case, step, args, dict[str, Any])
            except ActivityError as error:
                failed = failed_try(error)
                if failed is None:
                    raise
                tries += 1
                self.case.usage += failed.usage
                kind = error_kind(error)
                self.case.notes.failed(step.name, kind, failed.why, workflow.now(), tries)
                self.note(f"could not decide ({tries} of {step.tries} tries): {failed.why}")
                if tries < step.tries:
                    pause = pause_after(tries)
                    await workflow.sleep(pause, summary=f"until it tries {step.name} again")
                elif await self.give_up(step, failed.why):
                    raise
                else:
                    tries = 0
            await self.boundary()

    async def give_up(self, step: Decide[..., Any], why: str) -> bool:
        """Ask people whether a step that could not decide shall try again. True if not."""
        if beside.get():
            return True
        case = self.case
        whom = await self._whom("", "who says whether it tries again?")
        if whom.kind is Kind.REFUSE:
            self.note(f"nobody is asked whether it tries again: {whom.why()}")
            return True
        question = escalation.about_decision(step, why, whom)
        case.busy += 1
        try:
            _, closing = await self._ask(question, AnswerModel(Action), step.name)
        finally:
            case.busy -= 1
        case.unused.discard(step.name)
        return closing.how != "approved"

    async def _whom(self, role: str, summary: str) -> Verdict:
        asked = RoleRequest(case=self.case.id, role=role, pilot=self.case.pilot)
        # What keeps it from being said, a broken policy, say, costs no case: it is shown as stuck.
        return await engine(ROLE_ACTIVITY, asked, Verdict, summary, patience=None)

    async def notify(self, step: Notify[..., R], args: list[Any]) -> R | None:
        """Run a notify step; note what could not be sent, and go on."""
        case = self.case
        case.notices += 1
        notice = Notice(case=case.id, key=f"{case.id}/{step.name}/{case.notices}", pilot=case.pilot)
        try:
            told = await perform(self.case, step, [notice, *args], NotifyResult)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            told = NotifyResult(
                sent=False, why=error_in_words(error).removeprefix(f"{step.name}: ")
            )
        if told.sent:
            self.note(f"told: {step.name}")
            return recalled(step.returns, told.result)
        case.unsent.append(f"{step.name}: {told.why}")
        self.note(f"could not tell {step.name}: {told.why}")
        return None

    async def renew(self, args: tuple[Any, ...]) -> None:
        """Continue as new with everything the case needs, if its history has grown long."""
        info = workflow.info()
        if info.get_current_history_length() < LONG_RUN and not info.is_continue_as_new_suggested():
            return
        # Never with a gate open: the UI's signals are pinned to the run on its page.
        await workflow.wait_condition(lambda: not self.case.busy and not self.case.pending)
        await workflow.wait_condition(workflow.all_handlers_finished)
        memo = {k: workflow.memo_value(k) for k in workflow.memo() if k not in {"carried", "gates"}}
        workflow.continue_as_new(args=list(args), memo=memo | {"carried": self.case.carry(args)})

    async def write(self, step: Write[A, R], proposal: DecidedAction) -> R:
        """Take one action through the door, and through the gate if the door holds it."""
        case, action = self.case, proposal.json
        case.writes += 1
        attempt = Attempt(
            case=case.id,
            key=f"{case.id}/{step.name}/{case.writes}",
            digest=escalation.digest(step, action),
            basis=planned(case, step, proposal),
            requester=case.requester,
            pilot=case.pilot,
            kind=None if proposal.unknown_kind else type(proposal.action).__name__,
            unknown_kind=proposal.unknown_kind,
            ledger=escalation.ledger_seen(case.receipts),
        )
        case.busy += 1
        patience = escalation.ASK_AGAIN
        try:
            while True:
                heard, answer = case.lifted, self._foreseen(attempt.digest)
                if answer is None:
                    attempt = self._with_what_stands(attempt)
                    case.register(escalation.undo_entry(step, action, attempt))
                    says = escalation.said_in_a_line(step.action, action)
                    until = step.timeout + (step.settles or timedelta(0))
                    answer = await self._attempt(step.name, until, action, attempt, says)
                case.decisions.came_to(step, proposal, action, answer)
                if answer.receipt is not None:
                    return recalled(step.returns, answer.receipt.result)
                if answer.kind is WriteResultKind.STOPPED:
                    patience = await self.until_lifted(answer.why, patience, heard)
                    await self.boundary()
                    continue
                if answer.kind is WriteResultKind.PILOT:
                    return self._recorded(step, action, answer.why)
                if answer.kind is WriteResultKind.REFUSED:
                    raise Refused(step.name, answer.verdict.why())
                if answer.kind is WriteResultKind.FAILED:
                    raise Failed(step.name, answer.why)
                action, attempt = await self._asked(step, action, answer, attempt, proposal)
        finally:
            case.busy -= 1

    async def until_lifted(self, why: str, patience: timedelta, heard: int) -> timedelta:
        """Wait until a stop is lifted: until somebody resumes the case, or for `patience`.

        `heard`: how often that had been said when the door was asked: its answer may be older
        than the last time. Returns how long to wait the next time.
        """
        case = self.case
        # Cases that waited before this was looked at go on as they began.
        if case.lifted > heard and workflow.patched("lifts-on-their-way-count"):
            return patience
        case.parked = True
        if not case.rolling_back:
            case.paused = True
            self._move(State.PAUSED, why)
        self.note(f"waits, and asks again when it is resumed, or in {patience}: {why}")
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                # Once it is undoing, nobody has it end before that is over.
                lambda: not case.parked or (case.order == "stop" and not case.rolling_back),
                timeout=patience,
                timeout_summary=why[:200],
            )
        if case.parked:
            case.parked = False
            if case.state is State.PAUSED:
                case.paused = False
                self._move(State.WORKING, "asks again whether it is stopped")
        return min(2 * patience, escalation.ASK_AGAIN_MOST)

    def _recorded(self, step: Write[A, R], action: dict[str, JsonValue], why: str) -> R:
        """Go on, as far as that goes, from a write that was recorded and not made.

        Raises:
            Piloted: if the step has nothing to stand in for it.
        """
        self.case.pilot = True
        self.note(f"recorded, and not done: {step.name}: {why}")
        if step.stand_in is None:
            raise Piloted(step.name, why)
        stand_in = step.stand_in(recalled(step.action, action, by_name=True))
        return step.adapter.validate_python(stand_in)

    def _foreseen(self, digest: str) -> WriteResult | None:
        """What the door said when this was decided, while that is fresh."""
        verdict, at = self.case.foreseen.pop(digest, (None, workflow.now()))
        stale = workflow.now() - at > escalation.FRESH
        # Cases that were decided before this was looked at go on as they began.
        if stale and workflow.patched("foreseen-while-fresh"):
            return None
        # People are asked nothing of a case that writes nothing.
        people = self.case.handed.asked(self.case.requester)
        return None if self.case.pilot else escalation.foreseen(verdict, people)

    def _with_what_stands(self, attempt: Attempt) -> Attempt:
        """The attempt with the rulings that nobody took back. From now on it is too late to."""
        self.case.unused.discard(attempt.key)
        given = {"rulings": self.case.still_given(attempt.rulings)}
        return attempt.model_copy(update=given | self.case.handed.people(attempt))

    async def _asked(
        self,
        step: Write[Any, Any],
        action: dict[str, JsonValue],
        answer: WriteResult,
        attempt: Attempt,
        of: DecidedAction,
    ) -> tuple[dict[str, JsonValue], Attempt]:
        """Ask people about a write that is held or in doubt. Returns what to attempt next."""
        case, model = self.case, AnswerModel(step.action, step.adapter)
        attempt = attempt.model_copy(update={"rulings": case.still_given(attempt.rulings)})
        attempt, asked = escalation.as_the_door_has_it(answer, attempt, action)
        question = escalation.about_write(step, asked, answer, attempt, of.evidence)
        before = case.proposed.get(question.digest, None if asked == action else action)
        question = question.model_copy(update={"before": before})
        bad = escalation.planted(step, answer, question)
        if bad is not None:
            await self._ask(bad, model, attempt.key)
            await self.boundary()
        late = escalation.may_come(answer)
        gate, closing = await self._ask(question, model, attempt.key, late=late)
        await self.boundary()
        who = f"{', '.join(closing.by)}{case.unproven(closing)}"
        action, doubt = escalation.what_next(step, asked, closing, answer, who)
        amended = closing.by if closing.how == "amended" else ()
        if amended:
            case.proposed[escalation.digest(step, action)] = question.action
        given = tuple(r for r in case.gates[gate].rulings if r.accepted)
        changes: dict[str, Any] = {
            "digest": escalation.digest(step, action),
            "rulings": (*attempt.rulings, *given),
            "doubt": doubt,
            "drafters": (*attempt.drafters, *amended),
        }
        if amended:
            changes["basis"] = provenance.amended(attempt.basis)
        return action, attempt.model_copy(update=changes)

    async def _attempt(
        self,
        step: str,
        duration: timedelta,
        action: dict[str, JsonValue],
        attempt: Attempt,
        *says: str,
    ) -> WriteResult:
        """Let the door judge one write, and know what came of it. `duration`: until it settles."""
        attempt = attempt.model_copy(update={"sent": self._sent.get(attempt.key)})
        handle = workflow.start_activity(
            step,
            args=[action, attempt],
            result_type=WriteResult,
            # One attempt may first wait for the end of the one before it.
            start_to_close_timeout=2 * duration + timedelta(seconds=20),
            heartbeat_timeout=HEARTBEAT,
            retry_policy=RETRY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=escalation.ui_line("write" if attempt.undoes is None else "undo", step, *says),
        )
        try:
            answer = await asyncio.shield(handle)
        except asyncio.CancelledError:
            handle.cancel()
            with contextlib.suppress(ActivityError, asyncio.CancelledError):
                self._keep(attempt, await handle)
            raise
        except ActivityError as error:
            keep_failure(self.case, step, error)
            raise
        self._keep(attempt, answer)
        self.case.notes.came_to(step, answer, workflow.now())
        self._aside.tell()
        return answer

    def _keep(self, attempt: Attempt, answer: WriteResult) -> None:
        """Keep the books on what an attempt came to."""
        if answer.receipt is not None:
            self.case.wrote(answer.receipt, workflow.now(), answer.action)
            if answer.incident:
                self._incident(answer)
        elif answer.sent is not None:
            self._sent[attempt.key] = answer.sent
        elif attempt.undoes is None and not answer.token:
            # A token names an attempt of which nobody knows whether it happened.
            self.case.unregister(attempt.key)

    def _incident(self, answer: WriteResult) -> None:
        """Keep what was found wrong after a write, and take the case back if that is the policy."""
        case = self.case
        case.incident(answer.incident, workflow.now())
        if answer.roll_back and case.order is None and not case.rolling_back:
            case.order, case.ordered = "roll_back", f"rolled back: {answer.incident}"
            case.by_itself = True

    async def _ask(
        self, question: Question, model: AnswerModel, key: str, *, late: bool = False
    ) -> tuple[str, Closing]:
        """Open a gate and wait until people or time have closed it. `key`: of its write.

        `late`: its receipt may still come.
        """
        case = self.case
        gate = workflow.uuid4().hex[:16]
        case.ask(gate, question, model, key, workflow.now())
        if not case.paused:
            case.move(State.WAITING, workflow.now(), question.why)
        self._publish()
        self.changed()
        self._aside.tell(gate)
        if late:
            self._aside.await_receipt(gate, key)
        try:
            while (closing := case.gates[gate].closed) is None:
                await self._wait(gate)
        except asyncio.CancelledError:
            case.withdraw(gate, workflow.now(), "the case ended")
            raise
        finally:
            # Its messages are locked when the write is made: it shall not wait for them.
            self._aside.tell_later(gate)
        case.answered(gate, workflow.now())
        if case.state is State.WAITING and not case.open_gates:
            undoing = case.rolling_back
            case.move(State.ROLLING_BACK if undoing else State.WORKING, workflow.now())
        self._publish()
        self.changed()
        return gate, closing

    async def _wait(self, gate: str) -> None:
        """Wait for a ruling, or for what time does next to the gate."""
        case = self.case
        moment = next_moment(case.gates[gate])
        left = moment - workflow.now() if moment is not None else timedelta(0)
        roles = ", ".join(case.gates[gate].waiting_for)[:200]
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: case.gates[gate].closed is not None or gate in case.stirred,
                timeout=max(left, timedelta(milliseconds=1)),
                timeout_summary=escalation.waiting_line(roles, case.gates[gate].question),
            )
        stirred = gate in case.stirred
        case.stirred.discard(gate)
        self._aside.explain(gate)
        if not stirred:
            # What came in time is judged first, however long its proof takes.
            await workflow.wait_condition(lambda: not case.proves(gate))
        passed = case.pass_time(gate, workflow.now())
        if passed or (stirred and case.gates[gate].closed is None):
            self._publish()
            self._aside.tell(gate)

    # Undo

    async def _undo_all(self, why: str) -> list[str]:
        """Undo what was written, last first. Returns what could not be undone, in words."""
        case = self.case
        if not case.undos:
            return []
        case.paused = False
        case.rolling_back = True
        self._move(State.ROLLING_BACK, why)
        left: list[str] = []
        for entry in reversed(list(case.undos)):
            fault = await self._undo(entry)
            if fault is None:
                case.unregister(entry.key)
            else:
                left.append(f"{entry.step} ({fault})")
                self.note(f"not undone: {entry.step}: {fault}")
        return left

    async def _undo(self, entry: UndoEntry) -> str | None:
        """Take one write back, through the door and once. None if it is, or why not."""
        if entry.undo is None:
            return "it cannot be undone" if entry.receipt else "it may have happened"
        action = entry.action
        people = self.case.order == "roll_back" and not self.case.by_itself
        known = {"ordered": people, "ledger": escalation.ledger_seen(self.case.receipts)}
        attempt = entry.attempt(self.case.id, digest_of(entry.undo, action), **known)
        patience = escalation.ASK_AGAIN
        while True:
            heard = self.case.lifted
            try:
                wait = entry.timeout + entry.wait
                answer = await self._attempt(entry.undo, wait, action, attempt)
            except ActivityError as error:
                return error_in_words(error)
            if answer.receipt is not None:
                return None
            if answer.kind is WriteResultKind.STOPPED:
                patience = await self.until_lifted(answer.why, patience, heard)
                continue
            if answer.kind is WriteResultKind.REFUSED:
                return answer.verdict.why()
            attempt, action = escalation.as_the_door_has_it(answer, attempt, action)
            question = escalation.about_undo(entry, action, attempt, answer)
            model, late = AnswerModel(Action), escalation.may_come(answer)
            gate, closing = await self._ask(question, model, attempt.key, late=late)
            if closing.how == "withdrawn":
                continue
            if closing.how not in {"approved", "answered"} or closing.answer == "drop":
                return f"{question.why}; {closing.how} {', '.join(closing.by)}".rstrip()
            given = tuple(r for r in self.case.gates[gate].rulings if r.accepted)
            again = {
                "rulings": (*attempt.rulings, *given),
                "doubt": escalation.doubt(closing, answer),
            }
            attempt = self._with_what_stands(attempt.model_copy(update=again))
