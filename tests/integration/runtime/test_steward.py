"""The steward of an agent, on the real server: what it takes, refuses, keeps and shows."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.worker import Replayer

from handrail import State
from handrail.actions import LedgerMark, Level
from handrail.agent import PROBLEM_ATTRIBUTE
from handrail.client import Operator
from handrail.client import stewards as autonomy
from handrail.ledger import FLEET
from handrail.oversight import (
    ORDER_STATEMENT,
    AutonomyView,
    Change,
    Keyring,
    OrderBook,
    OrderState,
    SigningKey,
    Target,
    Trust,
    ledger_order,
    level_order,
    lift_order,
    order_row,
    steward_id,
    stop_order,
)
from handrail.oversight import Order as Command
from handrail.runtime import steward, steward_activities
from handrail.runtime.steward_activities import AutonomyActivities
from handrail.testing import Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders, policy, put_policy
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration

OWNER, ANA, EVE = (f"{name}@example.com" for name in ("boss", "ana", "eve"))
NOW = datetime.now(UTC)
KEYS = {who: SigningKey.new(who, NOW - timedelta(days=1)) for who in (OWNER, ANA, EVE)}
SUPERVISED = policy(
    proof="required",
    actions={"pay": {"autonomy": "supervised"}},
    control={"people": [OWNER, ANA], "two": ["full"]},
)
PAY = Target("orders", step="pay")


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    keyring = Keyring(tmp_path / "trusted.json")
    for key in KEYS.values():
        keyring.trust(key.public())
    return Trust(keyring=keyring, proof="required")


def now() -> datetime:
    return datetime.now(UTC)


async def send(stage: Stage, order: Command, *, signed: bool = True) -> Change:
    """Give an order to the steward, and say what became of it."""
    proof = ORDER_STATEMENT.sign(order, KEYS[order.by], now()) if signed else None
    await autonomy.tell_steward(
        stage.client, "orders", order.kind, autonomy.order_signal(order, proof)
    )
    return await judged(stage, order.id)


async def judged(stage: Stage, order_id: str, *, said_by: int = 1) -> Change:
    patience = timedelta(seconds=60)
    change = await autonomy.order_became(
        stage.client, "orders", order_id, said_by=said_by, patience=patience
    )
    assert change is not None
    return change


async def known(stage: Stage) -> OrderBook:
    async def look() -> OrderBook | None:
        book = await autonomy.steward_book(stage.client, "orders")
        return book if book is not None and book.picture is not None else None

    return await eventually(look)


async def signal(stage: Stage, name: str, *args: Any) -> None:
    handle = stage.client.get_workflow_handle(steward_id("orders"))
    await handle.signal(name, args=args)


async def test_a_stop_by_signal_parks_a_case_and_its_lifting_lets_it_go_on(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    async with run_fleet(orders(tmp_path, policy(proof="required")), trust=trust) as stage:
        await autonomy.tell_steward(
            stage.client, "orders", "stop", {"by": EVE, "why": "it went mad"}
        )
        book = await eventually(lambda: _stopped(stage))
        halted = book.picture.stops[0]
        case = await stage.start("orders", Order(number="1"))
        parked = await case.until(lambda view: view.state is State.PAUSED)
        assert "it went mad" in parked.why
        row = await stage.ledger.order_of(halted.id)
        assert row is not None
        unsigned = await send(stage, lift_order(row, OWNER, now()), signed=False)
        assert (unsigned.stand, "not signed" in unsigned.note) == (OrderState.REFUSED, True)
        eve = await send(stage, lift_order(row, EVE, now()))
        assert (eve.stand, "may not turn" in eve.note) == (OrderState.REFUSED, True)
        assert outside.effects("pay") == []
        done = await send(stage, lift_order(row, OWNER, now(), "mended"))
        assert (done.stand, done.people, done.proven) == (OrderState.DONE, (OWNER,), True)
        # Nobody resumed it: the steward told it.
        assert (await case.outcome()).status is State.DONE
        ended = await stage.ledger.order_of(halted.id)
    assert ended is not None
    assert (ended.ended_by, ended.ended_why) == (OWNER, "mended")
    assert len(ended.ended_proofs) == 1


@pytest.mark.parametrize("agent", ["orders", FLEET])
async def test_a_case_goes_on_after_a_stop_that_its_steward_had_not_heard_of(
    agent: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    """Who stops the fleet tells the stewards that are listed: not one that has just begun."""
    async with run_fleet(orders(tmp_path, policy(proof="required")), trust=trust) as stage:
        row = order_row(stop_order(Target(agent), EVE, now()))
        await stage.ledger.order(row)
        case = await stage.start("orders", Order(number="1"))
        await case.until(lambda view: view.state is State.PAUSED)
        assert await _stopped(stage) is None
        assert (await send(stage, lift_order(row, OWNER, now()))).stand is OrderState.DONE
        # By itself it asks again after a minute.
        outcome = await case.outcome(within=timedelta(seconds=45))
    assert outcome.status is State.DONE


async def test_an_order_that_begins_a_steward_is_entered_once(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        halted = await send(stage, stop_order(Target("orders"), EVE, now()), signed=False)
        assert halted.stand is OrderState.IN_FORCE
        await eventually(lambda: _stopped(stage))
        history = await stage.client.get_workflow_handle(steward_id("orders")).fetch_history()
    begun = [each.activity_task_scheduled_event_attributes for each in history.events]
    assert [each.activity_type.name for each in begun].count("handrail.order") == 1


async def _stopped(stage: Stage) -> Any:
    book = await autonomy.steward_book(stage.client, "orders")
    return book if book and book.picture and book.picture.stops else None


async def test_a_pause_by_people_outlasts_the_end_of_a_stop(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        row = order_row(stop_order(Target("orders"), EVE, now()))
        await stage.ledger.order(row)
        await autonomy.ensure_stewards(stage.client, ["orders"])
        await eventually(lambda: _stopped(stage))
        case = await stage.start("orders", Order(number="1"))
        await case.until(lambda view: view.state is State.PAUSED)
        await case.send("pause", {"by": ANA, "why": "let me look"})
        await case.until(lambda view: any("let me look" in line.text for line in view.log))
        await send(stage, lift_order(row, OWNER, now()))
        await case.send("lifted")
        await case.send("approve")
        view = await case.until(lambda view: "approve" in view.log[-1].text)
        assert view.state is State.PAUSED
        assert outside.effects("pay") == []
        await case.send("resume")
        assert (await case.outcome()).status is State.DONE


async def test_more_freedom_takes_two_signatures_and_less_takes_none(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    async with run_fleet(orders(tmp_path, SUPERVISED), trust=trust) as stage:
        raised = level_order(PAY, Level.FULL, None, OWNER, now(), why="it went well")
        unsigned = await send(stage, raised.model_copy(update={"id": "a" * 32}), signed=False)
        assert (unsigned.stand, "not signed" in unsigned.note) == (OrderState.REFUSED, True)
        first = await send(stage, raised)
        assert (first.stand, ANA in first.note) == (OrderState.WAITING, True)
        assert await stage.ledger.orders("orders") == []
        await _second(stage, raised, OWNER)
        again = await judged(stage, raised.id, said_by=2)
        assert again.stand is OrderState.WAITING
        await _second(stage, raised, ANA)
        both = await judged(stage, raised.id, said_by=3)
        assert (both.stand, both.people) == (OrderState.IN_FORCE, (ANA, OWNER))
        outcome = await (await stage.start("orders", Order(number="1"))).outcome()
        assert outcome.status is State.DONE
        assert outcome.rulings == ()
        lowered = level_order(Target("orders"), Level.HUMAN_LED, None, EVE, now(), why="odd")
        assert (await send(stage, lowered, signed=False)).stand is OrderState.IN_FORCE
        case = await stage.start("orders", Order(number="2"))
        assert "human_led" in (await case.gate()).why
        book = await eventually(lambda: _level(stage, Level.HUMAN_LED))
    pay = next(step for step in book.picture.steps if step.step == "pay")
    assert (EVE in pay.label, pay.filed) == (True, "supervised")


async def _second(stage: Stage, order: Command, who: str) -> None:
    proof = ORDER_STATEMENT.sign(order.model_copy(update={"by": who}), KEYS[who], now())
    await autonomy.tell_steward(stage.client, "orders", "second", {"id": order.id, "proof": proof})


async def _level(stage: Stage, level: Level) -> Any:
    book = await autonomy.steward_book(stage.client, "orders")
    steps = book.picture.steps if book and book.picture else ()
    return book if any(s.step == "pay" and s.level is level for s in steps) else None


async def test_an_unsigned_lowering_leaves_what_was_set_before_to_come_back(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    document = policy(proof="required", actions={"pay": {"autonomy": "supervised"}})
    async with run_fleet(orders(tmp_path, document), trust=trust) as stage:
        await send(stage, level_order(PAY, Level.FULL, None, OWNER, now()))
        low = level_order(PAY, Level.PILOT, None, EVE, now())
        await send(stage, low, signed=False)
        assert len(await stage.ledger.orders("orders", live=True)) == 2
        refused = await send(stage, lift_order(order_row(low), EVE, now()))
        assert refused.stand is OrderState.REFUSED
        await send(stage, lift_order(order_row(low), OWNER, now()))
        await eventually(lambda: _level(stage, Level.FULL))
        await send(stage, level_order(PAY, Level.SUPERVISED, None, OWNER, now()))
        live = await stage.ledger.orders("orders", live=True)
    assert [row.level for row in live] == [Level.SUPERVISED]


async def test_what_is_above_the_cap_of_its_risk_is_said_to_be_lowered(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    document = policy(actions={"pay": {"autonomy": "human_led", "risk": "high"}})
    document["caps"] = {"high": "supervised"}
    async with run_fleet(orders(tmp_path, document), trust=trust) as stage:
        change = await send(stage, level_order(PAY, Level.FULL, None, OWNER, now()))
        assert change.stand is OrderState.IN_FORCE
        assert "pay is supervised all the same" in change.note
        await eventually(lambda: _level(stage, Level.SUPERVISED))
        wrong = level_order(Target("orders", step="fly"), Level.PILOT, None, OWNER, now())
        assert "has no write fly" in (await send(stage, wrong)).note


async def test_a_stop_is_taken_while_the_policy_cannot_be_read_and_a_level_waits_for_it(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        await autonomy.ensure_stewards(stage.client, ["orders"])
        await known(stage)
        (tmp_path / "orders.yaml").write_text("agent: [", encoding="utf-8")
        level = level_order(PAY, Level.PILOT, None, OWNER, now())
        proof = ORDER_STATEMENT.sign(level, KEYS[OWNER], now())
        await autonomy.tell_steward(
            stage.client, "orders", "level", autonomy.order_signal(level, proof)
        )
        halted = await send(stage, stop_order(Target("orders"), EVE, now()), signed=False)
        assert halted.stand is OrderState.IN_FORCE
        book = await eventually(lambda: _stopped(stage))
        assert "orders.yaml" in book.picture.fault
        put_policy(tmp_path, policy())
        assert (await judged(stage, level.id)).stand is OrderState.IN_FORCE


async def test_junk_never_wedges_it_and_a_stop_of_junk_is_a_stop(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    junks: tuple[tuple[Any, ...], ...] = ((), (7,), ("text",), ({"by": 1},), ({}, {}), (None,))
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        await autonomy.ensure_stewards(stage.client, ["orders"])
        for name in ("level", "lift", "second", "unheard-of"):
            for junk in junks:
                await signal(stage, name, *junk)
        await signal(stage, "stop", {"who": "me"}, "and more")
        book = await eventually(lambda: _stopped(stage))
        assert book.picture.stops[0].what == "orders"
        assert len(book.ignored) == 20
        description = await stage.client.get_workflow_handle(steward_id("orders")).describe()
        risk = description.typed_search_attributes.get(PROBLEM_ATTRIBUTE)
    assert risk == steward.STOPPED


@pytest.mark.parametrize("signed", [False, True])
async def test_an_order_for_a_ledger_that_no_worker_has_keeps_no_other_waiting(
    run_fleet: RunFleet,
    tmp_path: Path,
    trust: Trust,
    signed: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steward_activities, "PATIENCE", timedelta(seconds=1 if signed else 60))
    async with run_fleet(orders(tmp_path, SUPERVISED), trust=trust) as stage:
        strange = ledger_order("orders", LedgerMark(id="f" * 32, height=1), OWNER, now(), "")
        became = await send(stage, strange, signed=signed)
        why = "no other worker answers" if signed else "not signed"
        assert (became.stand, why in became.note) == (OrderState.REFUSED, True)
        lowered = level_order(PAY, Level.PILOT, None, OWNER, now())
        assert (await send(stage, lowered)).stand is OrderState.IN_FORCE


async def test_a_stop_outlives_steward_worker_and_a_terminated_workflow(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        await autonomy.ensure_stewards(stage.client, ["orders"])
        await known(stage)
        # Written by somebody who could reach neither server nor worker.
        await stage.ledger.order(order_row(stop_order(Target("*"), EVE, now(), "all of it")))
        handle = stage.client.get_workflow_handle(steward_id("orders"))
        await handle.terminate("a test")
        case = await stage.start("orders", Order(number="1"))
        await case.until(lambda view: view.state is State.PAUSED)
        await autonomy.ensure_stewards(stage.client, ["orders"])
        book = await eventually(lambda: _stopped(stage))
        assert (book.picture.stops[0].what, book.picture.stops[0].proven) == ("every agent", False)
        assert await autonomy.stewards(stage.client) == ["orders"]


async def test_a_stop_that_is_in_the_ledger_already_is_one_and_a_stolen_id_stops_no_stop(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    async with run_fleet(orders(tmp_path), trust=trust) as stage:
        first = stop_order(PAY, EVE, now())
        await stage.ledger.order(order_row(first))
        assert (await send(stage, first)).stand is OrderState.IN_FORCE
        assert len(await stage.ledger.orders("orders", live=True)) == 1
        await stage.ledger.end_order(first.id, OWNER, now())
        # As if its signal had come late: it is over, and stays so.
        late = stop_order(PAY, EVE, now()).model_copy(update={"id": "e" * 32})
        await stage.ledger.order(order_row(late))
        await stage.ledger.end_order(late.id, OWNER, now())
        assert (await send(stage, late)).stand is OrderState.DONE
        used = order_row(stop_order(PAY, EVE, now()))
        await stage.ledger.order(used)
        await stage.ledger.end_order(used.id, OWNER, now())
        other = stop_order(Target("orders"), EVE, now()).model_copy(update={"id": used.id})
        assert (await send(stage, other)).stand is OrderState.IN_FORCE
        live = await stage.ledger.orders("orders", live=True)
    assert [(row.step, row.by) for row in live] == [(None, EVE)]


async def test_what_it_does_is_the_same_when_it_is_replayed(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    async with run_fleet(orders(tmp_path, SUPERVISED), trust=trust) as stage:
        raised = level_order(PAY, Level.FULL, None, OWNER, now())
        await send(stage, raised)
        await _second(stage, raised, ANA)
        await judged(stage, raised.id, said_by=2)
        halted = stop_order(Target("orders"), EVE, now())
        await send(stage, halted, signed=False)
        await eventually(lambda: _stopped(stage))
        await send(stage, lift_order(order_row(halted), OWNER, now()))
        handle = stage.client.get_workflow_handle(steward_id("orders"))
        history = await handle.fetch_history()
        plugin = stage.fleet.plugin(tmp_path / "payloads")
        replayer = Replayer(workflows=[steward.AutonomyWorkflow], plugins=[plugin])
        await replayer.replay_workflow(history)


async def test_the_book_goes_along_into_a_new_run(
    run_fleet: RunFleet,
    outside: Outside,
    tmp_path: Path,
    trust: Trust,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steward, "LONGEST", 25)
    async with run_fleet(orders(tmp_path, SUPERVISED), trust=trust) as stage:
        raised = level_order(PAY, Level.FULL, None, OWNER, now())
        assert (await send(stage, raised)).stand is OrderState.WAITING
        handle = stage.client.get_workflow_handle(steward_id("orders"))
        first = (await handle.describe()).run_id
        for _ in range(5):
            await autonomy.ensure_stewards(stage.client, ["orders"])
            await known(stage)

        async def renewed() -> bool:
            await autonomy.ensure_stewards(stage.client, ["orders"])
            return (await handle.describe()).run_id != first

        await eventually(renewed)
        await _second(stage, raised, ANA)
        assert (await judged(stage, raised.id, said_by=2)).stand is OrderState.IN_FORCE


async def test_a_fleet_is_lifted_only_by_who_may_lift_it_for_every_agent(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    mine = orders(tmp_path)
    other = orders(tmp_path, policy(agent="patient", owner=ANA, control={"people": [ANA, OWNER]}))
    both = type(mine)(*mine.agents.values(), *other.agents.values())
    async with run_fleet(both, trust=trust) as stage:
        row = order_row(stop_order(Target("*"), EVE, now()))
        await stage.ledger.order(row)
        refused = await send(stage, lift_order(row, ANA, now()))
        assert (refused.stand, "autonomy of orders" in refused.note) == (OrderState.REFUSED, True)
        assert (await send(stage, lift_order(row, OWNER, now()))).stand is OrderState.DONE


def test_the_names_of_stewards_are_no_agents(tmp_path: Path) -> None:
    from handrail import Agent, ConfigurationError  # noqa: PLC0415
    from tests.agents import orders_flow, orders_steps  # noqa: PLC0415

    for name in ("autonomy", "messages", "fleet", "*", "a/b"):
        with pytest.raises(ConfigurationError, match="choose another word"):
            Agent(name, orders_flow.OrderAgent, steps=orders_steps, policy=tmp_path / "x.yaml")


async def test_a_flood_of_stops_leaves_one_and_lift_and_level_go_on(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, trust: Trust
) -> None:
    async with run_fleet(orders(tmp_path, SUPERVISED), trust=trust) as stage:
        await autonomy.ensure_stewards(stage.client, ["orders"])
        assert (await known(stage)).picture is not None
        bodies: list[dict[str, Any]] = [
            body | {"why": "y" * 3_000}
            for n in range(100)
            for body in ({}, {"step": "pay"}, {"step": f"nothing{n}"}, {"by": EVE, "proof": "x.y"})
        ]
        await asyncio.gather(*(signal(stage, "stop", body) for body in bodies))

        async def judged_all() -> bool:
            return not any((await known(stage)).asked().stops)

        await eventually(judged_all)
        rows = await stage.ledger.orders("orders", live=True)
        unsigned = {row.step for row in rows if row.by != EVE}
        assert unsigned <= {None, "pay"}
        assert len(rows) < 20
        assert all(len(row.why) <= 1_000 for row in rows)
        for row in rows:
            over = await send(stage, lift_order(row, OWNER, now(), "it was a flood"))
            assert over.stand is OrderState.DONE
        level = await send(stage, level_order(PAY, Level.PILOT, None, ANA, now()))
        assert level.stand is OrderState.IN_FORCE
        seen = (await known(stage)).ignored
        assert any("orders has no write nothing" in each.text for each in seen)


async def test_whoever_looks_after_a_level_was_set_sees_it(
    run_fleet: RunFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = AutonomyActivities.look

    async def slow(*given: Any) -> AutonomyView:
        await asyncio.sleep(0.3)
        return await look(*given)

    monkeypatch.setattr(AutonomyActivities, "look", slow)
    fleet = orders(tmp_path, policy(control={"people": [OWNER]}))
    async with run_fleet(fleet) as stage:
        owner = Operator(stage.client, stage.ledger, by=OWNER, agents=fleet.agents)
        for level in ("supervised", "human_led"):
            became = await owner.set_level("orders/pay", level, why="so")
            assert became.stand is OrderState.IN_FORCE
            picture = (await owner.autonomy("orders", "pay")).agents[0].picture
            assert picture is not None
            assert [each.level for each in picture.steps] == [level]
