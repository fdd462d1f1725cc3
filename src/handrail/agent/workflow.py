"""AgentWorkflow: what an agent is written with, as an ordinary Temporal workflow."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar, ParamSpec, Self, cast

from pydantic import BaseModel, JsonValue, TypeAdapter
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from typing_extensions import TypeVar

from handrail.actions import Action, CallBack, Decision, Event, Outcome, RulingRecord
from handrail.agent.calls import require_awaited
from handrail.agent.decided import (
    NEAREST,
    StepDecision,
    as_decided,
    no_event,
    recalled,
    require_action,
    require_own_class,
)
from handrail.agent.escalation import AnswerModel
from handrail.agent.invoke import perform
from handrail.agent.notices import tell
from handrail.agent.planning import bind_writes, inputs_of_plan, unwanted
from handrail.agent.received import NOTHING, payloads, refusal, verb_and_ruling
from handrail.agent.runner import CaseRunner
from handrail.agent.steps import Decide, Notify, Read, Step, Write
from handrail.agent.tool_loop import Converse, ToolLoop
from handrail.agent.tool_plan import ToolPlan
from handrail.oversight import (
    CALL_BACK_SIGNAL,
    EVENT_SIGNAL,
    HANDED_SIGNAL,
    LIFTED_SIGNAL,
    CaseView,
    GateView,
)
from handrail.states import State
from handrail.wire import DecisionResult

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A", bound=Action)
D = TypeVar("D", bound=Decision[Any, Any])
M = TypeVar("M", bound=BaseModel)
F = TypeVar("F", bound=Callable[..., Any])

_RULING = "One JSON object: gate, digest (its first 12 digits), by, why"
_ORDER = "Empty, or one JSON object with by and why"


def _verb(fn: F) -> F:
    """Keep each call of a verb, so that one which nobody awaits is found at the end."""

    @functools.wraps(fn)
    def called(self: AgentWorkflow, *args: Any, **kwargs: Any) -> Any:
        require_awaited(fn.__name__, (*args, *kwargs.values()))
        call = fn(self, *args, **kwargs)
        step = args[0].name if args and isinstance(args[0], Step) else "..."
        runner = self._runner  # pyright: ignore[reportPrivateUsage]  # it is ours
        return runner.calls.add(f"{fn.__name__}({step})", call)

    return cast("F", called)


class AgentWorkflow:
    """Base class of agents.

    Its verbs are `read`, `plan`, `decide`, `converse`, `write`, `notify`, `ask`, `hand_off` and
    `hand_on`. Decorate the subclass with `@workflow.defn`, and its `run`, which takes one event and
    returns an `Outcome`, with `@workflow.run`.

    `undo_window`: how long a case that is done stays open so that it can be rolled back.
    """

    undo_window: ClassVar[timedelta] = timedelta(0)

    _runner: CaseRunner

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Make the runner before anything else can happen to the case."""
        self = super().__new__(cls)
        explains = cls.explain is not AgentWorkflow.explain
        self._runner = CaseRunner(
            cls,
            self.explain if explains else None,
            self.event_changed if takes_changes(cls) else None,
        )
        return self

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Put the runner around the subclass's `run`."""
        super().__init_subclass__(**kwargs)
        for name, member in list(vars(cls).items()):
            if hasattr(member, "__temporal_workflow_run"):
                setattr(cls, name, _conducted(member))

    # The verbs

    @_verb
    async def read(self, step: Read[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a read step and return what it read.

        Of one that reaches out people are asked first, where a text from outside may have chosen
        what it is asked.

        Raises:
            Refused: if it reaches out, and nobody may be asked.
            Rejected: if it reaches out, and somebody says no.
            Expired: if it reaches out, and nobody answers in time.
            ActivityError: if the step raised `Final`, or is broken.
        """
        await self._runner.boundary()
        given = step.bind(*args, **kwargs)
        if step.reaches_out and (why := self._runner.case.sources.chosen_outside(step, given)):
            named = {p.name: arg for p, arg in zip(step.parameters, given, strict=True)}
            await self._runner.hold_read(step, named, why)
        result = await perform(self._runner.case, step, given, step.returns)
        self._runner.case.sources.came_in(result)
        self._runner.note(f"read {step.name}")
        return result

    @_verb
    async def decide(self, step: Decide[P, D], /, *args: P.args, **kwargs: P.kwargs) -> D:
        """Run a decide step and return its decision.

        After as many tries as the step has, people are asked whether it shall try again.

        Raises:
            ActivityError: if the step raised `Final`, or is broken; or could not decide, and
                nobody let it try again.
        """
        await self._runner.boundary()
        given = step.bind(*args, **kwargs)
        result, decided = as_decided(step, await self._runner.decide(step, given))
        named = [(p.name, value) for p, value in zip(step.parameters, given, strict=True)]
        lacking, result = unwanted(self._runner.case, named, decided.decision, result)
        return self._decided(step, result, decided, lacking, given)

    @_verb
    async def plan(
        self, step: Decide[P, Decision[ToolPlan, Any]], /, *args: P.args, **kwargs: P.kwargs
    ) -> ToolPlan:
        """Run a decide step that comes to a plan, and hold each write of the case outside of it.

        It is shown no text from outside. Where an argument may be of a hostile text's choosing,
        or nobody knows who asks, it is not run, and each write is held. Another plan adds to it.

        Raises:
            ActivityError: as `decide`.
        """
        await self._runner.boundary()
        runner, plan = self._runner, ToolPlan(calls=())
        given = inputs_of_plan(runner.case, runner.event, step, step.bind(*args, **kwargs))
        if given is not None:
            result, decided = as_decided(step, await runner.decide(step, given))
            plan = self._decided(step, result, decided, (), given).action or plan
        runner.note(bind_writes(runner.case, step.name, plan))
        return plan

    @_verb
    async def converse(self, step: Converse[P, D], /, *args: P.args, **kwargs: P.kwargs) -> D:
        """Let a model call the tools of a step until it decides, and return its decision.

        What it reads and writes on the way are steps of the case. A write that is held waits for
        people; one that is refused, rejected or in doubt is told to the model.

        Raises:
            Refused: if it comes to no end within its caps, and nobody lets it go on.
            ActivityError: as `decide`.
        """
        await self._runner.boundary()
        loop = ToolLoop(self._runner, step, step.bind(*args, **kwargs))
        result, decided = await loop.run()
        return self._decided(step, result, decided, loop.lacking(decided.decision), loop.values)

    def _decided(
        self,
        step: Step[..., Any],
        result: DecisionResult[Any],
        decided: StepDecision,
        unsourced: tuple[str, ...],
        given: Sequence[Any],
    ) -> Any:
        """Keep what was decided, and on what."""
        case, decision = self._runner.case, decided.decision
        case.decisions.add(decided)
        case.notes.decided(step.name, given, decided, result, workflow.now())
        if result.digest is not None and result.verdict is not None:
            case.foreseen[result.digest] = (result.verdict, workflow.now())
        case.usage += decision.usage
        if decision.action is not None:
            action = decided.json["action"]
            case.sources.decided(decision.action, action, decided.basis, unsourced, given)
        kind = type(decision.action).__name__ if decision.action is not None else "nothing to do"
        self._runner.note(f"decided: {kind} ({decision.confidence:.0%} sure)")
        return decision

    @_verb
    async def write(self, step: Write[A, R], what: Decision[A, Any] | A, /) -> R:
        """Take one action through the door, and return what the write step returned.

        `what` is a decision with an action, or a bare action: rules on evidence cannot
        be judged then, and hold it.

        Raises:
            Refused: if the door refuses it, or its class is not the step's own: where its values
                come from, and what may be in them, was judged as of another class.
            Rejected: if a human rejects it.
            Expired: if nobody who may rule does so in time.
            InDoubt: if it may have happened, and a human decided to leave it at that.
            Failed: if the step raised `Final`: it did not happen and cannot.
            ActivityError: if the step is broken.
        """
        await self._runner.boundary()
        require_action(step, what)
        proposal = self._runner.case.decisions.proposal(what)
        require_own_class(step, proposal)
        return await self._runner.write(step, proposal)

    def written(self, what: Decision[A, Any] | A, /) -> A:
        """The action that a write came to: what was decided, or what people made of it.

        `what` is what `write` was given. Tell others of this, and not of `decision.action`: who
        amends has something else done. In pilot it is what would have been written.

        Raises:
            StepError: if nothing was written of it, or nothing yet.
        """
        return self._runner.case.decisions.written(what)

    @_verb
    async def notify(self, step: Notify[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Tell somebody. Returns what the step returned, or None if it could not be sent.

        It never fails the case: what could not be sent is named in the outcome. A plan binds it.
        """
        await self._runner.boundary()
        return await tell(self._runner, step, step.bind(*args, **kwargs))

    @_verb
    async def ask(
        self, question: str, model: type[M], /, *, to: str, evidence: BaseModel | None = None
    ) -> M:
        """Ask the people of a role something, and return their answer as a `model`.

        The same gate as for a write: who may answer, until when and what happens then is the
        policy's. What `evidence` shows them is no secret to them.

        Raises:
            Refused: if the policy has no role `to`.
            Rejected: if somebody declined to answer.
            Expired: if nobody answered in time.
        """
        await self._runner.boundary()
        adapter = TypeAdapter(model)
        closing = await self._runner.ask(question, AnswerModel(Action, adapter), to, evidence)
        return recalled(model, closing.result)

    @_verb
    async def hand_off(self, to: str, event: Event | Mapping[str, JsonValue], /) -> Outcome:
        """Hand work to another agent, and wait for its outcome, whatever that is.

        It is that agent's own case, found by its event's key and not begun twice, under its own
        policy. Whoever asked for this case may not approve that one. A roll-back or a stop of this
        case reaches it. Its usage and receipts are in the outcome of this one: `handed`.

        Raises:
            NotTaken: if that agent does not take the event; `field` says which one is wrong.
            Refused: if this agent does not declare it in `hands_to`, or if the chain of hand-offs
                would be too long or go round.
            Piloted: if this agent is in pilot.
        """
        await self._runner.boundary()
        return await self._runner.hand_offs.hand_off(to, event)

    @_verb
    async def hand_on(self, to: str, event: Event | Mapping[str, JsonValue], /) -> str:
        """Hand work to another agent, and do not wait for its end. Returns the id of its case.

        Raises:
            NotTaken, Refused, Piloted: as `hand_off`.
        """
        await self._runner.boundary()
        return (await self._runner.hand_offs.hand_on(to, event)).case

    @_verb
    async def called_back(self, due: CallBack, model: type[M], /, *, within: timedelta) -> M:
        """Wait until another system answers a write, by call-back, and return that as a `model`.

        `due` is what the write returned. The first answer that is one counts, once.

        Raises:
            Expired: if none comes within that time. One that comes later is shown on the case.
        """
        await self._runner.boundary()
        return await self._runner.call_backs.awaited(due, model, within)

    async def explain(self, question: str, gate: GateView, /) -> str:
        """Answer what an approver asks the agent about an open gate. Override it.

        It may read and decide. Its answer is shown as a quotation; a write does not belong here.
        """
        raise NotImplementedError

    def event_changed(self, event: Any, /) -> None:
        """Take another event that came under the key of this case. Override it.

        It may only keep what came, for `run` to look at. Without it such an event is noted in the
        log of the case, and nothing is done for it.
        """
        raise NotImplementedError

    def done(self, why: str = "", *, value: Decimal | float | str | None = None) -> Outcome:
        """The outcome of a case that ended well. `why` says so in words, `value` in money.

        Raises:
            StepError: if `value` is no amount.
        """
        require_awaited("done", (why,))
        self._runner.case.notes.valued(value)
        return self._runner.case.outcome(State.DONE, why, workflow.now())

    @_verb
    async def renew(self, *args: Any) -> None:
        """Call it at a quiet point of a long loop, with the arguments to go on with.

        When the history has grown long the case continues as new and this never
        returns; otherwise it does nothing. Receipts, undos, rulings and the numbers of
        the writes go along.
        """
        await self._runner.boundary()
        await self._runner.renew(args)

    # What people and programs may send. Handlers never raise: that would wedge the case.

    @workflow.signal(name="approve", description=f"Let the write happen. {_RULING}")
    def _approve(self, raw: RawValue = NOTHING) -> None:
        self._runner.rule("approve", payloads(raw))

    @workflow.signal(name="reject", description=f"Do not let the write happen. {_RULING}")
    def _reject(self, raw: RawValue = NOTHING) -> None:
        self._runner.rule("reject", payloads(raw))

    @workflow.signal(name="amend", description=f"Do another thing instead. {_RULING}, action")
    def _amend(self, raw: RawValue = NOTHING) -> None:
        self._runner.rule("amend", payloads(raw))

    @workflow.signal(
        name="answer",
        description=f"Say what became of a write in doubt. {_RULING}, "
        "answer (happened, do it or drop), and result, if it happened and is known",
    )
    def _answer(self, raw: RawValue = NOTHING) -> None:
        self._runner.rule("answer", payloads(raw))

    @workflow.signal(
        name="ask",
        description="Ask the agent or a colleague something first. "
        f"{_RULING} (the question), to (agent, or a person)",
    )
    def _ask(self, raw: RawValue = NOTHING) -> None:
        self._runner.rule("ask", payloads(raw))

    @workflow.signal(name="delegate", description=f"Let somebody else rule. {_RULING}, to")
    def _delegate(self, raw: RawValue = NOTHING) -> None:
        self._runner.rule("delegate", payloads(raw))

    @workflow.signal(
        name="revoke", description=f"Take back what you said, before it is used. {_RULING}"
    )
    def _revoke(self, raw: RawValue = NOTHING) -> None:
        self._runner.rule("revoke", payloads(raw))

    @workflow.signal(name="pause", description=f"Begin no further step. {_ORDER}")
    def _pause(self, raw: RawValue = NOTHING) -> None:
        self._runner.pause(payloads(raw))

    @workflow.signal(name="resume", description=f"Go on after a pause. {_ORDER}")
    def _resume(self, raw: RawValue = NOTHING) -> None:
        self._runner.resume(payloads(raw))

    @workflow.signal(name="stop", description=f"End the case, undo nothing. {_ORDER}")
    def _stop(self, raw: RawValue = NOTHING) -> None:
        self._runner.stop(payloads(raw))

    @workflow.signal(name="roll_back", description=f"Undo what is written, and end. {_ORDER}")
    def _roll_back(self, raw: RawValue = NOTHING) -> None:
        self._runner.roll_back(payloads(raw))

    @workflow.signal(
        name=LIFTED_SIGNAL,
        description="A stop is over, or a receipt came late: ask the door again. Empty",
    )
    def _lifted(self, raw: RawValue = NOTHING) -> None:
        del raw
        self._runner.lifted()

    @workflow.signal(
        name=EVENT_SIGNAL, description="Another event came under the key of this case. The event"
    )
    def _another_event(self, raw: RawValue = NOTHING) -> None:
        self._runner.another_event(payloads(raw))

    @workflow.signal(
        name=HANDED_SIGNAL, description="Work was handed to this case as well. Where it comes from"
    )
    def _handed(self, raw: RawValue = NOTHING) -> None:
        self._runner.handed(payloads(raw))

    @workflow.signal(
        name=CALL_BACK_SIGNAL, description="Another system answers a write. JSON: key, body"
    )
    def _called_back(self, raw: RawValue = NOTHING) -> None:
        self._runner.call_backs.called(payloads(raw))

    @workflow.signal(dynamic=True)
    def _unknown(self, name: str, args: Sequence[RawValue]) -> None:
        self._runner.note(f"ignored an unknown signal `{name[:60]}` with {len(args)} values")

    @workflow.update(
        name="rule", description=f"A ruling that is answered at once. {_RULING}, and verb"
    )
    async def _rule(self, raw: RawValue = NOTHING) -> RulingRecord:
        record = await self._runner.ruled(*verb_and_ruling(payloads(raw)))
        if not record.accepted:
            raise refusal(record)
        return record

    @_rule.validator
    def _rule_validator(self, raw: RawValue = NOTHING) -> None:
        verb, came = verb_and_ruling(payloads(raw))
        record = self._runner.case.judge(verb, came, workflow.now())
        if not record.accepted:
            raise refusal(record)

    @workflow.query(name="case", description="Everything about the case")
    def _query_case(self) -> CaseView:
        return self._runner.case.view()

    @workflow.query(name="form", description="The JSON schema of what an open gate takes")
    def _query_form(self, gate: str = "") -> dict[str, Any]:
        return self._runner.case.form(gate)

    @workflow.query(name="gates", description="The open questions, complete enough to rule on")
    def _query_gates(self) -> list[GateView]:
        return self._runner.case.views()


def takes_changes(agent: type[AgentWorkflow]) -> bool:
    """Whether an agent takes another event under the key of a case as a change of it."""
    return agent.event_changed is not AgentWorkflow.event_changed


def runner_of(agent: AgentWorkflow) -> CaseRunner:
    """The runner of a case, for what stands between it and Temporal."""
    return agent._runner  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # it is ours


def _conducted(run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Outcome]]:
    @functools.wraps(run)
    async def conducted(self: AgentWorkflow, *args: Any) -> Outcome:
        if len(args) != 1 or not isinstance(args[0], Event):
            why = f"start it with one event of its own, not with {len(args)} values or another type"
            raise ApplicationError(why, type="BadEvent", non_retryable=True)
        # A case that has begun goes on with its event, however the class has changed since.
        if NEAREST in args[0].model_fields_set and not workflow.unsafe.is_replaying():
            raise ApplicationError(no_event(args[0]), type="BadEvent", non_retryable=True)
        runner = self._runner  # pyright: ignore[reportPrivateUsage]  # it is ours

        async def begun() -> Any:
            runner.begin(args[0])
            return await run(self, *args)

        return await runner.run(begun, self.undo_window)

    return conducted
