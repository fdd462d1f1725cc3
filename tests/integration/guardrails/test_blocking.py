"""A step that blocks its loop stops nobody else; a thread that outlives its time is awaited."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

import pytest

from handrail import Agent, Fleet, State
from handrail.testing import Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.blocking_flow import ChoreAgent
from tests.agents.blocking_steps import NOT_LONG, SENT, STEPS, Chore
from tests.agents.fleets import ALONE, LEAD, put_policy

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("short_grace")]

BLOCKS = 6.0
"""Seconds: longer than a heartbeat may be late, and than any write of these may take."""


@pytest.fixture(autouse=True)
def nothing_sent() -> Generator[None]:
    SENT.clear()
    yield
    SENT.clear()


def chores(directory: Path) -> Fleet:
    alone = ALONE | {"irreversible": "nothing but a test is changed by it"}
    document = {
        "agent": "chores",
        "version": 1,
        "owner": "boss@example.com",
        "actions": {"put": alone, "put_plain": alone},
        "roles": {"lead": LEAD},
    }
    path = put_policy(directory, document)
    return Fleet(Agent("chores", ChoreAgent, steps=STEPS, policy=path))


async def test_what_others_have_sent_is_finished_beside_a_step_that_blocks(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    """The answers come while their loop stands still, and after their time."""
    async with run_fleet(chores(tmp_path)) as stage:
        given = [Chore(number=str(n), takes=1) for n in range(10)]
        cases = [await stage.start("chores", each) for each in given]
        await eventually(lambda: _all_sent(10))
        blocker = await stage.start("chores", Chore(number="blocker", blocks=BLOCKS))
        for case in [*cases, blocker]:
            assert (await case.outcome()).status is State.DONE
        assert await _attempts(stage) == [1] * 11
    assert len(SENT) == 11


async def test_plain_steps_go_on_beside_a_step_that_blocks(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    """On time: door, ledger, heartbeats and the workflows, too, turn elsewhere."""
    async with run_fleet(chores(tmp_path)) as stage:
        given = [Chore(number=str(n), blocks=2, takes=0.2, plain=True) for n in range(10)]
        cases = [await stage.start("chores", each) for each in given]
        # It blocks this test's loop too: nothing can be begun after it.
        blocker = await stage.start("chores", Chore(number="blocker", blocks=BLOCKS))
        for case in [blocker, *cases]:
            assert (await case.outcome()).status is State.DONE
    sent = {key.partition("/")[0]: at for key, at in SENT}
    assert len(sent) == len(SENT) == 11
    assert all(at < sent["chores:blocker"] for case, at in sent.items() if "blocker" not in case)


async def test_a_thread_that_outlives_the_time_of_its_write_is_awaited(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    takes = 3 * NOT_LONG.total_seconds()
    async with run_fleet(chores(tmp_path)) as stage:
        began = time.monotonic()
        case = await stage.start("chores", Chore(number="1", takes=takes, plain=True))
        assert (await case.outcome()).status is State.DONE
        assert await _attempts(stage) == [1]
    assert len(SENT) == 1
    assert time.monotonic() - began >= takes


async def _all_sent(number: int) -> bool:
    return len(SENT) >= number


async def _attempts(stage: Stage) -> list[int]:
    """The numbers of the attempts of the writes."""
    keys = [key for key, _ in SENT]
    rows = [await stage.ledger.effect(key) for key in keys]
    return [row.attempt if row is not None else 0 for row in rows]
