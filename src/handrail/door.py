"""The door: what stands between a step and the outside world.

It runs in the worker, in the process that holds the credentials, in the same breath as
the effect. In this order: is it the action that was decided? data checks, refuse-rules,
limits, and at last what a human must be asked. Asked is only what would otherwise pass.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import to_jsonable_python
from temporalio import activity

from handrail.actions import (
    Action,
    Answer,
    AnswerKind,
    Attempt,
    Basis,
    Decided,
    Decision,
    Effect,
    Finding,
    Kind,
    Notice,
    Proof,
    Proving,
    Receipt,
    Terms,
    Told,
    Verdict,
    Whom,
    digest_of,
)
from handrail.boundaries import reached
from handrail.calls import Call
from handrail.checks import Check
from handrail.effects import Doubt, KeyUsed, Leave, as_current, once
from handrail.exceptions import Final, StepError
from handrail.gate import GateKind
from handrail.humans import Humans, server_time
from handrail.keyring import Trust
from handrail.ledger import EffectState, Intent, Ledger, OverLimit
from handrail.performing import CALL, PROVE, WHOM
from handrail.policy import AgentShape, Facts, NobodyMayApprove, Policy, PolicyFile
from handrail.stepping import HOPELESS, Activity, as_activity, run_step, this_case
from handrail.steps import Decide, Notify, Read, Step, Write, decided_type

UNDO_ATTEMPTS = 5
"""Tries of an undo before a human is asked."""

log = logging.getLogger("handrail.door")


@dataclass(frozen=True)
class Judged:
    """A verdict, and what people gave that the write will use up."""

    verdict: Verdict
    leave: Leave = field(default_factory=Leave)


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

    @property
    def humans(self) -> Humans:
        """Who may rule, and whether it was they who did."""
        return Humans(self.agent, self.ledger, self.trust)

    def activities(self) -> list[Activity]:
        """One Temporal activity for each step, under its name, and those of the engine."""
        return [*(self._activity(step) for step in self.steps), *self._engine()]

    def _engine(self) -> list[Activity]:
        @activity.defn(name=PROVE)
        async def prove(proving: Proving) -> tuple[Proof, ...]:
            policy = self.policy.current()
            return await self.humans.prove(policy, self._asked(proving), proving)

        @activity.defn(name=WHOM)
        async def whom(asked: Whom) -> Verdict:
            return self.humans.whom(self.policy.current(), asked)

        @activity.defn(name=CALL)
        async def call(asked: Call) -> None:
            await self.humans.call(asked)

        return [prove, whom, call]

    def _asked(self, proving: Proving) -> Facts | None:
        """The write that a gate asks about; None of an agent's own question."""
        shape = self.shape.writes.get(proving.step)
        if shape is None or proving.kind == GateKind.QUESTION:
            return None
        return Facts(
            step=proving.step,
            action=shape.action.model_validate(proving.action),
            basis=proving.basis,
            evidence=_evidence(shape.evidence, proving.basis),
            case=proving.case,
            requester=proving.requester,
        )

    def _activity(self, step: Step[..., Any]) -> Activity:
        match step:
            case Write():
                return as_activity(step, _writing(self, step), Answer)
            case Notify():
                return as_activity(step, _notifying(self, step), Told)
            case Decide():
                return as_activity(step, _deciding(self, step), decided_type(step))
            case Read():
                return as_activity(step, _reading(step), step.returns)
            case _:
                raise StepError(f"{step.name}: unknown kind of step {type(step).__name__}")

    # What the door says

    async def foresee(self, decision: Decision[Any, Any], case: str) -> tuple[str, Verdict] | None:
        """What the door would say of a decision now, with the digest of its action.

        None when no write step takes the action, or more than one does. Data checks and
        limits are looked at only where a human would be asked: otherwise the write itself
        is about to look at them.
        """
        if decision.action is None:
            return None
        writes = [
            w
            for w in self.shape.writes.values()
            if w.action is type(decision.action) and not w.undoes
        ]
        if len(writes) != 1:
            return None
        action = cast("Action", decision.action)
        digest = digest_of(writes[0].name, action.model_dump(mode="json"))
        attempt = Attempt(case=case, key="", digest=digest, basis=decision.basis())
        facts = self._facts(writes[0].name, action, attempt)
        policy = self.policy.current()
        findings = [*policy.refusals(facts), *policy.holds(facts)]
        if _gravest(findings) is Kind.HOLD:
            return digest, (await self.judge(policy, facts, attempt)).verdict
        return digest, _verdict(policy, findings)

    async def judge(self, policy: Policy, facts: Facts, attempt: Attempt) -> Judged:
        """The verdict on one attempt under `policy`, with the rulings it brings."""
        given = facts.action.model_dump(mode="json")
        if digest_of(facts.step, given) != attempt.digest:
            why = "the action is not the one that was decided and ruled on"
            return Judged(_verdict(policy, [Finding(check="digest", kind=Kind.REFUSE, why=why)]))
        # Data checks judge a world in which the write has not happened: they do not fit its undo.
        # That it is one is not for the attempt to say alone, or it could spare itself the checks.
        undoing = attempt.undoes is not None and self.shape.writes[facts.step].undoes
        findings = [] if undoing else await self._check_data(facts.action)
        findings += policy.refusals(facts)
        findings += policy.holds(facts)
        # Only before a human is asked: what passes is counted in the moment it begins.
        if _gravest(findings) is Kind.HOLD:
            findings += await self._check_limits(policy, facts, attempt)
        if _gravest(findings) is not Kind.HOLD:
            return Judged(_verdict(policy, findings))
        return await self._held(policy, facts, attempt, findings)

    async def _held(
        self, policy: Policy, facts: Facts, attempt: Attempt, findings: Sequence[Finding]
    ) -> Judged:
        """What holds is let pass by those who may; otherwise they are asked."""
        now, barred = server_time(), policy.barred(attempt.requester, attempt.drafters)
        try:
            asks = policy.asks(findings, facts, now, await self.humans.deputies(now), barred=barred)
        except NobodyMayApprove as nobody:
            finding = Finding(check="approvers", kind=Kind.REFUSE, why=str(nobody))
            return Judged(_verdict(policy, [*findings, finding]))
        voices = await self.humans.voices(policy, facts, attempt)
        lacking = policy.unsatisfied(asks, voices.approvals, facts, now, barred)
        verdict = _verdict(policy, findings).model_copy(update={"asks": asks})
        if not lacking:
            passed = verdict.model_copy(update={"kind": Kind.PASS, "asks": ()})
            return Judged(passed, voices.leave)
        stages = [stage for ask in asks for stage in ask.stages]
        undo = self.shape.writes[facts.step].undo is not None
        approvals, used = list(voices.approvals), list[tuple[str, int]]()
        for approval, given in await self.humans.standing_approvals(
            facts, findings, stages, undo=undo
        ):
            approvals.append(approval)
            used.append((given.mandate.id, given.mandate.uses or 0))
            why = f"{given.mandate.by} allowed such as this in advance ({given.mandate.id})"
            findings = [*findings, Finding(check="standing approval", kind=Kind.PASS, why=why)]
            if not policy.unsatisfied(asks, approvals, facts, now, barred):
                leave = Leave(uses=voices.leave.uses, mandates=tuple(used))
                passed = {"kind": Kind.PASS, "findings": tuple(findings)}
                return Judged(verdict.model_copy(update={"asks": (), **passed}), leave)
        more = [Finding(check="rulings", kind=Kind.HOLD, why=why) for why in lacking]
        held = {
            "findings": (*verdict.findings, *(more if attempt.rulings else ())),
            "terms": self._terms(policy, facts, attempt),
            "heard": tuple(a.by for a in voices.approvals) if attempt.rulings else None,
        }
        return Judged(verdict.model_copy(update=held))

    def _terms(self, policy: Policy, facts: Facts, attempt: Attempt) -> Terms:
        terms = self.humans.terms(policy, facts.step, facts.case)
        if attempt.rulings or attempt.undoes or not policy.plants(facts.step, facts.case):
            return terms
        return terms.model_copy(update={"planted": self._planted(facts)})

    def _planted(self, facts: Facts) -> dict[str, JsonValue] | None:
        """A bad action of the same kind, as the step makes one; None if it cannot."""
        plant = next(w.plant for w in self._writes() if w.name == facts.step)
        if plant is None:
            return None
        try:
            bad: Action | None = plant(facts.action)
        # The agent's own code: its fault is no reason to keep people from the real question.
        except Exception:
            log.exception("no bad proposal could be made", extra={"step": facts.step})
            return None
        if bad is None or type(bad) is not type(facts.action) or bad == facts.action:
            return None
        return bad.model_dump(mode="json")

    def _writes(self) -> list[Write[Any, Any]]:
        return [cast("Write[Any, Any]", step) for step in self.steps if isinstance(step, Write)]

    def _facts(self, step: str, action: Action, attempt: Attempt) -> Facts:
        return Facts(
            step=step,
            action=action,
            basis=attempt.basis,
            evidence=_evidence(self.shape.writes[step].evidence, attempt.basis),
            case=attempt.case,
            requester=attempt.requester,
        )

    async def _check_data(self, action: Action) -> list[Finding]:
        mine = [check for check in self.checks if check.action is type(action)]
        found = await asyncio.gather(*(_look(check, action) for check in mine))
        return [finding for finding in found if finding is not None]

    async def _check_limits(self, policy: Policy, facts: Facts, attempt: Attempt) -> list[Finding]:
        intent = Intent(
            key=attempt.key,
            case=attempt.case,
            agent=self.agent,
            step=facts.step,
            digest=attempt.digest,
            action=facts.action.model_dump(mode="json"),
            policy=policy.label,
            owner="",
            deadline=datetime.now(UTC),
        )
        try:
            await self.ledger.preview(intent, policy.limits(facts.step))
        except OverLimit as over:
            return [_over_limit(over)]
        return []

    # What the door does

    async def write(self, step: Write[Any, Any], action: Action, attempt: Attempt) -> Answer:
        """Judge one attempt, and make its effect if it passes.

        Raises:
            ApplicationError: if the write is to be tried again, or can never work.
        """
        reached("write:arrived" if attempt.undoes is None else "undo:arrived", attempt.case)
        policy = self.policy.current()
        facts = self._facts(step.name, action, attempt)
        judged = Judged(Verdict(kind=Kind.PASS, policy=policy.label))
        # What was let pass once and may have happened is finished, not judged again: its own
        # traces in the world would refuse it.
        if not await self._begun(facts, attempt):
            judged = await self.judge(policy, facts, attempt)
            verdict = judged.verdict
            said = {"verdict": verdict.kind, "why": verdict.why(), "policy": verdict.policy}
            _log("verdict", attempt, step, **said)
        reached("write:judged", attempt.case)
        if judged.verdict.kind is not Kind.PASS:
            held = AnswerKind.HELD if judged.verdict.kind is Kind.HOLD else AnswerKind.REFUSED
            return Answer(kind=held, verdict=judged.verdict)
        if not await self.humans.answered(policy, facts, attempt):
            # Nobody who may has really said it: it is as if nobody had been asked.
            attempt = attempt.model_copy(update={"doubt": None})
        answer = await self._once(policy, step, facts, attempt, judged)
        _log("effect", attempt, step, kind=answer.kind, key=attempt.key)
        reached("write:answering", attempt.case)
        return answer

    async def _begun(self, facts: Facts, attempt: Attempt) -> bool:
        if digest_of(facts.step, facts.action.model_dump(mode="json")) != attempt.digest:
            return False  # it brings another action than it says: that was never let pass
        row = await self.ledger.effect(attempt.key)
        return row is not None and row.state is not EffectState.NOT_DONE

    async def _once(  # one write and the verdict on it
        self,
        policy: Policy,
        step: Write[Any, Any],
        facts: Facts,
        attempt: Attempt,
        judged: Judged,
    ) -> Answer:
        verdict, limits, label = judged.verdict, policy.limits(step.name), policy.label
        write = (self.ledger, step, facts.action, attempt, self.agent, label, limits)
        try:
            done = await once(*write, judged.leave)
        except OverLimit as over:
            verdict = _verdict(policy, [*verdict.findings, _over_limit(over)])
            return Answer(kind=AnswerKind.REFUSED, verdict=verdict)
        except KeyUsed as used:
            finding = Finding(check="key", kind=Kind.REFUSE, why=str(used))
            return Answer(kind=AnswerKind.REFUSED, verdict=_verdict(policy, [finding]))
        except Final as error:
            failed = self._failed(policy, facts, verdict, error)
            # An earlier try may have happened all the same: then its undo must stay known.
            row = await self.ledger.effect(attempt.key)
            unknown = row is not None and row.state is EffectState.INTENDED
            return failed.model_copy(update={"token": row.owner}) if row and unknown else failed
        except Exception as error:
            # An undo that goes on failing parks the case for a human instead of trying for ever.
            last = isinstance(error, HOPELESS) or activity.info().attempt >= UNDO_ATTEMPTS
            if attempt.undoes is None or not last:
                raise
            return self._failed(policy, facts, verdict, error)
        if isinstance(done, Receipt):
            return Answer(kind=AnswerKind.WRITTEN, verdict=verdict, receipt=done)
        return self._in_doubt(policy, facts, verdict, done)

    def _in_doubt(self, policy: Policy, facts: Facts, verdict: Verdict, doubt: Doubt) -> Answer:
        why = (
            f"{facts.step} was begun at {doubt.since:%Y-%m-%d %H:%M:%S} UTC and broken off; "
            "the outside system cannot be asked whether it happened"
        )
        asked = self._asking(policy, facts, verdict)
        return Answer(kind=AnswerKind.IN_DOUBT, verdict=asked, why=why, token=doubt.token)

    def _failed(self, policy: Policy, facts: Facts, verdict: Verdict, error: Exception) -> Answer:
        why = str(error) or type(error).__name__
        asked = self._asking(policy, facts, verdict)
        return Answer(kind=AnswerKind.FAILED, verdict=asked, why=why)

    def _asking(self, policy: Policy, facts: Facts, verdict: Verdict) -> Verdict:
        """The verdict, with whom to ask when no rule says so."""
        asks = policy.default_asks(facts.step, server_time(), facts)
        terms = self.humans.terms(policy, facts.step, facts.case)
        return verdict.model_copy(update={"asks": asks, "terms": terms})


def _gravest(findings: Sequence[Finding]) -> Kind:
    gravity = (Kind.PASS, Kind.HOLD, Kind.REFUSE)
    return max((finding.kind for finding in findings), key=gravity.index, default=Kind.PASS)


def _verdict(policy: Policy, findings: Sequence[Finding]) -> Verdict:
    return Verdict(kind=_gravest(findings), findings=tuple(findings), policy=policy.label)


def _log(what: str, attempt: Attempt, step: Write[Any, Any], **more: str) -> None:
    log.info(what, extra={"case": attempt.case, "step": step.name, **more})


def _over_limit(over: OverLimit) -> Finding:
    return Finding(check=f"limit: {over.limit.text}", kind=Kind.REFUSE, why=str(over))


def _evidence(model: type[BaseModel] | None, basis: Basis | None) -> BaseModel | None:
    """The evidence as its own model; None when there is none or it does not fit."""
    if model is None or basis is None:
        return None
    try:
        return model.model_validate(basis.evidence)
    except ValidationError:
        return None


async def _look(check: Check[Any], action: Action) -> Finding | None:
    name = f"check: {check.name}"
    try:
        async with asyncio.timeout(check.timeout.total_seconds()):
            why = await check(action)
    # A check is somebody else's code, and any fault of it must hold the write, not pass it.
    except Exception as error:  # noqa: BLE001
        why = f"{check.name} could not be checked: {str(error) or type(error).__name__}"
        return Finding(check=name, kind=Kind.HOLD, why=why)
    return None if why is None else Finding(check=name, kind=Kind.REFUSE, why=why)


# Steps as activities


def _reading(step: Read[..., Any]) -> Activity:
    async def run(*args: Any) -> Any:
        return await run_step(step, args)

    return run


def _deciding(door: Door, step: Decide[..., Any]) -> Activity:
    async def run(*args: Any) -> Decided[Any]:
        decision = await run_step(step, args)
        case = this_case()
        foreseen = await door.foresee(decision, case)
        reached("decide:foreseen", case)
        kind = type(decision.action).__name__
        if foreseen is None:
            return Decided(decision=decision, kind=kind)
        return Decided(decision=decision, digest=foreseen[0], verdict=foreseen[1], kind=kind)

    return run


def _notifying(door: Door, step: Notify[..., Any]) -> Activity:
    async def run(notice: Notice, *args: Any) -> Told:
        refused = door.policy.current().may_notify(step.name)
        if refused is not None:
            return Told(sent=False, why=refused.why)
        with as_current(Effect(key=notice.key, case=notice.case, step=step.name)):
            return Told(sent=True, result=to_jsonable_python(await run_step(step, args)))

    return run


def _writing(door: Door, step: Write[Any, Any]) -> Activity:
    async def run(action: Any, attempt: Attempt) -> Answer:
        # Once begun, an effect is carried to its receipt, also when the case is stopped.
        working = asyncio.ensure_future(door.write(step, action, attempt))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            return await working

    return run
