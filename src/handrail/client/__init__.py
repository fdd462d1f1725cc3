"""Client: what people and programs may ask and order, `from handrail.client import Operator`.

The command line, the inbox, mail and chat translate to it and back, and hold no rule of their
own. `docs/client.md` shows how a program uses it.
"""

from handrail.client.base import AuditReview, Connect, Directory, Signer, Statement
from handrail.client.cases import case_summary, cases_query, outcome_of, why_ended
from handrail.client.gates import case_url, case_view, existing_case, gates_of, is_shown, open_gates
from handrail.client.mandates import Bounds, Term
from handrail.client.operator import Operator
from handrail.client.permissions import Rights, rights
from handrail.client.rulings import amended, ruling_of
from handrail.client.schema import schema
from handrail.client.starts import TASK_TIMEOUT, start_case
from handrail.client.stewards import ensure_stewards, order_became, order_signal, tell_steward
from handrail.client.views import (
    AgentAutonomy,
    AutonomyList,
    CaseDetails,
    CaseList,
    CaseOrder,
    CaseOrderList,
    CaseSummary,
    Document,
    EffectView,
    GateList,
    IncidentList,
    IncidentView,
    LiftResult,
    MandateDetails,
    MandateList,
    MandateView,
    OrderOutcome,
    ReviewDetails,
    ReviewList,
    ReviewView,
    RulingList,
    RulingResult,
    SignedRuling,
    StartedCase,
    StopList,
    StopResult,
    StopView,
    WaitResult,
    iso,
)

__all__ = [
    "TASK_TIMEOUT",
    "AgentAutonomy",
    "AuditReview",
    "AutonomyList",
    "Bounds",
    "CaseDetails",
    "CaseList",
    "CaseOrder",
    "CaseOrderList",
    "CaseSummary",
    "Connect",
    "Directory",
    "Document",
    "EffectView",
    "GateList",
    "IncidentList",
    "IncidentView",
    "LiftResult",
    "MandateDetails",
    "MandateList",
    "MandateView",
    "Operator",
    "OrderOutcome",
    "ReviewDetails",
    "ReviewList",
    "ReviewView",
    "Rights",
    "RulingList",
    "RulingResult",
    "SignedRuling",
    "Signer",
    "StartedCase",
    "Statement",
    "StopList",
    "StopResult",
    "StopView",
    "Term",
    "WaitResult",
    "amended",
    "case_summary",
    "case_url",
    "case_view",
    "cases_query",
    "ensure_stewards",
    "existing_case",
    "gates_of",
    "is_shown",
    "iso",
    "open_gates",
    "order_became",
    "order_signal",
    "outcome_of",
    "rights",
    "ruling_of",
    "schema",
    "start_case",
    "tell_steward",
    "why_ended",
]
