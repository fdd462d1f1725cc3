"""The look afterwards in the inbox: with a browser and without scripts, and what it refuses."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from playwright.async_api import expect

from handrail import Receipt
from handrail.actions import Basis, Finding, Kind, digest_of
from handrail.evidence import measure_track_record
from handrail.inbox.web import reviews
from handrail.inbox.web.reviews import review_link
from handrail.ledger import IncidentRow, Intent, ReviewRow, VerdictRow
from handrail.oversight import Keyring
from handrail.testing import Outside, eventually
from tests.agents.refunds_steps import Complaint
from tests.integration.inbox.conftest import ANA, BO, BOSS, CY, DEE, Inbox, token_of
from tests.integration.inbox.test_inbox_browser import (
    CHROMIUM,
    DESK,
    PHONE,
    accessible,
    fits,
    sitting_at,
    tab_to,
)

browsed = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed here: apt-get install chromium"
)

HOSTILE = "</p><script>alert(1)</script>\u202eright"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def wrote(inbox: Inbox, number: str = "R-1", **more: Any) -> str:
    """A refund that was given without asking anybody, and drawn."""
    case, key = f"refunds:{number}", f"refunds:{number}/refund/1"
    action: dict[str, Any] = {
        "order": number,
        "amount": "9.00",
        "account": {"holder": "Ida", "iban": "DE02"},
    }
    digest, ledger = digest_of("refund", action), inbox.stage.ledger
    evidence: Any = {"amount": "0.00", "complaint": HOSTILE, "mail": {"untrusted": HOSTILE}}
    given: dict[str, Any] = {"agent": "refunds", "step": "refund", "case": case}
    await ledger.begin(
        Intent(
            key=key,
            digest=digest,
            action=action,
            policy="refunds v4",
            owner="",
            deadline=NOW,
            evidence=evidence,
            confidence=0.9,
            alone=True,
            share=1.0,
            **given,
        )
    )
    await ledger.finish(Receipt(key=key, step="refund", digest=digest, at=NOW, result="BOOKED-9"))
    await ledger.record_verdict(
        VerdictRow(
            key=key,
            digest=digest,
            at=NOW,
            kind=Kind.PASS,
            findings=(Finding(check="limit", kind=Kind.PASS, why="there is room"),),
            policy="refunds v4",
            autonomy="full",
            pilot=False,
            action=action,
            basis=Basis(rationale=f"The glass broke. {HOSTILE}", evidence=evidence),
            requester=None,
            units={"action.amount": "EUR", "evidence.amount": "CHF"},
            **given,
        )
    )
    row: dict[str, Any] = {"role": "lead", "people": (ANA, BO), "requester": None} | more
    await ledger.review(ReviewRow(key=key, at=NOW, why="it was drawn", share=1.0, **given, **row))
    return key


async def answers(inbox: Inbox, key: str) -> list[tuple[str, str, str]]:
    return [(a.answer, a.by, a.note) for a in await inbox.stage.ledger.review_answers(key)]


async def test_what_was_done_is_shown_with_its_reasons_and_what_came_of_it(inbox: Inbox) -> None:
    key = await wrote(inbox)
    incident = IncidentRow(
        f"{key}!mismatch", "refunds", "refund", "refunds:R-1", key, "mismatch", "is 3.00", NOW
    )
    await inbox.stage.ledger.incident(incident)
    async with inbox.visitor(ANA) as ana:
        listed = await ana.get("/reviews")
        assert review_link("", key) in listed
        assert "<dd>9.00 EUR</dd>" in listed
        page = await ana.get(review_link("", key))
    for text in ("9.00", "BOOKED-9", "The glass broke.", "there is room", "is 3.00", "refunds v4"):
        assert text in page
    assert "<del>0.00 CHF</del></td>" in page
    assert "<ins>9.00 EUR</ins>" in page
    assert "<dd>0.00 CHF</dd>" in page
    assert "written by somebody outside</small><blockquote>&lt;/p&gt;&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "\u202e" not in page


async def test_an_answer_is_signed_and_counts(inbox: Inbox) -> None:
    key = await wrote(inbox)
    second = await wrote(inbox, "R-2")
    async with inbox.visitor(ANA) as ana:
        await ana.get(review_link("", key))
        page = await ana.post(review_link("", key), answer="wrong", why="  too much  ")
        assert "handrail roll-back refunds:R-1" in page
        assert review_link("", second) in page
        assert review_link("", key) not in await ana.get("/reviews")
        assert review_link("", key) in await ana.get("/reviews?show=all")
    assert await answers(inbox, key) == [("wrong", ANA, "too much")]
    keys = Keyring(inbox.site.settings.keyring).current()
    found = await measure_track_record(inbox.stage.ledger, "refunds", "refund", keys=keys)
    assert (found.reviewed, found.unproven, found.found_wrong, found.waiting) == (1, 0, 1, 1)


async def test_whoever_answered_may_answer_otherwise_and_nobody_else(inbox: Inbox) -> None:
    key = await wrote(inbox)
    url = review_link("", key)
    async with inbox.visitor(ANA) as ana, inbox.visitor(BO) as bo:
        await bo.get(url)
        await ana.get(url)
        await ana.post(url, answer="wrong", why="too much")
        assert "has answered it already" in await bo.post(url, 409, answer="right")
        assert "may look at this, and not answer" in await bo.get(url)
        await ana.get(url)
        await ana.post(url, answer="right")
    assert await answers(inbox, key) == [("wrong", ANA, "too much"), ("right", ANA, "")]


@pytest.mark.parametrize("fields", [{"answer": "wrong"}, {"answer": "harmless", "why": " "}])
async def test_what_is_wrong_must_be_said(inbox: Inbox, fields: dict[str, Any]) -> None:
    key = await wrote(inbox)
    async with inbox.visitor(ANA) as ana:
        await ana.get(review_link("", key))
        assert "Say what is wrong" in await ana.post(review_link("", key), 422, **fields)
        assert "is no answer" in await ana.post(review_link("", key), 422, answer="approve")
    assert await answers(inbox, key) == []


async def test_who_asked_for_it_does_not_judge_it(inbox: Inbox) -> None:
    key = await wrote(inbox, requester=ANA)
    async with inbox.visitor(ANA) as ana:
        assert review_link("", key) not in await ana.get("/reviews")
        assert "somebody else must look" in await ana.get(review_link("", key))
        # The page has no form of its own: the one that signs out has a token too.
        await ana.post(review_link("", key), 403, answer="right")
    assert await answers(inbox, key) == []


async def test_who_is_of_another_role_looks_and_does_not_answer(inbox: Inbox) -> None:
    key = await wrote(inbox)
    url = review_link("", key)
    async with inbox.visitor(CY) as cy, inbox.visitor(ANA) as ana:
        assert "not of the role lead" in await cy.get(url)
        await ana.get(url)
        await cy.post(url, 403, answer="right", token=token_of(ana.page))
    assert await answers(inbox, key) == []


async def test_who_has_come_to_the_role_since_may_answer(inbox: Inbox) -> None:
    key = await wrote(inbox, people=(DEE,))
    async with inbox.visitor(ANA) as ana:
        await ana.get(review_link("", key))
        await ana.post(review_link("", key), answer="right")
    assert await answers(inbox, key) == [("right", ANA, "")]


async def test_a_form_answers_for_the_write_that_it_showed_and_no_other(inbox: Inbox) -> None:
    first, second = await wrote(inbox), await wrote(inbox, "R-2")
    async with inbox.visitor(ANA) as ana:
        await ana.get(review_link("", first))
        await ana.post(review_link("", second), 403, answer="right")
        await ana.get("/me")
        await ana.post(review_link("", first), 403, answer="right")
        await ana.http.get("/reviews")
        answer = await ana.http.get(review_link("", first), params={"answer": "right"})
        assert answer.status_code == 200
    assert await answers(inbox, first) == await answers(inbox, second) == []


async def test_strangers_see_nothing(inbox: Inbox) -> None:
    key = await wrote(inbox)
    await inbox.stage.ledger.review(
        ReviewRow("other:1/pay/1", "other", "pay", "other:1", NOW, "drawn", 1.0, "x", ("x@y.z",))
    )
    async with inbox.visitor() as nobody:
        for path in ("/reviews", review_link("", key), "/incidents"):
            assert "Sign in" in await nobody.get(path)
    async with inbox.visitor(ANA) as ana:
        assert "other:1" not in await ana.get("/reviews?show=all")
        await ana.get(review_link("", "other:1/pay/1"), 404)
        await ana.get(review_link("", "refunds:none/refund/1"), 404)


async def test_incidents_are_closed_with_a_reason_by_those_concerned(inbox: Inbox) -> None:
    for agent in ("refunds", "other"):
        key = f"{agent}:R-1/refund/1"
        await inbox.stage.ledger.incident(
            IncidentRow(
                f"{key}!mismatch", agent, "refund", f"{agent}:R-1", key, "mismatch", HOSTILE, NOW
            )
        )
    mine = "refunds:R-1/refund/1!mismatch"
    async with inbox.visitor(BOSS) as boss:
        assert "(1 open)" in await boss.get("/reviews")
        page = await boss.get("/incidents")
        assert "refunds:R-1" in page
        assert "other:R-1" not in page
        assert "<script>alert" not in page
        assert "Say what was done" in await boss.post("/incidents", 422, incident=mine, why=" ")
        await boss.post("/incidents", 404, incident="other:R-1/refund/1!mismatch", why="x")
        await boss.get("/incidents")
        assert "paid the rest by hand" in await boss.post(
            "/incidents", incident=mine, why="paid the rest by hand"
        )
    (closed,) = await inbox.stage.ledger.incidents("refunds")
    assert (closed.closed_by, closed.closed_why) == (BOSS, "paid the rest by hand")


async def test_what_is_open_or_theirs_is_shown_however_much_came_since(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviews, "SHOWN", 2)
    for n, agent in enumerate(("refunds", *["other"] * 20)):
        key, at = f"{agent}:W-{n}/refund/1", NOW + timedelta(minutes=n)
        drawn = ReviewRow(key, agent, "refund", f"{agent}:W-{n}", at, "x", 1.0, "x", ("x@y.z",))
        await inbox.stage.ledger.review(drawn)
    for n in range(4):
        at, named = NOW + timedelta(minutes=n), f"refunds:R-{n}"
        row = IncidentRow(named, "refunds", "refund", named, "k", "mismatch", "x", at)
        await inbox.stage.ledger.incident(row)
        if n:
            await inbox.stage.ledger.close_incident(named, BOSS, at, "mended")
    async with inbox.visitor(BOSS) as boss:
        page = await boss.get("/reviews?show=all")
        assert "refunds:W-0" in page
        assert "other:" not in page
        page = await boss.get("/incidents")
    assert [f"refunds:R-{n}" in page for n in range(4)] == [True, False, False, True]
    assert inbox.site.run_url("refunds:R-0") in page


async def test_stuck_cases_stand_among_the_incidents_with_their_reason(
    inbox: Inbox, outside: Outside
) -> None:
    outside.break_down("refund", times=10_000, says="502 <b>Bad</b> Gateway")
    case = await inbox.stage.start("refunds", Complaint(number="R-9", amount=Decimal(10)))
    row = IncidentRow("x!stuck", "refunds", "refund", case.id, "x", "stuck", "it fails", NOW)
    await inbox.stage.ledger.incident(row)
    async with inbox.visitor(BOSS) as boss:

        async def said() -> str | None:
            page = await boss.get("/incidents")
            return page if "Stuck now" in page else None

        page = await eventually(said)
        assert "502 &lt;b&gt;Bad&lt;/b&gt; Gateway" in page
        assert "attempt " in page


# In a browser


@browsed
@pytest.mark.parametrize("how", [DESK, PHONE], ids=["desk", "phone"])
async def test_answer_from_the_list(inbox: Inbox, how: dict[str, Any]) -> None:
    key = await wrote(inbox)
    async with sitting_at(inbox, ANA, how) as page:
        await page.get_by_role("link", name="Afterwards").click()
        await expect(page.get_by_role("heading", name="Look afterwards")).to_be_visible()
        await fits(page)
        await page.get_by_role("link", name="refund, refunds:R-1").click()
        await expect(page.get_by_role("heading", name="What was done")).to_be_visible()
        await fits(page)
        await page.get_by_role("button", name="Wrong", exact=True).click()
        await expect(page.get_by_text("Say what is wrong")).to_be_visible()
        await page.get_by_label("What is wrong").fill("nobody was paid before")
        await page.get_by_role("button", name="Wrong, but harmless").click()
        await expect(page.get_by_role("heading", name="Recorded")).to_be_visible()
        await fits(page)
    assert await answers(inbox, key) == [("harmless", ANA, "nobody was paid before")]


@browsed
async def test_by_keyboard_and_without_scripts(inbox: Inbox) -> None:
    key = await wrote(inbox)
    async with sitting_at(inbox, ANA, DESK | {"java_script_enabled": False}) as page:
        await page.goto(f"{inbox.base}/reviews")
        await page.get_by_role("link", name="refund, refunds:R-1").focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url(re.compile("/reviews/"))
        await page.get_by_label("What is wrong").focus()
        await page.keyboard.type("too much")
        for _ in range(3):
            await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Wrong", exact=True)).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Recorded")).to_be_visible()
    assert await answers(inbox, key) == [("wrong", ANA, "too much")]


@browsed
async def test_the_keyboard_reaches_the_answer_from_the_top(inbox: Inbox) -> None:
    key = await wrote(inbox)
    async with sitting_at(inbox, ANA, DESK) as page:
        await page.goto(inbox.base + review_link("", key))
        await tab_to(page, "button", "Right")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Recorded")).to_be_visible()
    assert await answers(inbox, key) == [("right", ANA, "")]


@browsed
@pytest.mark.slow
@pytest.mark.parametrize("how", [DESK, PHONE], ids=["light", "dark"])
async def test_axe_finds_nothing_serious(inbox: Inbox, how: dict[str, Any]) -> None:
    key, second = await wrote(inbox), await wrote(inbox, "R-2")
    incident = IncidentRow(
        f"{key}!mismatch", "refunds", "refund", "refunds:R-1", key, "mismatch", "is 3", NOW
    )
    await inbox.stage.ledger.incident(incident)
    async with sitting_at(inbox, ANA, how) as page:
        for path in ("/reviews", "/reviews?show=all", review_link("", key), "/incidents"):
            await page.goto(inbox.base + path)
            await accessible(page)
            await fits(page)
        await page.get_by_role("button", name="Close the incident").click()
        await accessible(page)
        await page.goto(inbox.base + review_link("", key))
        await page.get_by_role("button", name="Wrong", exact=True).click()
        await accessible(page)
        await page.get_by_label("What is wrong").fill("x")
        await page.get_by_role("button", name="Wrong", exact=True).click()
        await accessible(page)
        for path in (review_link("", key), review_link("", second), "/reviews?show=all"):
            await page.goto(inbox.base + path)
            await accessible(page)
