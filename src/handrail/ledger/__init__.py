"""The ledger: what must outlive Temporal's retention, in SQL.

SQLite on one machine, PostgreSQL in a cluster; the same code. Here stands, for every
write ever begun, its intent before the effect and its receipt after it; every proven ruling
as it was signed, and which write used it; and what people allowed in advance, use by use.
"""

from handrail.actions import Duplicates
from handrail.ledger.effects import (
    Begun,
    EffectRow,
    EffectState,
    Intent,
    Outdated,
    Situation,
    Stopped,
)
from handrail.ledger.incidents import IncidentRow
from handrail.ledger.limits import Duplicate, OverLimit
from handrail.ledger.mandates import MandateRow, MandateSpent
from handrail.ledger.orders import FLEET, OrderRow
from handrail.ledger.policies import PolicyRow
from handrail.ledger.reviews import Alone, Answered, AnswerRow, ReviewRow, Tally, Written
from handrail.ledger.rulings import RulingRow, RulingUsed
from handrail.ledger.spending import SpendRow, Spent
from handrail.ledger.store import Ledger
from handrail.ledger.verdicts import VerdictRow

__all__ = [
    "FLEET",
    "Alone",
    "AnswerRow",
    "Answered",
    "Begun",
    "Duplicate",
    "Duplicates",
    "EffectRow",
    "EffectState",
    "IncidentRow",
    "Intent",
    "Ledger",
    "MandateRow",
    "MandateSpent",
    "OrderRow",
    "Outdated",
    "OverLimit",
    "PolicyRow",
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
]
