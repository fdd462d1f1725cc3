"""Outside systems that connectors reach: posts, a chat, and mail that nobody can look up."""

import asyncio
import contextlib
import email
import email.policy
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

from aiosmtpd.smtp import SMTP
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Connected:
    """These systems. `take` makes an effect of a case; `made` are those of an operation."""

    def __init__(
        self,
        take: Callable[[str, str, str], int],
        made: Callable[[str], list[tuple[int, str]]],
    ) -> None:
        self._take = take
        self._made = made

    def routes(self) -> list[Route]:
        """The places of posts and chat."""
        return [
            Route("/posts", self._post, methods=["POST"]),
            Route("/posts", self._posted),
            Route("/slack/chat.postMessage", self._say, methods=["POST"]),
            Route("/slack/conversations.history", self._said),
        ]

    @contextlib.asynccontextmanager
    async def mail(self, port: int) -> AsyncGenerator[None]:
        """Take mail there."""
        loop = asyncio.get_running_loop()
        async with await loop.create_server(lambda: SMTP(self), "127.0.0.1", port):
            yield

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's
        """Take a mail, as often as it comes. Its subject is the case that sends it."""
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self._take("mail", str(mail["Subject"]), str(mail["Message-ID"]))
        return "250 taken"

    async def _post(self, request: Request) -> Response:
        said = json.loads(await request.body())
        number = self._take("post", _case(said["reference"]), said["reference"])
        return JSONResponse({"id": number, **said}, 201)

    async def _posted(self, request: Request) -> Response:
        asked = request.query_params["reference"]
        found = [{"id": n, "reference": key} for n, key in self._made("post") if key == asked]
        return JSONResponse(found)

    async def _say(self, request: Request) -> Response:
        said = json.loads(await request.body())
        key = said["metadata"]["event_payload"]["key"]
        number = self._take("chat", _case(key), key)
        return JSONResponse({"ok": True, "channel": said["channel"], "ts": f"{number}.000000"})

    async def _said(self, _: Request) -> Response:
        kind = "handrail_effect"
        found = [
            {"ts": f"{n}.000000", "metadata": {"event_type": kind, "event_payload": {"key": key}}}
            for n, key in self._made("chat")
        ]
        return JSONResponse({"ok": True, "messages": found})


def _case(key: str) -> str:
    """The case of a key: these systems know of it by nothing else."""
    return key.rpartition("/")[0].rpartition("/")[0]
