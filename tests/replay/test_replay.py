"""Recorded histories of each kind of case: the code of today still does what they did.

`python -m tests.replay.record` plays and records them again; do that only for a change
that is meant to be incompatible.
"""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from pathlib import Path

import pytest

from handrail import Agent, AgentWorkflow, Fleet
from handrail.agent import verbs
from handrail.agent.visibility import PublishedState
from handrail.testing import replay
from tests.agents import orders_steps
from tests.agents.fleets import policy, put_policy
from tests.replay.changed_flow import LooksTwice, TellsFirst
from tests.replay.record import HISTORIES, SHORT_RUN, fleet
from tests.replay.scenes import SCENES, SHORT

pytestmark = pytest.mark.replay

RECORDED = sorted(HISTORIES.glob("*.json"))
SHORT_RUNS = tuple(name for name, (_, _, kind) in SCENES.items() if kind == SHORT)


def test_every_scene_is_recorded_and_nothing_else() -> None:
    recorded = {re.sub(r"-\d+$", "", path.stem) for path in RECORDED}
    assert recorded == set(SCENES)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_the_code_still_does_what_it_did(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path.stem.startswith(SHORT_RUNS):
        monkeypatch.setattr(verbs, "LONG_RUN", SHORT_RUN)
    assert await replay(fleet(tmp_path), path, tmp_path) is None


@pytest.mark.parametrize("name", ["approved", "waiting", "settled"])
async def test_what_began_under_another_id_before_that_was_refused_goes_on(
    name: str, tmp_path: Path
) -> None:
    """As does a case whose key a later release makes in another way."""
    recorded = (HISTORIES / f"{name}.json").read_text(encoding="utf-8")
    other = tmp_path / "other.json"
    other.write_text(re.sub(r'"workflowId":"[^"]+"', '"workflowId":"8f14e45f"', recorded), "utf-8")
    assert await replay(fleet(tmp_path), other, tmp_path) is None


def changed(directory: Path, workflow: type[AgentWorkflow]) -> Fleet:
    path = put_policy(directory, policy())
    return Fleet(Agent("orders", workflow, steps=orders_steps, policy=path))


@pytest.mark.parametrize("workflow", [TellsFirst, LooksTwice])
@pytest.mark.parametrize("name", ["approved", "waiting"])
async def test_a_change_of_an_agent_that_open_cases_cannot_follow_is_caught(
    workflow: type[AgentWorkflow], name: str, tmp_path: Path
) -> None:
    fault = await replay(changed(tmp_path, workflow), HISTORIES / f"{name}.json", tmp_path)
    assert fault is not None
    assert "TMPRL1100" in fault


@pytest.mark.parametrize("name", ["approved", "waiting", "in_doubt_waiting"])
async def test_a_change_of_the_engine_that_open_cases_cannot_follow_is_caught(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object) -> None:
        """Show nothing any more."""

    monkeypatch.setattr(PublishedState, "publish", nothing)
    fault = await replay(fleet(tmp_path), HISTORIES / f"{name}.json", tmp_path)
    assert fault is not None
    assert "TMPRL1100" in fault


async def test_another_deadline_alone_is_no_incompatible_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "HEARTBEAT", timedelta(seconds=30))
    assert await replay(fleet(tmp_path), HISTORIES / "done_alone.json", tmp_path) is None


async def test_a_history_of_an_unknown_agent_is_refused(tmp_path: Path) -> None:
    only_orders = changed(tmp_path, TellsFirst)
    with pytest.raises(ValueError, match="history of `patient`"):
        await replay(only_orders, HISTORIES / "settled.json", tmp_path)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_history_is_small_and_names_no_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) < 60_000
    payloads = re.findall(r'"data":"([^"]*)"', text)
    assert payloads
    words = " ".join([text, *(base64.b64decode(payload).decode() for payload in payloads)])
    assert not re.search(r"/(tmp|root|home|work|var)/|site-packages|\d+@\w", words)
