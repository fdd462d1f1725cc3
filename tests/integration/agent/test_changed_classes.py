"""A deploy that changes the classes of cases that wait: each is written right, or asked again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from handrail import State
from handrail.actions import as_json
from handrail.oversight import CaseView, GateKind, Keyring, SigningKey, Trust
from handrail.testing import UNPROVEN, CaseHandle, Human, eventually, interrupted
from handrail.testing.fixtures import RunFleet
from tests.agents import outgrown, shifting

pytestmark = pytest.mark.integration

PEOPLE = ("ana", "bo")


def settling(view: CaseView) -> bool:
    return view.state is State.SETTLING


@pytest.mark.parametrize("signed", [False, True])
async def test_cases_that_wait_outlive_a_deploy_that_changes_their_classes(
    signed: bool,  # noqa: FBT001
    run_fleet: RunFleet,
    tmp_path: Path,
) -> None:
    shifting.DONE.clear()
    trust = Trust(proof="unproven")
    ana, bo = (Human(f"{who}@example.com") for who in PEOPLE)
    if signed:
        keyring = Keyring(tmp_path / "trusted.json")
        keys = [SigningKey.new(f"{who}@example.com", datetime.now(UTC)) for who in PEOPLE]
        for key in keys:
            keyring.trust(key.public())
        ana, bo = (Human(f"{who}@example.com", key) for who, key in zip(PEOPLE, keys, strict=True))
        trust = Trust(keyring=keyring)
    before = shifting.deployed(tmp_path, after=False)
    async with run_fleet(before, workers=False) as stage:
        waiting: dict[str, Any] = {}
        async with before.running(stage.client, stage.ledger, trust=trust):
            for number, what in enumerate(shifting.CHANGES):
                case = await stage.start("shifting", shifting.Came(what=what, number=str(number)))
                waiting[what] = case, await case.gate()
        after = shifting.deployed(tmp_path, after=True)
        foreseen = (await after.replays(stage.client, tmp_path / "payloads"))["shifting"]
        assert foreseen.misfits == []
        asks = {
            each.case: any(w.came and w.came.changed for w in each.held) for each in foreseen.cases
        }
        assert {what: asks[case.id] for what, (case, _) in waiting.items()} == {
            what: change.becomes != "done" for what, change in shifting.CHANGES.items()
        }
        async with after.running(stage.client, stage.ledger, trust=trust):
            came = await asyncio.gather(
                *(_approved(what, case, seen, ana, bo) for what, (case, seen) in waiting.items())
            )
    assert dict(zip(waiting, came, strict=True)) == {
        what: change.becomes for what, change in shifting.CHANGES.items()
    }


async def _approved(what: str, case: Any, seen: Any, ana: Human, bo: Human) -> str:
    """Approve what was shown before the deploy, and what is asked again. What came of it."""
    assert (await ana.approve(case, seen)).accepted
    became, change = "done", shifting.CHANGES[what]
    if change.becomes != "done":
        again = await case.gate(but=seen)
        assert again.before == (seen.action if again.action != seen.action else None)
        asked = await bo.approve(case, again)
        became = "asked"
        if not asked.accepted:
            assert "cannot be done as it is" in asked.note
            new = change.after.model_validate(
                {"to": "DE1"} if "to" in change.after.model_fields else {}
            )
            assert (await bo.amend(case, {}, again, action=as_json(new))).accepted
            seen, became = again.model_copy(update={"action": as_json(new)}), "amended"
        else:
            seen = again
    await case.until(settling)
    written = [action for of, action in shifting.DONE if of == case.id]
    assert [(type(each), as_json(each)) for each in written] == [(change.after, seen.action)]
    return became


async def test_what_had_begun_or_is_undone_is_never_something_else(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    """A deploy comes between a request and its receipt, and between a write and its undo."""
    shifting.DONE.clear()
    shifting.UNDONE.clear()
    ana = Human("ana@example.com")
    before = shifting.deployed(tmp_path, after=False)
    async with run_fleet(before, workers=False) as stage:
        begun: dict[str, CaseHandle] = {}
        written: dict[str, CaseHandle] = {}
        async with AsyncExitStack() as at_work:
            # What is begun stays broken off until its worker is gone.
            broken = at_work.enter_context(ExitStack())
            await at_work.enter_async_context(
                before.running(stage.client, stage.ledger, trust=UNPROVEN)
            )
            for number, what in enumerate(shifting.CHANGES):
                for cases, key in ((begun, f"b{number}"), (written, f"w{number}")):
                    cases[what] = await stage.start(
                        "shifting", shifting.Came(what=what, number=key)
                    )
            for case in written.values():
                assert (await ana.approve(case)).accepted
                await case.until(settling)
            for case in begun.values():
                await case.gate()
            met = broken.enter_context(interrupted("write:after-effect", times=1_000))
            for case in begun.values():
                assert (await ana.approve(case)).accepted

            async def all_met() -> bool:
                return {case.id for case in begun.values()} <= set(met)

            await eventually(all_met)
        after = shifting.deployed(tmp_path, after=True)
        async with after.running(stage.client, stage.ledger, trust=UNPROVEN):
            ended = await asyncio.gather(*(_carried(case, ana) for case in begun.values()))
            undone = await asyncio.gather(*(_undone(case, ana) for case in written.values()))
    becomes = [change.becomes for change in shifting.CHANGES.values()]
    assert dict(zip(begun, ended, strict=True)) == dict(
        zip(begun, ["done" if each == "done" else "in doubt" for each in becomes], strict=True)
    )
    assert dict(zip(written, undone, strict=True)) == dict(
        zip(written, ["left" if each == "amended" else each for each in becomes], strict=True)
    )
    for what, case in begun.items():
        sent = [as_json(action) for of, action in shifting.DONE if of == case.id]
        assert all(each == as_json(shifting.CHANGES[what].before()) for each in sent), what


async def _carried(case: CaseHandle, ana: Human) -> str:
    """What becomes of a write of which nobody knows whether it happened."""
    view = await case.until(lambda view: view.state is State.SETTLING or view.gates)
    if not view.gates:
        return "done"
    (gate,) = view.gates
    assert (await ana.answer(case, "happened", gate, result="done")).accepted
    await case.until(settling)
    return "in doubt" if gate.kind is GateKind.IN_DOUBT else gate.kind


async def _undone(case: CaseHandle, ana: Human) -> str:
    """What becomes of an undo of what was written before the deploy."""
    await case.send("roll_back", {"by": "boss@example.com"})
    view = await case.until(lambda view: view.state is State.FAILED or view.gates)
    if view.gates:
        (gate,) = view.gates
        rule = ana.reject if gate.kind is GateKind.UNDO else ana.approve
        assert (await rule(case, gate)).accepted
    assert (await case.outcome()).status is State.FAILED  # a mark cannot be undone
    did = [as_json(action) for of, action in shifting.UNDONE if of == case.id]
    if not view.gates:
        assert len(did) == 1
        return "done"
    assert did in ([], [view.gates[0].action])
    return "asked" if did else "left"


async def test_a_step_that_cannot_take_what_was_read_before_a_deploy_waits_for_one_that_can(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    ana = Human("ana@example.com")
    before = outgrown.deployed(tmp_path, outgrown.Stock)
    async with run_fleet(before, workers=False) as stage:
        async with before.running(stage.client, stage.ledger, trust=UNPROVEN):
            case = await stage.start("outgrown", outgrown.Counted(number="1"))
            await case.gate()
        handle = stage.client.get_workflow_handle(case.id)

        async def tried() -> bool:
            pending = (await handle.describe()).raw_description.pending_activities
            return any(each.attempt > 1 for each in pending)

        changed = outgrown.deployed(tmp_path, outgrown.Placed)
        async with changed.running(stage.client, stage.ledger, trust=UNPROVEN):
            assert (await ana.approve(case)).accepted
            await eventually(tried)
        mended = outgrown.deployed(tmp_path, outgrown.PerhapsPlaced)
        async with mended.running(stage.client, stage.ledger, trust=UNPROVEN):
            outcome = await case.outcome()
    assert (outcome.status, outcome.why) == (State.DONE, "3 None")
