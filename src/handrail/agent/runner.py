"""The runner of a case: what stands around an agent's `run`, from its beginning to its end.

It takes pauses, stops and roll-backs, turns what was not written into an ordinary outcome, and
has what was written undone when the case fails.

This is workflow code. It is deterministic, and the order of its commands is a wire
format: recorded histories are replayed in the tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from typing_extensions import TypeVar, override

from handrail.actions import (
    Action,
    Event,
    Kind,
    Outcome,
    RulingRecord,
    Verb,
    from_text,
)
from handrail.agent import escalation
from handrail.agent.call_backs import CallBacks
from handrail.agent.calls import Calls, ungrouped
from handrail.agent.case import Case
from handrail.agent.case_notes import digest_of_inputs, error_kind
from handrail.agent.escalation import AnswerModel, CaseSnapshot, Pending, UndoEntry
from handrail.agent.handed import HANDED_FROM, origin_in
from handrail.agent.handoff import HandOffs, text_comes_along
from handrail.agent.invoke import (
    Explain,
    beside,
    error_in_words,
)
from handrail.agent.steps import Step
from handrail.agent.verbs import Verbs
from handrail.agent.visibility import AGENT_ATTRIBUTE, STATE_ATTRIBUTE, PublishedState
from handrail.exceptions import Expired, Failed, NotWritten, Refused, Rejected
from handrail.oversight import (
    CALL_BACK_SIGNAL,
    EVENT_SIGNAL,
    HANDED_SIGNAL,
    LIFTED_SIGNAL,
    BadSignal,
    Closing,
    ControlRequest,
    control_request,
    read_signal,
)
from handrail.states import State
from handrail.text import first_fault, first_line, one_line
from handrail.wire import HandOffOrigin, HandOffState

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload

R = TypeVar("R")
A = TypeVar("A", bound=Action)

CASE_SIGNALS = (
    "approve",
    "reject",
    "amend",
    "answer",
    "ask",
    "delegate",
    "revoke",
    "pause",
    "resume",
    "stop",
    "roll_back",
    LIFTED_SIGNAL,
    EVENT_SIGNAL,
    HANDED_SIGNAL,
    CALL_BACK_SIGNAL,
)
"""The signals that a case takes by name. Any other is recorded and ignored."""

LARGEST_ORIGIN = 20_000
"""Characters of all that a case keeps of where it comes from."""

_NO_CHANGE = ", which takes no changes: nothing was done for it"


class CaseRunner(Verbs):
    """One run of one case."""

    def __init__(
        self,
        kind: type,
        explain: Explain | None = None,
        change: Callable[[Event], None] | None = None,
    ) -> None:
        """Begin the case. Signals may come before its `run` does: after a reset they do.

        `change`: takes another event under the key of the case, where the agent does.
        """
        info = workflow.info()
        carried = workflow.memo_value("carried", None, type_hint=CaseSnapshot)
        requester = workflow.memo_value("requested_by", None, type_hint=str)
        title = first_line(kind.__doc__ or "") or info.workflow_type
        case = Case()
        case.begin(info.workflow_id, title, requester, carried, workflow.now())
        known = info.typed_search_attributes
        agent, state = known.get(AGENT_ATTRIBUTE), known.get(STATE_ATTRIBUTE)
        if carried is None:
            case.notes.begun = info.workflow_start_time
            origin = origin_in(workflow.memo_value(HANDED_FROM, None))
            case.handed = HandOffState(origin=origin)
        super().__init__(case, explain, PublishedState(agent=agent, state=state))
        self.hand_offs = HandOffs(self)
        self.call_backs = CallBacks(case, self.note, self.boundary)
        self.calls = Calls()
        self.event: Event | None = None
        self._change = change
        self._others: dict[bytes, Sequence[Payload]] = {}

    # Its event, and another one under its key

    def begin(self, event: Event) -> None:
        """Begin with the event of the case, and with what came for it before.

        Raises:
            ApplicationError: if the id of the case is not its event's.
        """
        self.case.sources.began(event, self.case.handed.origin, text_comes_along)
        self._require_own_id(event)
        self.event = event
        self.case.notes.event = self.case.notes.event or digest_of_inputs(event)
        for payloads in self._others.values():
            self._take(event, payloads)

    def _require_own_id(self, event: Event) -> None:
        """See that the event has this one case: under another id it would be done once more.

        Raises:
            ApplicationError: if the id is another one.
        """
        info = workflow.info()
        try:
            wanted = f"{info.task_queue}:{event.key}"
        # The agent's own code: without a key its event has no case at all.
        except Exception as error:  # noqa: BLE001
            wanted = f"not known ({error_in_words(error)})"
        # A later run by Temporal's cron or retry is continued too, but carries nothing of a case.
        continued = info.continued_run_id is not None and "carried" in workflow.memo()
        own = info.workflow_id == wanted or continued
        # What began before this was looked at, or when a key was made otherwise, goes on.
        if not own and workflow.patched("own-id"):
            raise ApplicationError(
                f"this case is {info.workflow_id!r}, and the case of its event is {wanted!r}: it "
                "was not begun, for its event would be done once more; "
                f"fix: start it by `handrail start {info.task_queue}` (or Fleet.start), which "
                "names it by its event; what shall be done again needs an event with another key",
                type="BadEvent",
                non_retryable=True,
            )

    def another_event(self, payloads: Sequence[Payload]) -> None:
        """Take an event that came under the key of this case. The same one again is nothing new."""
        said = b"".join(payload.data for payload in payloads)
        if said not in self._others:
            self._others[said] = payloads
            if self.event is not None:
                self._take(self.event, payloads)

    def _take(self, own: Event, payloads: Sequence[Payload]) -> None:
        try:
            read_signal(payloads)
            event = from_text(type(own), payloads[0].data)
            self.case.sources.began(event, self.case.handed.origin, text_comes_along)
            self.note(
                f"another event came under the key of this case{'' if self._change else _NO_CHANGE}"
                f": {one_line(payloads[0].data.decode(errors='replace'), 500)}"
            )
            workflow.logger.warning("another event came under the key of a case")
            if self._change is not None:
                self._change(event)
        # Whatever came, or the agent's own code makes of it, must not wedge the case.
        except Exception as error:  # noqa: BLE001
            why = first_fault(error) if isinstance(error, ValidationError) else str(error)
            self.note(f"another event was not taken: {why}")

    def handed(self, payloads: Sequence[Payload]) -> None:
        """Learn that work was handed to this case as well, and by whom it was asked for."""
        try:
            more = HandOffOrigin.model_validate(read_signal(payloads))
        except (BadSignal, ValidationError) as error:
            self.note(f"ignored a signal (handed): {one_line(str(error), 200)}")
            return
        origin = self.case.handed.origin.with_more(more)
        if origin.size > LARGEST_ORIGIN:
            # To leave one of them out would let them approve: it ends instead.
            self.note("work was handed to it by more cases, or people, than it can keep")
            if self.case.state is not State.ROLLING_BACK:
                self.case.order, self.case.ordered = "stop", "too much was handed to it"
            return
        if origin == self.case.handed.origin:
            return
        self.case.handed = self.case.handed.model_copy(update={"origin": origin})
        # Questions that were open before this was looked at are answered as they were asked.
        if workflow.patched("asked-as-well"):
            self._bar(origin)
        whence = " -> ".join(more.chain)
        also = f"work was handed to it as well by {whence}"
        self.note(also if whence else f"{', '.join(more.askers)} asked for it as well")

    def _bar(self, origin: HandOffOrigin) -> None:
        """See that nobody approves, at a question that is open, what they asked for as well."""
        for gate in self.case.open_gates:
            drafters = dict.fromkeys((*gate.question.drafters, *origin.drafters))
            known = {"askers": origin.askers, "drafters": tuple(drafters)}
            question = gate.question.model_copy(update=known)
            self.case.gates[gate.id] = gate.model_copy(update={"question": question})

    # What reaches out

    async def hold_read(
        self, step: Step[..., Any], args: Mapping[str, Any], why: Sequence[str]
    ) -> None:
        """Ask people whether a read that reaches out, or a notification, may be sent.

        Raises:
            Refused: if nobody can be asked.
            Rejected: if somebody says no.
            Expired: if nobody answers in time.
        """
        # Cases that had sent it before this was looked at go on as they began.
        if not workflow.patched("reads-that-reach-out"):
            return
        case, whom = self.case, await self._whom("", "who says whether it may be sent?")
        if beside.get() or whom.kind is Kind.REFUSE:
            raise Refused(step.name, whom.why() or "nobody is asked beside a case")
        case.busy += 1
        try:
            question = escalation.about_read(step, args, why, whom)
            _, closing = await self._ask(question, AnswerModel(Action), step.name)
        finally:
            case.busy -= 1
        case.unused.discard(step.name)
        await self.boundary()
        if closing.how == "expired":
            raise Expired(step.name, closing.why)
        if closing.how != "approved":
            raise Rejected(step.name, f"{', '.join(closing.by)}: {closing.why}".strip(": "))

    # What people send. None of it raises.

    def rule(self, verb: str, payloads: Sequence[Payload]) -> RulingRecord | Pending:
        """Take a ruling: judge it and keep its record, or have it proven first."""
        # Cases that were amended or answered before this was kept are judged as they were.
        kept = verb in {Verb.AMEND, Verb.ANSWER} and workflow.patched("readings-are-kept")
        judged = self.case.receive(verb, payloads, workflow.now(), kept=kept)
        if isinstance(judged, Pending):
            self._aside.prove()
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
            self.hand_offs.go_on()

    def resume(self, payloads: Sequence[Payload]) -> None:
        """Go on after a pause."""
        words = self._said("resumed", payloads)
        if words is None:
            return
        self.case.lifted += 1
        self.case.parked = False
        if self.case.paused:
            self.case.paused = False
            self._move(State.WAITING if self.case.open_gates else State.WORKING, words)

    def lifted(self) -> None:
        """Ask the door again, where it waits for that. Of a pause by people no word."""
        self.case.lifted += 1
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

    # What the agent asks people

    async def ask(self, question: str, model: AnswerModel, role: str, shown: Any) -> Closing:
        """Ask people a question of the agent's own.

        Raises:
            Refused: if the policy knows no such role.
            Rejected: if somebody declined to answer.
            Expired: if nobody answered in time.
        """
        case = self.case
        whom = await self._whom(role, f"who answers as {role}?")
        if whom.kind is Kind.REFUSE:
            raise Refused(escalation.OWN_QUESTION, whom.why())
        form = model.result.json_schema() if model.result is not None else {}
        asked = escalation.agents_own(question, form, shown, whom)
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

    # From beginning to end

    async def run(self, run: Callable[[], Awaitable[Any]], window: timedelta) -> Outcome:
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
        error = ungrouped(agent.exception()) if not agent.cancelled() else asyncio.CancelledError()
        if self.case.order is None and isinstance(error, workflow.ContinueAsNewError | None):
            error = await self._left_behind() or error
        if isinstance(error, (workflow.ContinueAsNewError, workflow.NondeterminismError)):
            raise error
        result = None if error is not None else agent.result()
        why = result.why if isinstance(result, Outcome) else ""
        if error is None and self.case.order is None:
            cancelled = await self._settle(why, window)
        if self.case.order == "roll_back":
            return await self._rolled_back(cancelled=cancelled)
        if self.case.order == "stop":
            await self._unbroken(self.hand_offs.stop(self.case.ordered))
            return self._end(State.STOPPED, self.case.ordered)
        if error is None:
            return self._end(State.DONE, why)
        if isinstance(error, NotWritten) and not isinstance(error, Failed):
            return self._end(State(error.state), str(error))
        return await self._fail(error)

    async def _left_behind(self) -> BaseException | None:
        """What fails a case that would go on or end well: what nobody awaited was not done.

        Nor was what failed in a task of its own that nobody asked how it had ended.
        """
        calls = self.calls
        nothing = calls.left_behind() is None and not calls.unseen()
        # Cases that left something behind before this was looked at go on as they began.
        if nothing or not workflow.patched("verbs-are-awaited"):
            return None
        # What a handler of the agent's own has begun it waits for itself.
        await workflow.wait_condition(workflow.all_handlers_finished)
        left = calls.left_behind()
        unseen = calls.unseen() if left is None else ApplicationError(left, type="NeverAwaited")
        await self._unbroken(calls.end())
        return unseen

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
        if not window or not any(entry.undo or entry.agent for entry in case.undos):
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

    @override
    async def _undo(self, entry: UndoEntry) -> str | None:
        handed = self.hand_offs.undo(entry) if entry.agent else super()._undo(entry)
        return await handed

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
        if not isinstance(error, (ActivityError, Failed)):  # these are noted where they came
            self.case.notes.failed("", error_kind(error), why, workflow.now())
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
