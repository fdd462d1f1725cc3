"""One HTTP request of a step, and what its answer means: done, not done, or nobody knows."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import ssl
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import httpx2

from handrail.exceptions import Final, HandrailError, NotDone
from handrail.integrations.connectors.schemas import as_object
from handrail.text import decode_text, exact_number, one_line

LARGEST = 4 * 1024 * 1024
"""Bytes of the largest answer that is taken."""

REASON = 300
"""Characters of what a system says of its reasons: its words go into histories and to people."""

STRONG = re.compile(r'"[!#-~]*"')
"""An ETag that If-Match takes: a weak one it does not, and `*` is any version."""

_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_TOO_EARLY = frozenset((425, 429))
_CONFLICT = frozenset((409, 412))
_GONE = frozenset((404, 410))
_UNKNOWN = frozenset((408,))
_UNHEARD = frozenset((401, 407))
"""Before a key is looked at: of an attempt before this one they say nothing."""
_AT_THE_DOOR = frozenset((403, 404, 405))
"""The same, where it is a gateway that says so."""


class Unanswered(HandrailError):
    """A system did not say whether it did something: tried again, looked for, or asked about."""


class TooMuch(HandrailError):
    """A system's answer is larger than is taken."""


@dataclass(frozen=True)
class HttpRequest:
    """What is sent. `query` and `headers` hold texts; `body` is JSON, or None for no body."""

    method: str
    url: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Any = None

    @property
    def named(self) -> str:
        """The request in words: without its query, in which a key may stand."""
        return f"{self.method} {self.url}"


@functools.cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


async def exchange(request: HttpRequest, seconds: float) -> tuple[int, bytes]:
    """Send a request; the status of the answer and its content. Redirects are not followed.

    Raises:
        httpx2.HTTPError: if there is no answer.
        TooMuch: if it is larger than is taken.
    """
    content = None if request.body is None else json.dumps(request.body).encode()
    headers = {"Accept": "application/json", **request.headers}
    if content is not None:
        headers["Content-Type"] = "application/json"
    async with (
        httpx2.AsyncClient(timeout=seconds, verify=_trust()) as client,
        client.stream(
            request.method,
            request.url,
            params=list(request.query) or None,
            headers=headers,
            content=content,
        ) as response,
    ):
        found = bytearray()
        async for chunk in response.aiter_bytes():
            found += chunk
            if len(found) > LARGEST:
                raise TooMuch(f"{request.named} answered more than {LARGEST} bytes")
        return response.status_code, bytes(found)


async def looked_up(request: HttpRequest, seconds: float, *, surely: bool = False) -> Any:
    """What a request that changes nothing answers; None if there is no such thing (404).

    `surely`: not where a gateway may have said so.

    Raises:
        Final: if it is refused, with the system's reason.
        Unanswered: if there is no answer now.
    """
    try:
        status, content = await exchange(request, seconds)
    except TooMuch as error:
        raise Final(str(error)) from None
    except httpx2.HTTPError as error:
        raise Unanswered(f"{request.named}: {error or type(error).__name__}") from error
    if status == HTTPStatus.NOT_FOUND:
        if surely and _is_of_a_gateway(content):
            raise Unanswered(_said(request, status, content))
        return None
    if httpx2.codes.is_server_error(status) or status in _TOO_EARLY | _UNKNOWN:
        raise Unanswered(_said(request, status, content))
    if not httpx2.codes.is_success(status):
        raise Final(_said(request, status, content))
    return _json(request, content)


async def changed(
    request: HttpRequest,
    seconds: float,
    attempt: int,
    *,
    gone: bool = False,
    absent: bool = False,
    preconditioned: bool = False,
) -> Any:
    """What a request that changes something answers.

    `attempt`: which one of this effect it is. On a later one a conflict may be with the first, and
    who is not let in hears nothing of it.
    `gone`: whether it is as good as done where there is nothing any more. `absent`: whether who
    is not found may only not have come up yet, and took nothing. `preconditioned`: where its
    precondition fails it is looked up whether it was done, and is there.

    Raises:
        Final: if the system refused it, with its reason.
        NotDone: if it certainly did nothing, and may be asked again.
        Unanswered: if nobody knows.
    """
    try:
        status, content = await exchange(request, seconds)
    except _NOT_SENT as error:
        raise NotDone(f"{request.named} cannot be reached: {error}") from error
    except TooMuch:
        return None  # it was done; that its result cannot be used is for the door to say
    except httpx2.HTTPError as error:
        raise Unanswered(f"{request.named}: {error or type(error).__name__}") from error
    if httpx2.codes.is_success(status):
        try:
            return _json(request, content)
        except Final:
            return None  # as above
    if gone and status in _GONE:
        if _is_of_a_gateway(content):
            raise Unanswered(_said(request, status, content))
        return None
    if preconditioned and status == HTTPStatus.PRECONDITION_FAILED:
        found = await _what_is_there(request, seconds)
        if found is not None:
            return found
    gateway = _is_of_a_gateway(content)
    raise _fault(_said(request, status, content), status, attempt, absent=absent, gateway=gateway)


def _is_of_a_gateway(content: bytes) -> bool:
    """Whether a 404 is in words that are no JSON: as a gateway's, whose system is not up."""
    try:
        json.loads(content or b"null")
    except (ValueError, RecursionError):
        return bool(content.strip())
    return False


def _fault(said: str, status: int, attempt: int, *, absent: bool, gateway: bool) -> HandrailError:
    if status in _TOO_EARLY:
        return NotDone(said)
    if absent and status == HTTPStatus.NOT_FOUND:
        return Unanswered(said) if attempt > 1 else NotDone(said)
    unheard = status in _UNHEARD or (gateway and status in _AT_THE_DOOR)
    later = attempt > 1 and (unheard or status in _CONFLICT)
    unknown = later or not httpx2.codes.is_client_error(status) or status in _UNKNOWN
    return Unanswered(said) if unknown else Final(said)


async def _what_is_there(request: HttpRequest, seconds: float) -> Any:
    """What is at the place of a request, if it has all that was sent; else None."""
    headers = {n: v for n, v in request.headers.items() if not n.lower().startswith("if-")}
    try:
        found = await looked_up(replace(request, method="GET", headers=headers, body=None), seconds)
    except Final:
        return None  # who may not look knows nothing
    there, wanted = as_object(found), as_object(request.body)
    return found if wanted and {name: there.get(name) for name in wanted} == wanted else None


def as_key(key: str, form: str | None = None) -> str:
    """The key of an effect as a system takes one: a UUID, or at most 200 plain characters."""
    if form == "uuid":
        return str(uuid.uuid5(uuid.NAMESPACE_OID, key))
    plain = re.fullmatch(r"[!-~]{1,200}", key)
    return key if plain else hashlib.sha256(key.encode()).hexdigest()


def _number(text: str) -> float | str:
    """A number that was answered; its text where no float keeps it, however many digits it has."""
    number = float(text)
    # So many write a float of theirs that is the same one.
    return number if f"{number:.17g}" == text else exact_number(text)


def _json(request: HttpRequest, content: bytes) -> Any:
    if not content.strip():
        return None
    try:
        return json.loads(content, parse_float=_number)
    except (ValueError, RecursionError):
        text = one_line(decode_text(content), REASON)
        raise Final(f"{request.named} did not answer with JSON: {text}") from None


def _said(request: HttpRequest, status: int, content: bytes) -> str:
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError):
        found = decode_text(content)
    for name in ("detail", "message", "error", "message", "title"):
        found = as_object(found).get(name, found)
    text = found if isinstance(found, str) else json.dumps(found)
    reason = f": {one_line(text, REASON)}" if text.strip() else ""
    return f"{request.named} answered {status}{reason}"
