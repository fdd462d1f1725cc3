"""The list of what waits: parts of it, one look for all tabs, and never long behind."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from handrail.client import Operator
from handrail.inbox.web import app, rulings, waiting
from handrail.inbox.web.tokens import page_link
from tests.integration.inbox.conftest import ANA, BO, Inbox


async def test_it_is_searched_sorted_and_in_pages(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in (waiting, rulings):
        monkeypatch.setattr(room, "PAGE", 2)
    for number, amount in enumerate(("84.00", "310.00", "99.50", "120.00"), 1):
        await inbox.ask(f"R-{number}", amount=amount)
    async with inbox.visitor(ANA) as ana:
        page = await ana.get("/?sort=amount")
        assert ana.http.headers["accept-encoding"]
        assert shown(page) == ["refunds:R-2", "refunds:R-4"]
        assert "613.50" in page
        assert "1 to 2 of 4" in page
        following = re.findall(r'href="([^"]+)" rel="next"', page)[0].replace("&amp;", "&")
        assert shown(await ana.get(following)) == ["refunds:R-3", "refunds:R-1"]
        assert shown(await ana.get("/?page=99")) == ["refunds:R-3", "refunds:R-4"]
        assert shown(await ana.get("/?q=120.00+refunds")) == ["refunds:R-4"]
        assert "Show all 4" in await ana.get("/?q=nobody")
        for odd in ("page=x", "page=-1", "sort=%27%3B", f"q={'x' * 5_000}", "risk=%00"):
            await ana.get(f"/?{odd}")
        page = await ana.get("/?pick=all")
        assert page.count("checked aria-label") == 2
        answer = await ana.http.get("/")
        assert answer.headers["content-encoding"] == "gzip"


def shown(page: str) -> list[str]:
    return re.findall(r"Select [^,]+, (refunds:R-\d)", page)


async def test_all_tabs_share_one_look(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    await inbox.ask("R-1")
    looks = 0
    look = inbox.site.waiting.look

    async def counted() -> Any:
        nonlocal looks
        looks += 1
        return await look()

    monkeypatch.setattr(inbox.site.waiting, "look", counted)
    async with inbox.visitor(ANA) as ana, inbox.visitor(BO) as bo:
        polls = [tab.http.get("/now") for tab in (ana, bo) for _ in range(10)]
        assert all("R-1" in page.text for page in await asyncio.gather(*polls))
    assert looks <= 3


async def test_what_was_ruled_elsewhere_is_gone_soon(inbox: Inbox) -> None:
    case = await inbox.ask("R-1")
    async with inbox.visitor(ANA) as ana:
        assert "R-1" in await ana.get("/now")
        shell = Operator(inbox.stage.client, signer=inbox.site.key, by=BO, via="inbox")
        await shell.reject(await case.gate(), "not theirs")
        async with asyncio.timeout(10):
            while "R-1" in await ana.get("/now"):  # noqa: ASYNC110  # what people see, over time
                await asyncio.sleep(0.2)


async def test_what_was_ruled_here_is_gone_at_once(inbox: Inbox) -> None:
    case = await inbox.ask("R-1")
    url = page_link("", case.id, (await case.gate()).gate)
    async with inbox.visitor(ANA) as ana:
        await ana.get("/now")
        await ana.get(url)
        await ana.post(url, verb="reject", why="not theirs")
        assert "R-1" not in await ana.get("/now")


async def test_who_waits_for_what_does_not_answer_hears_of_it(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await inbox.ask("R-1")
    url = page_link("", case.id, (await case.gate()).gate)

    async def never(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    async with inbox.visitor(ANA) as ana:
        page = await ana.get(url)
        for room in (app, rulings):
            monkeypatch.setattr(room, "ANSWERS", timedelta(seconds=0.2))
        monkeypatch.setattr(Operator, "gate", never)
        assert "A worker, or the ledger, does not answer. Nothing was sent" in await ana.get(
            url, 503
        )
        ana.page = page
        assert "Nothing was sent" in await ana.post(url, 503, verb="reject", why="no")
    assert (await case.gates())[0].rulings == ()


async def test_who_rules_where_a_worker_has_just_died_waits_once(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await inbox.ask("R-1")
    url = page_link("", case.id, (await case.gate()).gate)
    asked: list[str] = []

    async def dead(_: object, name: str, **__: object) -> None:
        # As the server answers that still takes a worker for one which asks for work.
        asked.append(name)
        await asyncio.sleep(5)
        raise RPCError("context deadline exceeded", RPCStatusCode.DEADLINE_EXCEEDED, b"")

    async with inbox.visitor(ANA) as ana:
        ana.http.timeout = httpx2.Timeout(30)
        with monkeypatch.context() as patched:
            patched.setattr(WorkflowHandle, "query", dead)
            assert "What will be done" in await ana.get(url)
            page = await ana.post(url, verb="reject", why="no")
        assert asked == ["gates"]
        assert "no worker answers now" in page
    assert (await case.outcome()).status == "rejected"


async def test_several_rulings_wait_for_a_dead_worker_beside_each_other(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [await inbox.ask(f"R-{number}") for number in range(7)]
    waiting: set[str] = set()
    together = asyncio.Event()

    async def dead(handle: WorkflowHandle[Any, Any], *_: object, **__: object) -> None:
        waiting.add(handle.id)
        if len(waiting) == len(cases):
            together.set()
        async with asyncio.timeout(4):
            await together.wait()
        raise RPCError("context deadline exceeded", RPCStatusCode.DEADLINE_EXCEEDED, b"")

    async with inbox.visitor(ANA) as ana:
        ana.http.timeout = httpx2.Timeout(30)
        items = [json.dumps((c.id, (g := await c.gate()).gate, g.digest)) for c in cases]
        await ana.get("/")
        with monkeypatch.context() as patched:
            patched.setattr(WorkflowHandle, "query", dead)
            page = await ana.post("/bulk", verb="reject", why="no", item=items)
    assert page.count("no worker answers now") == len(cases)
    for case in cases:
        assert (await case.outcome()).status == "rejected"


async def test_the_first_look_after_a_start_says_how_far_it_is_and_shows_no_part(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await inbox.ask(f"R-{number}")
    reader, on, others = inbox.site.waiting, asyncio.Event(), itertools.count()
    read = reader.read

    async def slow(execution: Any) -> Any:
        if next(others):  # the first one is read, and the others take long
            await on.wait()
        return await read(execution)

    monkeypatch.setattr(reader, "read", slow)
    async with inbox.visitor(ANA) as ana:
        page = await ana.get("/")
        assert "<strong>1</strong> of 3 cases" in page
        assert 'http-equiv="refresh"' in page
        assert "R-0" not in page
        assert "for the first time" in (await ana.http.get("/now")).text
        # What a message links to does not wait for the list.
        case = "refunds:R-0"
        gates = await inbox.site.operator(ANA).case_gates(case)
        assert gates
        assert "R-0" in await ana.get(page_link("", case, gates[0].gate))
        on.set()
        async with asyncio.timeout(10):
            while "Reading what waits" in (page := await ana.get("/")):  # noqa: ASYNC110  # over time
                await asyncio.sleep(0.1)
        assert sorted(shown(page)) == ["refunds:R-0", "refunds:R-1", "refunds:R-2"]
