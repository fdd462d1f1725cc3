"""What was never done does not end as done, and an action is written by its own step."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail import State
from handrail.testing import eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.careless_flow import OTHERS
from tests.agents.careless_steps import DONE, Ask
from tests.agents.fleets import careless

pytestmark = pytest.mark.integration


async def test_what_nobody_awaits_and_what_is_called_past_the_case_fails_it(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    DONE.clear()
    wanted = {
        "not awaited": "`self.write(pay)` was never awaited",
        "assigned": "`self.write(pay)` was never awaited",
        "gathered": "`self.write(pay)` was begun, and nobody waited",
        "task": "`self.write(pay)` was begun, and nobody waited",
        "called": "use `await self.read(look, ...)`",
        "wrong argument": "look: its argument `number` was given a Ask, and cannot be read from it",
        "sneaked": "it decided on PayMore, and is declared to decide on Pay",
    }
    async with run_fleet(careless(tmp_path)) as stage:
        for number, (what, says) in enumerate(wanted.items()):
            case = await stage.start("careless", Ask(number=f"slow-{number}", what=what))
            outcome = await case.outcome()
            assert outcome.status is State.FAILED, what
            assert says in outcome.why, what
            # A query replays the case, and calls nothing either.
            assert (await case.view()).state is State.FAILED
    assert "look" not in {step for step, _ in DONE}


async def test_an_action_of_another_class_is_not_written(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    DONE.clear()
    async with run_fleet(careless(tmp_path)) as stage:
        for number, what in enumerate([*OTHERS, "in place"]):
            case = await stage.start("careless", Ask(number=str(number), what=what))
            outcome = await case.outcome()
            assert (outcome.status, outcome.receipts) == (State.REFUSED, ()), what
            assert outcome.why.startswith("pay"), outcome.why
            assert "it takes Pay, and was given " in outcome.why
        assert DONE == []
        case = await stage.start("careless", Ask(number="own", what="own"))
        assert (await case.outcome()).status is State.DONE
    assert [account for _, account in DONE] == ["own"]


@pytest.mark.parametrize("what", ["refused unseen", "refused deep", "refused in a group"])
async def test_a_write_that_was_refused_in_a_task_nobody_looked_at_does_not_end_as_done(
    what: str, run_fleet: RunFleet, tmp_path: Path
) -> None:
    DONE.clear()
    async with run_fleet(careless(tmp_path)) as stage:
        case = await stage.start("careless", Ask(number="1", what=what))
        outcome = await case.outcome()
        assert (outcome.status, outcome.receipts) == (State.REFUSED, ())
        assert "it takes Pay, and was given " in outcome.why
        # Who looks at it, and goes on, knows what they do.
        case = await stage.start("careless", Ask(number="2", what="refused and seen"))
        assert (await case.outcome()).status is State.DONE
    assert DONE == []


async def test_workflow_code_that_exits_ends_no_worker(run_fleet: RunFleet, tmp_path: Path) -> None:
    DONE.clear()
    async with run_fleet(careless(tmp_path)) as stage:
        bad = await stage.start("careless", Ask(number="bad", what="exits"))

        async def failed() -> str:
            history = await bad.handle.fetch_history()
            tasks = [each.workflow_task_failed_event_attributes for each in history.events]
            return "".join(each.failure.message for each in tasks)

        assert "the workflow's code raised SystemExit" in await eventually(failed)
        good = await stage.start("careless", Ask(number="good", what="own"))
        assert (await good.outcome()).status is State.DONE
        await bad.handle.terminate()
    assert [account for _, account in DONE] == ["good"]
