"""The ledger: what must outlive Temporal's retention, in SQL.

SQLite on one machine, PostgreSQL in a cluster; the same code. Here stands, for every
write ever begun, its intent before the effect and its receipt after it.
"""

from handrail.ledger.store import (
    Begun,
    EffectRow,
    EffectState,
    Intent,
    Ledger,
    OverLimit,
)

__all__ = ["Begun", "EffectRow", "EffectState", "Intent", "Ledger", "OverLimit"]
