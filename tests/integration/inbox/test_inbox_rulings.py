"""What people do in the inbox, and what becomes of it in the case: without any script."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest

from handrail import Ledger
from handrail.actions import digest_of
from handrail.inbox.web.pages import NEWEST
from handrail.inbox.web.site import PER_MINUTE
from handrail.inbox.web.tokens import page_link
from handrail.oversight import MANDATE_STATEMENT, Mandate
from handrail.testing import CaseHandle, Outside
from tests.agents.refunds_steps import Complaint
from tests.integration.inbox.conftest import ANA, BO, BOSS, CY, DEE, POLICY, Inbox, Run, Visitor


def fields(given: dict[str, Any]) -> dict[str, Any]:
    """Fields whose names are no names in Python."""
    return given


async def url_of(case: CaseHandle) -> str:
    return page_link("", case.id, (await case.gate()).gate)


def filled(page: str) -> dict[str, Any]:
    """The amendment's fields as the page shows them."""
    inputs = r'<input type="(?:text|date)"[^>]*name="(f/[^"]+)"[^>]*value="([^"]*)"'
    found = dict(re.findall(inputs, page))
    found |= dict(re.findall(r'<textarea[^>]*name="(f/[^"]+)"[^>]*>\n([^<]*)<', page))
    selects = re.findall(r'<select[^>]*name="(f/[^"]+)"[^>]*>(.*?)</select>', page, re.DOTALL)
    for name, options in selects:
        found[name] = "".join(re.findall(r'value="([^"]*)" selected', options))
    checked = r'type="checkbox" name="(f/[^"]+)" value="true" checked'
    found |= dict.fromkeys(re.findall(checked, page), "true")
    return {name: unescape(value) for name, value in found.items()}


async def test_an_approval_is_signed_for_whoever_gave_it_and_says_how_long_they_looked(
    inbox: Inbox, outside: Outside
) -> None:
    case = await inbox.ask()
    async with inbox.visitor(ANA) as ana:
        await ana.get(await url_of(case))
        inbox.site.clock = lambda: datetime.now(UTC) + timedelta(seconds=42)
        page = await ana.post(await url_of(case), verb="approve", why="fair")
        assert "You are signed in by name, which proves nothing of who you are" in page
        assert "your ruling is proven" not in page
    outcome = await case.outcome()
    ruled = outcome.rulings[-1]
    assert (ruled.by, ruled.via, ruled.proven, ruled.why) == (ANA, "name", False, "fair")
    assert ruled.looked is not None
    assert 42 <= ruled.looked < 60
    rows = await inbox.stage.ledger.rulings(case=case.id)
    assert [(row.by, row.kid, row.via) for row in rows] == [(ANA, inbox.site.key.kid, "name")]
    assert len(outside.effects("refund")) == 1


async def test_a_rejection_needs_a_reason_and_keeps_what_was_written(inbox: Inbox) -> None:
    case = await inbox.ask()
    url = await url_of(case)
    async with inbox.visitor(ANA) as ana:
        await ana.get(url)
        page = await ana.post(url, 422, verb="reject", why="  ")
        assert "Say why" in page
        assert 'aria-describedby="why-error"' in page
        page = await ana.post(url, verb="reject", why="no receipt")
        assert "Rejected" in page
        assert "Rejected by ana@example.com" in await ana.get(url)
    outcome = await case.outcome()
    assert outcome.rulings[-1].why == "no receipt"
    assert outcome.receipts == ()


async def test_an_amendment_is_shown_beside_what_was_proposed_before_it_is_sent(
    inbox: Inbox, outside: Outside
) -> None:
    case = await inbox.ask()
    url = await url_of(case)
    async with inbox.visitor(ANA) as ana:
        now = filled(await ana.get(url))
        assert now["f/amount"] == "84.00"
        assert now["f/account/iban"] == "DE02120300000000202051"
        page = await ana.post(url, 422, verb="review", **now)
        assert "the amendment changes nothing" in page
        changed: dict[str, Any] = now | {
            "f/amount": "40.50",
            "f/note": "half of it",
            "f/parcels": "1",
        }
        page = await ana.post(url, verb="review", **changed)
        assert re.search(r"(?s)<del>\s*84.00 EUR\s*</del>.*<ins>\s*40.50 EUR\s*</ins>", page)
        assert (await case.gates())[0].rulings == ()
        action = re.findall(r'name="action" value="([^"]*)"', page)[0].replace("&#34;", '"')
        token = re.findall(r'name="token" value="([^"]+)"', page)[-1]
        await ana.post(url, verb="amend", action=action, token=token)
    outcome = await case.outcome()
    done = json.loads(action)
    assert outcome.receipts[0].digest == digest_of("refund", done)
    assert Decimal(done["amount"]) == Decimal("40.50")
    assert (done["note"], done["parcels"], done["send_mail"]) == ("half of it", 1, True)
    assert done["articles"] == ["GLASS-6", "BOX-S"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("f/amount", "a lot", "write a number with a point"),
        ("f/amount", "NaN", "write a number with a point"),
        ("f/amount", "", "this must be filled in"),
        ("f/amount", "9000", "at most 500"),
        ("f/parcels", "1.5", "write a whole number"),
        ("f/parcels", "12", "at most 9"),
        ("f/due", "soon", "write a date"),
        ("f/articles", "[", "this is not JSON"),
        ("f/articles", '{"a": 1}', "f/articles-error"),
        ("f/reason", '"because"', "f/reason-error"),
    ],
)
async def test_what_will_not_do_is_said_beside_the_field(
    inbox: Inbox, field: str, value: str, says: str
) -> None:
    case = await inbox.ask()
    url = await url_of(case)
    async with inbox.visitor(ANA) as ana:
        now = filled(await ana.get(url))
        page = await ana.post(url, 422, verb="review", **(now | {field: value}))
    assert f'id="{field}-error"' in page
    assert says in page
    assert re.search(r'id="amend" open', page)
    if field != "f/reason":
        assert value.replace('"', "&#34;") in page
    assert (await case.gates())[0].rulings == ()


async def test_units_come_with_the_question_and_stand_in_the_list_and_on_its_page(
    inbox: Inbox,
) -> None:
    case = await inbox.ask()
    said = {"action.amount": "EUR", "evidence.paid": "EUR", "evidence.amount": "EUR"}
    assert (await case.gate()).units == said
    async with inbox.visitor(ANA) as ana:
        assert "<del>0.00 EUR</del> <ins>84.00 EUR</ins>" in await ana.get("/")
        assert "amount <strong>84.00 EUR</strong>" in ana.page
        page = await ana.get(await url_of(case))
        assert "<del>0.00 EUR</del></td>" in page
        assert "<dd>249.90 EUR</dd>" in page
    (verdict, *_) = await inbox.stage.ledger.verdicts("refunds", case=case.id)
    assert verdict.units == said


async def test_a_case_that_never_was_is_said_not_to_be(inbox: Inbox) -> None:
    async with inbox.visitor(ANA) as ana:
        page = await ana.get("/gates/refunds:R-9/0123456789abcdef")
        assert "This question is not open" in page
        assert "There is no such question for you" in await ana.get("/gates/other:R-9/0123", 404)


async def test_a_question_to_the_agent_is_answered_on_the_page(inbox: Inbox) -> None:
    case = await inbox.ask()
    url = await url_of(case)
    async with inbox.visitor(ANA) as ana:
        await ana.get(url)
        page = await ana.post(url, 422, verb="ask", **fields({"ask-to": "agent"}))
        assert "Write your question." in page
        await ana.post(
            url, verb="ask", **fields({"ask-to": "agent", "ask-why": "Are there photos?"})
        )
        await case.until(lambda view: view.gates[0].asked and view.gates[0].asked[0].answer)
        page = await ana.get(url)
        assert "Are there photos?" in page
        assert "has two photos" in page
        assert "Approve" in page


async def test_a_colleague_answers_what_they_are_asked(inbox: Inbox) -> None:
    case = await inbox.ask()
    url = await url_of(case)
    async with inbox.visitor(ANA) as ana, inbox.visitor(CY) as cy:
        await ana.get(url)
        await ana.post(url, verb="ask", **fields({"ask-to": CY, "ask-why": "Is it budgeted?"}))
        assert "Nothing waits" not in await cy.get("/")
        page = await cy.get(url)
        assert "Is it budgeted?" in page
        question = re.findall(r'name="question" value="([^"]+)"', page)[0]
        await cy.post(url, 422, verb="answer", question=question)
        given = fields({"question": question, f"answer-{question}": "Yes, of May."})
        await cy.post(url, verb="answer", **given)
        assert "Yes, of May." in await ana.get(url)


async def test_a_ruling_is_handed_over_to_a_deputy_and_taken_back(inbox: Inbox) -> None:
    case = await inbox.ask()
    url = await url_of(case)
    async with inbox.visitor(ANA) as ana, inbox.visitor(DEE) as dee:
        page = await ana.get(url)
        assert f'<option value="{DEE}"' in page
        await ana.post(url, verb="delegate", **fields({"delegate-to": DEE}))
        assert 'value="approve"' not in await ana.get(url)
        assert 'value="approve"' in await dee.get(url)
        await ana.get(url)
        await ana.post(url, verb="revoke")
        assert 'value="approve"' not in await dee.get(url)
        assert 'value="approve"' in await ana.get(url)


async def test_an_agents_own_question_is_answered_by_its_form(inbox: Inbox) -> None:
    case = await inbox.ask("ASK-1")
    url = await url_of(case)
    async with inbox.visitor(BO) as bo:
        page = await bo.get(url)
        assert "Does this customer deserve it?" in page
        await bo.post(url, 422, verb="answer", **fields({"f/share": "200", "f/tone": '"kind"'}))
        assert "at most 100" in bo.page
        given = fields({"f/deserved": "true", "f/share": "80", "f/tone": '"kind"'})
        assert "Answered" in await bo.post(url, verb="answer", **given)
    assert (await case.outcome()).why == "80 % kind True"


async def test_several_are_ruled_on_at_once_each_by_itself(inbox: Inbox) -> None:
    cases = [await inbox.ask(f"R-{number}") for number in range(3)]
    async with inbox.visitor(ANA) as ana, inbox.visitor(BO) as bo:
        await ana.get("/")
        items = [each.replace("&#34;", '"') for each in _items(ana.page)]
        assert len(items) == 3
        await bo.get(await url_of(cases[1]))
        await bo.post(await url_of(cases[1]), verb="reject", why="no")
        page = await ana.post("/bulk", 200, verb="approve", why="all fair", item=items)
        assert page.count("<strong>accepted</strong>") == 2
        assert page.count("<strong>not accepted</strong>") == 1
    outcomes = [await case.outcome() for case in cases]
    assert [len(outcome.receipts) for outcome in outcomes] == [1, 0, 1]
    for outcome in (outcomes[0], outcomes[2]):
        assert (outcome.rulings[-1].why, outcome.rulings[-1].via) == ("all fair", "name")
    rows = await inbox.stage.ledger.rulings(by=ANA)
    assert len({row.jti for row in rows}) == len(rows) == 2


def _items(page: str) -> list[str]:
    return re.findall(r'name="item"[^>]*value="([^"]*)"', page)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"verb": "approve"}, "Select at least one"),
        ({"verb": "amend", "item": '["a", "b", "c"]'}, "approved or rejected"),
        ({"verb": "reject", "item": '["a", "b", "c"]'}, "Say why"),
        ({"verb": "approve", "item": ['["a", "b", "c"]'] * 51}, "50 at most"),
    ],
)
async def test_a_selection_that_cannot_be_sent_says_why(
    inbox: Inbox, given: dict[str, Any], says: str
) -> None:
    async with inbox.visitor(ANA) as ana:
        await ana.get("/")
        assert says in await ana.post("/bulk", 422, **given)
        await ana.get("/")
        await ana.post("/bulk", 400, verb="approve", item="nonsense")


async def test_such_as_this_is_approved_for_a_time_and_revoked(inbox: Inbox) -> None:
    case = await inbox.ask()
    url = await url_of(case)
    async with inbox.visitor(ANA) as ana:
        await ana.get(url)
        page = await ana.post(url, 422, verb="standing", hours="8", uses="20")
        assert "Bind at least one field" in page
        bounds = fields({"bound/reason": "same", "bound/amount": "up to", "most/amount": "100"})
        page = await ana.post(url, 422, verb="standing", hours="9", uses="0", **bounds)
        assert "write a number from 1 to 1000." in page
        await ana.post(url, verb="standing", hours="8", uses="20", **bounds)
        await case.outcome()
        mandate = await _only_mandate(inbox, inbox.stage.ledger)
        assert (mandate.by, mandate.step, mandate.role, mandate.uses) == (ANA, "refund", "lead", 20)
        assert mandate.same.keys() == {"reason", "account", "articles"}
        assert mandate.up_to == {"amount": Decimal(100)}
        second = await inbox.stage.start("refunds", Complaint(number="R-2"))
        outcome = await second.outcome()
        assert len(outcome.receipts) == 1
        page = await ana.get("/me")
        assert "used 1 of 20 times" in page
        assert "<dd>up to 100 EUR</dd>" in page
        revoke = re.findall(r'name="revoke" value="([^"]+)"', page)[0]
        async with inbox.visitor(BO) as bo:
            await bo.get("/me")
            token = re.findall(r'name="token" value="([^"]+)"', bo.page)[-1]
            await bo.post("/me", 422, revoke=revoke, token=token)
            assert f"is of {ANA}: only they revoke it" in bo.page
        await ana.post("/me", revoke=revoke)
        assert "used 1 of 20" not in ana.page
    third = await inbox.ask("R-3")
    assert (await third.gates())[0].waiting_for == ("lead",)


async def _only_mandate(inbox: Inbox, ledger: Ledger) -> Mandate:
    rows = await ledger.mandates()
    assert len(rows) == 1
    keys = {inbox.site.key.kid: inbox.site.key.public()}
    payload, by, _ = MANDATE_STATEMENT.verify(rows[0].text, keys, datetime.now(UTC))
    assert by == ANA
    return Mandate.model_validate(payload)


async def test_somebody_who_is_away_is_stood_in_for(inbox: Inbox) -> None:
    async with inbox.visitor(ANA) as ana:
        page = await ana.get("/me")
        whom = re.findall(r'<option value="(refunds [^"]+)"', page)
        assert whom == [f"refunds {DEE}"]
        await ana.post("/me", 422, whom=f"refunds {BOSS}", ends="2099-01-01T00:00")
        assert f"lets {DEE} stand in for {ANA}" in unescape(ana.page)
        await ana.post("/me", 422, whom=whom[0], ends="2020-01-01T00:00")
        assert "at a time to come" in ana.page
        await ana.post("/me", 422, whom=whom[0], ends="2099-01-01T00:00")
        ends = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")
        page = await ana.post("/me", whom=whom[0], ends=ends, why="holidays")
        assert f"{DEE} rules for you on refunds" in page
    case = await inbox.ask()
    async with inbox.visitor(DEE) as dee:
        assert "Whom I stand in for" in await dee.get("/me")
        url = await url_of(case)
        await dee.get(url)
        assert "Approved" in await dee.post(url, verb="approve")
    ruled = (await case.outcome()).rulings[-1]
    assert (ruled.by, ruled.stands_for) == (DEE, ANA)


async def test_what_was_ruled_is_listed_with_who_and_when(inbox: Inbox) -> None:
    case = await inbox.ask()
    url = await url_of(case)
    async with inbox.visitor(ANA) as ana:
        await ana.get(url)
        await ana.post(url, verb="approve", why="fair enough")
        await case.outcome()
        page = await ana.get("/closed")
        assert "fair enough" in page
        assert case.id in page
        page = await ana.get(url)
        assert "Approved by ana@example.com" in page
    # What was ruled since, on agents of others, hides none of it.
    (kept,) = await inbox.stage.ledger.rulings()
    later = {"case": "other:1", "agent": "other", "by": CY, "at": kept.at + timedelta(hours=1)}
    others = (replace(kept, jti=f"{n:032}", effect=None, **later) for n in range(5 * NEWEST))
    await inbox.stage.ledger.record_rulings(others)
    async with inbox.visitor(BOSS) as boss:
        page = await boss.get("/approvers")
        assert ANA in page
        assert CY not in page
        assert "fair enough" in await boss.get("/closed")


async def test_the_list_shows_the_first_to_expire_first_and_what_may_be_seen(inbox: Inbox) -> None:
    first, second = await inbox.ask("R-1"), await inbox.ask("R-2")
    async with inbox.visitor(ANA) as ana:
        page = await ana.get("/")
        assert page.index(first.id) < page.index(second.id)
        assert "Nothing waits" in await ana.get("/?agent=other")
    async with inbox.visitor(CY) as cy:
        assert "Nothing waits" in await cy.get("/")
        assert first.id in await cy.get("/?show=all&agent=refunds")


async def test_news_comes_to_a_page_that_is_open_and_only_news(inbox: Inbox) -> None:
    case = await inbox.ask()
    url = await url_of(case)
    async with inbox.visitor(ANA) as ana, inbox.visitor(BO) as bo:
        for page, path in ((await ana.get("/"), "/now"), (await ana.get(url), f"/now{url}")):
            poll = re.findall(r'hx-get="(/now[^"]*)"', page)[0].replace("&amp;", "&")
            assert poll.startswith(path)
            assert (await ana.http.get(poll)).status_code == 204
            if path == "/now":
                await inbox.ask("R-2")
                fresh = await _shows("refunds:R-2", ana, poll)
                assert "<html" not in fresh
            else:
                await bo.get(url)
                await bo.post(url, verb="reject", why="no")
                fresh = (await ana.http.get(poll)).text
                assert "This is over: rejected by bo@example.com" in fresh


async def _shows(text: str, visitor: Visitor, poll: str) -> str:
    """What the list shows as soon as that is in it: it may be some seconds old."""
    async with asyncio.timeout(10):
        while text not in (found := (await visitor.http.get(poll)).text):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return found


async def test_what_was_selected_stays_selected_when_the_list_is_renewed(inbox: Inbox) -> None:
    await inbox.ask("R-1")
    async with inbox.visitor(ANA) as ana:
        await ana.get("/")
        item = _items(ana.page)[0].replace("&#34;", '"')
        await inbox.ask("R-2")
        fresh = await ana.http.get("/now", params={"item": item, "seen": "old"})
        assert len(re.findall(r"<input[^>]*checked", fresh.text)) == 1


async def test_rulings_of_one_person_are_limited(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PER_MINUTE, "rule", 2)
    case = await inbox.ask()
    url = await url_of(case)
    async with inbox.visitor(ANA) as ana, inbox.visitor(BO) as bo:
        await ana.get(url)
        page = ana.page
        for status in (422, 422, 429):
            ana.page = page
            await ana.post(url, status, verb="reject")
        await bo.get(url)
        await bo.post(url, verb="approve")


async def test_a_mail_channel_that_the_policy_does_not_accept_is_refused(run_inbox: Run) -> None:
    roles = {**POLICY["roles"], "lead": {**POLICY["roles"]["lead"], "accept": ["key", "mail"]}}
    async with run_inbox({**POLICY, "roles": roles}) as inbox:
        case = await inbox.ask()
        url = await url_of(case)
        async with inbox.visitor(ANA) as ana:
            await ana.get(url)
            page = await ana.post(url, 409, verb="approve")
            assert "Not accepted" in page


async def test_where_proof_is_required_a_name_alone_counts_for_nothing(
    run_inbox: Run, outside: Outside
) -> None:
    async with run_inbox(by_name=False) as inbox:
        case = await inbox.ask()
        async with inbox.visitor(ANA) as ana:
            await ana.get(await url_of(case))
            page = await ana.post(await url_of(case), 409, verb="approve")
        assert "signed in by name, which proves nothing" in unescape(page)
        assert (await case.view()).gates
        assert outside.effects("refund") == []


async def test_what_a_name_alone_gave_is_told_apart_wherever_it_is_shown(inbox: Inbox) -> None:
    async with inbox.visitor(ANA) as ana:
        case = await inbox.ask()
        await ana.get(await url_of(case))
        await ana.post(await url_of(case), verb="approve")
        await case.outcome()
        url = page_link("", case.id, (await case.view()).closed[0].gate)
        assert f"by {ANA} (signed in by name)</strong>" in await ana.get(url)
        assert "signed in by name" in await ana.get("/closed")
        await ana.get("/stops")
        await ana.post("/stops", what="refunds", stop="1", why="no money")
        assert f"by {ANA} (unproven)" in await ana.get("/stops")
    ruled = (await inbox.site.operator(ANA).rulings(prove=True)).rulings
    assert [(each.via, each.proven) for each in ruled] == [("name", False)]
    assert ruled[0].why.startswith("signed in by name")
