"""Tryton over REST, as the agents' steps ask it: `TRYTON_URL`, and the secret `TRYTON_KEY`."""

from __future__ import annotations

import functools
import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Collection
from datetime import timedelta
from typing import Any

import httpx2

from handrail import Final, secret

TRYTON_URL = "http://127.0.0.1:8580"
"""Where Tryton is when `TRYTON_URL` does not say."""

PATIENCE = timedelta(seconds=10)
"""How long Tryton may take to answer once."""

SECRETS = ("TRYTON_KEY",)


@functools.cache
def _service() -> httpx2.AsyncClient:
    """The one client of this process."""
    url = os.environ.get("TRYTON_URL") or TRYTON_URL
    return httpx2.AsyncClient(base_url=url, timeout=PATIENCE.total_seconds())


async def disconnect() -> None:
    """Close the connections to Tryton; the next step opens new ones."""
    if _service.cache_info().currsize:
        await _service().aclose()
        _service.cache_clear()


async def search(
    model: str, domain: list[Any], fields: Collection[str], *, most: int
) -> list[dict[str, Any]]:
    """What of a model a domain finds, up to `most`.

    Raises:
        Final, httpx2.HTTPError: as `call`.
    """
    asked = urlsafe_b64encode(json.dumps([domain]).encode()).decode()
    more = [("d", asked), ("s", str(most)), *(("f", field) for field in fields)]
    return await call("GET", model, params=more)


async def call(
    method: str, path: str, content: Any = None, *, unused: bool = False, **more: Any
) -> Any:
    """Ask Tryton for something. `unused`: also for what is out of use, which it hides otherwise.

    Raises:
        Final: if it declines, with its own words. It did nothing then.
        httpx2.HTTPError: if it cannot answer now; a write may or may not have happened.
    """
    key = secret("TRYTON_KEY").get_secret_value()
    headers = {"Authorization": f"bearer {key}"}
    if unused:
        headers["X-Tryton-Context"] = urlsafe_b64encode(b'{"active_test": false}').decode()
    path = f"/erp/rest/model/{path}"
    response = await _service().request(method, path, json=content, headers=headers, **more)
    if response.is_client_error and response.status_code not in {408, 425, 429}:
        raise Final(f"Tryton: {_said(response)}")
    response.raise_for_status()
    return response.json() if response.content else None


def literal(word: str) -> str:
    """A word in a pattern in which it stands for itself alone."""
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


def _said(response: httpx2.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, LookupError, TypeError):
        return f"{response.status_code} {response.reason_phrase}"
