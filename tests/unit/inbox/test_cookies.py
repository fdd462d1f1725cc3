"""What comes from browsers: cookies that others planted, and where they say that they are."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from itsdangerous import TimestampSigner
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from handrail.exceptions import ConfigurationError
from handrail.inbox.web.app import OneSession
from handrail.inbox.web.server import address_of
from handrail.runtime import Settings

SECRET = "s" * 32
NAME = "handrail"


def signed(secret: str = SECRET, **session: Any) -> str:
    return TimestampSigner(secret).sign(b64encode(json.dumps(session).encode())).decode()


ANA, EVE, NOBODY = signed(who="ana", sid="1"), signed(who="eve", sid="2"), signed(sid="3")
GARBAGE = ["", "x", '"', "null", "é", "a.b.c", ANA[:-1], signed("t" * 32, who="eve"), "x" * 8_000]


async def shown(*headers: bytes) -> Any:
    """What the session holds of a request with these `cookie` headers."""

    async def page(request: Request) -> JSONResponse:
        return JSONResponse(dict(request.session))

    app = Starlette(
        routes=[Route("/", page)],
        middleware=[
            Middleware(OneSession, name=NAME, secret=SECRET),
            Middleware(SessionMiddleware, secret_key=SECRET, session_cookie=NAME),
        ],
    )
    answers: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b""}
    await app({**scope, "headers": [(b"cookie", each) for each in headers]}, receive, send)
    assert answers[0]["status"] == 200
    return json.loads(answers[1]["body"])


def cookies(*values: str) -> bytes:
    return "; ".join(f"{NAME}={value}" for value in values).encode("utf-8")


# By number: a cookie that is signed now is another in each process of pytest-xdist.
@pytest.mark.parametrize("planted", [*GARBAGE, NOBODY], ids=lambda _: "cookie")
async def test_a_planted_cookie_signs_nobody_out(planted: str) -> None:
    assert (await shown(cookies(planted, ANA)))["who"] == "ana"
    assert (await shown(cookies(ANA, planted)))["who"] == "ana"
    assert (await shown(cookies(planted), cookies(ANA)))["who"] == "ana"
    assert (await shown(b"other=1; " + cookies(*[planted] * 5, ANA, planted)))["who"] == "ana"
    assert "who" not in await shown(cookies(planted, planted, ""))


async def test_of_two_that_are_signed_in_neither_counts() -> None:
    assert await shown(cookies(ANA, EVE)) == {}
    assert await shown(cookies(EVE, ANA, NOBODY)) == {}
    assert (await shown(cookies(ANA, ANA)))["who"] == "ana"


@pytest.mark.parametrize(
    "raw", [b"\xff\xfe", b";;==;", b"handrail", b"handrail=\xff; handrail=\x80"]
)
async def test_no_bytes_are_a_fault(raw: bytes) -> None:
    assert await shown(raw) == {}
    assert (await shown(raw + b";" + cookies(ANA)))["who"] == "ana"


@pytest.mark.parametrize(
    ("given", "spelt"),
    [
        ("https://Inbox.Example.com/", "https://inbox.example.com"),
        ("https://inbox.example.com:443", "https://inbox.example.com"),
        ("http://inbox.example.com:8480/", "http://inbox.example.com:8480"),
        ("https://münchen.de", "https://xn--mnchen-3ya.de"),
        ("http://[::1]:8480", "http://[::1]:8480"),
        ("", "http://localhost:8480"),
    ],
)
def test_the_inbox_is_where_browsers_say_that_they_are(given: str, spelt: str) -> None:
    assert address_of(Settings(inbox_url=given)) == spelt


@pytest.mark.parametrize("given", ["https://x:99999", "https://x:y", f"https://{'ü' * 80}.de"])
def test_an_address_that_no_browser_has_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match="HANDRAIL_INBOX_URL"):
        address_of(Settings(inbox_url=given))
