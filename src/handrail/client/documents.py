"""The JSON Schema of what the client answers."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from handrail.client import (
    agents,
    alerts,
    asking,
    audit,
    baselines,
    explaining,
    gate_lists,
    intake,
    pilot_views,
    reports,
    rollouts,
    views,
)
from handrail.client.views import Document
from handrail.evidence import AgentReport

DOCUMENTS: tuple[type[Document | AgentReport], ...] = (
    AgentReport,
    agents.AgentList,
    agents.WorkerList,
    alerts.AlertList,
    alerts.AlertView,
    asking.AgentAnswer,
    audit.AuditCheck,
    audit.AuditReport,
    views.AutonomyList,
    baselines.BaselineList,
    baselines.BaselineView,
    views.CaseChain,
    views.CaseDetails,
    views.CaseList,
    views.CaseOrderList,
    asking.CaseProgress,
    gate_lists.GateList,
    views.IncidentList,
    views.IncidentView,
    intake.IntakeEntry,
    intake.IntakeList,
    views.LiftResult,
    views.MandateDetails,
    views.MandateList,
    views.MandateView,
    views.OrderOutcome,
    pilot_views.Disagreement,
    pilot_views.OutcomeImport,
    pilot_views.PilotView,
    reports.ReportedCases,
    pilot_views.PromotionDone,
    pilot_views.PromotionList,
    views.ReviewDetails,
    views.ReviewList,
    views.ReviewView,
    rollouts.RolloutList,
    views.RulingList,
    views.RulingResult,
    views.ScheduleList,
    views.ScheduleRuns,
    views.StartedCase,
    views.StopList,
    views.StopResult,
    explaining.VerdictList,
    views.WaitResult,
)
"""What calls answer, for the schema."""


def schema() -> dict[str, Any]:
    """The JSON Schema of every document: `docs/client.schema.json`."""
    _, found = models_json_schema([(each, "serialization") for each in DOCUMENTS])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Handrail's client, version 1",
        "oneOf": [{"$ref": f"#/$defs/{each.__name__}"} for each in DOCUMENTS],
        **found,
    }
