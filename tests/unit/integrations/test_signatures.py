"""Webhooks: what their secret signed is taken, and nothing else, whatever it holds."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handrail import ConfigurationError
from handrail.integrations.triggers import RawEvent, Webhook
from tests.agents.triggered import HOOKS, message, of_shop

KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = message("1")
SIGNED = {hook.name: hook for hook in HOOKS}

Sign = Callable[[bytes, str, float], dict[str, str]]


def mac(key: str, data: bytes) -> bytes:
    return hmac.new(key.encode(), data, hashlib.sha256).digest()


def standard(body: bytes, key: str, at: float) -> dict[str, str]:
    # The library of the senders.
    moment = datetime.fromtimestamp(at, UTC)
    signature = standardwebhooks.Webhook(key).sign("msg_1", moment, body.decode())
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at)),
        "webhook-signature": f"v1,{'A' * 43}= {signature}",
    }


def github(body: bytes, key: str, at: float) -> dict[str, str]:
    return {"x-hub-signature-256": f"sha256={mac(key, body).hex()}"}


def stripe(body: bytes, key: str, at: float) -> dict[str, str]:
    signature = mac(key, b"%d." % at + body).hex()
    return {"stripe-signature": f"t={int(at)},v1={'0' * 64},v1={signature},v0=1"}


def slack(body: bytes, key: str, at: float) -> dict[str, str]:
    signature = mac(key, b"v0:%d:" % at + body).hex()
    return {"x-slack-request-timestamp": str(int(at)), "x-slack-signature": f"v0={signature}"}


def own(body: bytes, key: str, at: float) -> dict[str, str]:
    return {"x-shop-hmac": base64.b64encode(mac(key, body)).decode()}


SCHEMES: dict[str, Sign] = {
    "shop": standard,
    "git": github,
    "pay": stripe,
    "chat": slack,
    "own": own,
}
TIMED = ("shop", "pay", "chat")


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for hook in HOOKS:
        monkeypatch.setenv(f"HANDRAIL_SECRET_{hook.secret}", f"{OTHER}\n{KEY}")


@pytest.mark.parametrize("name", SCHEMES)
def test_what_is_signed_is_taken_and_nothing_else(name: str) -> None:
    hook, sign, now = SIGNED[name], SCHEMES[name], time.time()
    headers = sign(BODY, KEY, now)
    assert hook.is_signed(RawEvent(BODY, headers))
    # A secret that replaces another one.
    assert hook.is_signed(RawEvent(BODY, sign(BODY, OTHER, now)))
    assert not hook.is_signed(RawEvent(BODY + b" ", headers))
    assert not hook.is_signed(RawEvent(BODY, sign(BODY, KEY[::-1], now)))
    assert not hook.is_signed(RawEvent(BODY, {}))
    assert not hook.is_signed(RawEvent(b"\xff\xfe", headers))


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("off", [-302, 302])
def test_what_was_signed_long_ago_or_too_early_is_refused(name: str, off: int) -> None:
    headers = SCHEMES[name](BODY, KEY, time.time() + off)
    assert not SIGNED[name].is_signed(RawEvent(BODY, headers))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(SCHEMES)), st.text(max_size=60), st.text(max_size=20))
def test_whatever_stands_in_the_headers_is_no_signature(name: str, junk: str, at: str) -> None:
    hook, named = SIGNED[name], SCHEMES[name](BODY, KEY, time.time())
    for header in named:
        changed = named | {header: at if "timestamp" in header else junk}
        if changed != named:
            assert not hook.is_signed(RawEvent(BODY, changed))


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("at", ["9" * 400, f"-{'9' * 400}", "9" * 5_000, "1e400", "nan"])
def test_a_time_that_no_clock_shows_is_refused(name: str, at: str) -> None:
    now = int(time.time())
    headers = {
        header: value.replace(str(now), at)
        for header, value in SCHEMES[name](BODY, KEY, now).items()
    }
    assert any(at in value for value in headers.values())
    assert not SIGNED[name].is_signed(RawEvent(BODY, headers))


def test_what_lets_somebody_in_is_not_kept() -> None:
    kept = {"x-github-event": "push", "idempotency-key": "7", "x-author": "ann"}
    lets_in = [
        "authorization",
        "stripe-signature",
        "x-shop-hmac",
        "x-auth",
        "X-ApiKey",
        "x-access-key",
        "x-password",
        "x-goog-iap-jwt-assertion",
        "x-session-id",
    ]
    assert RawEvent(BODY, kept | dict.fromkeys(lets_in, "s")).kept_headers() == kept


def test_a_scheme_that_is_none_is_refused_where_it_is_declared() -> None:
    wrong: Any = "gitlab"
    with pytest.raises(ConfigurationError, match="signed= is one of standard, github"):
        Webhook(name="a", event=of_shop, secret="A", signed=wrong)  # noqa: S106  # a name


def test_a_secret_that_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDRAIL_SECRET_SHOP")
    [fault] = SIGNED["shop"].faults()
    assert "the secret SHOP is missing" in fault


def test_money_in_a_webhook_keeps_every_digit() -> None:
    said = RawEvent(b'{"amount": 12345678901234567.89, "count": 3, "rate": 0.5}', {}).json()
    assert said == {"amount": "12345678901234567.89", "count": 3, "rate": 0.5}


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("chat", b'{"type": "url_verification", "challenge": "abc"}', "abc"),
        ("shop", b'{"type": "url_verification", "challenge": "abc"}', None),
        ("chat", b'{"type": "url_verification"}', None),
        ("chat", b'{"type": ', None),
        ("chat", b"payload=%7B%7D", None),
        ("chat", BODY, None),
    ],
)
def test_the_challenge_of_slack_alone_is_answered(name: str, body: bytes, said: str | None) -> None:
    assert SIGNED[name].challenge(RawEvent(body, {})) == said
