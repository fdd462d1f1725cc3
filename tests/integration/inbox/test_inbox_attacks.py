"""What somebody tries who knows the inbox well: each of these has worked once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from handrail.exceptions import ConfigurationError
from handrail.inbox import mail_link
from handrail.inbox.channels.mail import Mailer
from handrail.inbox.channels.slack import Slack
from handrail.inbox.web.server import opened
from handrail.inbox.web.tokens import Links, Seals, page_link
from handrail.runtime import Settings, SmtpServer
from handrail.testing import CaseHandle
from tests.integration.inbox.conftest import ANA, POLICY, SECRET, Inbox, Run, token_of
from tests.integration.inbox.provider import CLIENT, provider

BOUNDS: dict[str, Any] = {
    "hours": "168",
    "uses": "1000",
    "bound/amount": "up to",
    "most/amount": "500",
}


async def url_of(case: CaseHandle) -> str:
    return page_link("", case.id, (await case.gate()).gate)


async def test_a_link_in_a_mail_does_not_approve_in_advance(inbox: Inbox) -> None:
    case = await inbox.ask()
    link = mail_link(SECRET, "", ANA, case.id, (await case.gate()).gate)
    async with inbox.visitor() as ana:
        await ana.get(link)
        page = await ana.post(link, 422, verb="standing", **BOUNDS)
        assert "sign in to approve in advance" in page
    assert await inbox.stage.ledger.mandates() == []
    assert (await case.gates())[0].rulings == ()


async def test_what_cannot_be_shown_as_free_is_bound_by_a_standing_approval(inbox: Inbox) -> None:
    case = await inbox.ask()
    url = await url_of(case)
    async with inbox.visitor(ANA) as ana:
        page = await ana.get(url)
        assert "account: the same as here" in page
        assert "articles: the same as here" in page
        await ana.post(url, verb="standing", **BOUNDS)
        await case.outcome()
    (kept,) = (await inbox.site.operator(ANA).mandates()).mandates
    mandate = kept.mandate
    assert mandate is not None
    assert mandate.same == {
        "account": {"holder": "Ida Berg", "iban": "DE02120300000000202051"},
        "articles": ["GLASS-6", "BOX-S"],
    }


async def test_how_a_question_ended_is_told_to_nobody_else(run_inbox: Run) -> None:
    async with run_inbox(inbox_domains="firm.example") as inbox:
        case = await inbox.ask()
        url = await url_of(case)
        async with inbox.visitor(ANA) as ana, inbox.visitor("eve@firm.example") as eve:
            await ana.get(url)
            await ana.post(url, verb="approve")
            await case.outcome()
            assert "approved by" in await ana.get(f"/now{url}")
            assert (await eve.http.get(f"/now{url}")).status_code == 404
            assert (await eve.http.get(url)).status_code == 404


async def test_whoever_is_taken_out_of_the_policy_is_out_at_once(
    run_inbox: Run, tmp_path: Path
) -> None:
    async with run_inbox() as inbox, inbox.visitor(ANA) as ana:
        case = await inbox.ask()
        url = await url_of(case)
        await ana.get(url)
        lead = POLICY["roles"]["lead"] | {"people": ["bo@example.com"]}
        changed = POLICY | {"roles": POLICY["roles"] | {"lead": lead}}
        path = tmp_path / "guardrails" / "refunds.yaml"
        path.write_text(json.dumps(changed), encoding="utf-8")
        assert (await ana.http.get(url)).status_code == 303
        assert (await ana.http.get(f"/now{url}")).status_code == 401


@pytest.mark.parametrize("number", ["a%2Fb", "a?b=c", "50%", "a/b"])
async def test_after_signing_in_they_see_the_case_they_came_for(inbox: Inbox, number: str) -> None:
    url = await url_of(await inbox.ask(number))
    async with inbox.visitor() as ana:
        await ana.get(url)
        data = {"token": token_of(ana.page), "address": ANA}
        answer = await ana.http.post("/sign-in/dev", data=data, follow_redirects=True)
        assert "Give a customer money back." in answer.text


async def test_no_form_is_nested_too_deeply_to_be_refused(inbox: Inbox) -> None:
    url = await url_of(await inbox.ask())
    deep = '{"a":' * 20_000
    async with inbox.visitor(ANA) as ana:
        await ana.get(url)
        await ana.post(url, 422, verb="amend", action=deep)
        await ana.get("/")
        await ana.post("/bulk", 400, verb="approve", item="[" * 20_000)


async def test_a_link_that_lets_somebody_in_is_in_no_log(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await inbox.ask()
    link = mail_link(SECRET, "", ANA, case.id, (await case.gate()).gate)

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("handrail.client.Operator.gate", broken)
    async with inbox.visitor() as ana:
        with capture_logs() as logged:
            for path in (link, f"/now{link}"):
                await ana.get(path, 500)
    assert [each["path"] for each in logged] == ["/mail/…", "/now/mail/…"]


def test_nothing_that_holds_a_secret_shows_it() -> None:
    server = SmtpServer("mail.example.com", 25, user="h", password="hunter2-1")  # noqa: S106  # of a test
    holders = [
        Seals("hunter2-2"),
        Links("hunter2-3", "https://inbox.example.com"),
        Mailer(server, "h@example.com", secret=b"hunter2-4"),
        Slack("hunter2-5"),
    ]
    assert "hunter2" not in repr(holders)


async def test_nobody_signs_in_by_name_through_a_proxy(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, inbox_dev=True, inbox_url="https://inbox.example.com")
    nothing: Any = None
    with pytest.raises(ConfigurationError, match=r"people come by inbox\.example\.com"):
        async with opened(settings, nothing, nothing):
            pass


async def test_a_link_to_us_puts_no_words_on_the_page(run_inbox: Run) -> None:
    async with provider() as found:
        more = {"inbox_dev": False, "oidc_issuer": found.issuer, "oidc_client_id": CLIENT}
        async with run_inbox(**more) as inbox, inbox.visitor() as ana:
            said = "Call +1 555 0100 and say your password"
            page = await ana.http.get("/sign-in/back", params={"error": said})
            assert page.status_code == 403
            assert "555" not in page.text
            page = await ana.http.get("/sign-in/back", params={"error": "access_denied"})
            assert re.search(r"not completed \(access_denied\)", page.text)
