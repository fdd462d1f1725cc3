"""Retraining on the real server and shop: drift that is planted, a ruling, a worker that dies."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from activities import inspection_systems, support_systems
from activities.models import USES, Shelf, shelf
from activities.retraining import LEARNERS, acted, again
from activities.retraining_facts import Retraining
from handrail import State
from handrail.testing import Crash, Human, crashing_worker
from handrail.testing.fixtures import RunFleet
from tests.integration.application.systems import started
from workers.demos.retraining import day, handled
from workers.fleets.retraining import fleet

pytestmark = pytest.mark.integration

FLEET = "workers.fleets.retraining:fleet"
OWNER = Human("models@example.com")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Shelf]:
    with ExitStack() as stack:
        db = ("--db", str(tmp_path / "shop.db"), "--port", "0")
        monkeypatch.setenv("SUPPORT_SHOP_URL", started(stack, "support.service", *db))
        monkeypatch.setenv("LEADS_URL", started(stack, "leads.service", "--port", "0"))
        lines = ("--db", str(tmp_path / "lines.db"), "--port", "0")
        monkeypatch.setenv("INSPECTION_LINES_URL", started(stack, "inspection.service", *lines))
        monkeypatch.setenv("AGENT_MODELS", f"sqlite:///{tmp_path / 'models.db'}")
        found = shelf()
        assert found is not None
        yield found


async def test_planted_drift_is_noticed_and_a_new_version_used_once_by_a_persons_word(
    run_fleet: RunFleet, models: Shelf
) -> None:
    before, after = (Retraining(agent="support", on=day(number)) for number in (20, 28))
    # The second write of the case: the first one keeps the version.
    crash = Crash(boundary="write:after-effect", case=f"retraining:{after.key}", arrival=2)
    async with (
        run_fleet(fleet, workers=False) as stage,
        crashing_worker(stage, FLEET, crash) as worker,
    ):
        calm = await (await stage.start("retraining", before)).outcome()
        assert (calm.status, calm.receipts) == (State.DONE, ())
        assert "nothing has moved" in calm.why
        first = models.use("support")
        case = await stage.start("retraining", after)
        asked = await case.gate()
        assert models.use("support") == first
        assert asked.evidence["as_people_now"] > asked.evidence["as_people_before"]
        # It may die before it has said that it was approved.
        why = "better, and wrong no more often"
        approving = asyncio.ensure_future(OWNER.approve(case, asked, why=why))
        await worker.crashed()
        await worker.restart()
        assert (await approving).accepted
        outcome = await case.outcome()
    assert outcome.status is State.DONE, outcome.why
    use = models.use("support")
    assert first is not None
    assert use is not None
    assert (use.since, use.number) == (after.on, 1)
    with models.engine.connect() as db:
        keys = [row.key for row in db.execute(USES.select().order_by(USES.c.number))]
    assert keys == ["first/support", f"{case.id}/put_into_use/2"]
    old, new = [await handled(each.version, day(28), day(32)) for each in (first, use)]
    assert new.alone > 1.5 * old.alone
    assert (old.wrong, new.wrong <= 1) == (0, True)
    await support_systems.disconnect()


@pytest.mark.parametrize("agent", ["leads", "inspection"])
async def test_the_others_models_are_learnt_anew_by_a_declaration_each(
    run_fleet: RunFleet, models: Shelf, agent: str
) -> None:
    before, after = (Retraining(agent=agent, on=day(number)) for number in (20, 28))
    async with run_fleet(fleet) as stage:
        calm = await (await stage.start("retraining", before)).outcome()
        assert (calm.status, calm.receipts) == (State.DONE, ()), calm.why
        first = models.use(agent)
        case = await stage.start("retraining", after)
        asked = await case.gate()
        assert models.use(agent) == first
        assert asked.evidence["as_people_now"] > asked.evidence["as_people_before"]
        assert asked.evidence["wrong_now"] < asked.evidence["wrong_before"]
        assert (await OWNER.approve(case, asked, why="as people more often")).accepted
        outcome = await case.outcome()
    assert outcome.status is State.DONE, outcome.why
    use, learner = models.use(agent), LEARNERS[agent]
    assert first is not None
    assert use is not None
    assert (use.since, use.number) == (after.on, 1)
    # What nobody judged it by: the days since.
    past = [each for on, each in await learner.past(day(35)) if on > after.on]
    alone = [acted(learner, await again(learner, v.version, past)) for v in (first, use)]
    old, new = [sum(each.as_people is False for each in made) for made in alone]
    assert len(past) > 20
    assert new < old / 2
    await inspection_systems.disconnect()


async def test_what_its_owner_declined_is_not_proposed_the_next_night(
    run_fleet: RunFleet, models: Shelf
) -> None:
    async with run_fleet(fleet) as stage:
        case = await stage.start("retraining", Retraining(agent="support", on=day(28)))
        assert (await OWNER.reject(case, await case.gate(), why="not before the fair")).accepted
        assert (await case.outcome()).status is State.REJECTED
        assert (await case.outcome()).receipts[-1].step == "decline"
        again = await stage.start("retraining", Retraining(agent="support", on=day(29)))
        outcome = await again.outcome()
    assert outcome.status is State.DONE
    assert "people have declined" in outcome.why
    use = models.use("support")
    assert use is not None
    assert use.number == 0
    await support_systems.disconnect()
