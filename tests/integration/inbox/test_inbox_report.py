"""The owner's pages: what an agent did and is worth, with many cases, with few and with none."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from playwright.async_api import expect

from handrail.inbox.web import reports
from tests.agents.policies import GOOD
from tests.agents.reported import AGENT, WORTH, keep_alerts, keep_cases, keep_policy
from tests.integration.inbox.conftest import ANA, DEE, Inbox, Run
from tests.integration.inbox.test_inbox_browser import (
    CHROMIUM,
    DESK,
    PHONE,
    accessible,
    fits,
    sitting_at,
)

POLICY = GOOD.replace("actions:", f"{WORTH}actions:")
browsed = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed here: apt-get install chromium"
)


@pytest.fixture
async def owned(run_inbox: Run, tmp_path: Path) -> AsyncGenerator[Inbox]:
    """An inbox beside which there is a policy of the shipments agent, and a ledger of its cases."""
    async with run_inbox() as inbox:
        (tmp_path / "guardrails" / "shipments.yaml").write_text(POLICY)
        keep_policy(url(tmp_path), POLICY, datetime(2026, 1, 1, tzinfo=UTC))
        yield inbox


def url(home: Path) -> str:
    return f"sqlite:///{home / 'ledger.db'}"


async def keep(inbox: Inbox, home: Path, number: int, days: int = 60) -> None:
    now = datetime.now(UTC)
    await keep_cases(inbox.stage.ledger, url(home), number, now, days=days)


async def test_with_few_cases_it_says_how_many_more_it_takes(owned: Inbox, tmp_path: Path) -> None:
    await keep(owned, tmp_path, 4, days=1)
    async with owned.visitor(ANA) as ana:
        page = await ana.get("/agents/shipments")
        value = await ana.get("/agents/shipments/value")
    assert page.count("more needed</p>") >= 6
    assert "more tasks needed." in value


async def test_a_part_that_fails_leaves_a_page_that_says_so_and_ends(
    owned: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(owned, tmp_path, 40)

    def broken(*_: object) -> None:
        raise ValueError("a day that is none")

    monkeypatch.setattr(reports, "plots_of", broken)
    async with owned.visitor(ANA) as ana:
        page = await ana.get("/agents/shipments")
    assert "This part of the page failed" in page
    assert "a day that is none" not in page
    assert page.rstrip().endswith("</html>")


async def test_every_figure_leads_to_its_cases(owned: Inbox, tmp_path: Path) -> None:
    await keep(owned, tmp_path, 300)
    async with owned.visitor(ANA) as ana:
        page = await ana.get("/agents/shipments?days=30")
        for title in ("Availability", "Action success", "Cost per task", "Return on cost"):
            assert f"<h2>{title}</h2>" in page
        assert 'href="/agents/shipments/cases?which=asked&amp;days=30"' in page
        listed = await ana.get("/agents/shipments/cases?which=erring&days=30")
        value = await ana.get("/agents/shipments/value")
        table = await ana.get("/agents/shipments/report.csv")
    assert listed.count("shipments:") > 1
    for text in ("EUR", "From gain to net", "What is not counted", "prices: human minute"):
        assert text in value
    assert table.startswith("\ufeffkind,name,day,value"), table[:80]
    for drawing in page.split("<svg")[1:]:
        ET.fromstring(  # noqa: S314  # a page of ours
            f"<svg{drawing.partition('</svg>')[0]}</svg>"
        )


async def test_only_those_whom_its_policy_names_see_it(owned: Inbox) -> None:
    async with owned.visitor(DEE) as dee:
        for path in ("", "/value", "/cases", "/alerts", "/report.csv"):
            assert "policy names you" in await dee.get(f"/agents/shipments{path}", status=404)
    async with owned.visitor(ANA) as ana:
        assert "No task has ended in this time." in await ana.get("/agents/shipments")
        assert '<a href="/agents">' in await ana.get("/")


async def test_what_each_agent_did_and_brought_stands_beside_the_others(
    owned: Inbox, tmp_path: Path
) -> None:
    await keep(owned, tmp_path, 300)
    async with owned.visitor(ANA) as ana:
        page = await ana.get("/agents")
        value = await ana.get("/agents/shipments/value")
    (net,) = re.findall(r'<p class="figure">([-0-9.,]+ EUR)</p><p class="meta">before', value)
    row = page.partition("Tasks a day")[2].partition(">shipments</a>")[2].partition("</tr>")[0]
    assert f"{net}</a>" in row
    assert re.search(r'aria-label="\d+ tasks in 30 days', row), row
    assert row.count("<rect") > 20
    assert len(re.findall(r'[0-9.]+ % <span class="meta">of \d+</span>', row)) == 2


async def test_an_alert_is_seen_by_whoever_says_so(owned: Inbox) -> None:
    path = "/agents/shipments/alerts"
    async with owned.visitor(ANA) as ana:
        assert "No alert lasts." in await ana.get(path)
        await keep_alerts(owned.stage.ledger, 5, datetime.now(UTC))
        page = await ana.get(path)
        assert (page.count("Nobody is at it"), page.count("Somebody is at it")) == (1, 1)
        (last,) = re.findall(r'name="alert" value="(\w+)"', page)
        assert page.count("<td>failures</td>") == 2
        assert "Nobody is at it" not in await ana.post(path, alert=last)
        assert "it has ended meanwhile" in await ana.post(path, 422, alert="0" * 32)
    (seen,) = [each for each in await owned.stage.ledger.alerts(AGENT) if each.id == last]
    assert (seen.acknowledged_by, seen.ended) == (ANA, None)


@browsed
@pytest.mark.parametrize("how", [DESK, PHONE], ids=["desk", "phone"])
async def test_the_pages_in_a_browser(owned: Inbox, tmp_path: Path, how: dict[str, Any]) -> None:
    await keep(owned, tmp_path, 300)
    await keep_alerts(owned.stage.ledger, 5, datetime.now(UTC))
    own = ("", "/value", "/pilot", "/alerts", "/cases")
    async with sitting_at(owned, ANA, how) as page:
        for path in ("/agents", *(f"/agents/shipments{each}" for each in own)):
            await page.goto(f"{owned.base}{path}")
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            await fits(page)
            await accessible(page)
            await picture(page, f"{path.rpartition('/')[2]}-{how['viewport']['width']}")


async def picture(page: Any, name: str) -> None:
    folder = os.environ.get("HANDRAIL_PICTURES")
    if folder:
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)
