"""What a worker says of every verdict and effect: on stderr, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handrail.runtime import EmbeddedServer
from tests.integration.cli.cli_tools import Project, at_work, until

pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path, handrail_server: EmbeddedServer) -> Iterator[Project]:
    with at_work(tmp_path / "project", handrail_server, HANDRAIL_LOG_FORMAT="json") as working:
        yield working


def lines(project: Project, event: str) -> list[dict[str, Any]]:
    said = [line for line in project.said("worker").splitlines() if line.startswith("{")]
    return [line for line in map(json.loads, said) if line.get("event") == event]


def test_a_worker_says_what_its_door_says_and_does_and_names_nobody(project: Project) -> None:
    project.start("1", 5_000, "for ana@example.com", code=3)
    project.start("2", 50, "for ana@example.com, token=abc123")
    until(lambda: lines(project, "told"))
    refused, paid = lines(project, "verdict")
    assert refused | {
        "verdict": "refuse",
        "case": "pay:1",
        "why": "too much: amount 5000 > 1000",
    } == (refused)
    assert refused["key"] == ""  # it was refused when it was decided: no write began
    assert paid | {"verdict": "pass", "case": "pay:2", "key": "pay:2/pay/1", "attempt": 1} == paid
    assert [line["effect"] for line in lines(project, "effect")] == ["written"]
    assert [line["sent"] for line in lines(project, "told")] == [True]
    assert refused["action"]["text"] == paid["action"]["text"].partition(",")[0]
    assert paid["action"]["text"].endswith("token=<secret>")
    said = project.said("worker")
    assert "ana@example.com" not in said
    assert "abc123" not in said
    # Whoever has the key of this machine can tell that both lines are of the same person.
    assert (project.directory / ".handrail" / "keys" / "pseudonyms").stat().st_mode & 0o077 == 0
