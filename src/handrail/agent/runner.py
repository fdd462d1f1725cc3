"""The conductor: what stands around an agent's `run` and carries out its verbs.

It takes pauses, stops and roll-backs, asks and waits at gates, turns what was not written
into an ordinary outcome, undoes what was written when the case fails, and shows all of it.

This is workflow code. It is deterministic, and the order of its commands is a wire
format: recorded histories are replayed in the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from typing_extensions import TypeVar

from handrail.actions import (
    Action,
    Attempt,
    Basis,
    Kind,
    Notice,
    NotifyResult,
    Outcome,
    RoleRequest,
    RulingRecord,
    Verdict,
    WriteResult,
    WriteResultKind,
    digest_of,
)
from handrail.agent import escalation, provenance
from handrail.agent.aside import Background, Explain
from handrail.agent.case import AnswerModel, Case, CaseSnapshot, Pending, UndoEntry
from handrail.agent.invoke import HEARTBEAT, ROLE_ACTIVITY, engine, error_in_words, perform
from handrail.agent.steps import RETRY, Notify, Write
from handrail.agent.visibility import AGENT_ATTRIBUTE, STATE_ATTRIBUTE, PublishedState
from handrail.exceptions import Expired, Failed, NotWritten, Piloted, Refused, Rejected
from handrail.oversight import (
    BadSignal,
    Closing,
    ControlRequest,
    Question,
    case_markdown,
    control_request,
    next_moment,
)
from handrail.states import State

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload

R = TypeVar("R")
A = TypeVar("A", bound=Action)

LONG_RUN = 1_000
"""Events after which a case that renews itself continues as new: about 150 steps."""


class CaseRunner:
    """One run of one case."""

    def __init__(self, kind: type, explain: Explain | None = None) -> None:
        """Begin the case. Signals may come before its `run` does: after a reset they do."""
        info = workflow.info()
        carried = workflow.memo_value("carried", None, type_hint=CaseSnapshot)
        requester = workflow.memo_value("requested_by", None, type_hint=str)
        title = ((kind.__doc__ or "").strip() or info.workflow_type).splitlines()[0]
        self.case = Case()
        self.case.begin(info.workflow_id, title, requester, carried, workflow.now())
        self._showing = False
        self._aside = Background(self.case, explain, self._show_details)
        self._shown = PublishedState(
            agent=info.typed_search_attributes.get(AGENT_ATTRIBUTE),
            state=info.typed_search_attributes.get(STATE_ATTRIBUTE),
        )

    # What people send. None of it raises.

    def rule(self, verb: str, payloads: Sequence[Payload]) -> RulingRecord | Pending:
        """Take a ruling: judge it and keep its record, or have it proven first."""
        judged = self.case.receive(verb, payloads, workflow.now())
        if isinstance(judged, Pending):
            self._aside.prove()
        self._show_details()
        return judged

    async def ruled(self, verb: str, payloads: Sequence[Payload]) -> RulingRecord:
        """Take a ruling, and return the record when it is judged."""
        judged = self.rule(verb, payloads)
        return judged if isinstance(judged, RulingRecord) else await self._aside.proven(judged)

    def pause(self, payloads: Sequence[Payload]) -> None:
        """Begin no further step."""
        words = self._said("paused", payloads, anyhow=True)
        if words is None:
            return
        # Whoever pauses a case that waits for the end of a stop wants more than that end.
        self.case.parked = False
        if self.case.state in {State.WORKING, State.WAITING}:
            self.case.paused = True
            self._move(State.PAUSED, words)

    def resume(self, payloads: Sequence[Payload]) -> None:
        """Go on after a pause."""
        words = self._said("resumed", payloads)
        if words is None:
            return
        self.case.parked = False
        if self.case.paused:
            self.case.paused = False
            self._move(State.WAITING if self.case.open_gates else State.WORKING, words)

    def lifted(self) -> None:
        """Ask the door again, if it waits for the end of a stop. Of a pause by people no word."""
        if not self.case.parked:
            return
        self.case.parked = False
        self.note("a stop is over")
        if self.case.paused:
            self.case.paused = False
            self._move(State.WAITING if self.case.open_gates else State.WORKING, "a stop is over")

    def stop(self, payloads: Sequence[Payload]) -> None:
        """End the case and leave what is written. It outranks a roll-back not yet begun."""
        words = self._said("stopped", payloads, anyhow=True)
        if words is not None and self.case.state is not State.ROLLING_BACK:
            self.case.order, self.case.ordered = "stop", words

    def roll_back(self, payloads: Sequence[Payload]) -> None:
        """Undo what is written, last first, and end the case."""
        words = self._said("rolled back", payloads)
        if words is not None and self.case.order is None:
            self.case.order, self.case.ordered = "roll_back", words

    def _said(self, what: str, payloads: Sequence[Payload], *, anyhow: bool = False) -> str | None:
        """What a signal asks for, in words; None if it cannot be read.

        `anyhow`: a stop must not fail because its reason is misspelt.
        """
        try:
            words = control_request(payloads).words(what)
        except BadSignal as error:
            if not anyhow:
                self.note(f"ignored a signal ({what}): {error}")
                return None
            words = ControlRequest().words(what)
        self.note(words)
        return words

    # What is shown

    def note(self, text: str) -> None:
        """Add a line to the log of the case, and show it."""
        self.case.note(text, workflow.now())
        self._show_details()

    def _show_details(self) -> None:
        """Show the case as it is when this activation has come to rest.

        Once, whatever happened: thousands of signals may come together, and a page for each
        would take longer than a workflow task may.
        """
        if not self._showing:
            self._showing = True
            asyncio.get_running_loop().call_soon(self._render)

    def _render(self) -> None:
        self._showing = False
        workflow.set_current_details(case_markdown(self.case.view()))

    def _publish(self) -> None:
        self._shown.publish(self.case)
        self._show_details()

    def _move(self, state: State, why: str = "") -> None:
        self.case.move(state, workflow.now(), why)
        self._publish()

    # The verbs

    async def boundary(self) -> None:
        """Wait here while the case is paused; go no further when it is to end.

        Raises:
            CancelledError: if it is, also when the agent has caught the first one.
        """
        if self.case.paused:
            await workflow.wait_condition(lambda: not self.case.paused)
        if self.case.order is not None:
            raise asyncio.CancelledError(self.case.ordered)

    async def notify(self, step: Notify[..., R], args: list[Any]) -> R | None:
        """Run a notify step; note what could not be sent, and go on."""
        case = self.case
        case.notices += 1
        notice = Notice(case=case.id, key=f"{case.id}/{step.name}/{case.notices}", pilot=case.pilot)
        try:
            told = await perform(step, [notice, *args], NotifyResult)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            told = NotifyResult(
                sent=False, why=error_in_words(error).removeprefix(f"{step.name}: ")
            )
        if told.sent:
            self.note(f"told: {step.name}")
            return step.adapter.validate_python(told.result)
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
        workflow.continue_as_new(args=list(args), memo=memo | {"carried": self.case.carry()})

    async def write(self, step: Write[A, R], action: A, basis: Basis | None) -> R:
        """Take one action through the door, and through the gate if the door holds it."""
        case = self.case
        case.writes += 1
        attempt = Attempt(
            case=case.id,
            key=f"{case.id}/{step.name}/{case.writes}",
            digest=escalation.digest(step, action),
            basis=escalation.with_sources(basis, case.unsourced(action, basis)),
            requester=case.requester,
            pilot=case.pilot,
        )
        case.busy += 1
        patience = escalation.ASK_AGAIN
        try:
            while True:
                answer = self._foreseen(attempt.digest)
                if answer is None:
                    attempt = self._with_what_stands(attempt)
                    case.register(escalation.undo_entry(step, action, attempt))
                    answer = await self._attempt(step.name, step.timeout, action, attempt)
                if answer.receipt is not None:
                    return step.adapter.validate_python(answer.receipt.result)
                if answer.kind is WriteResultKind.STOPPED:
                    patience = await self._stopped(answer.why, patience)
                    await self.boundary()
                    continue
                if answer.kind is WriteResultKind.PILOT:
                    return self._recorded(step, action, answer.why)
                if answer.kind is WriteResultKind.REFUSED:
                    raise Refused(step.name, answer.verdict.why())
                if answer.kind is WriteResultKind.FAILED:
                    raise Failed(step.name, answer.why)
                action, attempt = await self._asked(step, action, answer, attempt)
        finally:
            case.busy -= 1

    async def _stopped(self, why: str, patience: timedelta) -> timedelta:
        """Wait until a stop is lifted: until somebody resumes the case, or for `patience`.

        Returns how long to wait the next time.
        """
        case = self.case
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

    def _recorded(self, step: Write[A, R], action: A, why: str) -> R:
        """Go on, as far as that goes, from a write that was recorded and not made.

        Raises:
            Piloted: if the step has nothing to stand in for it.
        """
        self.case.pilot = True
        self.note(f"recorded, and not done: {step.name}: {why}")
        if step.stand_in is None:
            raise Piloted(step.name, why)
        return step.adapter.validate_python(step.stand_in(action))

    def _foreseen(self, digest: str) -> WriteResult | None:
        """What the door said when this was decided, while that is fresh."""
        verdict, at = self.case.foreseen.pop(digest, (None, workflow.now()))
        stale = workflow.now() - at > escalation.FRESH
        # Cases that were decided before this was looked at go on as they began.
        if stale and workflow.patched("foreseen-while-fresh"):
            return None
        # People are asked nothing of a case that writes nothing.
        return None if self.case.pilot else escalation.foreseen(verdict, self.case.requester)

    def _with_what_stands(self, attempt: Attempt) -> Attempt:
        """The attempt with the rulings that nobody took back. From now on it is too late to."""
        self.case.unused.discard(attempt.key)
        return attempt.model_copy(update={"rulings": self.case.still_given(attempt.rulings)})

    async def _asked(
        self, step: Write[A, R], action: A, answer: WriteResult, attempt: Attempt
    ) -> tuple[A, Attempt]:
        """Ask people about a write that is held or in doubt. Returns what to attempt next."""
        case, model = self.case, AnswerModel(step.action, step.adapter)
        attempt = attempt.model_copy(update={"rulings": case.still_given(attempt.rulings)})
        question = escalation.about_write(step, action, answer, attempt)
        before = case.proposed.get(question.digest)
        question = question.model_copy(update={"before": before})
        bad = escalation.planted(step, answer, question)
        if bad is not None:
            await self._ask(bad, model, attempt.key)
            await self.boundary()
        gate, closing = await self._ask(question, model, attempt.key)
        await self.boundary()
        who = f"{', '.join(closing.by)}{case.unproven(closing)}"
        action, doubt = escalation.what_next(step, action, closing, answer, who)
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

    async def ask(self, question: str, model: AnswerModel, role: str, evidence: Any) -> Closing:
        """Ask people a question of the agent's own.

        Raises:
            Refused: if the policy knows no such role.
            Rejected: if somebody declined to answer.
            Expired: if nobody answered in time.
        """
        case = self.case
        whom: Verdict = await engine(
            ROLE_ACTIVITY,
            RoleRequest(case=case.id, role=role, pilot=case.pilot),
            Verdict,
            f"who answers as {role}?",
        )
        if whom.kind is Kind.REFUSE:
            raise Refused(escalation.OWN_QUESTION, whom.why())
        form = model.result.json_schema() if model.result is not None else {}
        asked = escalation.agents_own(question, form, evidence, whom)
        case.busy += 1
        try:
            _, closing = await self._ask(asked, model, escalation.OWN_QUESTION)
        finally:
            case.busy -= 1
        await self.boundary()
        if closing.how == "answered":
            return closing
        if closing.how == "rejected":
            who = f"{', '.join(closing.by)}{case.unproven(closing)}"
            raise Rejected(
                escalation.OWN_QUESTION, f"declined by {who}: {closing.why}".rstrip(": ")
            )
        raise Expired(escalation.OWN_QUESTION, closing.why)

    async def _attempt(
        self, step: str, duration: timedelta, action: Any, attempt: Attempt
    ) -> WriteResult:
        """Let the door judge one write and make it; know what came of it before going on."""
        handle = workflow.start_activity(
            step,
            args=[action, attempt],
            result_type=WriteResult,
            # One attempt may first wait for the end of the one before it.
            start_to_close_timeout=2 * duration + timedelta(seconds=20),
            heartbeat_timeout=HEARTBEAT,
            retry_policy=RETRY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"{'write' if attempt.undoes is None else 'undo'}: {step}",
        )
        try:
            answer = await asyncio.shield(handle)
        except asyncio.CancelledError:
            handle.cancel()
            with contextlib.suppress(ActivityError, asyncio.CancelledError):
                self._keep(attempt, await handle)
            raise
        self._keep(attempt, answer)
        self._aside.tell()
        return answer

    def _keep(self, attempt: Attempt, answer: WriteResult) -> None:
        """Keep the books on what an attempt came to."""
        if answer.receipt is not None:
            self.case.wrote(answer.receipt, workflow.now())
            if answer.incident:
                self._incident(answer)
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

    async def _ask(self, question: Question, model: AnswerModel, key: str) -> tuple[str, Closing]:
        """Open a gate and wait until people or time have closed it. `key`: of its write."""
        case = self.case
        gate = workflow.uuid4().hex[:16]
        case.ask(gate, question, model, key, workflow.now())
        if not case.paused:
            case.move(State.WAITING, workflow.now(), question.why)
        self._publish()
        self._aside.tell(gate)
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
                timeout_summary=f"waiting for {roles}: the question is in the tab User Metadata",
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

    # From beginning to end

    async def conduct(self, run: Callable[[], Awaitable[Any]], window: timedelta) -> Outcome:
        """Run the agent to its end, whatever that is."""
        try:
            outcome = await self._conduct(run, window)
        except (ApplicationError, asyncio.CancelledError):
            await self._unbroken(self._aside.finish())
            raise
        await self._unbroken(self._aside.finish())
        return outcome

    async def _conduct(self, run: Callable[[], Awaitable[Any]], window: timedelta) -> Outcome:
        if self._shown.agent is None:
            # Started by hand or by another workflow: it must be found all the same.
            self._publish()
        agent = asyncio.ensure_future(run())
        cancelled = await self._until_ended(agent)
        error = agent.exception() if not agent.cancelled() else asyncio.CancelledError()
        if isinstance(error, (workflow.ContinueAsNewError, workflow.NondeterminismError)):
            raise error
        result = None if error is not None else agent.result()
        why = result.why if isinstance(result, Outcome) else ""
        if error is None and self.case.order is None:
            cancelled = await self._settle(why, window)
        if self.case.order == "roll_back":
            return await self._rolled_back(cancelled=cancelled)
        if self.case.order == "stop":
            return self._end(State.STOPPED, self.case.ordered)
        if error is None:
            return self._end(State.DONE, why)
        if isinstance(error, NotWritten) and not isinstance(error, Failed):
            return self._end(State(error.state), str(error))
        return await self._fail(error)

    async def _until_ended(self, agent: asyncio.Future[Any]) -> bool:
        """Wait until the agent is through, or an operator ends it. True if Temporal cancels it."""
        cancelled = False
        try:
            await workflow.wait_condition(lambda: agent.done() or self.case.order is not None)
        except asyncio.CancelledError:
            cancelled = self._cancelled()
        if not agent.done():
            agent.cancel()
        await self._unbroken(workflow.wait([agent]))
        return cancelled

    async def _unbroken(self, work: Awaitable[R]) -> R:
        """Await `work` to its end, also when Temporal cancels the case meanwhile.

        A case that is ending anyway would otherwise end half undone.
        """
        task = asyncio.ensure_future(work)
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                self.note("cancelled through Temporal, when the case was ending already")
        return task.result()

    def _cancelled(self) -> bool:
        self.case.order, self.case.ordered = "roll_back", "cancelled through Temporal"
        return True

    async def _settle(self, why: str, window: timedelta) -> bool:
        """Keep a case that is done open while it may be undone. True if Temporal cancels it."""
        case = self.case
        if not window or not any(entry.undo for entry in case.undos):
            return False
        self._move(State.SETTLING, why)
        try:
            await workflow.wait_condition(
                lambda: case.order is not None,
                timeout=window,
                timeout_summary="until it can no longer be rolled back",
            )
        except TimeoutError:
            return False
        except asyncio.CancelledError:
            return self._cancelled()
        if case.order == "stop":
            # Nothing is left to stop: it only ends the time in which it could be undone.
            case.order = None
        return False

    async def _rolled_back(self, *, cancelled: bool) -> Outcome:
        left = await self._unbroken(self._undo_all(self.case.ordered))
        if left:
            return self._end(State.FAILED, f"{self.case.ordered}; not undone: {'; '.join(left)}")
        outcome = self._end(State.ROLLED_BACK, self.case.ordered)
        if cancelled:
            raise asyncio.CancelledError(self.case.ordered)
        return outcome

    async def _fail(self, error: BaseException) -> NoReturn:
        """Undo what was written, and fail the case, saying both."""
        why = error_in_words(error)
        left = await self._unbroken(self._undo_all(why))
        if left:
            why = f"{why}; not undone: {'; '.join(left)}"
        outcome = self._end(State.FAILED, why)
        raise ApplicationError(why, outcome, type="CaseFailed", non_retryable=True) from error

    def _end(self, state: State, why: str) -> Outcome:
        case, now = self.case, workflow.now()
        for gate in case.open_gates:
            case.withdraw(gate.id, now, "the case ended")
        case.note(f"ended: {state.replace('_', ' ')}{f': {why}' if why else ''}", now)
        self._move(state, why)
        return case.outcome(state, why, now)

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
        attempt = entry.attempt(self.case.id, digest_of(entry.undo, entry.action))
        people = self.case.order == "roll_back" and not self.case.by_itself
        attempt = attempt.model_copy(update={"ordered": people})
        patience = escalation.ASK_AGAIN
        while True:
            try:
                answer = await self._attempt(entry.undo, entry.timeout, entry.action, attempt)
            except ActivityError as error:
                return error_in_words(error)
            if answer.receipt is not None:
                return None
            if answer.kind is WriteResultKind.STOPPED:
                patience = await self._stopped(answer.why, patience)
                continue
            if answer.kind is WriteResultKind.REFUSED:
                return answer.verdict.why()
            question = escalation.about_undo(entry, attempt, answer)
            gate, closing = await self._ask(question, AnswerModel(Action), attempt.key)
            if closing.how not in {"approved", "answered"} or closing.answer == "drop":
                return f"{question.why}; {closing.how} {', '.join(closing.by)}".rstrip()
            given = tuple(r for r in self.case.gates[gate].rulings if r.accepted)
            again = {
                "rulings": (*attempt.rulings, *given),
                "doubt": escalation.doubt(closing, answer),
            }
            attempt = self._with_what_stands(attempt.model_copy(update=again))
