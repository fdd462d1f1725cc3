"""The inbox in a real browser: on a desk and on a phone, by keyboard, and for screen readers."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

from handrail.inbox.web.tokens import page_link
from handrail.testing import Outside
from tests.agents.refunds_steps import Complaint
from tests.integration.inbox.conftest import ANA, BO, BOSS, DEE, Inbox

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed here: apt-get install chromium"
)

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "color_scheme": "dark",
}


@contextlib.asynccontextmanager
async def browser() -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        await found.close()


@contextlib.asynccontextmanager
async def sitting_at(inbox: Inbox, who: str, how: dict[str, Any]) -> AsyncGenerator[Page]:
    """A page of somebody who is signed in. What its console says is a fault."""
    said: list[str] = []
    async with browser() as opened:
        context = await opened.new_context(**how, locale="en-GB", timezone_id="Europe/Berlin")
        page = await context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        await page.goto(inbox.base)
        await page.select_option("#dev", who)
        await page.get_by_role("button", name="Sign in without proof").click()
        await page.wait_for_url(f"{inbox.base}/")
        yield page
    # That a form came back with its faults is no fault of the page.
    assert [each for each in said if not re.search("status of (409|422)", each)] == []


async def accessible(page: Page) -> None:
    """Axe finds nothing serious on a page, with everything on it unfolded."""
    await page.wait_for_load_state()
    await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    run: Any = cast("Any", Axe()).run
    result: Any = await run(page)
    found: list[Any] = [
        (each["id"], each["impact"], each["nodes"][0]["html"][:200])
        for each in result.response["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
    assert found == [], page.url


async def fits(page: Page) -> None:
    """Nothing sticks out to the side."""
    # A click waits for the next page to be there, and not for anything to stand on it.
    await page.wait_for_load_state()
    wide = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, page.url


@pytest.mark.parametrize("how", [DESK, PHONE], ids=["desk", "phone"])
async def test_approve_from_the_list(inbox: Inbox, outside: Outside, how: dict[str, Any]) -> None:
    case = await inbox.ask("R-2041")
    await inbox.ask("R-2042", amount="120.50", text="It came late.")
    async with sitting_at(inbox, ANA, how) as page:
        await expect(page.get_by_role("heading", level=2)).to_have_count(2)
        await fits(page)
        await page.get_by_role("link", name="Give a customer money back.").first.click()
        await expect(page.get_by_role("heading", name="What will be done")).to_be_visible()
        await fits(page)
        # On a phone it is in reach without scrolling; there it comes first.
        approve = page.get_by_role("button", name="Approve", exact=True).first
        await expect(approve).to_be_in_viewport()
        await approve.click()
        await expect(page.get_by_role("heading", name="Approved")).to_be_visible()
        await page.get_by_role("link", name="Give a customer money back.").click()
        await expect(page.get_by_text("refunds:R-2042")).to_be_visible()
    ruled = (await case.outcome()).rulings[-1]
    assert (ruled.by, ruled.via) == (ANA, "name")
    assert len(outside.effects("refund")) == 1


@pytest.mark.parametrize("how", [DESK, PHONE], ids=["desk", "phone"])
async def test_amend(inbox: Inbox, how: dict[str, Any]) -> None:
    case = await inbox.ask()
    async with sitting_at(inbox, ANA, how) as page:
        await page.get_by_role("link", name="Give a customer money back.").click()
        await page.get_by_text("Change it first").click()
        await page.get_by_label("amount").first.fill("none")
        await page.get_by_role("button", name="See what would change").click()
        await expect(page.get_by_text("write a number with a point")).to_be_visible()
        await expect(page.get_by_label("amount").first).to_have_value("none")
        await page.get_by_label("amount").first.fill("49.90")
        await page.locator("[name='f/reason']").select_option(label="late")
        await page.get_by_role("button", name="See what would change").click()
        await expect(page.get_by_role("row", name=re.compile("amount"))).to_contain_text("49.90")
        await fits(page)
        await page.get_by_role("button", name="Send this change").click()
        await expect(page.get_by_role("heading", name="Changed")).to_be_visible()
    outcome = await case.outcome()
    assert outcome.rulings[-1].verb == "amend"
    assert len(outcome.receipts) == 1


@pytest.mark.parametrize("how", [DESK, PHONE], ids=["desk", "phone"])
async def test_ask_and_see_the_answer_come_in_while_writing(
    inbox: Inbox, how: dict[str, Any]
) -> None:
    case = await inbox.ask()
    url = page_link("", case.id, (await case.gate()).gate)
    async with sitting_at(inbox, ANA, how) as page, inbox.visitor(BO) as bo:
        await page.goto(inbox.base + url)
        await page.get_by_label("Reason").first.fill("half a rea")
        await bo.get(url)
        question = {"ask-to": "agent", "ask-why": "Are there photos?"}
        answer = await bo.http.post(url, data=question | {"verb": "ask", "token": _token(bo.page)})
        assert answer.status_code == 200
        await expect(page.get_by_text("has two photos")).to_be_visible(timeout=30_000)
        await page.keyboard.type("son")
        await expect(page.get_by_label("Reason").first).to_have_value("half a reason")
        await page.get_by_text("Ask something").click()
        await page.get_by_label("Question").fill("Is it theirs?")
        await page.get_by_role("button", name="Ask", exact=True).click()
        await expect(page.get_by_role("heading", name="Asked")).to_be_visible()
    assert len((await case.gates())[0].asked) == 2


def _token(page: str) -> str:
    return re.findall(r'name="token" value="([^"]+)"', page)[-1]


@pytest.mark.parametrize("how", [DESK, PHONE], ids=["desk", "phone"])
async def test_bulk_while_the_list_renews_itself(inbox: Inbox, how: dict[str, Any]) -> None:
    cases = [await inbox.ask(f"R-{number}") for number in range(3)]
    async with sitting_at(inbox, ANA, how) as page:
        boxes = page.get_by_role("checkbox")
        await boxes.nth(0).check()
        await boxes.nth(2).check()
        await page.get_by_label("One reason").fill("seen together")
        await inbox.ask("R-3")
        await expect(page.get_by_role("checkbox")).to_have_count(4, timeout=30_000)
        await expect(page.get_by_role("checkbox", checked=True)).to_have_count(2)
        await expect(page.get_by_label("One reason")).to_have_value("seen together")
        await page.get_by_role("button", name="Approve selected").click()
        await expect(page.get_by_text("accepted", exact=True)).to_have_count(2)
    for case in (cases[0], cases[2]):
        assert (await case.outcome()).rulings[-1].why == "seen together"
    assert (await cases[1].gates())[0].rulings == ()


async def test_all_by_keyboard(inbox: Inbox) -> None:
    case = await inbox.ask()
    async with sitting_at(inbox, ANA, DESK) as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_text("Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await tab_to(page, "link", "Give a customer money back.")
        await page.keyboard.press("Enter")
        await page.wait_for_url(re.compile("/gates/"))
        await tab_to(page, "textbox", "Reason")
        await page.keyboard.type("by hand")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Approve", exact=True)).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Approved")).to_be_visible()
    assert (await case.outcome()).rulings[-1].why.strip() == "by hand"


async def test_the_keys_lead_from_question_to_question(inbox: Inbox) -> None:
    for number in range(2):
        await inbox.ask(f"R-{number}")
    async with sitting_at(inbox, ANA, DESK) as page:
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        await page.keyboard.press("?")
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("x")
        await expect(page.get_by_text("1 selected · amount 84.00 EUR")).to_be_visible()
        await page.get_by_text("Select all on this page").click()
        await expect(page.get_by_text("2 selected · amount 168.00 EUR")).to_be_visible()
        await page.keyboard.press("k")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url(re.compile("/gates/"))
        first = page.url
        await page.keyboard.press("j")
        await page.wait_for_url(lambda url: url != first)
        await page.keyboard.press("r")
        await expect(page.get_by_label("Reason").first).to_be_focused()
        await page.keyboard.type("jaar?")
        await expect(page.get_by_label("Reason").first).to_have_value("jaar?")


async def test_an_open_page_says_that_nothing_answers(inbox: Inbox) -> None:
    case = await inbox.ask()
    url = page_link("", case.id, (await case.gate()).gate)
    async with browser() as opened:
        page = await opened.new_page()
        await page.goto(inbox.base)
        await page.select_option("#dev", ANA)
        await page.get_by_role("button", name="Sign in without proof").click()
        await page.goto(inbox.base + url)
        await page.route("**/now/**", lambda route: route.abort())
        await expect(page.get_by_text("Not connected since")).to_be_visible(timeout=15_000)
        await page.unroute("**/now/**")
        await expect(page.get_by_text("Not connected since")).to_have_count(0, timeout=15_000)
        await page.route("**/gates/**", lambda route: None)
        await page.keyboard.press("a")
        press = "document.activeElement.click(); document.getElementById('busy').textContent"
        assert await page.evaluate(press) == "Sending …"
        await expect(page.get_by_text("No answer within 8 seconds")).to_be_visible(timeout=12_000)
    assert (await case.gates())[0].rulings == ()


async def tab_to(page: Page, role: Any, name: str) -> None:
    wanted = page.get_by_role(role, name=name).first
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await wanted.evaluate("each => each === document.activeElement"):
            return
    pytest.fail(f"the keyboard does not reach {name}")


async def test_without_scripts_it_is_the_same(inbox: Inbox) -> None:
    case = await inbox.ask()
    async with sitting_at(inbox, ANA, DESK | {"java_script_enabled": False}) as page:
        await page.get_by_role("link", name="Give a customer money back.").click()
        await page.get_by_role("button", name="Reject").click()
        await expect(page.get_by_text("Say why")).to_be_visible()
        await page.get_by_label("Reason").first.fill("not theirs")
        await page.get_by_role("button", name="Reject").click()
        await expect(page.get_by_role("heading", name="Rejected")).to_be_visible()
    assert (await case.outcome()).rulings[-1].why == "not theirs"


async def test_a_time_is_filled_in_as_the_readers_own(inbox: Inbox) -> None:
    until = (datetime.now(UTC) + timedelta(days=2)).replace(second=0, microsecond=0)
    async with sitting_at(inbox, ANA, PHONE) as page:
        await page.goto(f"{inbox.base}/me")
        await expect(page.get_by_text("Europe/Berlin", exact=True)).to_be_visible()
        mine = until.astimezone(ZoneInfo("Europe/Berlin"))
        await page.locator("#ends").fill(f"{mine:%Y-%m-%dT%H:%M}")
        await page.get_by_role("button", name="Let them rule").click()
        await expect(page.get_by_text(f"{DEE} rules for you")).to_be_visible()
        (given,) = await inbox.stage.ledger.mandates()
        assert given.ends == until
        # What comes back with a fault is shown as it was filled in.
        await page.locator("#ends").fill("2001-01-01T12:00")
        await page.get_by_role("button", name="Let them rule").click()
        await expect(page.locator("#ends-error")).to_be_visible()
        await expect(page.locator("#ends")).to_have_value("2001-01-01T12:00")


@pytest.mark.slow
@pytest.mark.parametrize("how", [DESK, PHONE], ids=["light", "dark"])
async def test_axe_finds_nothing_serious_on_any_page(inbox: Inbox, how: dict[str, Any]) -> None:
    first, second = await inbox.ask("R-1"), await inbox.ask("R-2")
    own = await inbox.stage.start("refunds", Complaint(number="ASK-1"))
    urls = [page_link("", each.id, (await each.gate()).gate) for each in (first, second, own)]
    async with sitting_at(inbox, ANA, how) as page:
        for path in ("/", "/?show=all", *urls, "/me", "/stops", "/closed", "/gates/refunds:R-9/0"):
            await page.goto(inbox.base + path)
            await accessible(page)
        await page.goto(inbox.base + urls[0])
        await page.get_by_role("button", name="Reject").click()
        await accessible(page)
        await page.get_by_label("amount").first.fill("3")
        await page.get_by_role("button", name="See what would change").click()
        await accessible(page)
        await page.get_by_role("button", name="Send this change").click()
        await accessible(page)
        await page.goto(inbox.base + urls[0])
        await accessible(page)
        await page.goto(inbox.base)
        await page.get_by_role("checkbox").first.check()
        await accessible(page)
        await page.get_by_role("button", name="Approve selected").click()
        await accessible(page)
        await page.goto(f"{inbox.base}/closed")
        await accessible(page)
        await page.get_by_role("button", name="Sign out").click()
        await accessible(page)
    async with sitting_at(inbox, BOSS, how) as page:
        await page.goto(f"{inbox.base}/approvers")
        await accessible(page)
