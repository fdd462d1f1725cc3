"""What a case keeps for its record: decisions, questions that have closed, and errors.

Plain data that goes along when the case continues as new. Nothing here changes what it does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.exceptions import TimeoutError as TimedOut

from handrail.actions import Level
from handrail.agent.decided import StepDecision
from handrail.agent.tries import UNDECIDED
from handrail.exceptions import StepError, fallback
from handrail.wire import DecisionResult, WriteResult, WriteResultKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from handrail.oversight import Gate

MOST_NOTES = 200
"""Decisions, questions and errors that go along when a case continues as new: the latest."""

_MOST_WORTH = Decimal(10) ** 12
_LONGEST = 2_000
"""Characters of what an error says."""

_KINDS = {
    "Final": "refused_by_system",
    "StepTimeout": "time_out",
    "TimeoutError": "time_out",
    "ValidationError": "bad_data",
    "BadAnswer": "bad_data",
    "BadResult": "bad_data",
    "ContractChanged": "contract_changed",
    UNDECIDED: "model",
}
"""Classes of errors, by the types that failures have in Temporal; any other is a bug."""


@dataclass(frozen=True)
class DecisionNote:
    """One decision; see `handrail.ledger.DecisionRow`."""

    step: str
    at: datetime
    inputs: str
    kind: str | None
    digest: str | None
    confidence: float | None
    model: str
    tokens: int
    cost: Decimal


@dataclass(frozen=True)
class QuestionNote:
    """One question to people; see `handrail.ledger.QuestionRow`."""

    gate: str
    step: str
    kind: str
    roles: tuple[str, ...]
    asked: datetime
    reminded: datetime | None
    escalated: datetime | None
    ended: datetime | None
    how: str | None
    by: tuple[str, ...]
    proven: bool | None
    looked: float | None


@dataclass(frozen=True)
class ErrorNote:
    """One error that the case learned of; see `handrail.ledger.ErrorRow`."""

    step: str
    at: datetime
    kind: str
    what: str
    attempts: int | None = None


@dataclass
class CaseNotes:
    """What is kept of one case. `questions`: those of earlier runs; `event`: its digest.

    `pilot`: whether all writes were in pilot when it last decided.
    `begun`: as Temporal has it. The time of its first task is another one in a replay, where a
    short step took so long that the task went on in a second one.
    """

    event: str = ""
    begun: datetime | None = None
    policy: str = ""
    value: Decimal | None = None
    decisions: list[DecisionNote] = field(default_factory=list[DecisionNote])
    questions: list[QuestionNote] = field(default_factory=list[QuestionNote])
    errors: list[ErrorNote] = field(default_factory=list[ErrorNote])
    reminded: dict[str, datetime] = field(default_factory=dict[str, datetime])
    pilot: bool = False

    def decided(
        self,
        step: str,
        given: Sequence[Any],
        decided: StepDecision,
        result: DecisionResult[Any],
        now: datetime,
    ) -> None:
        """Keep a decision, and the digest of what it was made on."""
        made = decided.decision
        usage, action = made.usage, made.action
        self.policy = (result.verdict and result.verdict.policy) or self.policy
        self.pilot = result.verdict is not None and result.verdict.autonomy == Level.PILOT.value
        self.decisions.append(
            DecisionNote(
                step=step,
                at=now,
                inputs=digest_of_inputs(given),
                kind=None if action is None else decided.unknown_kind or type(action).__name__,
                digest=result.digest,
                confidence=made.confidence,
                model=usage.model or (made.asked.model if made.asked else ""),
                tokens=usage.input_tokens + usage.output_tokens,
                cost=usage.cost,
            )
        )

    def valued(self, value: Decimal | float | str | None) -> None:
        """Keep what the case says that it is worth.

        Raises:
            StepError: if it is no amount.
        """
        try:
            amount = None if value is None else Decimal(str(value))
        except InvalidOperation:
            amount = Decimal("NaN")
        if amount is not None and not (amount.is_finite() and abs(amount) < _MOST_WORTH):
            raise StepError(f"done(value={value!r:.40}): write an amount such as 12.50, or nothing")
        self.value = amount

    def failed(
        self, step: str, kind: str, what: str, now: datetime, attempts: int | None = None
    ) -> None:
        """Keep an error. Attempts after the first one, of the same, are no errors of their own."""
        last = self.errors[-1] if self.errors else None
        again = last is not None and attempts is not None and attempts > 1
        if again and last is not None and (last.step, last.kind) == (step, kind):
            self.errors.pop()
        self.errors.append(ErrorNote(step, now, kind, what[:_LONGEST], attempts))

    def came_to(self, step: str, answer: WriteResult, now: datetime) -> None:
        """Keep what the door said of an attempt of a write."""
        self.policy = answer.verdict.policy or self.policy
        if answer.kind is WriteResultKind.FAILED:
            self.failed(step, answer.fault or "refused_by_system", answer.why, now)
        elif answer.kind is WriteResultKind.IN_DOUBT:
            self.failed(step, "in_doubt", answer.why, now)

    def asked(self, gates: Iterable[Gate]) -> list[QuestionNote]:
        """Every question of the case, of this run and of those before."""
        return [*self.questions, *(question_note(g, self.reminded.get(g.id)) for g in gates)]

    def carried(self, gates: Iterable[Gate]) -> CaseNotes:
        """What the next run needs of it."""
        return CaseNotes(
            self.event,
            self.begun,
            self.policy,
            self.value,
            self.decisions[-MOST_NOTES:],
            self.asked(gates)[-MOST_NOTES:],
            self.errors[-MOST_NOTES:],
            pilot=self.pilot,
        )


def question_note(gate: Gate, reminded: datetime | None) -> QuestionNote:
    """What is kept of one question."""
    closed, asked = gate.closed, gate.question
    onward = [leg.starts[1] for leg in gate.legs if leg.stage]
    accepted = [each for each in gate.rulings if each.accepted]
    looked = [each.looked for each in accepted if each.looked is not None]
    proven = {each.by for each in accepted if each.proven}
    return QuestionNote(
        gate=gate.id,
        step=asked.step,
        kind="planted" if asked.planted else asked.kind.value,
        roles=tuple(dict.fromkeys(s.role for leg in gate.legs for s in leg.reached)),
        asked=gate.opened,
        reminded=reminded,
        escalated=min(onward, default=None),
        ended=closed and closed.at,
        how=closed and closed.how,
        by=closed.by if closed else (),
        proven=proven >= set(closed.by) if closed and closed.by else None,
        looked=sum(looked) if looked else None,
    )


def error_kind(error: BaseException) -> str:
    """The class of an error that ended a step."""
    part: BaseException | None = error
    while isinstance(part, FailureError):
        if isinstance(part, TimedOut):
            return "time_out"
        if isinstance(part, ApplicationError) and part.type in _KINDS:
            # What is beneath the try of a decision says more, where it is known.
            beneath = part.cause if part.type == UNDECIDED else None
            deeper = None if beneath is None else error_kind(beneath)
            return _KINDS[part.type] if deeper in {None, "bug"} else str(deeper)
        part = part.cause
    return "bug"


def digest_of_inputs(given: Any) -> str:
    """The SHA-256 of values as JSON; empty where they have none."""
    text = fallback(
        None,
        lambda: to_json(given, by_alias=False, serialize_unknown=True, inf_nan_mode="strings"),
    )
    return "" if text is None else hashlib.sha256(text).hexdigest()
