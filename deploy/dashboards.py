"""Grafana dashboards and Prometheus rules, made of one list of panels and one of rules.

python deploy/dashboards.py   writes deploy/grafana/*.json and deploy/prometheus-rules.yaml
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

HERE = Path(__file__).parent
SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH = 24
"""Columns of a dashboard; a panel is 8 rows high."""

AGENT = 'agent=~"$agent"'


@dataclass(frozen=True)
class Panel:
    """One panel. `exprs`: PromQL by the legend of what it gives. `unit`: as Grafana names it."""

    title: str
    exprs: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    wide: int = 8


@dataclass(frozen=True)
class Rule:
    """One alert. `meaning`: what whoever is called reads, with what to do."""

    name: str
    expr: str
    wait: str
    severity: str
    meaning: str


OLDEST = (
    "(time() - handrail_gate_oldest_timestamp_seconds{{{0}}}) "
    "* (handrail_gate_oldest_timestamp_seconds{{{0}}} > bool 0)"
)
"""Seconds since the oldest open question was asked; 0 without one."""

OPERATORS = (
    Panel("Agents, by state", {"{{agent}} {{state}}": f"handrail_agent_state{{{AGENT}}} > 0"}),
    Panel("Workers", {"{{agent}} {{build}}": f"handrail_workers{{{AGENT}}}"}),
    Panel(
        "Open cases",
        {
            "{{agent}}": f"handrail_cases_open{{{AGENT}}}",
            "{{agent}}, waiting": f"handrail_cases_waiting{{{AGENT}}}",
            "{{agent}}, paused": f"handrail_cases_paused{{{AGENT}}}",
        },
    ),
    Panel(
        "Verdicts a minute",
        {"{{verdict}}": f"60 * sum by (verdict) (rate(handrail_verdicts_total{{{AGENT}}}[5m]))"},
    ),
    Panel(
        "Attempts at writes a minute",
        {"{{effect}}": f"60 * sum by (effect) (rate(handrail_effects_total{{{AGENT}}}[5m]))"},
    ),
    Panel(
        "From the door to the receipt, p50 and p95",
        {
            name: f"histogram_quantile({share}, sum by (le) "
            f"(rate(handrail_write_seconds_bucket{{{AGENT}}}[5m])))"
            for name, share in (("p50", 0.5), ("p95", 0.95))
        },
        unit="s",
    ),
    Panel("Open questions", {"{{agent}}": f"handrail_gates_open{{{AGENT}}}"}),
    Panel("The oldest open question", {"{{agent}}": OLDEST.format(AGENT)}, unit="s"),
    Panel(
        "From a question to its ruling, p50 and p95",
        {
            name: f"histogram_quantile({share}, sum by (le) "
            f"(rate(handrail_ruling_seconds_bucket{{{AGENT}}}[1d])))"
            for name, share in (("p50", 0.5), ("p95", 0.95))
        },
        unit="s",
    ),
    Panel("Open incidents", {"{{agent}}": f"handrail_incidents_open{{{AGENT}}}"}),
    Panel(
        "Incidents an hour, by kind",
        {"{{kind}}": f"sum by (kind) (increase(handrail_incidents_total{{{AGENT}}}[1h]))"},
    ),
    Panel(
        "Errors of steps an hour, by class",
        {"{{kind}}": f"sum by (kind) (increase(handrail_errors_total{{{AGENT}}}[1h]))"},
    ),
    Panel(
        "Workflow tasks that failed",
        {
            "{{task_queue}}": "sum by (task_queue) "
            "(rate(temporal_workflow_task_execution_failed[5m]))"
        },
    ),
)

OWNERS = (
    Panel(
        "Writes today",
        {"": f'round(sum(increase(handrail_effects_total{{{AGENT},effect="written"}}[24h])))'},
        kind="stat",
        wide=6,
    ),
    Panel(
        "Written at once, of all that was judged",
        {
            "": "sum(increase(handrail_verdicts_total"
            f'{{{AGENT},verdict="pass",pilot="false"}}[24h])) / '
            f'sum(increase(handrail_verdicts_total{{{AGENT},pilot="false"}}[24h]))'
        },
        unit="percentunit",
        kind="stat",
        wide=6,
    ),
    Panel(
        "Questions that wait", {"": f"sum(handrail_cases_waiting{{{AGENT}}})"}, "short", "stat", 6
    ),
    Panel("Open incidents", {"": f"sum(handrail_incidents_open{{{AGENT}}})"}, "short", "stat", 6),
    Panel(
        "What models cost today",
        {"{{agent}} {{currency}}": f"handrail_spent_today{{{AGENT}}}"},
        wide=12,
    ),
    Panel(
        "Budgets, how much is used",
        {"{{agent}} {{kind}}, {{budget}}": f"handrail_budget_used_ratio{{{AGENT}}}"},
        unit="percentunit",
        wide=12,
    ),
    Panel(
        "Writes a day",
        {
            "{{agent}}": "round(sum by (agent) "
            f'(increase(handrail_effects_total{{{AGENT},effect="written"}}[1d])))'
        },
        wide=12,
    ),
    Panel(
        "Found wrong afterwards, of those looked at",
        {
            "{{agent}}": "sum by (agent) "
            f'(increase(handrail_reviews_total{{{AGENT},answer="wrong"}}[7d])) / sum by (agent) '
            f'(increase(handrail_reviews_total{{{AGENT},answer!=""}}[7d]))'
        },
        unit="percentunit",
        wide=12,
    ),
    Panel(
        "How much each write does by itself",
        {"{{agent}} {{step}}: {{level}}": f"handrail_write_level{{{AGENT}}} > 0"},
        kind="table",
        wide=12,
    ),
    Panel(
        "Stops, levels and breakers",
        {
            "{{agent}} {{order}}": "sum by (agent, order) "
            f"(increase(handrail_orders_total{{{AGENT}}}[1d]))",
            "{{agent}}, a breaker": "sum by (agent) "
            f"(increase(handrail_breakers_total{{{AGENT}}}[1d]))",
        },
        wide=12,
    ),
)

RULES = (
    Rule(
        "HandrailAgentAway",
        'handrail_agent_state{state="away"} == 1',
        "5m",
        "page",
        "No worker has asked for the work of {{ $labels.agent }} for 5 minutes. Start one, or see "
        "why it does not start: `handrail doctor`.",
    ),
    Rule(
        "HandrailSilent",
        "absent(handrail_cases_open)",
        "5m",
        "page",
        "Nobody says what agents do: the inbox is down, or is not scraped "
        "(HANDRAIL_INBOX_METRICS_PORT).",
    ),
    Rule(
        "HandrailNothingSucceeds",
        "handrail_cases_open > 0 and on (agent) "
        "time() - handrail_last_write_timestamp_seconds > 3600",
        "10m",
        "page",
        "{{ $labels.agent }} has open cases, and nothing was written for an hour: "
        "`handrail cases --stuck`, `handrail stops`.",
    ),
    Rule(
        "HandrailWritesFail",
        'sum by (agent) (rate(handrail_effects_total{effect="failed"}[30m])) '
        "/ sum by (agent) (rate(handrail_effects_total[30m])) > 0.03",
        "5m",
        "page",
        "More than 3 % of what {{ $labels.agent }} writes fails: `handrail incidents --open`.",
    ),
    Rule(
        "HandrailInDoubt",
        'sum by (agent) (increase(handrail_effects_total{effect="in_doubt"}[15m])) > 0',
        "0m",
        "ticket",
        "Nobody knows whether a write of {{ $labels.agent }} happened; people are asked: "
        "`handrail inbox`.",
    ),
    Rule(
        "HandrailQuestionsWait",
        OLDEST.format("") + " > 7200",
        "0m",
        "ticket",
        "A question of {{ $labels.agent }} has waited for two hours: `handrail inbox`.",
    ),
    Rule(
        "HandrailBudgetNearlyUsed",
        "handrail_budget_used_ratio >= 0.8",
        "0m",
        "ticket",
        "Four fifths of {{ $labels.budget }} are used: at all of it {{ $labels.agent }} decides "
        "nothing more until there is room (`budgets:` in its policy).",
    ),
    Rule(
        "HandrailIncidentsOpen",
        "handrail_incidents_open > 0",
        "1h",
        "ticket",
        "Incidents of {{ $labels.agent }} are open for an hour: `handrail incidents --open`.",
    ),
    Rule(
        "HandrailSlow",
        "histogram_quantile(0.95, sum by (agent, le) "
        "(rate(handrail_write_seconds_bucket[15m]))) > 30",
        "15m",
        "ticket",
        "One in twenty writes of {{ $labels.agent }} takes over 30 s: the outside system is slow.",
    ),
)


def dashboard(uid: str, title: str, panels: Sequence[Panel]) -> dict[str, Any]:
    """A dashboard as Grafana imports it: three or four panels in a row."""
    made: list[dict[str, Any]] = []
    x = y = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.wide > WIDTH:
            x, y = 0, y + 8
        made.append(
            {
                "id": number,
                "title": panel.title,
                "type": panel.kind,
                "datasource": SOURCE,
                "gridPos": {"x": x, "y": y, "w": panel.wide, "h": 8},
                "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
                "targets": [
                    {
                        "refId": chr(65 + place),
                        "expr": expr,
                        "legendFormat": legend,
                        "instant": panel.kind != "timeseries",
                        "datasource": SOURCE,
                    }
                    for place, (legend, expr) in enumerate(panel.exprs.items())
                ],
            }
        )
        x += panel.wide
    choose = {
        "name": "agent",
        "type": "query",
        "datasource": SOURCE,
        "query": "label_values(handrail_cases_open, agent)",
        "multi": True,
        "includeAll": True,
        "refresh": 2,
    }
    source = {"name": "source", "type": "datasource", "query": "prometheus"}
    return {
        "uid": uid,
        "title": title,
        "tags": ["handrail"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": [source, choose]},
        "panels": made,
    }


def rules() -> dict[str, Any]:
    """The rules as Prometheus loads them."""
    found = [
        {
            "alert": rule.name,
            "expr": rule.expr,
            "for": rule.wait,
            "labels": {"severity": rule.severity},
            "annotations": {"summary": rule.meaning},
        }
        for rule in RULES
    ]
    return {"groups": [{"name": "handrail", "rules": found}]}


def files() -> dict[Path, str]:
    """Every file, and what it holds."""
    yaml: Any = YAML()
    yaml.width = 4_000
    path = HERE / "prometheus-rules.yaml"
    boards = {
        "operators": ("Handrail: operators", OPERATORS),
        "owners": ("Handrail: owners", OWNERS),
    }
    made = {
        HERE / "grafana" / f"{name}.json": json.dumps(
            dashboard(f"handrail-{name}", title, panels), indent=1
        )
        + "\n"
        for name, (title, panels) in boards.items()
    }
    text = StringIO()
    yaml.dump(rules(), text)
    return {**made, path: text.getvalue()}


if __name__ == "__main__":
    for path, content in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
