"""People who ask in the inbox: a form from the event's model, and the page of its case."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from handrail import Agent, Form
from handrail.testing import eventually
from tests.agents import refunds_steps, trips_flow
from tests.agents.fleets import put_policy
from tests.integration.inbox.conftest import ANA, BO, CY, Inbox, Run, Visitor
from tests.integration.inbox.test_inbox_browser import (
    CHROMIUM,
    DESK,
    PHONE,
    accessible,
    fits,
    sitting_at,
)

pytestmark = pytest.mark.integration

TRIP: dict[str, Any] = {
    "f/number": "T-1",
    "f/day": "2026-12-24",
    "f/budget": "99.90",
    "f/by": '"rail"',
    "f/insured": "false",
    "f/hotel/town": "Linz",
    "f/hotel/nights": "2",
    "f/stops": "",
}


def trips(directory: Path, *people: str) -> Agent:
    """The agent, which these people may ask beside whom its policy names."""
    directory.mkdir()
    policy = put_policy(directory, {"agent": "trips", "version": 1, "owner": CY})
    steps, asked = [refunds_steps.refund], [Form(name="ask", people=people)]
    return Agent("trips", trips_flow.TripAgent, steps=steps, policy=policy, triggers=asked)


@pytest.fixture
async def inbox(run_inbox: Run, tmp_path: Path) -> AsyncGenerator[Inbox]:
    """Ana may ask for trips, whose policy names nobody but Cy."""
    agent = trips(tmp_path / "other", ANA)
    async with run_inbox(also=[agent]) as running_inbox:
        shutil.copy(agent.policy, running_inbox.site.directory.policies)
        yield running_inbox


async def ended(visitor: Visitor, path: str) -> str:
    async def looks() -> bool:
        return "ended: done" in await visitor.get(path)

    await eventually(looks)
    return visitor.page


async def test_a_person_fills_in_an_event_and_sees_what_becomes_of_it(inbox: Inbox) -> None:
    async with inbox.visitor(ANA) as ana:
        page = await ana.get("/ask")
        assert "Says what a trip would be." in page
        assert "It books nothing" not in page
        page = await ana.get("/ask/trips")
        # Filled as the model has it: defaults, a choice of three, a checkbox that is on.
        assert 'value="100.00"' in page
        assert page.count("<option") == 2 + 3
        assert 'name="f/alone" value="true" checked' in page
        assert "What you call it." in page
        # What will not do is said beside its field, and what was typed stays.
        wrong = TRIP | {"f/number": "", "f/day": "", "f/budget": "x"}
        page = await ana.post("/ask/trips", 422, **wrong)
        for said in ("f/day-error", "f/budget-error"):
            assert f'id="{said}"' in page, said
        assert 'value="Linz"' in page
        assert 'name="f/alone" value="true" ' in page
        assert 'name="f/alone" value="true" checked' not in page
        page = await ana.post("/ask/trips", 422, **TRIP | {"f/hotel/nights": "99"})
        assert 'id="f/hotel/nights-error"' in page
        page = await ana.post("/ask/trips", 422, **TRIP | {"f/number": ""})
        assert 'id="f/number-error"' in page
        page = await ana.post("/ask/trips", 422, **TRIP | {"f/number": "x" * 201})
        assert "key must be 1 to 200 characters" in page
        page = await ana.post("/ask/trips", 422, **TRIP | {"f/budget": "501"})
        assert "nobody pays more than 500 for a train" in page
        await ana.post("/ask/trips", **TRIP)
        page = await ended(ana, "/cases/trips:T-1")
        assert f"asked for by {ANA}" in page
        view = await inbox.stage.case("trips:T-1").view()
        assert view.requester == ANA
        outcome = await inbox.stage.case("trips:T-1").outcome()
        assert json.loads(outcome.why) == {
            "number": "T-1",
            "day": "2026-12-24",
            "budget": "99.90",
            "by": "rail",
            "insured": False,
            "alone": False,
            "hotel": {"town": "Linz", "nights": 2},
            "stops": [],
        }
        # The same again is the same case; something else under its key is none.
        await ana.get("/ask/trips")
        assert "trips:T-1" in await ana.post("/ask/trips", **TRIP)
        await ana.get("/ask/trips")
        assert "is there already" in await ana.post("/ask/trips", 422, **TRIP | {"f/by": '"air"'})


async def test_who_may_ask_and_who_sees_the_case(inbox: Inbox) -> None:
    async with inbox.visitor(ANA) as ana, inbox.visitor(BO) as bo, inbox.visitor(CY) as cy:
        await ana.get("/ask/refunds")
        refund: dict[str, Any] = {"f/number": "R-1", "f/text": "It broke.", "f/amount": "84.00"}
        await ana.post("/ask/refunds", **refund)

        async def waits() -> bool:
            return "waits for lead" in await ana.get("/cases/refunds:R-1")

        await eventually(waits)
        # Who asked sees the question and may not approve; a colleague may; the page says so.
        gate = await inbox.stage.case("refunds:R-1").gate()
        await ana.get(f"/gates/refunds:R-1/{gate.gate}")
        assert "may not approve" in ana.page
        await bo.get(f"/gates/refunds:R-1/{gate.gate}")
        await bo.post(f"/gates/refunds:R-1/{gate.gate}", verb="approve")
        await ended(ana, "/cases/refunds:R-1")
        # Neither the agent nor the case is there for who is not named.
        await ana.get("/ask/trips")
        await ana.post("/ask/trips", **TRIP)
        for path in ("/ask/trips", "/cases/trips:T-1", "/now/cases/trips:T-1?seen="):
            await bo.get(path, 404)
        assert "trips" not in await bo.get("/ask")
        await bo.get("/")
        await bo.post("/ask/trips", 404, **TRIP)
        await cy.get("/cases/trips:T-1")
        assert (await ana.http.get("/cases/none:1")).status_code == 404
        # A form is for its agent and its session, and nobody asks who is not signed in.
        await ana.get("/ask/refunds")
        await ana.post("/ask/trips", 403, **TRIP)
        await ana.get("/ask/trips")
        stolen = ana.page.rsplit('name="token" value="', 1)[1].partition('"')[0]
        await cy.post("/ask/trips", 403, **TRIP, token=stolen)
        foreign = await ana.http.post(
            "/ask/trips", data=TRIP | {"token": stolen}, headers={"origin": "https://evil.example"}
        )
        assert foreign.status_code == 403
    async with inbox.visitor() as nobody:
        assert "/sign-in" in str((await nobody.http.get("/ask/trips")).headers["location"])
    # A page that is open is told what changed, and nothing where nothing has.
    await inbox.ask("R-2")
    async with inbox.visitor(BO) as bo:
        page = await bo.get("/cases/refunds:R-2")
        now = page.partition('hx-get="')[2].partition('"')[0]
        assert (await bo.http.get(now)).status_code == 204
        assert "waits for lead" in await bo.get(now.partition("?")[0])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
@pytest.mark.parametrize("how", [DESK, PHONE], ids=["desk", "phone"])
async def test_asking_in_a_browser(inbox: Inbox, how: dict[str, Any]) -> None:
    async with sitting_at(inbox, ANA, how) as page:
        await page.get_by_role("link", name="Ask", exact=True).click()
        await accessible(page)
        await fits(page)
        await page.get_by_role("link", name="trips").click()
        await accessible(page)
        await fits(page)
        await page.get_by_label("number").fill("T-7")
        await page.get_by_label("budget").fill("900")
        await page.locator("[name='f/day']").fill("2026-12-24")
        await page.get_by_label("town").fill("Linz")
        await page.get_by_role("button", name="Ask").click()
        await expect(page.get_by_role("alert")).to_contain_text("nobody pays more than 500")
        await page.locator("[name='f/by']").select_option(label="air")
        await accessible(page)
        await page.get_by_role("button", name="Ask").click()
        # By itself, as the case goes on.
        await expect(page.get_by_role("status")).to_contain_text("Done")
        await expect(page.get_by_text("ended: done")).to_be_visible()
        await accessible(page)
        await fits(page)
