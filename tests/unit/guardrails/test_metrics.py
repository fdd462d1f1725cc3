"""What a worker counts for Prometheus, by a real scrape."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from handrail.guardrails import metrics
from handrail.testing import free_ports

COUNTED = {
    "handrail_verdicts_total": {"agent", "step", "verdict", "autonomy", "pilot"},
    "handrail_effects_total": {"agent", "step", "effect", "how"},
    "handrail_write_seconds": {"agent", "step", "effect"},
    "handrail_ruling_seconds": {"agent", "step", "how"},
    "handrail_notifications_total": {"agent", "step", "sent"},
    "handrail_incidents_total": {"agent", "step", "kind"},
    "handrail_orders_total": {"agent", "order", "ended"},
    "handrail_errors_total": {"agent", "step", "kind"},
    "handrail_reviews_total": {"agent", "step", "answer"},
    "handrail_breakers_total": {"agent", "breaker", "then"},
}
"""Names and labels that others ask for."""

EVENTS = ("verdict", "effect", "told", "order", "incident", "error", "review", "breaker")


@pytest.fixture
def scraped() -> Iterator[Any]:
    (port,) = free_ports()[:1]
    config = PrometheusConfig(bind_address=f"127.0.0.1:{port}")
    runtime = Runtime(telemetry=TelemetryConfig(metrics=config))
    metrics.count_by(runtime.metric_meter)

    def scrape() -> list[tuple[str, dict[str, str], float]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        found = re.findall(r"^(handrail_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE)
        return [(name, _labels(labels), float(value)) for name, labels, value in found]

    yield scrape
    metrics.count_by(None)


def _labels(text: str) -> dict[str, str]:
    return {k: v for k, v in re.findall(r'(\w+)="([^"]*)"', text) if k != "service_name"}


def test_each_line_is_counted_by_names_that_are_promises(scraped: Any) -> None:
    line = {"agent": "payments", "step": "pay", "effect": "written", "duration_ms": 20, "why": "x"}
    for event in EVENTS:
        metrics.count(event, line)
        metrics.count(event, line)
    metrics.count_ruling("payments", "pay", "approved", 40)
    found = {re.sub("_(bucket|sum|count)$", "", name): labels for name, labels, _ in scraped()}
    assert {name: set(labels) - {"le"} for name, labels in found.items()} == COUNTED
    counts = {name: number for name, _, number in scraped() if name.endswith("_total")}
    assert set(counts.values()) == {2}
    assert ("handrail_ruling_seconds_sum", 40) in {(name, n) for name, _, n in scraped()}
    assert ("handrail_write_seconds_sum", 0.04) in {(name, n) for name, _, n in scraped()}


def test_what_makes_no_label_counts_nothing_and_raises_nothing(scraped: Any) -> None:
    metrics.count("effect", {"agent": "\ud800"})
    metrics.count("verdict", {"agent": None, "pilot": True})
    ((name, labels, _),) = scraped()
    assert (name, labels["agent"], labels["pilot"]) == ("handrail_verdicts_total", "", "true")
