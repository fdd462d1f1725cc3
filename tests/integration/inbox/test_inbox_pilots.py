"""The pilot and the promotion in the inbox: seen, judged and declined, on any screen."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import expect

from handrail.actions import Kind, digest_of
from handrail.ledger import OutcomeRow, VerdictRow
from tests.integration.inbox.conftest import ANA, BO, BOSS, DEE, POLICY, Inbox
from tests.integration.inbox.test_inbox_browser import (
    CHROMIUM,
    DESK,
    PHONE,
    accessible,
    fits,
    sitting_at,
)
from tests.integration.inbox.test_inbox_report import picture

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>"
PAGE, PROMOTE = "/agents/refunds/pilot", "/agents/refunds/promote"


async def piloted(inbox: Inbox, agree: int = 30, differ: int = 2) -> None:
    """A pilot of the refunds agent, of which people did some otherwise."""
    promote = {"agreement": "60%", "cases": 20, "days": 0}
    refund = {**POLICY["actions"]["refund"], "autonomy": "pilot", "promote": promote}
    text = json.dumps(POLICY | {"version": 9, "actions": {"refund": refund}})
    ledger = inbox.stage.ledger
    await ledger.loaded("refunds", 9, "9" * 64, "refunds v9", text)
    for number in range(agree + differ):
        action: dict[str, Any] = {"order": f"R-{number}", "amount": "9.00"}
        case, at = f"refunds:R-{number}", NOW + timedelta(hours=number)
        row: dict[str, Any] = {
            "case": case,
            "agent": "refunds",
            "step": "refund",
            "at": at,
            "action": action,
        }
        verdict: dict[str, Any] = {"kind": Kind.PASS, "findings": (), "basis": None, "pilot": True}
        await ledger.record_verdict(
            VerdictRow(
                key=f"{case}/refund/1",
                digest=digest_of("refund", action),
                policy="refunds v9",
                autonomy="pilot",
                requester=None,
                units={"action.amount": "EUR"},
                **row,
                **verdict,
            )
        )
        did: dict[str, Any] | None = action | ({"order": HOSTILE} if number < differ else {})
        if number == differ - 1:
            did = did | {"amount": "11.50"} if differ > 1 else None
        said: dict[str, Any] = {**row, "action": did, "received": at, "source": "log", "raw": ""}
        await ledger.keep_outcomes([OutcomeRow(id=f"o{number}", by=BO, **said)])


async def test_of_nothing_it_says_so_and_strangers_see_none(inbox: Inbox) -> None:
    async with inbox.visitor(ANA) as ana, inbox.visitor(DEE) as dee:
        assert "It has proposed nothing in pilot." in await ana.get(PAGE)
        await ana.get("/agents/payments/pilot", 404)
        await dee.get("/agents/payments/promote", 404)


async def test_a_disagreement_is_judged_by_somebody_else_and_signed(inbox: Inbox) -> None:
    await piloted(inbox)
    async with inbox.visitor(ANA) as ana, inbox.visitor(BO) as bo:
        page = await ana.get(PAGE)
        assert "&lt;script&gt;" in page
        assert HOSTILE not in page
        assert "93.8 % of 32" in page
        assert "amount: the agent 9.00 EUR, people 11.50 EUR." in page
        assert "amount -2.50 EUR." in page
        await bo.get(PAGE)
        assert "You did it yourself" in await bo.post(PAGE, 422, outcome="o0", right="agent")
        assert "say agent, people" in await ana.post(PAGE, 422, outcome="o0", right="me")
        await ana.get(PAGE)
        after = await ana.post(PAGE, outcome="o0", right="agent", why="a typo")
        assert f"agent right, by {ANA}" in after
        assert "96.9 % of 32" in after


async def test_what_people_left_undone_is_said_with_its_units(inbox: Inbox) -> None:
    await piloted(inbox, agree=0, differ=1)
    async with inbox.visitor(ANA) as ana:
        page = await ana.get(PAGE)
    assert "The agent: order R-0, amount 9.00 EUR. People: nothing." in page


async def test_who_controls_an_agent_says_what_people_did_in_a_form(inbox: Inbox) -> None:
    form = "/agents/refunds/did"
    async with inbox.visitor(BOSS) as boss, inbox.visitor(DEE) as dee:
        inbox.site.agents = {}
        assert "import a file instead" in await boss.get(form, 404)
        inbox.site.agents = inbox.stage.fleet.agents
        assert "9.00" not in await boss.get(form)
        filled = {"f/order": "R-0", "f/amount": "9.50", "f/due": "2026-03-05", "f/reason": '"late"'}
        filled |= {
            "f/parcels": "1",
            "f/account/holder": "Ida",
            "f/account/iban": "DE1",
            "f/articles": "[]",
        }
        then = {"case": "R-0", "step": "refund", "at": "2026-03-01T11:30", "do": "did"}
        said: dict[str, Any] = {**then, **filled}
        assert "Some fields" in await boss.post(form, 422, **{**said, "f/amount": "much"})
        assert 'value="much"' in boss.page
        early: dict[str, Any] = {**said, "at": "2099-01-01T00:00"}
        page = await boss.post(form, 422, **early)
        assert "has not come yet" in page
        await boss.post(form, **said)
        await boss.get(form)
        nothing: dict[str, Any] = {**said, "case": "R-1", "do": "nothing"}
        await boss.post(form, **nothing)
        await dee.get("/agents/payments/did", 404)
        await dee.get(form)
        assert "does not let" in await dee.post(form, 422, **said)
    rows = {row.case: row for row in await inbox.stage.ledger.outcomes("refunds")}
    assert set(rows) == {"refunds:R-0", "refunds:R-1"}
    first = rows["refunds:R-0"]
    assert (first.by, first.source, first.at) == (
        BOSS,
        "form",
        datetime(2026, 3, 1, 11, 30, tzinfo=UTC),
    )
    assert first.action is not None
    assert (first.action["amount"], rows["refunds:R-1"].action) == ("9.50", None)


async def test_a_proposal_is_shown_and_declined_with_a_reason(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "NOW", datetime.now(UTC) - timedelta(days=3))
    await piloted(inbox)
    operator = inbox.site.operator(BOSS)
    assert (await operator.evaluate_promotions("refunds")).proposed
    await operator.set_baseline("refunds", "cost_per_case", "3.50", unit="EUR", source="the books")
    async with inbox.visitor(BOSS) as boss:
        page = await boss.get(PROMOTE)
        # Of cases there are whole ones, and an amount has its unit.
        assert re.search(r"alone, \d+ to \d+ of them wrong\. It frees\s+[\d.]+ EUR of cost\.", page)
        named = re.findall(r'name="proposal" value="([^"]+)"', page)[0]
        assert "Agree to full 5%" in page
        await boss.get(PROMOTE)
        assert "ay why" in await boss.post(PROMOTE, 422, proposal=named, answer="no")
        page = await boss.post(PROMOTE, proposal=named, answer="no", why="not this year")
    assert "not this year" in page
    assert "Agree to" not in page


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
@pytest.mark.parametrize("how", [DESK, PHONE], ids=["desk", "phone"])
async def test_the_pages_are_seen_on_any_screen(inbox: Inbox, how: dict[str, Any]) -> None:
    await piloted(inbox)
    await inbox.site.operator(BOSS).evaluate_promotions("refunds")
    async with sitting_at(inbox, BOSS, how) as page:
        for path in (PAGE, PROMOTE):
            await page.goto(f"{inbox.base}{path}")
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            await fits(page)
            await accessible(page)
            await picture(page, f"{path.rpartition('/')[2]}-{how['viewport']['width']}")
