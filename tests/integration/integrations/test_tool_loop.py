"""An agent whose model calls tools: each call a step, each write through the door, none lost."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from handrail import State, Untrusted
from handrail.oversight import GateKind
from handrail.testing import Crash, Human, Outside, crashing_worker
from handrail.testing.fixtures import RunFleet
from tests.agents.clerk_steps import Mail
from tests.agents.fleets import clerk

pytestmark = pytest.mark.integration

ANA = Human("ana@example.com")
END = ["nothing_to_do", {"rationale": "All is done."}]


def look(number: str) -> list[Any]:
    return ["order_of", {"number": number}]


def refund(order: str, amount: str) -> list[Any]:
    return ["refund", {"order": order, "amount": amount}]


def mail(number: str, *answers: Any, customer: str = "c1") -> Mail:
    return Mail(number=number, customer=customer, body=Untrusted(untrusted=json.dumps(answers)))


@pytest.fixture(autouse=True)
def no_log() -> Generator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def test_a_model_looks_writes_and_comes_to_an_end(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    both = [look("o1"), look("o9")]
    wrong = ["refund", {"order": "o1", "amount": "-30"}]
    said = mail("1", both, wrong, refund("o1", "30"), END)
    async with run_fleet(clerk(tmp_path, "helper")) as stage:
        case = await stage.start("helper", said)
        outcome = await case.outcome()
        view = await case.view()
    assert (outcome.status, outcome.why) == (State.DONE, "All is done.")
    assert len(outside.effects("refund")) == 1
    assert outcome.usage.input_tokens == 400  # four requests, one of them about a bad argument
    calls = [call.body for call in outside.calls("model")]
    assert "there is no order o9" in calls[1]
    assert "greater than 0" in calls[2]
    assert "content='refund-" in calls[3]
    shown = [line.text for line in view.log]
    assert any("order_of({'number': 'o1'" in line for line in shown)
    assert any("refund(" in line and "-> refund-" in line for line in shown)


async def test_what_the_door_and_people_say_goes_back_to_the_model(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    refuse = {"refuse": [{"when": "action.amount > 40", "why": "too much"}]}
    fleet = clerk(tmp_path, "helper", actions={"refund": {"autonomy": "full", **refuse}})
    looks = [look("o1"), look("o2")]
    said = mail("1", looks, refund("o2", "45"), refund("o1", "31"), refund("o1", "30"), END)
    async with run_fleet(fleet) as stage:
        case = await stage.start("helper", said)
        gate = await case.gate()
        # It was in no order that was read: an obedient model made it up, or was told to.
        assert "action.amount" in gate.why
        await ANA.reject(case, gate, why="not that")
        outcome = await case.outcome()
    assert outcome.status is State.DONE
    calls = [call.body for call in outside.calls("model")]
    assert "Refused: " in calls[2]
    assert "too much" in calls[2]
    assert "Rejected: " in calls[3]
    assert "not that" in calls[3]
    assert outside.effects("refund") != []
    assert len(outside.effects("refund")) == 1


async def test_a_model_is_told_what_people_had_done_in_place_of_what_it_wanted(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(clerk(tmp_path, "helper")) as stage:
        case = await stage.start("helper", mail("1", look("o1"), refund("o1", "31"), END))
        await ANA.amend(case, {"amount": "30"}, await case.gate())
        assert (await case.outcome()).status is State.DONE
    said = str(outside.calls("model")[2].body)
    assert "amended_by_people_to" in said
    assert "'amount': '30'" in said


async def test_a_loop_in_pilot_ends_with_what_it_would_have_written(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    levels = {name: {"autonomy": "pilot"} for name in ("refund", "unpay", "post_letter")}
    async with run_fleet(clerk(tmp_path, "helper", actions=levels)) as stage:
        said = mail("1", look("o1"), refund("o1", "30"), refund("o1", "31"), END)
        case = await stage.start("helper", said)
        outcome = await case.outcome()
        rows = await stage.ledger.verdicts("helper", pilot=True)
    assert outcome.receipts == ()
    assert [row.action["amount"] for row in rows] == ["30"]
    assert len(outside.calls("model")) == 2
    assert outside.effects("refund") == []


async def test_a_loop_without_end_asks_people_and_ends_refused(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    said = mail("1", *[look("o1")] * 9, customer="ditherer")
    async with run_fleet(clerk(tmp_path, "helper")) as stage:
        case = await stage.start("helper", said)
        gate = await case.gate()
        assert (gate.kind, len(outside.calls("model"))) == (GateKind.UNDECIDED, 2)
        assert "end in 2 rounds" in gate.why
        await ANA.approve(case, gate)
        again = await case.gate(but=gate)
        assert len(outside.calls("model")) == 4
        await ANA.reject(case, again, why="enough")
        outcome = await case.outcome()
    assert outcome.status is State.REFUSED
    assert "2 rounds" in outcome.why


BOUNDARIES = [
    "decide:before",
    "decide:after",
    "decide:foreseen",
    "read:before",
    "read:after",
    "write:arrived",
    "write:answering",
]


async def test_a_loop_survives_kills_at_every_boundary_and_pays_for_no_answer_twice(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    rounds = [look("o1"), refund("o1", "30"), look("o2"), refund("o2", "45"), END]
    async with run_fleet(clerk(tmp_path, "helper"), workers=False) as stage:
        crashes = [Crash(boundary=each) for each in BOUNDARIES]
        async with crashing_worker(
            stage, "tests.agents.fleets:helper_in", *crashes, arguments=[str(tmp_path)]
        ) as worker:
            case = await stage.start("helper", mail("1", *rounds))
            for _ in BOUNDARIES:
                await worker.crashed()
                await worker.restart()
            outcome = await case.outcome()
            history = await case.handle.fetch_history()
    assert outcome.status is State.DONE
    assert len(outside.effects("refund")) == 2
    assert [each for each in outside.doubled() if each[0] == "refund"] == []
    # An answer that was on its way when its worker died was in no history: two of them were not
    # recorded, and asked for again. None is that was recorded: each was asked for by an attempt of
    # its own, of which a busy machine may need more, when a worker is silent for too long.
    decided = [
        event.event_id
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "help_customer"
    ]
    attempts = [
        event.activity_task_started_event_attributes.attempt
        for event in history.events
        if event.activity_task_started_event_attributes.scheduled_event_id in decided
    ]
    # Three deaths in a row are one try that failed, after which another is begun.
    failed = [
        event
        for event in history.events
        if event.activity_task_failed_event_attributes.scheduled_event_id in decided
    ]
    asked = [call.key for call in outside.calls("model")]
    assert sorted(set(asked)) == [f"1/{n}" for n in range(len(rounds))]
    assert len(failed) <= 1
    assert len(attempts) == len(rounds) + len(failed)
    assert len(rounds) + 2 <= len(asked) <= sum(attempts)


async def test_a_history_grows_with_what_is_new_and_not_with_all_that_was_said(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(clerk(tmp_path, "helper")) as stage:
        sizes: list[int] = []
        for number, rounds in (("1", 5), ("2", 10), ("3", 20)):
            case = await stage.start("helper", mail(number, *[look("o1")] * rounds, END))
            assert (await case.outcome()).status is State.DONE
            described = await case.handle.describe()
            sizes.append(described.raw_description.workflow_execution_info.history_size_bytes)
    first, second = sizes[1] - sizes[0], sizes[2] - sizes[1]
    assert second < 2 * first * 1.3  # twice as many rounds, twice as much: 10 more, and 5 more
    assert sizes[2] < 200_000
