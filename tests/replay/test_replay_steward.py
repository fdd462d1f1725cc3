"""A steward lives as long as its agent: the code of today still does what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from handrail.oversight import steward_id
from handrail.runtime.steward import AutonomyWorkflow
from tests.replay.bursts import with_signals
from tests.replay.stewards import HISTORIES, fleet

pytestmark = pytest.mark.replay


TURNED = HISTORIES / "turned.json"
FLOODED = HISTORIES / "flooded.json"
CROWDED = HISTORIES / "crowded.json"
"""Of a time when every order was entered that came, however many."""
BEGUN_BY_A_STOP = HISTORIES / "begun_by_a_stop.json"
"""Of a time when the order that began a steward was entered twice: such stewards live on."""

LIVES = (TURNED, FLOODED, CROWDED, BEGUN_BY_A_STOP)


async def replayed(
    directory: Path, recorded: Path = TURNED, signals: Iterable[tuple[str, Any]] = ()
) -> Exception | None:
    """Why it does not do what it did. `signals`: come then, all at once."""
    text = await asyncio.to_thread(recorded.read_text, encoding="utf-8")
    signals = list(signals)
    text = with_signals(text, signals)
    replayer = Replayer(
        workflows=[AutonomyWorkflow],
        plugins=[fleet(directory).plugin(directory)],
        debug_mode=bool(signals),  # or a busy machine breaks it off: test_bursts.py has its CPU
    )
    history = WorkflowHistory.from_json(steward_id("orders"), text)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return result.replay_failure


@pytest.mark.parametrize(
    "recorded", [TURNED, FLOODED, CROWDED, BEGUN_BY_A_STOP], ids=lambda path: path.stem
)
async def test_a_steward_does_what_it_did(tmp_path: Path, recorded: Path) -> None:
    assert await replayed(tmp_path, recorded) is None


TARGETS: tuple[dict[str, Any], ...] = (
    {},
    {"step": "pay"},
    {"step": "nothing"},
    {"proof": "a.b.c"},
    {"id": "0" * 32},
)
FLOODS: dict[str, Callable[[int], tuple[str, Any]]] = {
    "of the same": lambda n: ("stop", {"by": "x@example.com", "why": "y" * 900}),
    "of made-up writes": lambda n: ("stop", {"step": f"nothing{n}", "why": "y" * 5_000}),
    "of cases": lambda n: ("stop", {"case": f"orders:{n}", "why": "y" * 900}),
    "that claim a proof": lambda n: ("stop", {"by": "x@example.com", "proof": "a.b.c"}),
    "of all kinds": lambda n: ("stop", TARGETS[n % len(TARGETS)]),
    "to do more": lambda n: ("level", {"by": "x@example.com", "level": "full"}),
    "to lift": lambda n: ("lift", {"by": "x@example.com", "lifts": f"{n:032x}"}),
    "of a second person": lambda n: ("second", {"by": "x@example.com", "id": f"{n:032x}"}),
    "that nobody knows": lambda n: ("nothing", {"n": n}),
    "of no JSON object": lambda n: ("lift", [[n]]),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_burst_of_signals_does_not_wedge_it(tmp_path: Path, flood: str) -> None:
    # Ten times as many take ten times as long, and the workflow task of a burst may take 2 s.
    signals = [FLOODS[flood](n) for n in range(1_000)]
    assert await replayed(tmp_path, signals=signals) is None


async def test_one_that_does_something_else_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handrail.runtime.steward.LOOK_AT_AUTONOMY", "handrail.other")
    fault = await replayed(tmp_path)
    assert fault is not None
    assert "TMPRL1100" in str(fault)
