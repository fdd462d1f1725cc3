"""The order of the checks: what is asked before an effect, and who may let pass what holds.

What refuses everything comes first, and people last: nobody is asked about what would be refused
anyway. In this order (docs/guardrails.md has a drawing of it):

    policy      is this worker's policy file the one in force?
    stop        has somebody stopped the case, the write, the agent, or all of them?
    digest      is it the action that was decided and ruled on?

then, in one judgement in which each says what it has to say:

    changed     is it by its class of today what was decided?
    checks      data checks: what does the world say now?
    scope       may this agent do this to these at all?
    source      does it stem from a trusted read, or from text that came from outside?
    rules       what the policy refuses, and what it holds
    level       how much the agent does by itself, as its owner has set it
    normal      is it unlike what the agent does otherwise?
    duplicates  is it like what it did a short while ago?

and then:

    limits      is there room left for it?
    pilot       is it only to be recorded?
    people      who may let pass what holds, and did they?

Stop, level, policy, limits and duplicates are looked at once more in the transaction of the
intent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from handrail.actions import Action, Finding, Kind, LedgerMark, Level, Terms, Verdict, as_json
from handrail.agent import LiveCall, source_finding
from handrail.exceptions import LedgerUnavailable
from handrail.guardrails.admission import Admission
from handrail.guardrails.anomaly.watch import AnomalyDetector
from handrail.guardrails.context import Judgement, WriteContext, broken, gravest
from handrail.guardrails.data_checks import Check, answer, look
from handrail.guardrails.entitlement import Entitlement
from handrail.guardrails.ledger_watch import LedgerWatch
from handrail.guardrails.machine import server_time
from handrail.guardrails.situation import LATELY, SituationCache, StalePolicy
from handrail.ledger import Duplicate, EffectState, Ledger, OverLimit, Situation
from handrail.oversight import delegations, setting_in_force, why_stopped
from handrail.policy import AgentShape, Facts, NobodyMayApprove, Policy
from handrail.text import one_line
from handrail.wire import Duplicates, Limit

if TYPE_CHECKING:
    from pydantic import JsonValue

_PLANTED = 5.0
"""Seconds within which an agent makes a bad proposal: people wait for the real one."""

log = logging.getLogger("handrail.guards")


@dataclass(frozen=True)
class Pipeline:
    """What stands before the writes of one agent."""

    agent: str
    shape: AgentShape
    ledger: Ledger
    admission: Admission
    entitlement: Entitlement
    watch: AnomalyDetector
    checks: Sequence[Check[Any]] = ()
    ledgers: LedgerWatch = field(default_factory=LedgerWatch)
    known: SituationCache = field(default_factory=SituationCache)
    plants: Mapping[str, Callable[[Any], Action | None] | None] = field(
        default_factory=dict[str, Any]
    )

    # What is known of one moment

    async def situation(
        self, policy: Policy, case: str, key: str | None = None, of_case: LedgerMark | None = None
    ) -> Situation:
        """What must be known before anything is judged, of one moment. `of_case`: see `Attempt`.

        Raises:
            LedgerMismatch: if the ledger is another than the agent's, or lower than it was.
            StalePolicy: if the worker's policy is not the one in force.
            LedgerUnavailable: if the ledger cannot be used.
        """
        await self._announce(policy)
        expected = await self.ledgers.expected()
        found = await self.ledger.situation(self.agent, case, key)
        self.ledgers.require(found.mark, expected, of_case)
        _require_in_force(policy, found)
        return found

    async def lately(
        self, policy: Policy, case: str, of_case: LedgerMark | None = None
    ) -> Situation:
        """As `situation` without a key, of at most `LATELY` ago.

        It is for what is advice, for what is only told, and for what the intent of a write
        confirms.

        Raises:
            LedgerMismatch: as `situation`.
            StalePolicy: if the worker's policy was not the one in force then.
            LedgerUnavailable: if the ledger cannot be used.
        """
        await self._announce(policy)
        known, now = self.known, asyncio.get_running_loop().time()
        found = known.situation
        old = now - known.at > LATELY.total_seconds()
        # Who looked as this policy was loaded may have kept what was in force before it.
        newer = of_case is not None and found is not None and of_case.height > found.mark.height
        if found is None or old or newer or found.sha != policy.sha:
            expected = await self.ledgers.expected()
            found = await self.ledger.situation(self.agent)
            self.ledgers.require(found.mark, expected, of_case)
            known.situation, known.at = found, now
        _require_in_force(policy, found)
        mine = tuple(order for order in found.orders if order.case in {None, case})
        # The transaction of an intent must find it above all that was seen.
        mark = self.ledgers.known or found.mark
        return replace(found, orders=mine, piloted=False, mark=mark)

    async def piloted(self, case: str) -> bool:
        """Whether a write of a case was only recorded. Call it after `lately`.

        Raises:
            LedgerUnavailable: if the ledger cannot be used.
        """
        known = self.known.situation
        return (known is None or known.piloted) and await self.ledger.piloted(case)

    async def require_ledger(self) -> None:
        """See that the ledger is the agent's.

        Raises:
            LedgerMismatch: if it is another, or lower than it was.
            LedgerUnavailable: if it cannot be used.
        """
        expected = await self.ledgers.expected()
        self.ledgers.require(await self.ledger.mark(self.agent), expected)

    async def _announce(self, policy: Policy) -> None:
        """Say in the ledger that the policy was loaded."""
        if self.known.loaded == policy.sha:
            return
        await self.require_ledger()
        # Once for each time it is loaded, or two workers would take turns.
        await self.ledger.loaded(self.agent, policy.version, policy.sha, policy.label, policy.text)
        self.known.loaded, self.known.situation = policy.sha, None

    def settled(self, write: WriteContext, situation: Situation) -> WriteContext:
        """A write to be judged by a situation: with the level that its owner has set, if any."""
        facts, policy, row = write.facts, write.policy, situation.effect
        if row is not None and row.state is EffectState.INTENDED and not self.admission.made(row):
            log.warning("no worker made this intent: it is judged anew", extra={"key": row.key})
            situation = replace(situation, effect=None)
            write = replace(write, unbelieved=row.owner)
        if situation.levels:
            keys, proof = self.entitlement.trust.keys(), self.entitlement.proof(policy)
            made = setting_in_force(situation.levels, facts.step, policy, keys, proof)
            facts = replace(facts, setting=made)
        return replace(write, facts=facts, situation=situation)

    def stopped(self, write: WriteContext) -> str | None:
        """Why nothing is written now, in words; None if nobody has stopped it."""
        facts = write.facts
        stops = write.situation.stops if write.situation is not None else ()
        if write.undoing and write.attempt.ordered:
            stops = tuple(order for order in stops if order.step == facts.step)
        words = why_stopped(stops, facts.step, facts.case)
        if words is None and not write.undoing:
            setting = write.policy.setting(facts)
            if setting.level is Level.STOP:
                return f"{facts.step} is stopped: {setting.label}"
        return words

    def halted(self, policy: Policy, situation: Situation, case: str) -> str | None:
        """Why nobody is told anything now, in words: the agent, or this case, is stopped."""
        words = why_stopped(situation.stops, None, case)
        if words is None and set(self._levels(policy, situation)) == {Level.STOP}:
            return f"all that {self.agent} writes is stopped: it tells nobody"
        return words

    def piloting(self, policy: Policy, situation: Situation) -> str | None:
        """Why nobody is told or asked anything, in words: nothing the agent writes is done."""
        now = self._levels(policy, situation)
        if Level.PILOT in now and not any(level.exceeds(Level.PILOT) for level in now):
            return f"{self.agent} is in pilot: it tells and asks nobody"
        return None

    def idle(self, policy: Policy, situation: Situation) -> Verdict:
        """Under what a decision fell of which the door says nothing: a case may write nothing."""
        level = Level.PILOT.value if self.piloting(policy, situation) else ""
        return Verdict(kind=Kind.PASS, policy=policy.label, autonomy=level)

    def _levels(self, policy: Policy, situation: Situation) -> list[Level]:
        """The level of each write that takes back no other."""
        levels, keys = situation.levels, self.entitlement.trust.keys()
        proof, now = self.entitlement.proof(policy), list[Level]()
        for step in (name for name, write in self.shape.writes.items() if not write.undoes):
            known = setting_in_force(levels, step, policy, keys, proof) or policy.of(step).own
            now.append(policy.of(step).capped(known.level))
        return now

    # The verdict

    def foresee(self, write: WriteContext) -> list[Finding]:
        """What can be said without a look at the world: scope, source, rules, autonomy."""
        policy, facts = write.policy, write.facts
        source = source_finding(facts.basis, policy.of(facts.step).mentions)
        return [
            *policy.scope(facts),
            *([] if source is None else [source]),
            *_unlisted(policy, facts),
            *policy.rules(facts),
        ]

    async def judged(self, write: WriteContext) -> Judgement:
        """What comes of one attempt in its situation.

        What was let pass once and may have happened is finished, not judged again: its own
        traces in the world would refuse it. A stop is looked at all the same, right before it.
        """
        if (row := write.begun) is not None:
            return Judgement(write.verdict(()), alone=bool(row.alone), begun=True, share=row.share)
        stopped = self.stopped(write)
        if stopped is not None:
            return Judgement(write.verdict([]), alone=False, stopped=stopped)
        return await self.judge(write)

    async def judge(self, write: WriteContext) -> Judgement:
        """The verdict on one attempt, with the rulings it brings."""
        policy, facts, attempt = write.policy, write.facts, write.attempt
        if not write.is_itself:
            why = "the action is not the one that was decided and ruled on"
            finding = Finding(check="digest", kind=Kind.REFUSE, why=why)
            return Judgement(write.verdict([finding]))
        # Data checks judge a world in which the write has not happened: they do not fit its undo.
        undoing = write.undoing
        findings = [] if undoing else await self._check_data(facts.action)
        if write.came.changed:
            findings.append(Finding(check="changed", kind=Kind.HOLD, why=write.came.changed))
        findings = [*write.claims, *self.foresee(write), *findings]
        if gravest(findings) is not Kind.REFUSE and not undoing:
            findings += await self._unusual(write)
            if (duplicates := policy.of(facts.step).duplicates) is not None:
                findings += await self._preview(write, (), duplicates)
        # Only before a human is asked: what passes is counted in the moment it begins.
        if gravest(findings) is Kind.HOLD:
            findings += await self._preview(write, policy.of(facts.step).limits)
        piloted = attempt.pilot or (write.situation is not None and write.situation.piloted)
        pilot = not undoing and (piloted or policy.setting(facts).level is Level.PILOT)
        if pilot or gravest(findings) is not Kind.HOLD:
            kept = None if undoing else policy.of(facts.step).duplicates
            return Judgement(write.verdict(findings), pilot=pilot, duplicates=kept)
        return await self.held(write, findings)

    async def held(self, write: WriteContext, findings: Sequence[Finding]) -> Judgement:
        """What holds is let pass by those who may; otherwise they are asked."""
        write = await self.admission.people(write)
        policy, facts, attempt = write.policy, write.facts, write.attempt
        now, barred = server_time(), write.barred
        try:
            asks = policy.asks(findings, facts, now, barred=barred)
        except NobodyMayApprove as nobody:
            finding = Finding(check="approvers", kind=Kind.REFUSE, why=str(nobody))
            return Judgement(write.verdict([*findings, finding]), alone=False)
        heard = await self.entitlement.approvals(write)
        lacking = policy.unsatisfied(asks, heard.approvals, facts, now, barred)
        verdict = write.verdict(findings)
        if not lacking:
            passed = verdict.model_copy(update={"kind": Kind.PASS})
            return Judgement(passed, heard.uses, alone=False)
        mandates = await self.entitlement.mandates(now)
        roles = {stage.role for ask in asks for stage in ask.stages}
        undo = self.shape.writes[facts.step].undo is not None
        approvals, used = list(heard.approvals), list[tuple[str, int]]()
        for approval, given in self.entitlement.standing_approvals(
            write, mandates, findings, roles, undo=undo
        ):
            approvals.append(approval)
            used.append((given.mandate.id, given.mandate.uses or 0))
            why = f"{given.mandate.by} allowed such as this in advance ({given.mandate.id})"
            findings = [*findings, Finding(check="standing approval", kind=Kind.PASS, why=why)]
            if not policy.unsatisfied(asks, approvals, facts, now, barred):
                passed = {"kind": Kind.PASS, "findings": tuple(findings)}
                allowed = verdict.model_copy(update=passed)
                return Judgement(allowed, heard.uses, tuple(used), alone=False)
        more = [Finding(check="rulings", kind=Kind.HOLD, why=why) for why in lacking]
        # Who stands in for whom is only shown: what somebody said in another's place is proven.
        standing = delegations(mandates, self.agent, now)
        held = {
            "asks": policy.asks(findings, facts, now, standing, barred=barred),
            "findings": (*verdict.findings, *(more if attempt.rulings else ())),
            "terms": await self._terms(write),
            "heard": tuple(a.by for a in heard.approvals) if attempt.rulings else None,
        }
        return Judgement(verdict.model_copy(update=held), alone=False)

    def asking(self, write: WriteContext, verdict: Verdict) -> Verdict:
        """The verdict, with whom to ask when no rule says so."""
        asks = write.policy.default_asks(write.step, server_time(), write.facts)
        terms = self.entitlement.terms(write.policy)
        return verdict.model_copy(update={"asks": asks, "terms": terms})

    async def _terms(self, write: WriteContext) -> Terms:
        policy, facts, attempt = write.policy, write.facts, write.attempt
        terms = self.entitlement.terms(policy)
        if attempt.rulings or write.undoing or not policy.plants(facts.step, facts.case):
            return terms
        plant = self.plants.get(facts.step)
        planted = None if plant is None else await _bad(plant, facts)
        return terms.model_copy(update={"planted": planted})

    async def _check_data(self, action: Action) -> list[Finding]:
        mine = [check for check in self.checks if check.action is type(action)]
        found = await asyncio.gather(*(look(check, action) for check in mine))
        return [finding for finding in found if finding is not None]

    async def _unusual(self, write: WriteContext) -> list[Finding]:
        policy, facts, now = write.policy, write.facts, server_time()
        review = policy.of(facts.step).review
        try:
            found = await self.watch.findings(policy, facts, now)
            # What nothing holds, and is reviewed more often for it.
            edges = not found and review is not None and review.unusual > 0
            return await self.watch.edges(policy, facts, now) if edges else found
        except LedgerUnavailable:
            raise
        # Whatever its fault, a guard that cannot judge must not let pass.
        except Exception as error:
            log.exception("what is normal could not be judged", extra={"step": write.step})
            why = f"what is normal could not be judged: {str(error) or type(error).__name__}"
            return [Finding(check="normal", kind=Kind.HOLD, why=why)]

    async def _preview(
        self, write: WriteContext, limits: Sequence[Limit], duplicates: Duplicates | None = None
    ) -> list[Finding]:
        """What the transaction of its intent would say now of limits and duplicates."""
        try:
            await self.ledger.preview(write.intent(), limits, duplicates)
        except (OverLimit, Duplicate) as rule:
            return [broken(rule)]
        return []


def _unlisted(policy: Policy, facts: Facts) -> list[Finding]:
    """What holds a call of a tool that a server lists, and the policy does not."""
    if not isinstance(facts.action, LiveCall):
        return []
    entry, tool = policy.doc.actions.get(facts.step), facts.action.tool
    if entry is None or tool in entry.tools:
        return []
    why = f"no `tools:` of {facts.step} in the policy names {one_line(tool, 80)}"
    role = policy.of(facts.step).role
    return [Finding(check="listed", kind=Kind.HOLD, why=why, role=role)]


def _require_in_force(policy: Policy, situation: Situation) -> None:
    if situation.sha not in {None, policy.sha}:
        raise StalePolicy(policy, situation.label or "another")


async def _bad(plant: Callable[[Any], Action | None], facts: Facts) -> dict[str, JsonValue] | None:
    """A bad action of the same kind, as the step makes one; None if it cannot."""
    bad, fault = await answer(plant, [facts.action], _PLANTED)
    # The agent's own code: its fault is no reason to keep people from the real question.
    if fault is not None:
        log.error("no bad proposal could be made", extra={"step": facts.step, "why": fault})
        return None
    if bad is None or type(bad) is not type(facts.action) or bad == facts.action:
        return None
    return as_json(bad)
