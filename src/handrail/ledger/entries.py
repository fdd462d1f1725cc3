"""What is kept, as others hold it: plain values, without the SQL that keeps and finds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from handrail.actions import Level, Ruling
from handrail.exceptions import HandrailError

if TYPE_CHECKING:
    from pydantic import JsonValue

FLEET = "*"
"""The agent of an order that is for all of them."""

SAME, DIFFERS, OPEN, CONTRADICTS, ALONE = "same", "differs", "open", "contradicts", "alone"
"""How a proposal and people stand: they agree or not; nobody has decided; people contradict each
other; or it is a decision of people without a proposal."""

FAILED, IN_DOUBT = "failed", "in_doubt"
"""The kinds of incidents that are counted under names of their own."""

UNREAD = "unread"
"""The kind of the incident of a write that nobody could read back: nor that, it may be right."""

PROPOSED = "promotion"
"""How the rule of an alert begins that proposes to let an agent do more."""

STUCK = "stuck"
"""The kind of the incident of a step that goes on failing: no breaker counts it."""

LARGEST_NUMBER = 60
"""Digits before, or after, the point of a number that can be added. `1E+9999999999` is a number
too, and written out it would fill the memory of its worker."""


@dataclass(frozen=True)
class OrderRow:
    """One order. `proofs` are signed statements; the columns beside them prove nothing.

    `agent` is `*` for all of them. Without a `step` it is for every write, without a `case` for
    every case. A roll-back is of one case, and over with being given; so is that an agent goes on
    with this ledger, how a build is rolled out, or that a case is erased. `rollout`: of `full`, in
    hundredths of a percent of the cases; None is all. `ended`: when it was lifted, or replaced
    by another level.
    """

    id: str
    kind: Literal["stop", "level", "roll_back", "ledger", "rollout", "erase"]
    agent: str
    by: str
    at: datetime
    step: str | None = None
    case: str | None = None
    level: Level | None = None
    rollout: int | None = None
    why: str = ""
    proofs: tuple[str, ...] = ()
    ended: datetime | None = None
    ended_by: str | None = None
    ended_why: str | None = None
    ended_proofs: tuple[str, ...] = ()


@dataclass(frozen=True)
class RulingRow:
    """One proven ruling. Make it with `RulingRow.of`.

    `text` is the ruling as JSON, with its proof: whoever has the public keys can prove it
    again. `at`: when it was signed. `digest`: of the action that its gate asked about, whole.
    `planted`: whether that action was a bad one, put there to see whether people look; None
    where nobody said. `effect`: the key of the write that used it.
    """

    jti: str
    case: str
    gate: str
    by: str
    stands_for: str | None
    verb: str
    kid: str
    via: str
    looked: float | None
    at: datetime
    digest: str
    agent: str
    step: str
    text: str
    effect: str | None = None
    planted: bool | None = None

    @classmethod
    def of(
        cls,
        ruling: Ruling,
        *,
        verb: str,
        case: str,
        step: str,
        digest: str,
        by: str,
        jti: str,
        kid: str,
        at: datetime,
        stands_for: str | None = None,
        planted: bool | None = None,
    ) -> RulingRow:
        """The row of a ruling that was found proven: `by`, `jti`, `kid`, `at` by its proof."""
        return cls(
            jti=jti,
            case=case,
            gate=ruling.gate,
            by=by,
            stands_for=stands_for,
            verb=verb,
            kid=kid,
            via=ruling.via,
            looked=ruling.looked,
            at=at,
            digest=digest,
            agent=case.partition(":")[0],
            step=step,
            text=ruling.model_dump_json(),
            planted=planted,
        )

    @property
    def ruling(self) -> Ruling:
        """The ruling as it was sent, with its proof.

        Raises:
            ValidationError: if it is none, because somebody altered the row.
        """
        return Ruling.model_validate_json(self.text)


@dataclass(frozen=True)
class MandateRow:
    """One mandate. `text` is the signed statement; the columns beside it prove nothing.

    `used`: how many writes have begun by it, without those that certainly did not happen.
    """

    id: str
    kind: str
    agent: str
    by: str
    to: str | None
    begins: datetime
    ends: datetime
    text: str
    revoked: datetime | None = None
    revoked_by: str | None = None
    used: int = 0


@dataclass(frozen=True)
class ReviewRow:
    """One write that a human looks at afterwards. `key` is the write's.

    `why` it was drawn, and with what chance: `share`, 0..1. `people`, of the `role`, may answer,
    but not the `requester`. `answer`, `by`, `answered`, `note` and `proof`: of the one that
    counts, if any was given.
    """

    key: str
    agent: str
    step: str
    case: str
    at: datetime
    why: str
    share: float
    role: str
    people: tuple[str, ...]
    requester: str | None = None
    answer: str | None = None
    by: str | None = None
    answered: datetime | None = None
    note: str | None = None
    proof: str | None = None


@dataclass(frozen=True)
class AnswerRow:
    """One answer to a review. `proof` is the signed statement; the columns prove nothing."""

    key: str
    answer: str
    by: str
    at: datetime
    note: str
    proof: str


class AlreadyReviewed(HandrailError):  # says what happened
    """Somebody else has answered a review; theirs stands, and nothing was recorded."""

    def __init__(self, key: str, by: str) -> None:
        """Say of which write, and who did."""
        self.key = key
        self.by = by
        super().__init__(
            f"{by} has answered the review of {key} already; only they may change their answer"
        )


@dataclass(frozen=True)
class AlertRow:
    """One alert. `cases`: those behind it. `ended` is None while it lasts."""

    id: str
    agent: str
    rule: str
    began: datetime
    value: str
    limit: str
    cases: tuple[str, ...] = ()
    told: datetime | None = None
    acknowledged: datetime | None = None
    acknowledged_by: str | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProposedAction:
    """What an agent would do in one step of a case; `action` is None of nothing.

    `key` and `digest`: of the write; empty of nothing. `policy`: under which it was proposed.
    `units`: what its fields are in.
    """

    case: str
    step: str
    at: datetime
    action: dict[str, JsonValue] | None
    key: str = ""
    digest: str = ""
    policy: str = ""
    units: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class PolicyRow:
    """One version of a policy file: its text, and when it was loaded first and last."""

    agent: str
    version: int
    sha: str
    label: str
    text: str
    first: datetime
    loaded: datetime


@dataclass(frozen=True)
class OutcomeRow:
    """What people did in a case. `action` is None where they did nothing.

    `judged`: who was right where they differ: `agent`, `people` or `both`.
    """

    id: str
    agent: str
    case: str
    step: str
    at: datetime
    received: datetime
    source: str
    by: str
    action: dict[str, JsonValue] | None
    raw: str
    judged: str | None = None
    judged_by: str | None = None
    judged_at: datetime | None = None
    judged_why: str | None = None


def outcome_id(row: OutcomeRow) -> str:
    """The id of an outcome: the same from the same source is one row, whenever it comes in."""
    said = [row.agent, row.source, row.case, row.step, row.at.timestamp(), row.by, row.action]
    text = json.dumps(said, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:32]


@dataclass(frozen=True)
class BaselineRow:
    """One figure of the process without the agent. `kind`: measured, log or declared.

    `amount` is a decimal number. `replaced` is None while it is in force.
    """

    id: str
    agent: str
    name: str
    amount: str
    unit: str
    kind: str
    source: str
    by: str
    at: datetime
    replaced: datetime | None = None


@dataclass(frozen=True)
class Comparison:
    """One proposal beside what people did, or what they did alone (`at` and `kind` are of that).

    `late`, `hindsight`: 1 or 0; `several`: decisions beside the one that counts. `amounts`: the
    numbers of the proposal by their names; `above`: how far they are above those done.
    """

    agent: str
    case: str
    step: str
    number: int
    rule: str
    key: str
    at: datetime
    kind: str
    stand: str
    outcome: str | None = None
    fields: tuple[str, ...] = ()
    late: int = 0
    hindsight: int = 0
    several: int = 0
    amounts: Mapping[str, str] = field(default_factory=dict[str, str])
    above: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class KeptDifference:
    """Where people did something else, as it was compared."""

    proposed: ProposedAction
    outcome: OutcomeRow
    kind: str
    fields: tuple[str, ...]
    above: Mapping[str, str]


@dataclass(frozen=True)
class MetricQuery:
    """What is counted of tasks: those that are `which`; a `mean` of a quantity, over them.

    `within`: only those that took no longer. `action`: only those with a decision of that class.
    """

    which: str
    of: str = "all"
    mean: str | None = None
    within: timedelta | None = None
    action: str | None = None


def number(value: Any) -> Decimal | None:
    """A number as JSON has it; None if it is none that can be added."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    if not found.is_finite():
        return None
    _, digits, exponent = found.as_tuple()
    small = int(exponent) >= -LARGEST_NUMBER and len(digits) + int(exponent) <= LARGEST_NUMBER
    return found if small else None
