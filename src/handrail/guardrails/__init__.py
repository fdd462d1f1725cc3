"""Guardrails: the code around a write, in the worker that makes it: the door."""

from typing import TYPE_CHECKING

from handrail.faces import on_demand

if TYPE_CHECKING:
    from handrail.guardrails.anomaly.watch import AnomalyDetector, Pattern
    from handrail.guardrails.audit import order as audit_order
    from handrail.guardrails.audit import review as audit_review
    from handrail.guardrails.audit import write_by as audit_write_by
    from handrail.guardrails.breakers import (
        alert_owner,
        budget_spendings,
        budgets_nearly_used,
        budgets_used,
        stuck_alert,
    )
    from handrail.guardrails.current import current_effect, effect_as_current
    from handrail.guardrails.data_checks import Check, check
    from handrail.guardrails.door import Door
    from handrail.guardrails.handoffs import hand_off_activity
    from handrail.guardrails.ledger_watch import LedgerMismatch
    from handrail.guardrails.machine import allow_skipped_time, server_time
    from handrail.guardrails.metrics import BUCKETS as METRIC_BUCKETS
    from handrail.guardrails.metrics import count as count_metric
    from handrail.guardrails.metrics import count_by as count_metrics_by
    from handrail.guardrails.metrics import count_ruling
    from handrail.guardrails.received import ForeseenWrite, foreseen
    from handrail.guardrails.redaction import Masker, masker, pseudonym_key, use_masker
else:
    __getattr__ = on_demand(__name__)

__all__ = [
    "METRIC_BUCKETS",
    "AnomalyDetector",
    "Check",
    "Door",
    "ForeseenWrite",
    "LedgerMismatch",
    "Masker",
    "Pattern",
    "alert_owner",
    "allow_skipped_time",
    "audit_order",
    "audit_review",
    "audit_write_by",
    "budget_spendings",
    "budgets_nearly_used",
    "budgets_used",
    "check",
    "count_metric",
    "count_metrics_by",
    "count_ruling",
    "current_effect",
    "effect_as_current",
    "foreseen",
    "hand_off_activity",
    "masker",
    "pseudonym_key",
    "server_time",
    "stuck_alert",
    "use_masker",
]
