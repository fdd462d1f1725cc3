"""The ledger: what must outlive Temporal's retention, in SQL.

SQLite on one machine, PostgreSQL in a cluster; the same code. Here stands, for every
write ever begun, its intent before the effect and its receipt after it; every proven ruling
as it was signed, and which write used it; and what people allowed in advance, use by use.
"""

from handrail.ledger.effects import (
    Begun,
    EffectRow,
    EffectState,
    Intent,
    OverLimit,
)
from handrail.ledger.incidents import IncidentRow
from handrail.ledger.mandates import MandateRow, MandateSpent
from handrail.ledger.orders import FLEET, OrderRow
from handrail.ledger.reviews import Alone, Answered, AnswerRow, ReviewRow, Tally, Written
from handrail.ledger.rulings import RulingRow, RulingUsed
from handrail.ledger.store import Ledger
from handrail.ledger.verdicts import VerdictRow

__all__ = [
    "FLEET",
    "Alone",
    "AnswerRow",
    "Answered",
    "Begun",
    "EffectRow",
    "EffectState",
    "IncidentRow",
    "Intent",
    "Ledger",
    "MandateRow",
    "MandateSpent",
    "OrderRow",
    "OverLimit",
    "ReviewRow",
    "RulingRow",
    "RulingUsed",
    "Tally",
    "VerdictRow",
    "Written",
]
