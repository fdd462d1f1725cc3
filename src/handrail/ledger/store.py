"""The ledger as one: every kind of row that Handrail keeps, in one database."""

from __future__ import annotations

from handrail.ledger.effects import Effects
from handrail.ledger.history import History
from handrail.ledger.incidents import Incidents
from handrail.ledger.mandates import Mandates
from handrail.ledger.orders import Orders
from handrail.ledger.policies import Policies
from handrail.ledger.reviews import Reviews
from handrail.ledger.rulings import Rulings
from handrail.ledger.spending import Spending
from handrail.ledger.verdicts import Verdicts


class Ledger(
    Effects, Rulings, Mandates, Verdicts, Orders, Reviews, Incidents, History, Policies, Spending
):
    """The SQL store. Open it with `async with Ledger(url) as ledger`.

    SQLite on one machine (`sqlite:///path`), PostgreSQL in a cluster
    (`postgresql+psycopg://…`); the same code.
    """
