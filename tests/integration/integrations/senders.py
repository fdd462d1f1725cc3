"""Programs that send events to the API of a fleet, as tests play them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import httpx2
import standardwebhooks
import uvicorn

from handrail.exceptions import ServerUnavailable
from handrail.integrations.triggers.api import TriggerApi
from handrail.integrations.triggers.receiver import Receiver
from handrail.runtime import TokenFile
from handrail.testing import Stage

KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENTS = "/agents/orders/events"


def signed(body: bytes, key: str = KEY) -> dict[str, str]:
    """The headers of the library of those who send by Standard Webhooks."""
    at = datetime.now(UTC)
    made = standardwebhooks.Webhook(key).sign("msg_1", at, body.decode())
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": made,
    }


class Sender:
    """A program with a token, and the API that it sends to."""

    def __init__(self, stage: Stage, file: TokenFile, http: httpx2.AsyncClient) -> None:
        self.stage = stage
        self.file = file
        self.http = http
        self.away = False
        self.receiver = Receiver(stage.fleet, stage.ledger, self.connect)
        self.token = file.new("shop", ())

    async def connect(self) -> Any:
        if self.away:
            raise ServerUnavailable("the server is away")
        return self.stage.client

    def bearing(self, token: str = "") -> dict[str, str]:
        return {"authorization": f"Bearer {token or self.token}"}

    async def send(self, event: Any, to: str = EVENTS, **more: Any) -> httpx2.Response:
        return await self.http.post(to, json=event, headers=self.bearing(), **more)

    async def hook(self, body: bytes, key: str = KEY) -> httpx2.Response:
        return await self.http.post("/hooks/shop", content=body, headers=signed(body, key))


@contextlib.asynccontextmanager
async def serving(stage: Stage) -> AsyncGenerator[Sender]:
    """The API of a fleet on a socket, and what tries again what is kept."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx2.AsyncClient(base_url=url, timeout=30) as http:
        file = TokenFile(stage.directory / "tokens.json")
        sender = Sender(stage, file, http)
        app = TriggerApi(sender.receiver, file, "http://ui").app()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        serves = asyncio.ensure_future(server.serve(sockets=[listener]))
        again = asyncio.ensure_future(sender.receiver.resend())
        try:
            yield sender
        finally:
            again.cancel()
            server.should_exit = True
            await serves
