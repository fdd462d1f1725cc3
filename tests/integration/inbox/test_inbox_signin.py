"""Signing in: by a provider, and by a link that is mailed and works once."""

from __future__ import annotations

import asyncio
import email
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from joserfc.jwk import RSAKey

from handrail.testing import eventually
from tests.integration.inbox.conftest import ANA, BO, Inbox, Run, Visitor, token_of
from tests.integration.inbox.provider import CLIENT, SECRET, Provider, provider


@dataclass
class Box:
    """Mail as it was delivered."""

    port: int = 0
    mails: list[Message] = field(default_factory=list[Message])

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(email.message_from_bytes(envelope.content))
        return "250 OK"

    def text(self, number: int = -1) -> str:
        payload: Any = self.mails[number].get_payload(decode=True)
        return payload.decode()


@pytest.fixture
async def box() -> AsyncGenerator[Box]:
    found = Box()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(found), "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found


def mail_settings(box: Box) -> dict[str, Any]:
    return {
        "inbox_dev": False,
        "smtp_url": f"smtp://127.0.0.1:{box.port}",
        "mail_from": "handrail@example.com",
    }


async def link_for(visitor: Visitor, box: Box, who: str) -> str:
    before = len(box.mails)
    await visitor.get("/sign-in")
    page = await visitor.post("/sign-in/mail", address=who)
    assert "a link is on its way" in page

    async def there() -> bool:
        return len(box.mails) > before

    await eventually(there)
    return re.findall(r"http://\S+(/sign-in/link/\S+)", box.text())[0]


async def test_a_mailed_link_signs_in_once_and_only_by_its_button(run_inbox: Run, box: Box) -> None:
    async with run_inbox(**mail_settings(box)) as inbox, inbox.visitor() as ana:
        link = await link_for(ana, box, "Ana@Example.com")
        assert box.mails[0]["To"] == ANA
        async with inbox.visitor() as scanner:
            for _ in range(2):
                assert f"Sign in as {ANA}?" in await scanner.get(link)
            assert "Sign in" in await scanner.get("/")
        await ana.get(link)
        token = token_of(ana.page)
        assert "Waiting for you" in await ana.post(link)
        async with inbox.visitor() as thief:
            await thief.get(link, 403)
            assert "used already" in thief.page
            await thief.get("/sign-in")
            await thief.post(link, 403)
            await thief.post(link, 403, token=token)


async def test_the_answer_is_the_same_for_whoever_is_not_known(run_inbox: Run, box: Box) -> None:
    async with run_inbox(**mail_settings(box)) as inbox, inbox.visitor() as somebody:
        await somebody.get("/sign-in")
        unknown = await somebody.post("/sign-in/mail", address="mallory@example.com")
        known = await somebody.post("/sign-in/mail", address=BO)

        async def there() -> list[Message]:
            return box.mails

        await eventually(there)
        await asyncio.sleep(0.2)
    assert _bare(unknown, "mallory@example.com") == _bare(known, BO)
    assert [each["To"] for each in box.mails] == [BO]


def _bare(page: str, address: str) -> str:
    return re.sub(r'value="[^"]*"', "", page.replace(address, "X"))


async def test_a_link_works_for_a_quarter_of_an_hour(run_inbox: Run, box: Box) -> None:
    async with run_inbox(**mail_settings(box)) as inbox, inbox.visitor() as ana:
        link = await link_for(ana, box, ANA)
        inbox.site.clock = lambda: datetime.now(UTC) + timedelta(minutes=16)
        await ana.get(link, 403)
        assert "that is over" in ana.page


async def test_whoever_is_taken_out_of_the_policy_cannot_use_a_link(
    run_inbox: Run, box: Box, tmp_path: Any
) -> None:
    async with run_inbox(**mail_settings(box)) as inbox, inbox.visitor() as ana:
        link = await link_for(ana, box, ANA)
        path = tmp_path / "guardrails" / "refunds.yaml"
        path.write_text(path.read_text().replace(ANA, "someone@example.com"))
        await ana.get(link)
        await ana.post(link, 403)
        assert "named by no policy" in ana.page


async def test_one_address_is_not_mailed_without_end(run_inbox: Run, box: Box) -> None:
    async with run_inbox(**mail_settings(box)) as inbox, inbox.visitor() as somebody:
        await somebody.get("/sign-in")
        token = token_of(somebody.page)
        data = {"token": token, "address": ANA}
        codes = [
            (await somebody.http.post("/sign-in/mail", data=data)).status_code for _ in range(5)
        ]
    assert codes == [200, 200, 200, 429, 429]


async def test_no_address_cannot_bring_in_another_recipient(run_inbox: Run, box: Box) -> None:
    async with run_inbox(**mail_settings(box)) as inbox, inbox.visitor() as somebody:
        await somebody.get("/sign-in")
        for bad in ("", "ana", f"{ANA}\nBcc: eve@example.com", "a@" + "b" * 300):
            await somebody.post("/sign-in/mail", 422, address=bad)
    assert box.mails == []


# OpenID Connect


def oidc_settings(found: Provider) -> dict[str, Any]:
    return {
        "inbox_dev": False,
        "oidc_issuer": found.issuer,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SECRET,
    }


async def come_back(visitor: Visitor) -> tuple[int, str]:
    answer = await visitor.http.get("/sign-in/provider", follow_redirects=True)
    return answer.status_code, answer.text


async def test_a_provider_signs_in_with_state_nonce_and_pkce(run_inbox: Run) -> None:
    async with provider() as found, run_inbox(**oidc_settings(found)) as inbox:
        async with inbox.visitor() as ana:
            assert "Sign in with your organisation" in await ana.get("/me")
            before = ana.http.cookies.get("handrail")
            status, page = await come_back(ana)
            assert (status, ANA in page) == (200, True)
            assert "While I am away" in page  # where they wanted to go
            assert ana.http.cookies.get("handrail") != before
        asked = found.asked[0]
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["nonce"]) >= 20
        assert len(asked["state"]) >= 20
        assert asked["redirect_uri"] == f"{inbox.base}/sign-in/back"


Change = Callable[[Provider], object]

WRONG: dict[str, Change] = {
    "a nonce of another sign-in": lambda p: p.claims.update(nonce="x" * 20),
    "for another client": lambda p: p.claims.update(aud="another"),
    "of another issuer": lambda p: p.claims.update(iss="https://evil.example"),
    "over since long": lambda p: p.claims.update(exp=1_000_000_000),
    "no address": lambda p: p.claims.update(email=None),
    "not verified": lambda p: p.claims.update(email_verified=False),
    "verified, as a text": lambda p: p.claims.update(email_verified="true"),
    "a stranger": lambda p: setattr(p, "email", "mallory@example.com"),
    "a key that is not the provider's": lambda p: setattr(
        p, "key", RSAKey.generate_key(2048, {"kid": "one"})
    ),
    "not signed": lambda p: (setattr(p, "alg", "none"), setattr(p, "offers", ("none",))),
    "signed by its public key as a secret": lambda p: (
        setattr(p, "alg", "HS256"),
        setattr(p, "offers", ("HS256", "RS256")),
    ),
    "a provider by another name": lambda p: setattr(p, "calls_itself", "https://evil.example"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_what_a_provider_says_is_not_believed_when(run_inbox: Run, what: str) -> None:
    async with provider() as found, run_inbox(**oidc_settings(found)) as inbox:
        WRONG[what](found)
        async with inbox.visitor() as visitor:
            status, page = await come_back(visitor)
            assert status in {403, 502}, page
            assert (await visitor.http.get("/")).headers["location"] == "/sign-in"


async def test_coming_back_without_having_gone_signs_nobody_in(run_inbox: Run) -> None:
    async with (
        provider() as found,
        run_inbox(**oidc_settings(found)) as inbox,
        inbox.visitor() as ana,
        inbox.visitor() as victim,
    ):
        gone = await ana.http.get("/sign-in/provider")
        back = await ana.http.get(gone.headers["location"])
        await victim.get("/sign-in")
        answer = await victim.http.get(back.headers["location"])
        assert answer.status_code == 403
        assert (await victim.http.get("/")).headers["location"] == "/sign-in"
        first = await ana.http.get(back.headers["location"])
        assert first.status_code == 303
        answer = await ana.http.get(back.headers["location"])
        assert answer.status_code == 403


async def test_an_unverified_address_counts_where_the_settings_say_so(run_inbox: Run) -> None:
    async with provider() as found:
        found.claims["email_verified"] = None
        more = oidc_settings(found) | {"oidc_email": "as given"}
        async with run_inbox(**more) as inbox, inbox.visitor() as ana:
            assert (await come_back(ana))[0] == 200
            assert "Waiting for you" in await ana.get("/")


async def test_a_provider_that_is_away_is_said_to_be(run_inbox: Run) -> None:
    more = {"inbox_dev": False, "oidc_issuer": "http://localhost:1", "oidc_client_id": CLIENT}
    async with run_inbox(**more) as inbox, inbox.visitor() as ana:
        status, page = await come_back(ana)
    assert status == 502
    assert "does not answer" in page


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "https://evil.example"])
async def test_nobody_is_sent_elsewhere_after_signing_in(inbox: Inbox, path: str) -> None:
    async with inbox.visitor() as ana:
        await ana.get("/sign-in")
        await ana.http.get(path if path.startswith("/") else "/?next=" + path)
        data = {"token": token_of(ana.page), "address": ANA}
        answer = await ana.http.post("/sign-in/dev", data=data)
        assert answer.headers["location"].startswith("/")
        assert not answer.headers["location"].startswith(("//", "/\\"))
