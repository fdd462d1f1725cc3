"""A decide step whose model answers badly: tried as often as it says, paid for, and then asked."""

from __future__ import annotations

import logging
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from handrail import State
from handrail.oversight import GateKind
from handrail.testing import Human, Outside
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import odd
from tests.agents.odd_steps import Odd

pytestmark = pytest.mark.integration

ANA = Human("ana@example.com")
AGO = timedelta(days=1)


@pytest.fixture(autouse=True)
def no_log() -> Generator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("what", ["away", "invalid", "dict", "SystemExit", "UnprintableError"])
async def test_who_cannot_decide_is_tried_three_times_and_then_asks(
    what: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="ponder", what=what))
        gate = await case.gate()
        assert len(outside.calls("model")) == 3
        assert (gate.kind, gate.step) == (GateKind.UNDECIDED, "ponder")
        assert gate.why.startswith("the agent cannot decide: ponder: ")
        assert gate.waiting_for == ("lead",)
        assert gate.deadline is not None
        spent = await stage.ledger.spent("odd", datetime.now(UTC) - AGO)
        assert (spent.tokens, spent.cost) == (300, {"EUR": Decimal("0.03")})
        await ANA.approve(case, gate)
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    assert len(outside.calls("model")) == 4
    assert outcome.usage.cost == Decimal("0.04")


async def test_people_may_give_up_and_the_case_fails_with_its_reason(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="ponder"))
        gate = await case.gate()
        assert any("gives up" in line for line in gate.then)
        await ANA.reject(case, gate, why="no use")
        outcome = await case.outcome()
    assert (outcome.status, outcome.why) == (State.FAILED, "ponder: the model is away")
    assert len(outside.calls("model")) == 3


async def test_it_gives_up_by_itself_when_nobody_answers(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="ponder"))
        await case.gate()
        await case.pass_time(timedelta(hours=9))
        assert (await case.outcome()).status is State.FAILED
    assert len(outside.calls("model")) == 3


@pytest.mark.parametrize("what", ["final", "TypeError", "not retryable", "text"])
async def test_what_is_final_is_not_tried_again_and_paid_for_all_the_same(
    what: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", Odd(number="1", step="ponder", what=what))
        assert (await case.outcome()).status is State.FAILED
        spent = await stage.ledger.spent("odd", datetime.now(UTC) - AGO)
    assert len(outside.calls("model")) == 1
    assert spent.tokens == 100


async def test_a_budget_that_is_used_up_is_no_try(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleet = odd(tmp_path, budgets={"tokens": "150 per day"})
    async with run_fleet(fleet) as stage:
        case = await stage.start("odd", Odd(number="1", step="ponder"))
        await case.until(lambda view: any("2 of 3" in line.text for line in view.log))
        await case.pass_time(timedelta(minutes=10))
        assert await case.gates() == []
    assert len(outside.calls("model")) == 2


async def test_who_cannot_answer_an_approver_says_so_and_asks_nothing(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    held = odd(tmp_path, actions={"make": {"autonomy": "supervised"}})
    async with run_fleet(held) as stage:
        case = await stage.start("odd", Odd(number="1", step="make", what="x"))
        gate = await case.gate()
        await ANA.ask(case, "why?", "agent", gate)
        view = await case.until(lambda view: view.gates[0].asked[0].answer)
        assert (
            view.gates[0].asked[0].answer == "the agent could not answer: ponder: the model is away"
        )
        assert len(view.gates) == 1
    assert len(outside.calls("model")) == 3
