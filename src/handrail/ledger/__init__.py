"""Ledger: what must outlive Temporal's retention, in SQL.

SQLite on one machine, PostgreSQL in a cluster; the same code. Here stands, for every
write ever begun, its intent before the effect and its receipt after it; every proven ruling
as it was signed, and which write used it; and what people allowed in advance, use by use.
"""

from typing import TYPE_CHECKING

from handrail.faces import on_demand

if TYPE_CHECKING:
    from handrail.ledger.comparisons import (
        Compare,
        ComparedSoFar,
        ComparisonCount,
        ComparisonFigures,
    )
    from handrail.ledger.entries import (
        ALONE,
        CONTRADICTS,
        DIFFERS,
        FAILED,
        FLEET,
        IN_DOUBT,
        OPEN,
        PROPOSED,
        SAME,
        STUCK,
        UNREAD,
        AlertRow,
        AlreadyReviewed,
        AnswerRow,
        BaselineRow,
        Comparison,
        KeptDifference,
        MandateRow,
        MetricQuery,
        OrderRow,
        OutcomeRow,
        PolicyRow,
        ProposedAction,
        ReviewRow,
        RulingRow,
        number,
        outcome_id,
    )
    from handrail.ledger.evidence_queries import AutonomousWrite
    from handrail.ledger.figures import AgentFigures, CaseFigures, QuestionFigures
    from handrail.ledger.history import BreakerRule, PastVerdict, PastWrite, WriteRates
    from handrail.ledger.intake import intake_id
    from handrail.ledger.intake_rows import IntakeRow, IntakeState
    from handrail.ledger.intents import BeginResult, EffectRow, Intent, Outdated, Situation, Stopped
    from handrail.ledger.ledger import Ledger
    from handrail.ledger.measures import (
        Duplicate,
        LimitMeasure,
        OverLimit,
        counting_of,
        duplicates_counted,
        exceed,
        measured,
        same_words,
        together,
    )
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
    from handrail.ledger.reviews import IncidentRow, ReviewedWrite, WriteCounts
    from handrail.ledger.rows import UnreadableRow
    from handrail.ledger.rulings import MandateSpent, RulingUsed
    from handrail.ledger.tables import EffectState
    from handrail.ledger.verdicts import SpendRow, SpendTotal, VerdictRow
    from handrail.wire import Duplicates
else:
    __getattr__ = on_demand(__name__)

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
    "ProposedAction",
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
