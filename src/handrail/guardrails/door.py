"""The door: what stands between a step and the outside world.

It runs in the worker, in the process that holds the credentials, in the same breath as the effect:
it asks the guards (`pipeline`), makes the effect once, reads it back, and keeps what was said.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from pydantic import JsonValue
from pydantic_core import to_jsonable_python
from temporalio import activity
from temporalio.exceptions import ApplicationError

from handrail.actions import (
    Action,
    Basis,
    Decision,
    Effect,
    Finding,
    Kind,
    Level,
    Receipt,
    Verdict,
    as_json,
    digest_of,
)
from handrail.agent import (
    NOTIFY_ACTIVITY,
    PROVE_ACTIVITY,
    RECEIPT_ACTIVITY,
    ROLE_ACTIVITY,
    Activity,
    Converse,
    Decide,
    Notify,
    Read,
    Step,
    Write,
    as_activity,
    current_heartbeats,
    decided_type,
    hopeless,
    recalled,
    require_exact,
    run_step,
    spent,
    this_case,
    total,
    unsourced,
)
from handrail.exceptions import Final, StepError
from handrail.failpoints import reached
from handrail.guardrails import answers, audit, machine
from handrail.guardrails.admission import Admission
from handrail.guardrails.anomaly.watch import AnomalyDetector
from handrail.guardrails.context import Judgement, WriteContext, broken, fitting_evidence, gravest
from handrail.guardrails.current import effect_as_current
from handrail.guardrails.data_checks import MISMATCH, Check, verify
from handrail.guardrails.effects import BegunBefore, KeyUsed, once
from handrail.guardrails.entitlement import Entitlement
from handrail.guardrails.ledger_watch import HeldLedger, LedgerWatch
from handrail.guardrails.pipeline import Pipeline
from handrail.guardrails.predecessor import forgotten, receipt_time, tell_if_late, unknown
from handrail.guardrails.received import ReceivedAction, received
from handrail.guardrails.recorder import Recorder
from handrail.ledger import (
    UNREAD,
    Duplicate,
    Ledger,
    Outdated,
    OverLimit,
    Stopped,
)
from handrail.oversight import GateKind, NotificationRequest, Trust, stop_in_words
from handrail.policy import AgentShape, Facts, Policy, PolicyFile
from handrail.wire import (
    Attempt,
    DecisionResult,
    Notice,
    NotifyResult,
    ProofRequest,
    ProofResult,
    ReceiptRequest,
    RoleRequest,
    WriteResult,
    WriteResultKind,
)

UNDO_ATTEMPTS = 5
"""Tries of an undo before a human is asked."""


@dataclass(frozen=True)
class Door:
    """The door of one agent. Its `activities` are the only way in which steps are run."""

    agent: str
    shape: AgentShape
    steps: Sequence[Step[..., Any]]
    policy: PolicyFile
    ledger: Ledger
    checks: Sequence[Check[Any]] = field(default=())
    trust: Trust = field(default_factory=Trust)
    held: HeldLedger | None = None
    workflow: str | None = None
    """The type of the agent's workflow: no other one's activities are done."""
    seal: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """The key of the marks of intents, which all workers of the agent have."""

    @functools.cached_property
    def entitlement(self) -> Entitlement:
        """Who may rule, and whether it was they who did."""
        return Entitlement(self.agent, self.ledger, self.trust)

    @functools.cached_property
    def recorder(self) -> Recorder:
        """What is kept of what it says and does."""
        return Recorder(self.agent, self.ledger, self.trust.inbox)

    @functools.cached_property
    def admission(self) -> Admission:
        """What is believed of what an attempt says of itself."""
        return Admission(self.agent, self.shape, self.ledger, self.workflow, self.seal)

    @functools.cached_property
    def pipeline(self) -> Pipeline:
        """What stands before the effects."""
        return Pipeline(
            agent=self.agent,
            shape=self.shape,
            ledger=self.ledger,
            admission=self.admission,
            entitlement=self.entitlement,
            watch=AnomalyDetector(self.agent, self.ledger),
            ledgers=LedgerWatch(self.agent, self.held),
            checks=self.checks,
            plants={
                step.name: cast("Write[Any, Any]", step).plant
                for step in self.steps
                if isinstance(step, Write)
            },
        )

    def activities(self) -> list[Activity]:
        """One Temporal activity for each step, under its name, and those of the engine."""
        return [*(self._activity(step) for step in self.steps), *self._engine()]

    def _engine(self) -> list[Activity]:
        @activity.defn(name=PROVE_ACTIVITY)
        async def prove(proving: ProofRequest) -> tuple[ProofResult, ...]:
            self._require_own(proving.case)
            await self.pipeline.require_ledger()
            policy = self.policy.current()
            return await self.entitlement.prove(policy, self._asked(proving), proving)

        @activity.defn(name=ROLE_ACTIVITY)
        async def whom(asked: RoleRequest) -> Verdict:
            self._require_own(asked.case)
            policy = self.policy.current()
            situation = await self.pipeline.situation(policy, asked.case)
            piloted = asked.pilot or situation.piloted
            why = f"{asked.case} is in pilot" if piloted else None
            why = why or self.pipeline.piloting(policy, situation)
            if why is not None:
                finding = Finding(check="pilot", kind=Kind.REFUSE, why=why)
                return Verdict(kind=Kind.REFUSE, findings=(finding,), policy=policy.label)
            return self.entitlement.whom(policy, asked)

        @activity.defn(name=RECEIPT_ACTIVITY)
        async def receipt(asked: ReceiptRequest) -> datetime | None:
            self._require_own(asked.case)
            return await receipt_time(self.ledger, asked)

        @activity.defn(name=NOTIFY_ACTIVITY)
        async def call(asked: NotificationRequest) -> None:
            self._require_own(asked.case)
            await self.entitlement.call(asked)

        return [prove, whom, receipt, call]

    def _require_own(self, case: str) -> None:
        foreign = self.admission.foreign(case)
        if foreign is not None:
            raise ApplicationError(foreign, type="Foreign", non_retryable=True)

    def _asked(self, proving: ProofRequest) -> Facts | None:
        """The write that a gate asks about; None of an agent's own question."""
        shape = self.shape.writes.get(proving.step)
        if shape is None or proving.kind == GateKind.QUESTION:
            return None
        # By the nearest to it, where its class has changed: the write is judged anew.
        action = recalled(shape.action, proving.action, by_name=True)
        return self._facts(proving.step, action, proving)

    def _activity(self, step: Step[..., Any]) -> Activity:
        run, returns = self._run(step)
        return as_activity(step, self.recorder.watched(step, run, self.policy), returns)

    def _run(self, step: Step[..., Any]) -> tuple[Activity, Any]:
        match step:
            case Write():
                return functools.partial(self._carried, step), WriteResult
            case Notify():
                return functools.partial(self.notify, step), NotifyResult
            case Decide():
                return functools.partial(self.decide, step), decided_type(step)
            case Read():
                return functools.partial(self.read, step), step.returns
            case _:
                raise StepError(f"{step.name}: unknown kind of step {type(step).__name__}")

    # What the door says

    async def _foresee(
        self, policy: Policy, decision: Decision[Any, Any], basis: Basis
    ) -> tuple[str, Verdict] | None:
        """What the door would say of a decision now, after the digest of its action.

        None when no write step takes the action, or more than one does; or where it is to be
        stopped or only recorded, which the write itself says. Data checks and limits are looked
        at only where a human would be asked: otherwise the write is about to look at them.
        """
        step = self.shape.step_of(decision.action)
        if step is None:
            return None
        case, action = this_case(), cast("Action", decision.action)
        digest = digest_of(step, as_json(action))
        asked = self._context(
            policy, step, action, Attempt(case=case, key="", digest=digest, basis=basis)
        )
        write = self.pipeline.settled(asked, await self.pipeline.lately(policy, case))
        verdict = write.verdict(self.pipeline.foresee(write))
        if verdict.kind is Kind.PASS:
            return digest, verdict
        # People may be asked by it, without another look: so it must be of now.
        write = self.pipeline.settled(asked, await self.pipeline.situation(policy, case))
        if self.pipeline.stopped(write) or policy.setting(write.facts).level is Level.PILOT:
            return None
        verdict = write.verdict(self.pipeline.foresee(write))
        if verdict.kind is Kind.HOLD:
            verdict = (await self.pipeline.judge(write)).verdict
        if verdict.kind is not Kind.PASS:
            await self.recorder.keep(write, verdict)
        return digest, verdict

    def _context(self, policy: Policy, step: str, action: Action, attempt: Attempt) -> WriteContext:
        return WriteContext(self.agent, policy, self._facts(step, action, attempt), attempt)

    def _facts(self, step: str, action: Action, of: Attempt | ProofRequest) -> Facts:
        return Facts(
            step=step,
            action=action,
            basis=of.basis,
            evidence=fitting_evidence(self.shape.writes[step].evidence, of.basis),
            case=of.case,
            requester=of.requester,
        )

    # What the door does

    async def write(
        self, step: Write[Any, Any], action: Action | dict[str, JsonValue], attempt: Attempt
    ) -> WriteResult:
        """Judge one attempt, and make its effect if it passes. `action`: as JSON, from a case.

        Raises:
            ApplicationError: if the write is to be tried again, or can never work.
        """
        reached("write:arrived" if attempt.undoes is None else "undo:arrived", attempt.case)
        began = (now := asyncio.get_running_loop().time)()
        came = received(step.name, step.action, action, attempt)
        answer = await self._write(step, came, attempt)
        if answer.action is None:
            answer = answer.model_copy(update={"action": came.given, "digest": attempt.digest})
        if answer.receipt is None and answer.kind is not WriteResultKind.IN_DOUBT:
            since = await forgotten(self.ledger, step, attempt)
            answer = answers.perhaps_sent(answer, attempt, since)
            if since is not None and self.admission.own(attempt):
                # Whoever words the next attempt may leave it out.
                lost = self._context(self.policy.current(), step.name, came.action, attempt)
                await self.ledger.note_lost(replace(lost, came=came).intent(deadline=since), since)
        audit.effect(self.agent, step.name, attempt, answer, took=timedelta(seconds=now() - began))
        reached("write:answering", attempt.case)
        return answer

    async def _carried(self, step: Write[Any, Any], action: Any, attempt: Attempt) -> WriteResult:
        """Once begun, an effect is carried to its receipt, also when the case is stopped."""
        working = asyncio.ensure_future(self.write(step, action, attempt))
        while not working.done():
            with contextlib.suppress(asyncio.CancelledError):  # it may come more than once
                await asyncio.shield(working)
        return working.result()

    async def _write(
        self, step: Write[Any, Any], came: ReceivedAction, attempt: Attempt
    ) -> WriteResult:
        machine.require_right_clock()
        policy = self.policy.current()
        foreign = self.admission.foreign(attempt.case)
        if foreign is not None:
            # In the record of the case it names it would be one more thing that is not so.
            answer = answers.foreign(policy, foreign)
            audit.verdict(self.agent, step.name, attempt, answer.verdict)
            return answer
        asked = self._context(policy, step.name, came.action, attempt)
        asked = await self.admission.admitted(replace(asked, came=came))
        if gravest(asked.claims) is Kind.REFUSE:
            return await self._not_passed(asked, asked.verdict(asked.claims))
        attempt = asked.attempt
        write, judged = None, None
        if _is_new(attempt) and not came.changed:
            # Optimistic: for nearly every write nothing has changed within `LATELY`. The intent's
            # transaction looks again at stops, levels, policy, ledger and key: no other is needed.
            lately = await self.pipeline.lately(policy, attempt.case, attempt.ledger)
            write = self.pipeline.settled(asked, lately)
            judged = await self.pipeline.judged(write)
            if judged.passes:
                with contextlib.suppress(BegunBefore, Outdated):
                    return await self._passed(step, write, judged, seen=False)
        # Overtaken, not new, or not let pass: by what is so now, which people may be told.
        situation = await self.pipeline.situation(policy, attempt.case, attempt.key, attempt.ledger)
        if write is None or judged is None or write.situation != situation:
            write = self.pipeline.settled(asked, situation)
            if write.begun is None and write.came.misfit:
                return answers.misfit(self.pipeline, write)
            # What had begun is carried to its end, or asked about, as it was.
            write = write.as_today() if write.begun is None and write.came.stale else write
            judged = await self.pipeline.judged(write)
        if judged.passes:
            return await self._passed(step, write, judged)
        if judged.stopped is not None:
            return answers.stopped(judged.verdict, judged.stopped)
        reached("write:judged", attempt.case)
        if judged.pilot:
            await self.recorder.keep(write, judged.verdict, pilot=True)
            return answers.recorded(judged.verdict)
        return await self._not_passed(write, judged.verdict)

    async def _passed(
        self, step: Write[Any, Any], write: WriteContext, judged: Judgement, *, seen: bool = True
    ) -> WriteResult:
        """Make the effect of what was let pass. `seen`: it is known whether it had begun before.

        Raises:
            BegunBefore: if it had, and that was not known.
            Outdated: if what it was judged by is not so any more.
        """
        reached("write:judged", write.attempt.case)
        doubted = write.attempt.doubt is not None
        known = await self.admission.people(write) if doubted else write
        if not await self.entitlement.answered(known):
            # Nobody who may has really said it: it is as if nobody had been asked.
            write = replace(write, attempt=write.attempt.model_copy(update={"doubt": None}))
        if not judged.begun:
            audit.verdict(
                self.agent, step.name, write.attempt, judged.verdict, action=write.facts.action
            )
        answer = await self._once(step, write, judged, seen=seen)
        return await self._afterwards(step, write, judged, answer)

    async def _not_passed(self, write: WriteContext, verdict: Verdict) -> WriteResult:
        await self.recorder.keep(write, verdict)
        return answers.held(write, verdict)

    async def _once(
        self, step: Write[Any, Any], write: WriteContext, judged: Judgement, *, seen: bool
    ) -> WriteResult:
        verdict, attempt = judged.verdict, write.attempt
        try:
            known = (self.ledger, step, write, judged, self.recorder)
            done = await once(*known, seen=seen, steps=self.steps, seal=self.seal)
        except Stopped as stopped:
            # What may have happened before the stop must stay known.
            answer = answers.stopped(verdict, stop_in_words(stopped.order))
            return answer.model_copy(update={"token": await unknown(self.ledger, attempt)})
        except OverLimit as over:
            findings = [*verdict.findings, broken(over)]
            return await self._not_passed(write, write.verdict(findings))
        except Duplicate as found:
            again = await self.pipeline.held(write, [*verdict.findings, broken(found)])
            if again.verdict.kind is Kind.PASS:
                return await self._once(step, write, again, seen=seen)
            return await self._not_passed(write, again.verdict)
        except KeyUsed as used:
            finding = Finding(check="key", kind=Kind.REFUSE, why=str(used))
            return await self._not_passed(write, write.verdict([finding]))
        except Final as error:
            # An earlier try may have happened all the same: then its undo must stay known.
            token = await unknown(self.ledger, attempt)
            return answers.failed(self.pipeline, write, verdict, error).model_copy(
                update={"token": token}
            )
        except Exception as error:
            # An undo that goes on failing parks the case for a human instead of trying for ever.
            last = hopeless(error) or activity.info().attempt >= UNDO_ATTEMPTS
            if attempt.undoes is None or not last:
                raise
            return answers.failed(self.pipeline, write, verdict, error)
        if isinstance(done, Receipt):
            self.pipeline.ledgers.learn(done.ledger)
            await tell_if_late(self.recorder, write, done)
            return WriteResult(kind=WriteResultKind.WRITTEN, verdict=verdict, receipt=done)
        return answers.in_doubt(self.pipeline, write, verdict, done)

    async def _afterwards(
        self, step: Write[Any, Any], write: WriteContext, judged: Judgement, answer: WriteResult
    ) -> WriteResult:
        """Draw a write for a review, read it back, and see whether too much goes wrong."""
        attempt, policy = write.attempt, write.policy
        wrong = {WriteResultKind.FAILED: "failed", WriteResultKind.IN_DOUBT: "in_doubt"}.get(
            answer.kind
        )
        if answer.receipt is not None and not write.undoing:
            effect = Effect(key=attempt.key, case=attempt.case, step=step.name)
            await self.recorder.draw(write, judged, self.admission)
            patience = policy.doc.stuck.after
            seen = await verify(step, write.facts.action, effect, answer.receipt, patience)
            if seen.wrong:
                wrong = MISMATCH if seen.differs else UNREAD
                back = wrong == MISMATCH and policy.of(step.name).mismatch == "roll back"
                answer = answer.model_copy(update={"incident": seen.wrong, "roll_back": back})
        if wrong is not None:
            await self.recorder.incident(write, wrong, answer.incident or answer.why)
        if wrong is not None or (attempt.undoes is not None and answer.receipt is not None):
            await self.recorder.alarm(policy, step.name)
        return answer

    # What the door does of decisions and notifications

    async def read(self, step: Read[..., Any], *args: Any) -> Any:
        """Run a read step for a case of the agent: it has the agent's credentials."""
        self._require_own(this_case())
        return await run_step(step, args)

    async def decide(self, step: Decide[..., Any], *args: Any) -> DecisionResult[Any]:
        """Run a decide step within its budget; say where its values come from, and what then."""
        case, policy = this_case(), self.policy.current()
        self._require_own(case)
        # Before anything is spent on thinking: a worker that may not write shall not think.
        situation = await self.pipeline.lately(policy, case)
        await self.recorder.require_budget(policy, step.name)
        async with self.recorder.metering(policy, step, case) as used:
            decision = await run_step(step, args)
            spent(decision.usage)
            require_exact(step, decision)
        decision = decision.model_copy(update={"usage": total(used)})
        lacking = unsourced(step, args, decision)
        basis = decision.basis().model_copy(update={"unsourced": lacking})
        # Of what a tool loop was given before, and so of the sources, only its case knows.
        ahead = not isinstance(step, Converse) and await self._foresee(policy, decision, basis)
        digest, verdict = ahead or (None, self.pipeline.idle(policy, situation))
        reached("decide:foreseen", case)
        return DecisionResult(
            by_name=True,
            decision=decision,
            digest=digest,
            verdict=verdict,
            kind=type(decision.action).__name__,
            unsourced=lacking,
        )

    async def notify(self, step: Notify[..., Any], notice: Notice, *args: Any) -> NotifyResult:
        """Tell somebody, if the policy lets it and nobody has stopped it."""
        why = await self._silent(step.name, notice)
        if why is not None:
            told = NotifyResult(sent=False, why=why)
        else:
            with effect_as_current(Effect(key=notice.key, case=notice.case, step=step.name)):
                result = to_jsonable_python(await run_step(step, args))
            told = NotifyResult(sent=True, result=result)
        audit.told(self.agent, step.name, notice, told)
        return told

    async def _silent(self, step: str, notice: Notice) -> str | None:
        """Why a notification may not go out; None if it may."""
        policy, case = self.policy.current(), notice.case
        why = self.admission.foreign(case) or self.admission.misnamed(step, case, notice.key)
        refused = policy.may_notify(step)
        if why is not None or refused is not None:
            return why or (refused and refused.why)
        situation = await self.pipeline.lately(policy, case)
        if notice.pilot or await self.pipeline.piloted(case):
            return f"{case} is in pilot: it tells nobody"
        halted = self.pipeline.halted(policy, situation, notice.case)
        return halted or self.pipeline.piloting(policy, situation)


def _is_new(attempt: Attempt) -> bool:
    """Whether nothing says that it may have begun before."""
    first = activity.in_activity() and activity.info().attempt == current_heartbeats().attempt == 1
    return first and attempt.undoes is None and attempt.doubt is None
