"""The ledger as one: every kind of row that Handrail keeps, in one database."""

from __future__ import annotations

from handrail.ledger.alerts import Alerts
from handrail.ledger.comparisons import Comparisons
from handrail.ledger.effects import Effects
from handrail.ledger.erasure import Erasure
from handrail.ledger.evidence_queries import EvidenceQueries
from handrail.ledger.figures import Figures
from handrail.ledger.history import History
from handrail.ledger.intake import Intake
from handrail.ledger.orders import Orders
from handrail.ledger.outcomes import Outcomes
from handrail.ledger.records import Records
from handrail.ledger.reviews import Incidents, Reviews
from handrail.ledger.rulings import Mandates, Rulings
from handrail.ledger.verdicts import Policies, Spending, Verdicts


class Ledger(
    Effects,
    Rulings,
    Mandates,
    Verdicts,
    Orders,
    Reviews,
    Incidents,
    History,
    Policies,
    Spending,
    Intake,
    Records,
    Outcomes,
    Comparisons,
    Alerts,
    Figures,
    EvidenceQueries,
    Erasure,
):
    """The SQL store. Open it with `async with Ledger(url) as ledger`.

    SQLite on one machine (`sqlite:///path`), PostgreSQL in a cluster
    (`postgresql+psycopg://…`); the same code.
    """
