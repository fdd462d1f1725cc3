"""The context of a write: what is asked, by which policy it is judged, and what came of that.

From a workflow comes an `Attempt`; what a policy's rules see of it are `Facts`. A `WriteContext`
holds both beside the policy and the situation by which they are judged. The door makes it once,
and hands it on whole: to the checks, to whoever knows the people, to the ledger and to the log.
A `Judgement` is what the checks say of it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from handrail.actions import Basis, Finding, Kind, Verdict, as_json, digest_of, from_json
from handrail.agent import units_of
from handrail.guardrails.machine import server_time
from handrail.guardrails.received import ReceivedAction
from handrail.ledger import Duplicate, EffectState, Intent, OverLimit, VerdictRow
from handrail.oversight import review_chance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

    from handrail.ledger import EffectRow, Situation
    from handrail.policy import Facts, Policy
    from handrail.wire import Attempt, Duplicates


@dataclass(frozen=True)
class WriteContext:
    """One write in question. `situation`: by which it is judged; None where it is not known.

    `undoing`: it takes back an effect that the ledger knows. `claims`: findings on what its
    attempt says of itself and is not so. `unbelieved`: the owner of an intent under its key that
    no worker made: it is judged as if that were not there. `came`: its action, as the case has it.
    """

    agent: str
    policy: Policy
    facts: Facts
    attempt: Attempt
    situation: Situation | None = None
    undoing: bool = False
    claims: tuple[Finding, ...] = ()
    unbelieved: str = ""
    came: ReceivedAction = field(default_factory=ReceivedAction)

    @property
    def step(self) -> str:
        """The name of the write step."""
        return self.facts.step

    @functools.cached_property
    def action(self) -> dict[str, JsonValue]:
        """The action as JSON."""
        return as_json(self.facts.action) if self.came.given is None else self.came.given

    @functools.cached_property
    def is_itself(self) -> bool:
        """Whether the action is the one that was decided and ruled on."""
        return digest_of(self.step, self.action) == self.attempt.digest

    def as_today(self) -> WriteContext:
        """It as the write that it is by the class of today: nobody has agreed to that yet."""
        action = as_json(self.facts.action)
        attempt = self.attempt.model_copy(update={"digest": digest_of(self.step, action)})
        came = replace(self.came, given=action, stale=False)
        return replace(self, came=came, attempt=attempt)

    @property
    def begun(self) -> EffectRow | None:
        """What is known of it if it was let pass before, and may have happened."""
        row = self.situation.effect if self.situation is not None else None
        # One that brings another action than it says was never let pass.
        may_be = row is not None and row.state is not EffectState.NOT_DONE and self.is_itself
        return row if may_be else None

    @property
    def levels(self) -> frozenset[str] | None:
        """The orders of a level under which it is judged; None where they are not known."""
        situation = self.situation
        return None if situation is None else frozenset(each.id for each in situation.levels)

    @property
    def barred(self) -> tuple[str, ...]:
        """Who may not approve it."""
        attempt = self.attempt
        return (*attempt.askers, *self.policy.barred(attempt.requester, attempt.drafters))

    def verdict(self, findings: Sequence[Finding]) -> Verdict:
        """The verdict that findings come to."""
        return Verdict(
            kind=gravest(findings),
            findings=tuple(findings),
            policy=self.policy.label,
            autonomy=str(self.policy.setting(self.facts)),
        )

    def review_chance(self, judged: Judgement) -> float | None:
        """With what chance it is put before a human afterwards; None of what is not."""
        if self.undoing or not judged.alone:
            return None
        return review_chance(self.policy.review(self.facts), unusual=judged.unusual)

    # As the ledger keeps it

    def verdict_row(self, verdict: Verdict, *, pilot: bool = False) -> VerdictRow:
        """A verdict on it."""
        return VerdictRow(
            case=self.attempt.case,
            agent=self.agent,
            step=self.step,
            key=self.attempt.key,
            digest=self.attempt.digest,
            at=server_time(),
            kind=verdict.kind,
            findings=verdict.findings,
            policy=verdict.policy,
            autonomy=verdict.autonomy,
            pilot=pilot,
            action=self.action,
            basis=self.attempt.basis,
            requester=self.attempt.requester,
            units=self._units(),
        )

    def _units(self) -> dict[str, str]:
        """What its fields are in. Who looks at it afterwards does not have the agent's code."""
        evidence = self.facts.evidence
        told = self.attempt.basis.evidence if self.attempt.basis else None
        kinds = ("action", type(self.facts.action), self.action), ("evidence", type(evidence), told)
        return {name: unit for each in kinds for name, unit in units_of(*each).items()}

    def intent(
        self, judged: Judgement | None = None, owner: str = "", deadline: datetime | None = None
    ) -> Intent:
        """The intent to do it. Without an `owner` it is only looked at, and never recorded."""
        attempt, basis = self.attempt, self.attempt.basis
        return Intent(
            key=attempt.key,
            case=attempt.case,
            agent=self.agent,
            step=self.step,
            digest=attempt.digest,
            action=self.action,
            policy=self.policy.label,
            owner=owner,
            deadline=deadline or datetime.now(UTC),
            uses=judged.uses if judged else (),
            mandates=judged.mandates if judged else (),
            evidence=basis.evidence if basis else None,
            confidence=basis.confidence if basis else None,
            alone=judged.alone if judged and not self.undoing else None,
            share=self.review_chance(judged) if judged else None,
        )


@dataclass(frozen=True)
class Judgement:
    """A verdict, and what came of it.

    What people gave is used up in the moment the write begins: `uses`, the single-use ids of
    proven rulings, and `mandates`, standing approvals, each with its most uses. `alone`: no human
    was asked. `pilot`: it is only recorded. `duplicates`: what the intent must still be held
    against. `begun`: it had begun before, and was not judged again; then `share`: with what
    chance it is reviewed. `stopped`: why nothing is written now, if somebody has stopped it.
    """

    verdict: Verdict
    uses: tuple[str, ...] = ()
    mandates: tuple[tuple[str, int], ...] = ()
    alone: bool = True
    pilot: bool = False
    duplicates: Duplicates | None = None
    begun: bool = False
    share: float | None = None
    stopped: str | None = None

    @property
    def passes(self) -> bool:
        """Whether its effect is to be made."""
        passed = self.verdict.kind is Kind.PASS
        return passed and not self.pilot and self.stopped is None

    @property
    def unusual(self) -> bool:
        """Whether something about it is outside what is normal."""
        return any(found.check.startswith("normal") for found in self.verdict.findings)


def gravest(findings: Sequence[Finding]) -> Kind:
    """The gravest kind among findings; pass where there is none."""
    gravity = (Kind.PASS, Kind.HOLD, Kind.REFUSE)
    return max((finding.kind for finding in findings), key=gravity.index, default=Kind.PASS)


def broken(rule: OverLimit | Duplicate) -> Finding:
    """Why it is refused, or held, by what its intent is counted against."""
    if isinstance(rule, OverLimit):
        return Finding(check=f"limit: {rule.limit.text}", kind=Kind.REFUSE, why=str(rule))
    return Finding(check="duplicate", kind=Kind.HOLD, why=str(rule))


def fitting_evidence(model: type[BaseModel] | None, basis: Basis | None) -> BaseModel | None:
    """The evidence as its own model; None when there is none or it does not fit."""
    if model is None or basis is None:
        return None
    try:
        return from_json(model, basis.evidence)
    except ValidationError:
        return None
