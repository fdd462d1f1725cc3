"""Dashboards and rules ask for what is there: metrics that the manual promises."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.unit.guardrails.test_metrics import COUNTED
from tests.unit.inbox.test_gauges import PROMISED

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus-rules.yaml"
OTHERS = {"temporal_workflow_task_execution_failed": {"task_queue"}}
"""Metrics of Temporal's own that are asked for."""


def dashboards() -> ModuleType:
    path = ROOT / "deploy" / "dashboards.py"
    spec = importlib.util.spec_from_file_location("dashboards", path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found  # its dataclasses look there
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def made() -> Any:
    return dashboards()


def promised() -> dict[str, set[str]]:
    """Metrics by name, with their labels, as the manual has them."""
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    section = page.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`handrail_[^|]+) \| ([^|]+) \|", section, re.MULTILINE)
    return {
        name: set(re.findall(r"`(\w+)`", labels))
        for names, labels in rows
        for name in re.findall(r"`(\w+)`", names)
    }


def test_the_manual_has_every_metric_with_its_labels() -> None:
    assert promised() == COUNTED | PROMISED


def test_what_is_committed_is_what_the_script_makes(made: Any) -> None:
    for path, content in made.files().items():
        assert path.read_text(encoding="utf-8") == content, "python deploy/dashboards.py"


def test_they_ask_for_nothing_that_is_not_promised(made: Any) -> None:
    known = promised() | OTHERS
    panels = (*made.OPERATORS, *made.OWNERS)
    asked = [(panel.title, expr) for panel in panels for expr in panel.exprs.values()]
    asked += [(rule.name, rule.expr) for rule in made.RULES]
    for where, expr in asked:
        names = set(re.findall(r"\b((?:handrail|temporal)_\w+?)(?:_bucket)?\b(?=[\[{) ]|$)", expr))
        assert names, where
        assert names <= set(known), (where, names - set(known))
        labels = set(re.findall(r"(\w+)(?:=~|!=|=)\"", expr))
        labels |= {each for by in re.findall(r"by \(([^)]*)\)", expr) for each in by.split(", ")}
        allowed = set[str]().union(*(known[name] for name in names), {"le"})
        assert labels <= allowed, (where, labels - allowed)


def test_prometheus_takes_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here: apt-get install prometheus")
    done = subprocess.run(
        [promtool, "check", "rules", RULES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
