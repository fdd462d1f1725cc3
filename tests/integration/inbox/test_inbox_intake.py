"""The intake in the inbox: what could not be started, why, mended, sent again, or dismissed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import expect

from handrail.client import Operator
from handrail.ledger import IntakeRow, IntakeState, intake_id
from tests.integration.inbox.conftest import ANA, BOSS, Inbox
from tests.integration.inbox.test_inbox_browser import (
    CHROMIUM,
    DESK,
    PHONE,
    accessible,
    fits,
    sitting_at,
)

pytestmark = pytest.mark.integration

BAD = '{"number": "R-1", "amount": "much", "sender": "shop"}'


async def keep(inbox: Inbox, *bodies: str) -> list[str]:
    """What came by a webhook, and became no event."""
    for number, body in enumerate(bodies):
        row = IntakeRow(
            id=intake_id("refunds", "hook:shop", body),
            agent="refunds",
            source="hook:shop",
            received=datetime(2026, 1, 1, 12, number, tzinfo=UTC),
            state=IntakeState.WRONG,
            raw=True,
            body=body,
            headers={},
            requested_by="hook:shop",
            why="this is no Complaint",
        )
        assert await inbox.stage.ledger.keep(row)
    return [each.id for each in await inbox.stage.ledger.intake()]


def of(inbox: Inbox, entry: str) -> Any:
    return inbox.stage.ledger.intake_entry(entry)


async def test_an_entry_is_shown_mended_tried_again_and_dismissed(inbox: Inbox) -> None:
    first, second, third = await keep(inbox, BAD, "{no json <script>", "[]")
    async with inbox.visitor(BOSS) as boss:
        page = await boss.get("/intake")
        assert page.count('class="card urgent"') == 3
        page = await boss.get(f"/intake/{first}")
        # What is wrong is said beside its field, and what is right stands in the form already.
        assert 'id="f/amount-error"' in page
        assert 'value="R-1"' in page
        assert 'value="much"' in page
        wrong: dict[str, Any] = {"f/number": "R-1", "f/text": "", "f/amount": "x", "do": "mend"}
        assert 'id="f/amount-error"' in await boss.post(f"/intake/{first}", 422, **wrong)
        right: dict[str, Any] = wrong | {"f/amount": "12"}
        page = await boss.post(f"/intake/{first}", **right)
        assert "Waits to be started" in page
        row = await of(inbox, first)
        assert (row.state, row.raw, row.requested_by) == (IntakeState.WAITING, False, BOSS)
        assert json.loads(row.body)["amount"] == "12"
        # As JSON, and what is none.
        page = await boss.get(f"/intake/{second}")
        assert "<script>" not in page
        assert 'id="json-error"' in await boss.post(f"/intake/{second}", 422, do="json", json="{")
        more = json.dumps({"number": "R-2", "more": 1})
        assert "more" in await boss.post(f"/intake/{second}", 422, do="json", json=more)
        await boss.post(f"/intake/{second}", do="retry")
        assert (await of(inbox, second)).state == IntakeState.WAITING
        # Dismissed for a reason alone, and then it is over.
        await boss.get(f"/intake/{third}")
        assert 'id="why-error"' in await boss.post(f"/intake/{third}", 422, do="drop", why=" ")
        stays = boss.page
        await boss.post(f"/intake/{third}", do="drop", why="a test of theirs")
        boss.page = stays
        await boss.post(f"/intake/{third}", 422, do="retry")
        page = await boss.get(f"/intake/{third}")
        assert "a test of theirs" in page
        assert 'value="drop"' not in page
        assert "R-1" not in await boss.get("/intake/none", 404)
        # A form is for its entry.
        await boss.get(f"/intake/{first}")
        await boss.post(f"/intake/{second}", 403, do="drop", why="no")


async def test_who_controls_no_agent_sees_nothing_of_it(inbox: Inbox) -> None:
    (entry,) = await keep(inbox, BAD)
    async with inbox.visitor(ANA) as ana:
        assert "Nothing waits" in await ana.get("/intake")
        await ana.get(f"/intake/{entry}", 404)
        await ana.get("/")
        await ana.post(f"/intake/{entry}", 404, do="drop", why="mine now")
    operator: Operator = inbox.site.operator(ANA)
    assert (await operator.intake()).entries == ()
    assert (await of(inbox, entry)).state == IntakeState.WRONG


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
@pytest.mark.parametrize("how", [DESK, PHONE], ids=["desk", "phone"])
async def test_mending_in_a_browser(inbox: Inbox, how: dict[str, Any]) -> None:
    await keep(inbox, BAD)
    async with sitting_at(inbox, BOSS, how) as page:
        await page.goto(f"{inbox.base}/intake")
        await accessible(page)
        await fits(page)
        await page.get_by_role("heading", level=2).get_by_role("link").click()
        await expect(page.get_by_text("valid decimal")).to_be_visible()
        await accessible(page)
        await fits(page)
        await page.get_by_label("amount").fill("12")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.get_by_text("Waits to be started")).to_be_visible()
