"""Ledger: what must outlive Temporal's retention, in SQL.

SQLite on one machine, PostgreSQL in a cluster; the same code. Here stands, for every
write ever begun, its intent before the effect and its receipt after it; every proven ruling
as it was signed, and which write used it; and what people allowed in advance, use by use.
"""

from handrail.ledger.alerts import PROPOSED, AlertRow
from handrail.ledger.comparisons import (
    ALONE,
    CONTRADICTS,
    DIFFERS,
    OPEN,
    SAME,
    Compare,
    ComparedSoFar,
    Comparison,
    ComparisonCount,
    ComparisonFigures,
    KeptDifference,
)
from handrail.ledger.effects import (
    BeginResult,
    EffectRow,
    Intent,
    Outdated,
    Situation,
    Stopped,
)
from handrail.ledger.figures import AgentFigures, CaseFigures, MetricQuery, QuestionFigures
from handrail.ledger.history import (
    FAILED,
    IN_DOUBT,
    STUCK,
    UNREAD,
    BreakerRule,
    PastVerdict,
    PastWrite,
    WriteRates,
)
from handrail.ledger.intake import IntakeRow, IntakeState, intake_id
from handrail.ledger.ledger import Ledger
from handrail.ledger.limits import (
    Duplicate,
    LimitMeasure,
    OverLimit,
    counting_of,
    duplicates_counted,
    exceed,
    measured,
    number,
    same_words,
    together,
)
from handrail.ledger.orders import FLEET, OrderRow
from handrail.ledger.outcomes import BaselineRow, OutcomeRow, outcome_id
from handrail.ledger.records import (
    PRESENT,
    CaseRecord,
    CaseRow,
    DecisionRow,
    ErrorRow,
    PresenceRow,
    QuestionRow,
    as_kept,
)
from handrail.ledger.reviews import (
    AlreadyReviewed,
    AnswerRow,
    IncidentRow,
    ReviewedWrite,
    ReviewRow,
    WriteCounts,
)
from handrail.ledger.rows import UnreadableRow
from handrail.ledger.rulings import MandateRow, MandateSpent, RulingRow, RulingUsed
from handrail.ledger.shown import AutonomousWrite
from handrail.ledger.tables import EffectState
from handrail.ledger.verdicts import PolicyRow, Proposed, SpendRow, SpendTotal, VerdictRow
from handrail.wire import Duplicates

__all__ = [
    "ALONE",
    "CONTRADICTS",
    "DIFFERS",
    "FAILED",
    "FLEET",
    "IN_DOUBT",
    "OPEN",
    "PRESENT",
    "PROPOSED",
    "SAME",
    "STUCK",
    "UNREAD",
    "AgentFigures",
    "AlertRow",
    "AlreadyReviewed",
    "AnswerRow",
    "AutonomousWrite",
    "BaselineRow",
    "BeginResult",
    "BreakerRule",
    "CaseFigures",
    "CaseRecord",
    "CaseRow",
    "Compare",
    "ComparedSoFar",
    "Comparison",
    "ComparisonCount",
    "ComparisonFigures",
    "DecisionRow",
    "Duplicate",
    "Duplicates",
    "EffectRow",
    "EffectState",
    "ErrorRow",
    "IncidentRow",
    "IntakeRow",
    "IntakeState",
    "Intent",
    "KeptDifference",
    "Ledger",
    "LimitMeasure",
    "MandateRow",
    "MandateSpent",
    "MetricQuery",
    "OrderRow",
    "OutcomeRow",
    "Outdated",
    "OverLimit",
    "PastVerdict",
    "PastWrite",
    "PolicyRow",
    "PresenceRow",
    "Proposed",
    "QuestionFigures",
    "QuestionRow",
    "ReviewRow",
    "ReviewedWrite",
    "RulingRow",
    "RulingUsed",
    "Situation",
    "SpendRow",
    "SpendTotal",
    "Stopped",
    "UnreadableRow",
    "VerdictRow",
    "WriteCounts",
    "WriteRates",
    "as_kept",
    "counting_of",
    "duplicates_counted",
    "exceed",
    "intake_id",
    "measured",
    "number",
    "outcome_id",
    "same_words",
    "together",
]
