"""The operator: what people and programs may ask and order, in one place."""

from __future__ import annotations

from handrail.client.agents import AgentActs
from handrail.client.alerts import AlertActs
from handrail.client.asking import AskActs
from handrail.client.audit import AuditActs
from handrail.client.baselines import BaselineActs
from handrail.client.chains import ChainActs
from handrail.client.explaining import ExplainActs
from handrail.client.intake import IntakeActs
from handrail.client.promotions import PromotionActs
from handrail.client.reports import ReportActs
from handrail.client.reviews import ReviewActs
from handrail.client.rollouts import RolloutActs
from handrail.client.rulings import RulingActs
from handrail.client.schedules import ScheduleActs


class Operator(
    PromotionActs,
    RulingActs,
    ReviewActs,
    ScheduleActs,
    ChainActs,
    IntakeActs,
    AskActs,
    AgentActs,
    BaselineActs,
    ExplainActs,
    AuditActs,
    RolloutActs,
    AlertActs,
    ReportActs,
):
    """One person, or one program, at work on agents and their cases.

        operator = Operator(client, ledger, key)
        gate = (await operator.gates(person="ana@example.com")).gates[0]
        await operator.approve(gate, "the customer is important")

    Every answer is a document (`handrail.client.views`) whose JSON is that of `--json`. What
    cannot be done raises a `RequestError` (`handrail.exceptions`) before anything is sent; the
    case, the steward and the door judge all of it again.

    Note: it opens and closes nothing. `handrail.runtime.operator` makes one from the
    settings, with a client and a ledger of its own.
    """
