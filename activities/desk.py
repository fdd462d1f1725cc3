"""Records at the desk's Roundup: each is kept under a key that the tracker takes once."""

from __future__ import annotations

from typing import Any

from activities.support_systems import content, desk, write_headers
from handrail import Effect, Final

SECRETS = ("DESK_PASSWORD",)
CONFLICT = 409


async def filed(kind: str, owner: str, fields: str, **by: str) -> list[dict[str, Any]]:
    """The records of an owner (its `customer`)."""
    params = {"customer:": owner, "@fields": fields} | {f"{k}:": v for k, v in by.items()}
    answer = await desk().get(f"/rest/data/{kind}", params=params)
    found: list[dict[str, Any]] = content(answer)["data"]["collection"]
    return found


async def put_down(kind: str, owner: str, body: dict[str, str], key: str) -> str:
    """Keep a record under a key; its id. What is there under the key already is taken for it."""
    kept = {"customer": owner, "effect": key, **body}
    answer = await desk().post(f"/rest/data/{kind}", json=kept, headers=write_headers())
    if answer.status_code == CONFLICT and (had := await filed(kind, owner, "id", effect=key)):
        return str(had[0]["id"])
    return str(content(answer)["data"]["id"])


async def change(kind: str, number: str, **fields: str) -> None:
    """Change a record, unless it is so already.

    Raises:
        Final: somebody has changed it meanwhile (412).
    """
    at = f"/rest/data/{kind}/{number}"
    now = await desk().get(at)
    had = content(now)["data"]["attributes"]
    if all(had.get(name) == value for name, value in fields.items() if name != "status"):
        return
    headers = {"If-Match": now.headers["etag"], **write_headers()}
    content(await desk().patch(at, json=fields, headers=headers))


async def withdraw(kind: str, owner: str, effect: Effect) -> None:
    """Mark what an effect put down as withdrawn, if it is there.

    Raises:
        Final: it is no undo.
    """
    if effect.undoes is None:
        raise Final("it only ever takes something of this agent back")
    for each in await filed(kind, owner, "id", effect=effect.undoes.key):
        await change(kind, each["id"], queue="withdrawn")
