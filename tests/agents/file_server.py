"""A server of files on localhost: `If-None-Match`, `If-Match`, ETag, and answers that are lost."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
from collections.abc import AsyncGenerator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Drive:
    """A server that takes files as HTTP has it: `If-None-Match`, `If-Match`, ETag."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.loses = 0
        self.changes: list[bytes] = []
        """What somebody else makes of a file as soon as it was written."""

    def tag(self, name: str) -> str:
        return f'"{hashlib.sha256(self.files.get(name, b"")).hexdigest()}"'

    async def answer(self, request: Request) -> Response:
        name, known = request.url.path, self.files.get(request.url.path)
        tag = self.tag(name)
        if request.method == "PUT":
            if known is not None and request.headers.get("if-none-match") == "*":
                return Response(status_code=412)
            if request.headers.get("if-match", tag) != tag:
                return Response(status_code=412)
            self.files[name] = await request.body()
            if self.changes:
                self.files[name] = self.changes.pop()
            if self.loses:
                self.loses -= 1
                return Response(status_code=502)
            return Response(status_code=201)
        if known is None:
            return Response(status_code=404)
        if request.method == "DELETE":
            if request.headers.get("if-match") != tag:
                return Response(status_code=412)
            del self.files[name]
            return Response(status_code=204)
        return Response(known, headers={"etag": tag})


@contextlib.asynccontextmanager
async def file_server() -> AsyncGenerator[tuple[Drive, str]]:
    """Run the server on a free port."""
    made, listener = Drive(), socket.create_server(("127.0.0.1", 0))
    route = Route("/{path:path}", made.answer, methods=["GET", "PUT", "DELETE"])
    config = uvicorn.Config(Starlette(routes=[route]), log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    serves = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        yield made, f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serves
