"""What the inbox refuses, whoever asks: forms that are not ours, sessions that are not theirs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from handrail.exceptions import ConfigurationError
from handrail.inbox import mail_link
from handrail.inbox.web.app import MOST_BYTES
from handrail.inbox.web.server import opened
from handrail.inbox.web.tokens import BadToken, OneTimeTokens, Seals, page_link, seals_of
from handrail.runtime import Settings
from tests.integration.inbox.conftest import (
    ANA,
    BO,
    BOSS,
    CY,
    DEE,
    POLICY,
    SECRET,
    Inbox,
    Run,
    token_of,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WITH_MAIL: dict[str, Any] = {
    "inbox_dev": False,
    "smtp_url": "smtp://localhost:1",
    "mail_from": "h@example.com",
}


async def url_of(inbox: Inbox, number: str = "R-1", **more: Any) -> str:
    case = await inbox.ask(number, **more)
    return page_link("", case.id, (await case.gate()).gate)


# Seals


def test_a_seal_opens_for_its_purpose_in_its_time_and_under_its_secret_only() -> None:
    seals = Seals(SECRET)
    token = seals.seal("form", NOW + timedelta(minutes=1), who=ANA)
    assert seals.open("form", token, NOW)["who"] == ANA
    wrong = [
        lambda: seals.open("sign-in", token, NOW),
        lambda: seals.open("form", token, NOW + timedelta(minutes=1)),
        lambda: seals.open("form", f"{token[:-1]}{'A' if token[-1] != 'A' else 'B'}", NOW),
        lambda: seals.open("form", "", NOW),
        lambda: Seals(f"{SECRET}!").open("form", token, NOW),
    ]
    for each in wrong:
        with pytest.raises(BadToken):
            each()


def test_the_secret_is_made_once_and_kept_from_others(tmp_path: Any) -> None:
    settings = Settings(home=tmp_path)
    assert seals_of(settings) == seals_of(settings)
    path = tmp_path / "keys" / "inbox.secret"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        seals_of(settings)


def test_what_was_spent_stays_spent_when_it_starts_again(tmp_path: Any) -> None:
    for first in (True, False):
        with OneTimeTokens(tmp_path / "once.db") as once:
            assert once.spend("a", NOW + timedelta(hours=1), NOW) is first
            assert once.spent("a")


# Forms


@pytest.mark.parametrize("token", ["", "nonsense", "missing"])
async def test_a_form_without_its_token_changes_nothing(inbox: Inbox, token: str) -> None:
    url = await url_of(inbox)
    async with inbox.visitor(ANA) as ana:
        await ana.get(url)
        data = {"verb": "approve"}
        if token != "missing":  # noqa: S105
            data["token"] = token
        answer = await ana.http.post(url, data=data)
        assert answer.status_code == 403
    assert (await inbox.stage.case("refunds:R-1").gates())[0].rulings == ()


async def test_a_token_of_another_session_person_or_question_is_refused(inbox: Inbox) -> None:
    url, other = await url_of(inbox), await url_of(inbox, "R-2")
    async with inbox.visitor(ANA) as ana, inbox.visitor(BO) as bo, inbox.visitor(ANA) as again:
        await ana.get(url)
        mine = token_of(ana.page)
        await bo.get(url)
        await bo.post(url, 403, verb="approve", token=mine)
        await again.post(url, 403, verb="approve", token=mine)
        await ana.get(other)
        await ana.post(other, 403, verb="approve", token=mine)
    for number in ("R-1", "R-2"):
        assert (await inbox.stage.case(f"refunds:{number}").gates())[0].rulings == ()


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "", "referer": "https://evil.example/"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_what_another_site_sends_is_refused(inbox: Inbox, headers: dict[str, str]) -> None:
    url = await url_of(inbox)
    async with inbox.visitor(ANA) as ana:
        await ana.get(url)
        data = {"token": token_of(ana.page), "verb": "approve"}
        given = {key: value for key, value in headers.items() if value}
        request = ana.http.build_request("POST", url, data=data, headers=given)
        if headers.get("origin") == "":
            del request.headers["origin"]
        assert (await ana.http.send(request)).status_code == 403
    assert (await inbox.stage.case("refunds:R-1").gates())[0].rulings == ()


async def test_the_page_says_so_when_something_else_is_asked_by_now(inbox: Inbox) -> None:
    url = await url_of(inbox)
    case, gate = "refunds:R-1", url.rpartition("/")[2]
    async with inbox.visitor(ANA) as ana:
        await ana.get(url)
        now = inbox.site.clock()
        stale = _holder(inbox, token_of(ana.page), now)
        other = inbox.site.sessions.token(
            stale, now, case=case, gate=gate, digest=hashlib.sha256(b"another").hexdigest()
        )
        page = await ana.post(url, 409, verb="approve", token=other)
        assert "what is asked has changed" in page
    assert (await inbox.stage.case(case).gates())[0].rulings == ()


def _holder(inbox: Inbox, token: str, now: datetime) -> str:
    return str(inbox.site.seals.open("form", token, now)["holder"])


# Sessions


async def test_signing_in_gives_a_session_of_another_name(inbox: Inbox) -> None:
    async with inbox.visitor() as ana:
        await ana.get("/sign-in")
        planted = ana.http.cookies.get("handrail")
        await ana.post("/sign-in/dev", address=ANA)
        assert planted
        assert ana.http.cookies.get("handrail") != planted
        async with httpx2.AsyncClient(base_url=inbox.base) as thief:
            thief.cookies.set("handrail", planted, domain="localhost")
            answer = await thief.get("/")
            assert answer.headers["location"] == "/sign-in"


async def test_a_cookie_that_was_kept_is_worth_nothing_after_signing_out(inbox: Inbox) -> None:
    async with inbox.visitor(ANA) as ana:
        kept = ana.http.cookies.get("handrail")
        assert kept
        leave = re.findall(r'name="token" value="([^"]+)"', await ana.get("/"))[0]
        await ana.post("/sign-out", token=leave)
        async with httpx2.AsyncClient(base_url=inbox.base) as thief:
            thief.cookies.set("handrail", kept, domain="localhost")
            assert (await thief.get("/")).headers["location"] == "/sign-in"


async def test_a_session_ends_by_itself(inbox: Inbox) -> None:
    async with inbox.visitor(ANA) as ana:
        inbox.site.clock = lambda: datetime.now(UTC) + timedelta(hours=13)
        page = await ana.get("/")
        assert "Sign in" in page


HEADERS: dict[str, list[bytes]] = {
    "cookie": [b"handrail=x", b"handrail=", b"handrail=\xff\xfe", b"handrail=" + b"y" * 9_000],
    "x-forwarded-for": [b"", b"\xff", b"' or 1=1", b"::1%eth0, 1.2.3.4:99999", b"z" * 4_000],
    "x-forwarded-proto": [b"https", b"javascript", b"\xff"],
    "x-forwarded-host": [b"evil.example.com", b"[::1"],
    "forwarded": [b"for=evil;host=evil.example.com;proto=https"],
    "accept-language": [b"\xff", b"x" * 4_000],
}


async def test_no_header_is_a_fault_or_signs_anybody_out(run_inbox: Run) -> None:
    async with run_inbox() as site, site.visitor(ANA) as ana:
        own = ana.http.cookies.get("handrail")
        for name, values in HEADERS.items():
            for value in values:
                sent = [(b"cookie", f"handrail={own}".encode()), (name.encode(), value)]
                answer = await ana.http.get("/me", headers=sent)
                assert answer.status_code in {200, 400, 413}, (name, value)
                assert "evil" not in answer.text
                if name == "cookie":
                    assert answer.status_code == 200
                    assert "set-cookie" not in answer.headers
        for host in (b"evil.example.com", b"", b"[::1", b"a b", b"localhost:", b"\xff"):
            answer = await ana.http.get("/me", headers=[(b"host", host)])
            assert answer.status_code == 400, host


async def test_cookies_and_headers_are_as_they_must_be(run_inbox: Run) -> None:
    async with run_inbox() as inbox, inbox.visitor() as visitor:
        answer = await visitor.http.get("/sign-in")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", answer.text)


async def test_behind_tls_the_cookie_is_for_tls_alone(run_inbox: Run) -> None:
    async with run_inbox(inbox_url="https://inbox.example.com", **WITH_MAIL) as inbox:
        port = inbox.base.rpartition(":")[2]
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            host = {"host": "inbox.example.com"}
            answer = await client.get("/sign-in", headers=host)
            assert answer.headers["set-cookie"].startswith("__Host-handrail=")
            assert "secure" in answer.headers["set-cookie"].lower()
            assert "max-age" in answer.headers["strict-transport-security"]
            assert (await client.get("/sign-in")).status_code == 400


async def test_a_body_that_is_too_large_is_not_read(inbox: Inbox) -> None:
    async with inbox.visitor(ANA) as ana:
        answer = await ana.http.post("/me", content=b"a" * (MOST_BYTES + 1))
        assert answer.status_code == 413

        async def pieces() -> AsyncGenerator[bytes]:
            for _ in range(MOST_BYTES // 10_000 + 2):
                yield b"a" * 10_000

        kind = {"content-type": "application/x-www-form-urlencoded"}
        answer = await ana.http.post("/me", content=pieces(), headers=kind)
        assert answer.status_code >= 400


async def test_rulings_and_sign_ins_are_not_taken_without_end(inbox: Inbox) -> None:
    async with inbox.visitor() as visitor:
        await visitor.get("/sign-in")
        token = token_of(visitor.page)
        data = {"token": token, "address": "nobody@example.com"}
        codes = [
            (await visitor.http.post("/sign-in/dev", data=data)).status_code for _ in range(14)
        ]
    assert codes[0] == 403
    assert codes[-1] == 429


# Who may


async def test_nobody_sees_or_rules_without_signing_in(inbox: Inbox) -> None:
    url = await url_of(inbox)
    async with inbox.visitor() as visitor:
        for path in ("/", url, "/closed", "/me", "/approvers"):
            answer = await visitor.http.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["location"] == "/sign-in"
        assert (await visitor.http.get("/now")).status_code == 401
        assert (await visitor.http.get(f"/now{url}")).status_code == 401
        assert (await visitor.http.post(url, data={"verb": "approve"})).status_code == 303


async def test_a_stranger_is_not_let_in_and_a_colleague_of_another_agent_sees_nothing(
    run_inbox: Run, tmp_path: Any
) -> None:
    async with run_inbox(people=tmp_path / "people.yaml") as inbox:
        url = await url_of(inbox)
        (tmp_path / "people.yaml").write_text("eve@example.com: {name: Eve}\n")
        async with inbox.visitor() as stranger:
            await stranger.get("/sign-in")
            page = await stranger.post("/sign-in/dev", 403, address="mallory@example.com")
            assert "named by no policy" in page
        async with inbox.visitor("eve@example.com") as eve:
            assert "Nothing waits" in await eve.get("/?show=all")
            await eve.get(url, 404)
            assert (await eve.http.get(f"/now{url}")).status_code == 404


async def test_a_domain_may_be_let_in(run_inbox: Run) -> None:
    async with run_inbox(inbox_domains="firm.example") as inbox:
        async with inbox.visitor("new@firm.example") as somebody:
            assert "Nothing waits" in await somebody.get("/")
        async with inbox.visitor() as stranger:
            await stranger.get("/sign-in")
            await stranger.post("/sign-in/dev", 403, address="new@evilfirm.example")


async def test_whoever_only_looks_has_no_form_to_rule_with(inbox: Inbox) -> None:
    url = await url_of(inbox)
    for who in (BOSS, CY, DEE):
        async with inbox.visitor(who) as visitor:
            page = await visitor.get(url)
            assert 'value="approve"' not in page, who
            assert "You may look at this" in page


async def test_a_ruling_by_somebody_who_may_not_is_refused_by_the_case(inbox: Inbox) -> None:
    url = await url_of(inbox)
    case, gate = "refunds:R-1", url.rpartition("/")[2]
    async with inbox.visitor(BOSS) as boss:
        page = await boss.get(url)
        now = inbox.site.clock()
        leave = re.findall(r'name="token" value="([^"]+)"', page)[0]
        digest = (await inbox.stage.case(case).gates())[0].digest
        holder = _holder(inbox, leave, now)
        token = inbox.site.sessions.token(holder, now, case=case, gate=gate, digest=digest)
        page = await boss.post(url, 409, verb="approve", token=token)
        assert "holds none of the roles asked" in page
    assert (await inbox.stage.case(case).gates())[0].given == ()


async def test_pages_of_owners_are_for_owners(inbox: Inbox) -> None:
    async with inbox.visitor(ANA) as ana:
        await ana.get("/approvers", 404)
    async with inbox.visitor(BOSS) as boss:
        assert "How well people look" in await boss.get("/approvers")


# Links in mail


async def test_following_a_link_decides_nothing_however_often(inbox: Inbox) -> None:
    url = await url_of(inbox)
    case, gate = "refunds:R-1", url.rpartition("/")[2]
    link = mail_link(SECRET, inbox.base, ANA, case, gate)
    async with httpx2.AsyncClient(base_url=inbox.base, follow_redirects=True) as scanner:
        for _ in range(2):
            page = (await scanner.get(link)).text
            for found in {link, *re.findall(r'(?:href|src|hx-get|action)="(/[^"]*)"', page)}:
                assert (await scanner.get(found)).status_code in {200, 204, 401, 405}
                assert (await scanner.head(found)).status_code < 500
        assert (await scanner.post(link, data={"verb": "approve"})).status_code == 403
    found = await inbox.stage.case(case).gates()
    assert found[0].rulings == ()


async def test_a_link_lets_one_person_rule_on_one_question_once(inbox: Inbox) -> None:
    url, other = await url_of(inbox), await url_of(inbox, "R-2")
    case, gate = "refunds:R-1", url.rpartition("/")[2]
    link = mail_link(SECRET, "", ANA, case, gate)
    async with inbox.visitor() as ana:
        page = await ana.get(link)
        assert "Give a customer money back." in page
        token = token_of(page)
        await ana.get(other)
        assert "Sign in" in ana.page
        page = await ana.post(link, verb="approve", token=token, why="clear")
        assert "Approved" in page
        page = await ana.post(link, 409, verb="approve", token=token)
        assert "Nothing was sent" in page
        assert "This is over" in page or "Approved by" in page
    outcome = await inbox.stage.case(case).outcome()
    approval = outcome.rulings[-1]
    assert (approval.by, approval.via, approval.proven) == (ANA, "mail", True)


async def test_a_link_that_was_changed_or_is_too_old_shows_nothing(inbox: Inbox) -> None:
    url = await url_of(inbox)
    gate = url.rpartition("/")[2]
    then = datetime.now(UTC) - timedelta(days=15)
    old = mail_link(SECRET, "", ANA, "refunds:R-1", gate, now=then)
    foreign = mail_link("another secret, as long as it must be", "", ANA, "refunds:R-1", gate)
    async with inbox.visitor() as somebody:
        for link in (old, foreign, f"{old}x", "/mail/nonsense"):
            page = await somebody.get(link, 403)
            assert "Give a customer" not in page


# What agents write


HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "\u202edesrever \u2066hidden\u2069 \u200bzero\ufeff",
    '" onmouseover="alert(3)" x="',
    "{{ 7 * 7 }}{% raw %}</blockquote></textarea><form action=//evil>",
    "\x1b[31mred\x00",
)


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_an_agent_writes_is_shown_and_does_nothing(inbox: Inbox, text: str) -> None:
    url = await url_of(inbox, text=text)
    async with inbox.visitor(ANA) as ana:
        page = await ana.get(url)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "onerror=alert" not in re.sub(r"&lt;.*?&gt;", "", page)
    assert "<form action=//evil" not in page
    assert "49" not in re.findall(r"<blockquote.*?</blockquote>", page, re.DOTALL)[0]
    assert not re.search("[\u202e\u2066\u2069\u200b\ufeff\x1b\x00]", page)
    if "\u202e" in text:
        assert "\\u202edesrever" in page
    assert ' onmouseover="alert' not in page


async def test_what_is_shown_is_what_is_executed(inbox: Inbox) -> None:
    url = await url_of(inbox, amount="77.70")
    async with inbox.visitor(ANA) as ana:
        page = await ana.get(url)
        assert "77.70" in page
        assert "DE02120300000000202051" in page
        gate = (await inbox.stage.case("refunds:R-1").gates())[0]
        assert gate.digest[:12] in page
        await ana.post(url, verb="approve")
    outcome = await inbox.stage.case("refunds:R-1").outcome()
    assert outcome.receipts[0].digest == gate.digest


# What cannot be started


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"inbox_dev": True, "inbox_host": "0.0.0.0"}, "anybody sign in as anybody"),  # noqa: S104
        ({"inbox_dev": False}, "nobody could sign in"),
    ],
)
async def test_an_inbox_that_lets_in_nobody_or_everybody_does_not_start(
    tmp_path: Any, more: dict[str, Any], says: str
) -> None:
    settings = Settings.model_validate({"home": tmp_path} | more)
    nothing: Any = None
    with pytest.raises(ConfigurationError, match=says):
        async with opened(settings, nothing, nothing):
            pass
    assert not (tmp_path / "keys").exists()


async def test_names_are_not_taken_on_trust_where_it_is_not_for_development(
    run_inbox: Run,
) -> None:
    async with run_inbox(POLICY, **WITH_MAIL) as inbox, inbox.visitor() as visitor:
        await visitor.get("/sign-in")
        assert "without proof" not in visitor.page
        await visitor.post("/sign-in/dev", 404, address=ANA)
