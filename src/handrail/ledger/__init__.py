"""Ledger: what must outlive Temporal's retention, in SQL.

SQLite on one machine, PostgreSQL in a cluster; the same code. Here stands, for every
write ever begun, its intent before the effect and its receipt after it; every proven ruling
as it was signed, and which write used it; and what people allowed in advance, use by use.
"""

from handrail.actions import Duplicates
from handrail.ledger.effects import (
    Begun,
    EffectRow,
    Intent,
    Outdated,
    Situation,
    Stopped,
)
from handrail.ledger.history import FAILED, IN_DOUBT, Fuse, PastVerdict, PastWrite, Rates
from handrail.ledger.ledger import Ledger
from handrail.ledger.limits import (
    Counting,
    Duplicate,
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
from handrail.ledger.reviews import (
    Alone,
    Answered,
    AnswerRow,
    IncidentRow,
    ReviewRow,
    Tally,
    Written,
)
from handrail.ledger.rulings import MandateRow, MandateSpent, RulingRow, RulingUsed
from handrail.ledger.tables import EffectState
from handrail.ledger.verdicts import PolicyRow, SpendRow, Spent, VerdictRow

__all__ = [
    "FAILED",
    "FLEET",
    "IN_DOUBT",
    "Alone",
    "AnswerRow",
    "Answered",
    "Begun",
    "Counting",
    "Duplicate",
    "Duplicates",
    "EffectRow",
    "EffectState",
    "Fuse",
    "IncidentRow",
    "Intent",
    "Ledger",
    "MandateRow",
    "MandateSpent",
    "OrderRow",
    "Outdated",
    "OverLimit",
    "PastVerdict",
    "PastWrite",
    "PolicyRow",
    "Rates",
    "ReviewRow",
    "RulingRow",
    "RulingUsed",
    "Situation",
    "SpendRow",
    "Spent",
    "Stopped",
    "Tally",
    "VerdictRow",
    "Written",
    "counting_of",
    "duplicates_counted",
    "exceed",
    "measured",
    "number",
    "same_words",
    "together",
]
