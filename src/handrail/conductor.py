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
from temporalio.common import RawValue
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    RetryState,
    is_cancelled_exception,
)
from typing_extensions import TypeVar

from handrail import details
from handrail.actions import (
    Action,
    Answer,
    Answered,
    AnswerKind,
    Attempt,
    Basis,
    Kind,
    Notice,
    Outcome,
    Ruled,
    Told,
    Verdict,
    canonical,
    digest_of,
)
from handrail.case import BadSignal, Carried, Case, Model, Said, UndoEntry, said
from handrail.exceptions import Expired, Failed, InDoubt, NotWritten, Refused, Rejected
from handrail.gate import Closing, GateKind, Question, next_moment
from handrail.shown import AGENT, STATE, Shown
from handrail.states import State
from handrail.steps import LOCAL_RETRY, NOTIFY_RETRY, RETRY, Notify, Posture, Step, Write

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload

R = TypeVar("R")
A = TypeVar("A", bound=Action)

HEARTBEAT = timedelta(seconds=3)
"""How long an ordinary activity may be silent before its worker is taken for dead."""

LARGEST_ACTION = 32_000
"""Characters of the largest action, as JSON: it must fit into memo and details."""

LONG_RUN = 1_000
"""Events after which a case that renews itself continues as new: about 150 steps."""


class Conductor:
    """One run of one case."""

    def __init__(self, kind: type) -> None:
        """Begin the case. Signals may come before its `run` does: after a reset they do."""
        info = workflow.info()
        carried = workflow.memo_value("carried", None, type_hint=Carried)
        requester = workflow.memo_value("requested_by", None, type_hint=str)
        title = ((kind.__doc__ or "").strip() or info.workflow_type).splitlines()[0]
        self.case = Case()
        self.case.begin(info.workflow_id, title, requester, carried, workflow.now())
        self._shown = Shown(
            agent=info.typed_search_attributes.get(AGENT),
            state=info.typed_search_attributes.get(STATE),
        )

    # What people send. None of it raises.

    def rule(self, verb: str, payloads: Sequence[Payload]) -> Ruled:
        """Take a ruling and keep its record."""
        record = self.case.receive(verb, payloads, workflow.now())
        self._show_details()
        return record

    def pause(self, payloads: Sequence[Payload]) -> None:
        """Begin no further step."""
        words = self._said("paused", payloads, anyhow=True)
        if words is not None and self.case.state in {State.WORKING, State.WAITING}:
            self.case.paused = True
            self._move(State.PAUSED, words)

    def resume(self, payloads: Sequence[Payload]) -> None:
        """Go on after a pause."""
        words = self._said("resumed", payloads)
        if words is not None and self.case.paused:
            self.case.paused = False
            self._move(State.WAITING if self.case.open_gates else State.WORKING, words)

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
            words = said(payloads).words(what)
        except BadSignal as error:
            if not anyhow:
                self.note(f"ignored a signal ({what}): {error}")
                return None
            words = Said().words(what)
        self.note(words)
        return words

    # What is shown

    def note(self, text: str) -> None:
        """Add a line to the log of the case, and show it."""
        self.case.note(text, workflow.now())
        self._show_details()

    def _show_details(self) -> None:
        workflow.set_current_details(details.markdown(self.case.view()))

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
        notice = Notice(case=case.id, key=f"{case.id}/{step.name}/{case.notices}")
        try:
            told = await perform(step, [notice, *args], Told)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            told = Told(sent=False, why=_cause(error).removeprefix(f"{step.name}: "))
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
        await workflow.wait_condition(lambda: not self.case.busy)
        await workflow.wait_condition(workflow.all_handlers_finished)
        memo = {k: workflow.memo_value(k) for k in workflow.memo() if k not in {"carried", "gates"}}
        workflow.continue_as_new(args=list(args), memo=memo | {"carried": self.case.carry()})

    async def write(self, step: Write[A, R], action: A, basis: Basis | None) -> R:
        """Take one action through the door, and through the gate if the door holds it."""
        case = self.case
        case.writes += 1
        key = f"{case.id}/{step.name}/{case.writes}"
        case.busy += 1
        rulings: tuple[Ruled, ...] = ()
        doubt: Answered | None = None
        try:
            while True:
                digest = _digest(step, action)
                answer = _foreseen(case.foreseen.pop(digest, None), case.requester)
                if answer is None:
                    attempt = Attempt(
                        case=case.id,
                        key=key,
                        digest=digest,
                        basis=basis,
                        rulings=rulings,
                        requester=case.requester,
                        doubt=doubt,
                    )
                    case.register(_undo_entry(step, action, attempt))
                    answer = await self._attempt(step.name, step.timeout, action, attempt)
                if answer.receipt is not None:
                    return step.adapter.validate_python(answer.receipt.result)
                if answer.kind is AnswerKind.REFUSED:
                    raise Refused(step.name, answer.verdict.why())
                if answer.kind is AnswerKind.FAILED:
                    raise Failed(step.name, answer.why)
                question = _question(step, action, answer, basis, case.requester, rulings)
                gate, closing = await self._ask(question, Model(step.action, step.adapter))
                await self.boundary()
                action, doubt = _next(step, action, closing, answer)
                rulings = (*rulings, *(r for r in case.gates[gate].rulings if r.accepted))
        finally:
            case.busy -= 1

    async def _attempt(
        self, step: str, duration: timedelta, action: Any, attempt: Attempt
    ) -> Answer:
        """Let the door judge one write and make it; know what came of it before going on."""
        handle = workflow.start_activity(
            step,
            args=[action, attempt],
            result_type=Answer,
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
        return answer

    def _keep(self, attempt: Attempt, answer: Answer) -> None:
        """Keep the books on what an attempt came to."""
        if answer.receipt is not None:
            self.case.wrote(answer.receipt, workflow.now())
        elif attempt.undoes is None and not answer.token:
            # A token names an attempt of which nobody knows whether it happened.
            self.case.unregister(attempt.key)

    async def _ask(self, question: Question, model: Model) -> tuple[str, Closing]:
        """Open a gate and wait until people or time have closed it."""
        case = self.case
        gate = workflow.uuid4().hex[:16]
        case.ask(gate, question, model, workflow.now())
        if not case.paused:
            case.move(State.WAITING, workflow.now(), question.why)
        self._publish()
        try:
            while (closing := case.gates[gate].closed) is None:
                await self._wait(gate)
        except asyncio.CancelledError:
            case.withdraw(gate, workflow.now(), "the case ended")
            raise
        case.answered(closing, workflow.now())
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
                lambda: case.gates[gate].closed is not None,
                timeout=max(left, timedelta(milliseconds=1)),
                timeout_summary=f"waiting for {roles}: the question is in the tab User Metadata",
            )
        if case.pass_time(gate, workflow.now()):
            self._publish()

    # From beginning to end

    async def conduct(self, run: Callable[[], Awaitable[Any]], window: timedelta) -> Outcome:
        """Run the agent to its end, whatever that is."""
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
        why = _cause(error)
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
        while True:
            try:
                answer = await self._attempt(entry.undo, entry.timeout, entry.action, attempt)
            except ActivityError as error:
                return _cause(error)
            if answer.receipt is not None:
                return None
            if answer.kind is AnswerKind.REFUSED:
                return answer.verdict.why()
            question = _undo_question(entry, attempt, answer)
            gate, closing = await self._ask(question, Model(Action))
            if closing.how not in {"approved", "answered"} or closing.answer == "drop":
                return f"{question.why}; {closing.how} {', '.join(closing.by)}".rstrip()
            given = tuple(r for r in self.case.gates[gate].rulings if r.accepted)
            again = {"rulings": (*attempt.rulings, *given), "doubt": _doubt(closing, answer)}
            attempt = attempt.model_copy(update=again)


async def perform(step: Step[..., Any], args: Sequence[Any], returns: Any) -> Any:
    """Run a step that writes nothing, and read what it returned.

    It is read here and not by Temporal, whose error would end the case with nothing undone.

    Raises:
        ActivityError: if the step raised `Final`, or is broken; or on a cancellation.
        ApplicationError: if what it returned did not survive the way through JSON.
    """
    raw = await _raw(step, args)
    try:
        return workflow.payload_converter().from_payload(raw.payload, returns)
    except (ValueError, TypeError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ApplicationError(
            f"{step.name}: what it returned is not {returns} any more after its way through "
            f"JSON: {first}; return a model that reads back what it writes",
            type="StepError",
            non_retryable=True,
        ) from error


async def _raw(step: Step[..., Any], args: Sequence[Any]) -> RawValue:
    """Run it inside the workflow task if it is short, else openly."""
    summary = f"{step.posture}: {step.summary}"
    if step.local:
        try:
            return await workflow.execute_local_activity(
                step.name,
                args=args,
                result_type=RawValue,
                start_to_close_timeout=step.timeout + timedelta(seconds=1),
                retry_policy=LOCAL_RETRY,
                summary=summary,
            )
        # Unlike the error of an ordinary activity, a local one's comes as it is.
        except ApplicationError as error:
            if error.non_retryable:
                raise _wrapped(step, error) from error
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
    return await workflow.execute_activity(
        step.name,
        args=args,
        result_type=RawValue,
        start_to_close_timeout=step.timeout + timedelta(seconds=1),
        heartbeat_timeout=HEARTBEAT,
        retry_policy=NOTIFY_RETRY if step.posture is Posture.NOTIFY else RETRY,
        summary=summary,
    )


def _wrapped(step: Step[..., Any], error: ApplicationError) -> ActivityError:
    """The error of a local activity in the form in which those of ordinary ones come."""
    return ActivityError(
        str(error),
        scheduled_event_id=0,
        started_event_id=0,
        identity="",
        activity_type=step.name,
        activity_id="",
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )


def _cause(error: BaseException) -> str:
    """What happened, in the words of the step, which say more than what lies beneath them."""
    while isinstance(error, FailureError) and not isinstance(error, ApplicationError):
        if error.cause is None:
            break
        error = error.cause
    return getattr(error, "message", None) or str(error) or type(error).__name__


def _foreseen(verdict: Verdict | None, requester: str | None) -> Answer | None:
    """What the door said when the decision was made, if it would not just let it pass.

    It did not know the requester then, so it is asked again where there is one.
    """
    if verdict is None or verdict.kind is Kind.PASS or requester is not None:
        return None
    held = verdict.kind is Kind.HOLD
    return Answer(kind=AnswerKind.HELD if held else AnswerKind.REFUSED, verdict=verdict)


def _digest(step: Write[Any, Any], action: Action) -> str:
    given = action.model_dump(mode="json")
    size = len(canonical(given))
    if size > LARGEST_ACTION:
        raise Refused(
            step.name,
            f"the action has {size} characters and {LARGEST_ACTION} are the most that people can "
            "be asked about; refer to large data by its id",
        )
    return digest_of(step.name, given)


def _undo_entry(step: Write[Any, Any], action: Action, attempt: Attempt) -> UndoEntry:
    return UndoEntry(
        key=attempt.key,
        step=step.name,
        undo=step.undo.name if step.undo else None,
        action=action.model_dump(mode="json"),
        digest=attempt.digest,
        timeout=step.undo.timeout if step.undo else step.timeout,
    )


def _question(  # noqa: PLR0917  # what the gate shows, and nothing else calls it
    step: Write[Any, Any],
    action: Action,
    answer: Answer,
    basis: Basis | None,
    requester: str | None,
    given: tuple[Ruled, ...],
) -> Question:
    doubtful = answer.kind is AnswerKind.IN_DOUBT
    shown = action.model_dump(mode="json")
    return Question(
        kind=GateKind.IN_DOUBT if doubtful else GateKind.WRITE,
        step=step.name,
        title=(step.action.__doc__ or step.summary).strip().splitlines()[0],
        action=shown,
        digest=digest_of(step.name, shown),
        why=answer.why or answer.verdict.why(),
        asks=answer.verdict.asks,
        findings=answer.verdict.findings,
        basis=basis,
        requester=requester,
        given=() if doubtful else given,
        risk="reversible" if step.undo is not None else "irreversible",
        policy=answer.verdict.policy,
    )


def _undo_question(entry: UndoEntry, attempt: Attempt, answer: Answer) -> Question:
    kinds = {AnswerKind.FAILED: GateKind.UNDO, AnswerKind.IN_DOUBT: GateKind.IN_DOUBT}
    return Question(
        kind=kinds.get(answer.kind, GateKind.WRITE),
        step=entry.undo or entry.step,
        title=f"Take back {entry.step}",
        action=entry.action,
        digest=attempt.digest,
        why=answer.why or answer.verdict.why(),
        asks=answer.verdict.asks,
        findings=answer.verdict.findings,
        policy=answer.verdict.policy,
    )


def _next(
    step: Write[A, Any], action: A, closing: Closing, answer: Answer
) -> tuple[A, Answered | None]:
    """What to attempt after a gate closed.

    Raises:
        Rejected: if a human rejected it.
        Expired: if nobody ruled in time.
        InDoubt: if it is left in doubt.
    """
    who = ", ".join(closing.by)
    if closing.how == "approved":
        return action, None
    if closing.how == "amended":
        return step.action.model_validate(closing.action), None
    doubt = _doubt(closing, answer)
    if doubt is not None:
        return action, doubt
    if answer.kind is AnswerKind.IN_DOUBT:
        why = f"nobody knows whether it happened; {closing.how} {who}".rstrip()
        raise InDoubt(step.name, why, State.EXPIRED if closing.how == "expired" else State.REJECTED)
    if closing.how == "rejected":
        raise Rejected(step.name, f"rejected by {who} (unproven): {closing.why}".rstrip(": "))
    raise Expired(step.name, closing.why)


def _doubt(closing: Closing, answer: Answer) -> Answered | None:
    if closing.how != "answered" or closing.answer == "drop":
        return None
    return Answered(
        answer="happened" if closing.answer == "happened" else "do it",
        by=", ".join(closing.by),
        token=answer.token,
        result=closing.result,
    )
