"""What the inbox shows Prometheus of all agents."""

from __future__ import annotations

import re
import urllib.request
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from handrail.client import AgentList, AgentStatus, BudgetView, WorkerView
from handrail.inbox.web.gauges import Gauges
from handrail.testing import free_ports

NOW = datetime(2026, 3, 1, tzinfo=UTC)

PROMISED = {
    "handrail_agent_state": {"agent", "state"},
    "handrail_cases_open": {"agent"},
    "handrail_cases_waiting": {"agent"},
    "handrail_cases_paused": {"agent"},
    "handrail_incidents_open": {"agent"},
    "handrail_gates_open": {"agent"},
    "handrail_gate_oldest_timestamp_seconds": {"agent"},
    "handrail_policy_info": {"agent", "version"},
    "handrail_spent_today": {"agent", "currency"},
    "handrail_budget_used_ratio": {"agent", "kind", "budget"},
    "handrail_workers": {"agent", "build"},
    "handrail_write_level": {"agent", "step", "level"},
    "handrail_last_write_timestamp_seconds": {"agent"},
}
"""Names and labels that others ask for, and that a scrape has."""


def status(**changed: Any) -> AgentStatus:
    workers = tuple(WorkerView(identity=w, build="b1", seen=NOW) for w in ("one", "two"))
    given: dict[str, Any] = {
        "agent": "payments",
        "state": "working",
        "levels": {"pay": "full"},
        "workers": workers,
        "open": 7,
        "waiting": 2,
        "paused": 0,
        "incidents": 3,
        "last_write": NOW,
        "questions": 2,
        "oldest": NOW,
        "policy": 4,
        "spent": {"EUR": Decimal("0.25")},
        "budgets": [BudgetView(kind="cost", budget="50 EUR per day", used=Decimal("0.005"))],
    }
    return AgentStatus(**{**given, **changed})


@pytest.fixture(scope="module")
def shown() -> Any:
    """What a real scrape gives of handrail's own, by name and labels."""
    (port,) = free_ports()[:1]
    metrics = PrometheusConfig(bind_address=f"127.0.0.1:{port}")
    runtime = Runtime(telemetry=TelemetryConfig(metrics=metrics))
    gauges = Gauges(runtime.metric_meter)

    def show(*agents: AgentStatus, of: Runtime = runtime) -> dict[tuple[str, str], float]:
        assert of, "it shows nothing once it is gone"
        gauges.show(AgentList(agents=agents))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        lines = re.findall(r"^(handrail_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE)
        return {(name, _labels(labels)): float(value) for name, labels, value in lines}

    return show


def _labels(text: str) -> str:
    found = dict(re.findall(r'(\w+)="([^"]*)"', text))
    found.pop("service_name", None)
    return " ".join(f"{k}={v}" for k, v in sorted(found.items()))


def test_all_of_an_agent_is_shown_by_names_that_are_promises(shown: Any) -> None:
    found = shown(status())
    assert {name: set(re.findall(r"(\w+)=", labels)) for name, labels in found} == PROMISED
    assert found == {
        ("handrail_agent_state", "agent=payments state=working"): 1,
        ("handrail_cases_open", "agent=payments"): 7,
        ("handrail_cases_waiting", "agent=payments"): 2,
        ("handrail_cases_paused", "agent=payments"): 0,
        ("handrail_incidents_open", "agent=payments"): 3,
        ("handrail_gates_open", "agent=payments"): 2,
        ("handrail_gate_oldest_timestamp_seconds", "agent=payments"): NOW.timestamp(),
        ("handrail_policy_info", "agent=payments version=4"): 1,
        ("handrail_spent_today", "agent=payments currency=EUR"): 0.25,
        ("handrail_budget_used_ratio", "agent=payments budget=50 EUR per day kind=cost"): 0.005,
        ("handrail_workers", "agent=payments build=b1"): 2,
        ("handrail_write_level", "agent=payments level=full step=pay"): 1,
        ("handrail_last_write_timestamp_seconds", "agent=payments"): NOW.timestamp(),
    }


def test_what_is_over_goes_to_nothing(shown: Any) -> None:
    shown(status())
    found = shown(status(state="stopped", levels={"pay": "stop"}, workers=()))
    assert found["handrail_agent_state", "agent=payments state=working"] == 0
    assert found["handrail_agent_state", "agent=payments state=stopped"] == 1
    assert found["handrail_write_level", "agent=payments level=full step=pay"] == 0
    assert found["handrail_workers", "agent=payments build=b1"] == 0
