"""Hand-offs: another agent's own case, found again, with its people, its outcome and its end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import Fleet, State
from handrail.client import Operator
from handrail.oversight import HANDED_SIGNAL
from handrail.testing import (
    UNPROVEN,
    CaseHandle,
    Crash,
    CrashingWorker,
    Human,
    Outside,
    Stage,
    crashing_worker,
    eventually,
)
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import handing, one_of_handing
from tests.agents.handing_steps import Job
from tests.agents.tools import reset

pytestmark = pytest.mark.integration

ANA, BO, CY = (Human(f"{name}@example.com") for name in ("ana", "bo", "cy"))
SUPERVISED: dict[str, Any] = {"actions": {"pay": {"autonomy": "supervised"}}}


def job(number: str, *parts: str, then: Job | None = None) -> Job:
    event = None if then is None else then.model_dump(mode="json")
    return Job(number=number, parts=parts, then=event)


async def test_another_agent_does_it_and_its_outcome_comes_back(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(handing(tmp_path)) as stage:
        case = await stage.start("desk", job("1", "plan", "off payer", then=job("P", "plan")))
        outcome = await case.outcome()
        paid = await stage.case("payer:P").view()
        somebody = Operator(stage.client, stage.ledger)
        found, shown = await somebody.chain("payer:P"), await somebody.case("payer:P")
    assert (outcome.status, outcome.why) == (State.DONE, "payer done")
    [handed] = outcome.handed
    assert (handed.case, handed.status) == ("payer:P", State.DONE)
    assert [each.key for each in outcome.all_receipts] == ["desk:1/pay/1", "payer:P/pay/1"]
    assert (outcome.usage.input_tokens, outcome.total_usage.input_tokens) == (10, 20)
    assert outcome.total_usage.cost == Decimal("1.0")
    assert (paid.state, paid.chain, shown.chain) == (State.SETTLING, ("desk:1",), ("desk:1",))
    assert [(e.case, e.state, e.parent) for e in found.cases] == [
        ("desk:1", State.DONE, None),
        ("payer:P", State.SETTLING, "desk:1"),
    ]
    assert sorted(outside.effects("pay")) == ["desk:1/pay/1", "payer:P/pay/1"]


async def test_nobody_approves_for_themselves_by_way_of_another_agent(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    held = SUPERVISED | {"roles": {"lead": {**LEAD_OF_THREE}}}
    async with run_fleet(handing(tmp_path, held, **held)) as stage:
        # Cy starts the other case before, as if nobody else had asked for it.
        alone = await stage.start("payer", job("P", "pay"), requested_by=CY.address)
        early = await alone.gate()
        wanted = job("1", "pay", "off payer", then=job("P", "pay"))
        case = await stage.start("desk", wanted, requested_by=ANA.address)
        gate = await case.gate()
        await BO.amend(case, {"amount": "10"}, gate)
        await CY.approve(case, await case.gate(but=gate))
        await alone.until(lambda view: "handed to it as well by desk:1" in view.log[-1].text)
        # Its question was open before that, and knows of it now.
        for who in (ANA, BO, CY):
            record = await who.approve(alone, early)
            assert not record.accepted, record.note
        again = await alone.gate()
        assert set(again.barred) == {ANA.address, BO.address, CY.address}
        second = job("2", "off payer", then=job("Q", "pay"))
        await stage.start("desk", second, requested_by=ANA.address)
        begun = stage.case("payer:Q")
        fresh = await _gate(begun)
        assert fresh.chain == ("desk:2",)
        assert not (await ANA.approve(begun, fresh)).accepted
        assert (await BO.approve(begun, fresh)).accepted
        await begun.until(lambda view: view.state is State.SETTLING)
    assert outside.effects("pay") == ["desk:1/pay/1", "payer:Q/pay/1"]


LEAD_OF_THREE: dict[str, Any] = {
    "people": [ANA.address, BO.address, CY.address, "di@example.com"],
    "deadline": {"after": "8h", "then": "refuse"},
}


async def _gate(case: CaseHandle) -> Any:
    async def there() -> bool:
        with contextlib.suppress(Exception):
            await case.view()
            return True
        return False

    await eventually(there, what=f"the case {case.id}")
    return await case.gate()


async def test_what_cannot_be_handed_on_is_said(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(handing(tmp_path)) as stage:
        bad = Job(number="1", parts=("off payer",), then={"number": "P", "amount": "lots"})
        wrong = await (await stage.start("desk", bad)).outcome()
        nobody = await (await stage.start("desk", job("2", "off clerks", then=job("P")))).outcome()
        back = job("P", "off desk", then=job("4"))
        turn = await (await stage.start("desk", job("3", "off payer", then=back))).outcome()
        round_about = await stage.case("payer:P").outcome()
        far = await stage.start("desk", job("5", "off payer", then=job("Z", "pay")))
        origin = {"chain": [f"a:{n}" for n in range(4)]}
        await far.outcome()
        deep = await stage.client.start_workflow(
            "DeskAgent",
            job("6", "off payer", then=job("Y")),
            id="desk:6",
            task_queue="desk",
            memo={"handed_from": origin},
        )
        too_deep = await stage.case(deep.id).outcome()
        await stage.case("payer:Z").send(HANDED_SIGNAL, {"chain": 7})
        view = await stage.case("payer:Z").until(lambda v: "ignored" in v.log[-1].text)
        for number in range(4):
            flood = {"askers": [f"{number}.{n}@{'x' * 40}" for n in range(120)]}
            await stage.case("payer:Z").send(HANDED_SIGNAL, flood)
        flooded = await stage.case("payer:Z").outcome()
    assert (flooded.status, len(outside.effects("refund"))) == (State.DONE, 0)
    assert wrong.status is State.REFUSED
    assert "hand_off to payer: this is no Job: amount" in wrong.why
    assert "it hands work to payer, desk, and not to clerks; fix" in nobody.why
    assert (turn.why, round_about.status) == ("payer refused", State.REFUSED)
    assert "desk is in this chain of hand-offs already (desk:3 -> payer:P)" in round_about.why
    assert "5 cases are the longest chain" in too_deep.why
    assert view.state is State.SETTLING


async def test_a_roll_back_and_a_stop_reach_it_each_through_its_own_door(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(handing(tmp_path)) as stage:
        parts = ("pay", "off payer", "on payer", "break")
        broken = await (await stage.start("desk", job("1", *parts, then=job("P", "pay")))).outcome()
        undone = await stage.case("payer:P").outcome()
        waits = job("Q", "pay", "wait")
        ordered = await stage.start("desk", job("2", "pay", "off payer", then=waits))
        await _until_paid(stage, outside, "payer:Q")
        await ordered.send("pause")
        await ordered.until(lambda view: view.log[-1].text.endswith("paused too: payer:Q"))
        await ordered.send("roll_back", {"by": "ana@example.com"})
        first, second = await ordered.outcome(), await stage.case("payer:Q").outcome()
        stopped = await stage.start("desk", job("3", "on payer", "wait", then=job("R", "wait")))
        await _gate_or_there(stage, "payer:R")
        await stopped.until(lambda view: bool(view.handed))
        await stopped.send("stop")
        ends = [(await stage.case(each).outcome()).status for each in ("desk:3", "payer:R")]
    assert broken.status is State.FAILED
    assert "not undone" not in broken.why
    assert undone.status is State.ROLLED_BACK
    assert [each.status for each in broken.handed] == [State.ROLLED_BACK]
    assert (first.status, second.status) == (State.ROLLED_BACK, State.ROLLED_BACK)
    assert ends == [State.STOPPED, State.STOPPED]
    assert len(outside.effects("refund")) == len(outside.effects("pay")) == 4


async def _until_paid(stage: Stage, outside: Outside, case: str) -> None:
    async def paid() -> bool:
        return f"{case}/pay/1" in outside.effects("pay")

    await eventually(paid, what=f"the payment of {case}")


async def _gate_or_there(stage: Stage, case: str) -> None:
    async def there() -> bool:
        return await Operator(stage.client, stage.ledger).runs(case)

    await eventually(there, what=case)


async def test_after_a_reset_it_is_found_again_and_still_its_own(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(handing(tmp_path)) as stage:
        case = await stage.start("desk", job("1", "off payer", "wait", then=job("P", "pay")))
        await case.until(lambda view: bool(view.handed) and view.handed[0].status is State.DONE)
        await reset(stage, case)
        again = await case.until(lambda view: "is done" in view.log[-1].text)
        await case.send("roll_back", {"by": ANA.address})
        ends = [(await stage.case(each).outcome()).status for each in ("desk:1", "payer:P")]
    assert [each.status for each in again.handed] == [State.DONE]
    assert ends == [State.ROLLED_BACK, State.ROLLED_BACK]
    assert len(outside.effects("pay")) == len(outside.effects("refund")) == 1


async def test_what_nobody_has_taken_yet_is_called_off(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    both = handing(tmp_path)
    payer = Fleet(one_of_handing(str(tmp_path), "payer").agents["payer"])
    async with run_fleet(both, workers=False) as stage:
        desk = one_of_handing(str(tmp_path), "desk")
        async with desk.running(stage.client, stage.ledger, trust=UNPROVEN):
            for number, order in (("1", "roll_back"), ("2", "stop")):
                wanted = job(number, "off payer", then=job(f"P{number}", "pay"))
                case = await stage.start("desk", wanted)
                await case.until(lambda view: view.log[-1].text == "hands work to payer")
                await case.send(order)
                assert (await case.outcome()).handed == ()
            kept = await stage.start("desk", job("3", "off payer", then=job("P3", "pay")))
            await kept.until(lambda view: view.log[-1].text == "hands work to payer")
            async with payer.running(stage.client, stage.ledger, trust=UNPROVEN):
                assert (await kept.outcome()).status is State.DONE
    assert outside.effects("pay") == ["payer:P3/pay/1"]


FLEET = "tests.agents.fleets:one_of_handing"


@contextlib.asynccontextmanager
async def two(
    stage: Stage, directory: Path, *crashes: Crash
) -> AsyncGenerator[tuple[CrashingWorker, CrashingWorker]]:
    """A worker process for each of the two agents; the payer's dies at its boundary."""
    async with (
        crashing_worker(stage, FLEET, arguments=[str(directory), "desk"], name="desk") as desk,
        crashing_worker(
            stage, FLEET, *crashes, arguments=[str(directory), "payer"], name="payer"
        ) as payer,
    ):
        yield desk, payer


@pytest.mark.slow
async def test_killed_on_the_way_there_is_one_case_each_and_nothing_twice(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    crashes = [Crash(boundary=f"hand-off:{where}") for where in ("started", "answered")]
    async with (
        run_fleet(handing(tmp_path), workers=False) as stage,
        two(stage, tmp_path, *crashes) as (desk, payer),
    ):
        wanted = job("1", "pay", "off payer", "plan", then=job("P", "pay", "plan"))
        case = await stage.start("desk", wanted)
        await payer.crashed()
        # Both are gone, and the one that waits comes back first.
        await desk.stop()
        await desk.restart()
        await payer.restart()
        await payer.crashed()
        await payer.restart()
        outcome = await case.outcome()
        listed = await Operator(stage.client, stage.ledger).cases()
    assert outcome.status is State.DONE, outcome.why
    assert [each.status for each in outcome.handed] == [State.DONE]
    assert {each.case for each in listed.cases} == {"desk:1", "payer:P"}
    paid = [f"{each}/pay/{n}" for each in ("desk:1", "payer:P") for n in (1, 2)]
    assert sorted(outside.effects("pay")) == paid
    assert outside.doubled() == []


async def test_what_a_hostile_text_said_is_no_source_of_the_other_agents_either(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(handing(tmp_path)) as stage:
        for number, part in (("1", "plan"), ("2", "pay"), ("3", "judge")):
            then = job(f"P{number}", part)
            await stage.start("desk", job(number, "read", "on payer", then=then))
        asked = [(await _gate(stage.case(f"payer:P{n}"))).why for n in (1, 2)]
        # What its own books say is as good as before.
        await _until_paid(stage, outside, "payer:P3")
    assert asked[0].startswith("action.order, action.amount come from no trusted read")
    assert "nobody knows where its values come from" in asked[1]
    assert outside.effects("pay") == ["payer:P3/pay/1"]


async def test_an_agent_in_pilot_hands_nothing_on(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleet = handing(tmp_path, actions={"pay": {"autonomy": "pilot"}})
    async with run_fleet(fleet) as stage:
        case = await stage.start("desk", job("1", "off payer", then=job("P", "pay")))
        outcome = await case.outcome()
        listed = await Operator(stage.client, stage.ledger).cases()
    assert (outcome.status, outcome.handed) == (State.PILOTED, ())
    assert [each.case for each in listed.cases] == ["desk:1"]
