"""Stopping from the inbox: by whom, signed, in force at once, and seen by who, when and why."""

from __future__ import annotations

import copy
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import State
from handrail.client import start_case, stewards
from handrail.oversight import Keyring, order_givers, order_of_row
from handrail.testing import Outside, eventually
from handrail.wire import HandOffOrigin
from tests.agents.refunds_steps import Complaint
from tests.integration.inbox.conftest import ANA, BO, BOSS, DEE, POLICY, Inbox, Run

TWO: dict[str, Any] = copy.deepcopy(POLICY) | {"control": {"people": [BOSS, BO], "two": ["full"]}}
TWO["actions"]["refund"]["autonomy"] = "supervised"


def ids(page: str) -> list[str]:
    return re.findall(r'name="lift" value="([0-9a-f]{32})"', page)


@pytest.mark.parametrize("what", ["refunds", "refunds/refund", "fleet"])
async def test_whoever_a_policy_names_stops_and_its_owner_lifts(
    inbox: Inbox, outside: Outside, what: str
) -> None:
    async with inbox.visitor(ANA) as ana, inbox.visitor(BOSS) as boss:
        assert "Nothing is stopped" in await ana.get("/stops")
        page = await ana.post("/stops", stop="1", what=what, why="it <b>went</b> mad")
        assert "it &lt;b&gt;went&lt;/b&gt; mad" in page
        assert (ANA in page, "(unproven)" in page, ids(page)) == (True, True, [])
        (row,) = await inbox.stage.ledger.orders(live=True)
        keys = Keyring(inbox.site.settings.keyring).current()
        order = order_of_row(row)
        assert order is not None
        assert order_givers(order, row.proofs, keys) == (ANA,)
        case = await inbox.stage.start("refunds", Complaint(number="R-2", amount=Decimal(5)))
        await case.until(lambda view: view.state is State.PAUSED)
        assert outside.effects("refund") == []
        (mine,) = ids(await boss.get("/stops"))
        assert "Nothing is stopped" in await boss.post("/stops", lift=mine, why="mended")
        assert f"by {BOSS}" in boss.page
        # Its steward told it.
        assert (await case.outcome()).status is State.DONE
    assert len(outside.effects("refund")) == 1


async def test_a_case_is_stopped_and_ends(inbox: Inbox) -> None:
    case = await inbox.ask()
    async with inbox.visitor(BO) as bo:
        assert f'value="{case.id}"' in await bo.get(f"/stops?case={case.id}")
        page = await bo.post("/stops", stop="1", what="refunds", case=case.id, why="wrong one")
        # It is over when its case has ended, which may be sooner than the page.
        assert case.id in page or (await case.view()).state is State.STOPPED
    assert (await case.outcome()).status is State.STOPPED
    (row,) = await inbox.stage.ledger.orders(live=True)
    assert (row.case, row.by) == (case.id, BO)


async def test_who_may_not_lift_is_told_so_whatever_they_send(inbox: Inbox) -> None:
    async with inbox.visitor(ANA) as ana:
        await ana.get("/stops")
        await ana.post("/stops", stop="1", what="refunds")
        (row,) = await inbox.stage.ledger.orders(live=True)
        page = await ana.post("/stops", 422, lift=row.id)
        assert f"does not let {ANA} lift it" in page
        assert "nothing is in force for" in await ana.post("/stops", 422, lift="f" * 32)
    assert len(await inbox.stage.ledger.orders(live=True)) == 1


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"stop": "1", "what": "others"}, f"no policy names {DEE} for others"),
        ({"stop": "1", "what": "refunds", "case": "others:1"}, f"no policy names {DEE}"),
        ({"stop": "1", "what": ""}, "write fleet, an agent"),
        ({"stop": "1", "what": "refunds/"}, "write fleet, an agent"),
        ({"level": "1", "what": "refunds", "to": "most"}, "is no level"),
        ({"level": "1", "what": "fleet", "to": "pilot"}, "of one agent"),
        ({"level": "1", "what": "refunds", "to": "full", "rollout": "half"}, "such as 25%"),
        ({"second": "f" * 32}, "is no order that waits"),
    ],
)
async def test_what_cannot_be_ordered_orders_nothing(
    inbox: Inbox, sent: dict[str, Any], said: str
) -> None:
    async with inbox.visitor(DEE) as dee:
        await dee.get("/stops")
        assert said in await dee.post("/stops", 422, **sent)
        await dee.post("/stops", 400, nothing="1")
        await dee.post("/stops", 403, token="forged", stop="1", what="refunds")  # noqa: S106
    assert await inbox.stage.ledger.orders() == []


async def test_with_several_agents_none_is_chosen_for_whoever_stops(inbox: Inbox) -> None:
    async with inbox.visitor(ANA) as ana:
        page = await ana.get("/stops")
        several = len(re.findall(r": all of it</option>", page)) > 1
        assert ('<option value="">choose</option>' in page) is several
        page = await ana.post("/stops", 422, stop="1", what="", why="it went mad")
        assert "write fleet, an agent" in page
        assert 'value="it went mad"' in page
    assert await inbox.stage.ledger.orders(live=True) == []


async def test_nobody_stops_without_signing_in(inbox: Inbox) -> None:
    answer = await _anonymous(inbox)
    assert answer.status_code == 303
    assert await inbox.stage.ledger.orders() == []


async def _anonymous(inbox: Inbox) -> Any:
    async with inbox.visitor() as nobody:
        return await nobody.http.post("/stops", data={"stop": "1", "what": "fleet"})


async def test_levels_go_down_by_anybody_and_up_by_two(run_inbox: Run) -> None:
    async with run_inbox(TWO) as inbox:
        await stewards.ensure_stewards(inbox.stage.client, ["refunds"])
        await eventually(lambda: _picture(inbox))
        async with inbox.visitor(ANA) as ana, inbox.visitor(BOSS) as boss:
            assert "refunds, by itself" in await ana.get("/stops")
            lower: dict[str, Any] = {"level": "1", "what": "refunds/refund", "to": "human_led"}
            await ana.post("/stops", **lower, why="odd")
            page = await ana.post("/stops", level="1", what="refunds", to="full")
            assert "It is refused" in page
            await boss.get("/stops")
            raise_it: dict[str, Any] = {
                "level": "1",
                "what": "refunds",
                "to": "full",
                "rollout": "25%",
            }
            assert "It is waiting for a second person" in await boss.post("/stops", **raise_it)
            assert 'name="second"' not in boss.page
            async with inbox.visitor(BO) as bo:
                page = await bo.get("/stops")
                (second,) = re.findall(r'name="second" value="([^"]+)"', page)
                assert "full 25% for refunds" in page
                await bo.post("/stops", second=second, why="I agree")
            rows = await inbox.stage.ledger.orders(live=True)
    assert [(row.level, row.rollout) for row in rows][-1] == ("full", 2_500)
    assert len(rows[-1].proofs) == 2


async def _picture(inbox: Inbox) -> bool:
    book = await stewards.steward_book(inbox.stage.client, "refunds")
    return book is not None and book.picture is not None


async def test_the_agents_of_a_reader_are_seen_at_a_glance(run_inbox: Run, tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_text("eve@example.com: {name: Eve}\n")
    async with run_inbox(people=tmp_path / "people.yaml") as inbox:
        await inbox.ask()
        async with inbox.visitor(ANA) as ana, inbox.visitor("eve@example.com") as eve:
            page = await ana.get("/agents")
            assert '<a href="/agents">' in await ana.get("/stops")
            none = await eve.get("/agents")
    assert "refunds</a></td><td>working</td>" in page
    assert "handrail-" in page
    # When it was asked is in the ledger a moment later.
    asked = r"<td>1( <span class=\"meta\">the oldest since .*</span>)?</td>"
    assert re.search(rf"{asked}<td>1</td>\s*<td>0</td>", page), page
    assert "refunds</a></td>" not in none


async def test_where_a_case_comes_from_is_on_its_pages(inbox: Inbox) -> None:
    agent, event = inbox.stage.fleet.agents["refunds"], Complaint(number="R-9", amount=Decimal(84))
    origin = HandOffOrigin(chain=("desk:1",), askers=(ANA,))
    client = inbox.stage.client
    await start_case(client, "refunds", agent.workflow, event, event.key, origin=origin)
    gate = await inbox.stage.case("refunds:R-9").gate()
    async with inbox.visitor(ANA) as ana:
        page = await ana.get("/cases/refunds:R-9")
        assert "desk:1</a> <span>not known any more" in page
        assert "<strong>refunds:R-9</strong> <span>waiting, from desk:1" in page
        assert "handed on by desk:1" in await ana.get(f"/gates/refunds:R-9/{gate.gate}")
    assert ANA in gate.barred
