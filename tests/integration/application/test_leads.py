"""The leads agent on the real server, a real Tryton and a limited directory; its worker dies."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from activities.leads import code_of, survey
from activities.leads_facts import Visit
from activities.leads_score import QUALIFIED, Order, score
from activities.leads_systems import in_use
from activities.tryton import SECRETS, disconnect
from handrail import State
from handrail.testing import Crash, crashing_worker, secrets_given
from handrail.testing.fixtures import RunFleet
from tests.integration.application.systems import started
from workers import tryton
from workers.demos.leads import FIELDS, ON, as_filed, filed, house
from workers.fleets.leads import fleet
from world.leads import market
from world.leads.market import Person

pytestmark = pytest.mark.integration

FLEET = "workers.fleets.leads:fleet"
KEY = "for-tests-of-leads"
MARKET = market.made(customers=60)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str]]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRYTON_KEY", KEY)
        home = str(tmp_path_factory.mktemp("tryton"))
        erp = started(stack, "tryton.service", "--dir", home, "--port", "0")
        shop = started(stack, "leads.service", "--port", "0", "--customers", "60")
        yield {"TRYTON_URL": erp, "LEADS_URL": shop, "HANDRAIL_SECRET_TRYTON_KEY": KEY}


@pytest.fixture
async def systems(serving: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[None]:
    for name, value in serving.items():
        monkeypatch.setenv(name, value)
    yield
    await disconnect()


def worth_it() -> list[str]:
    """Customers who are worth a call, of whom the directory says the truth."""
    return [
        number
        for number, orders in MARKET.shop.items()
        if score([Order(**order._asdict()) for order in orders], ON) >= QUALIFIED
        and MARKET.says[number] == MARKET.people[number]
    ]


async def parties(name: str) -> list[dict[str, Any]]:
    return await tryton.search("party.party", [["name", "=", name]], *FIELDS)


@pytest.mark.usefixtures("systems")
async def test_a_worker_killed_after_each_kind_of_write_opens_calls_and_mends_once(
    run_fleet: RunFleet,
) -> None:
    new, known = worth_it()[:2]
    ana = Person("Hallberg, Zoe", "zoe.hallberg@example.com", "Graz")
    await house()
    await filed("P-0", MARKET.people[known])
    await filed("P-1", ana._replace(mail="zoe.hallberg at example,com"))
    await filed("P-2", ana)
    visits = [Visit(on=ON, customer=new), Visit(on=ON, customer=known)]
    visits += [Visit(on=ON, record="P-1"), Visit(on=ON, record="P-2")]
    crashes = [Crash(boundary="write:after-effect", case=f"leads:{each.key}") for each in visits]
    said, called = list[str](), set[str]()
    async with (
        run_fleet(fleet, workers=False) as stage,
        crashing_worker(stage, FLEET, *crashes) as worker,
    ):
        for visit in visits:
            case = await stage.start("leads", visit)
            await worker.crashed()
            await worker.restart()
            outcome = await case.outcome()
            assert outcome.status is State.DONE, outcome.why
            said.append(outcome.why)
            called |= {str(each.result) for each in outcome.receipts if each.step == "follow_up"}
    assert said[-1] == "retired: it is P-1"
    lead = MARKET.people[new]
    assert [each["code"] for each in await parties(lead.name)] == [code_of(lead.mail)]
    assert [each["code"] for each in await parties(MARKET.people[known].name)] == ["P-0"]
    calls = await tryton.search("sale.opportunity", [], "party.code", "description")
    assert {each["description"] for each in calls} == called  # also of the one that was found
    assert sorted(each["party"]["code"] for each in calls) == sorted([code_of(lead.mail), "P-0"])
    with secrets_given(SECRETS):
        nights = [await survey(ON + timedelta(days=days)) for days in (0, 1, 29, 30)]
    assert [{new, known} & {*night.customers} for night in nights] == [
        {new, known},  # the night itself, begun anew, is the same
        set(),
        set(),
        {new, known},
    ]
    assert [each["code"] for each in await parties(ana.name)] == ["P-1"]
    [mended] = [as_filed(each) for each in await parties(ana.name)]
    assert mended[:2] == ("P-1", ana)
    with secrets_given(SECRETS):
        await in_use("P-2", active=True)
    assert {each["code"] for each in await parties(ana.name)} == {"P-1", "P-2"}
