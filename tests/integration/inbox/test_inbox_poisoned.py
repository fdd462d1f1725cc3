"""One case that cannot be read, or that Temporal's own Pause holds, hides no other in the inbox."""

from __future__ import annotations

import pytest
from temporalio.client import Client

from handrail.client import Operator
from handrail.oversight import STEWARD_WORKFLOW
from tests.agents.poison import (
    MEMOS,
    ODD_ATTRIBUTES,
    forge,
    pause_in_temporal,
    unpause_in_temporal,
    until_listed,
)
from tests.integration.inbox.conftest import ANA, BOSS, Inbox

pytestmark = pytest.mark.integration

TEN = 10
ORIGINS = ("handed_from", "handed_to", "requested_by")
PAGES = (
    "/agents",
    "/agents/refunds",
    "/agents/refunds/cases?of=open",
    "/agents/refunds/value",
    "/ask",
    "/stops",
    "/reviews",
    "/incidents",
    "/closed",
    "/approvers",
    "/intake?all=1",
)


async def test_one_line_for_each_that_cannot_be_read_and_all_others_as_ever(inbox: Inbox) -> None:
    good = [await inbox.ask(f"R-{n}") for n in range(TEN)]
    client = inbox.stage.client
    for what, memo in MEMOS.items():
        await forge(client, f"bad memo {what}", memo, agent="refunds")
    for what, said in ODD_ATTRIBUTES.items():
        await forge(client, f"bad attribute {what}", attributes=said, agent="refunds")
    bad = [f"bad memo {what}" for what in MEMOS] + [f"bad attribute {w}" for w in ODD_ATTRIBUTES]
    await forge_elsewhere(client)
    await until_listed(client, TEN + len(bad))
    async with inbox.visitor(ANA) as ana:
        for path in ("/", "/now", "/?show=all"):
            page = await ana.get(path)
            for case in bad:
                assert f"<strong>{case}</strong>: cannot be read: " in page, (path, case)
            for case in good:
                assert f"<span>{case.id}</span>" in page, path
    await look_elsewhere(inbox)


async def forge_elsewhere(client: Client) -> None:
    """What calls itself a steward, and hand-offs that cannot be read."""
    for case in ("autonomy:it's", "autonomy:0"):
        await forge(client, case, kind=STEWARD_WORKFLOW, queue=case.partition(":")[2])
    for what, memo in MEMOS.items():
        for name in ORIGINS:
            await forge(client, f"refunds:{what} {name}", memo, agent="refunds", name=name)


async def look_elsewhere(inbox: Inbox) -> None:
    """At the other pages, and at chains of which one cannot be read."""
    async with inbox.visitor(BOSS) as boss:
        for path in PAGES:
            assert "<title>" in await boss.get(path), path
        assert "refunds" in await boss.get("/agents")
    found = Operator(inbox.stage.client)
    for what in MEMOS:
        for name in ORIGINS:
            assert (await found.chain(f"refunds:{what} {name}")).cases, (what, name)


async def test_a_case_that_temporal_itself_pauses_takes_a_ruling_that_counts_later(
    inbox: Inbox,
) -> None:
    case = await inbox.ask()
    gate = await case.gate()
    await pause_in_temporal(inbox.stage.client, case.id)
    async with inbox.visitor(ANA) as ana:
        assert '<span class="tag">paused (by Temporal)</span>' in await ana.get("/")
        path = f"/gates/{case.id}/{gate.gate}"
        assert "paused (by Temporal)." in await ana.get(path)
        assert "paused (by Temporal)." in await ana.get(f"/now{path}")
        await ana.get(path)
        said = await ana.post(path, verb="approve")
        assert "paused in Temporal" in said
    await unpause_in_temporal(inbox.stage.client, case.id)
    assert (await case.outcome()).status == "done"
