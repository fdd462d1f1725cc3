"""Steps made of files: made whole, once, and never over another; in a folder and by HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from handrail import Action, Final, StepError
from handrail.agent import Write
from handrail.integrations.connectors import Files
from handrail.testing import call_write


class Note(Action):
    """Leave a note."""

    path: str
    content: str


class Drive:
    """A server that takes files as HTTP has it: `If-None-Match`, `If-Match`, ETag."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.loses = 0

    async def answer(self, request: Request) -> Response:
        name, known = request.url.path, self.files.get(request.url.path)
        tag = f'"{hashlib.sha256(known or b"").hexdigest()}"'
        if request.method == "PUT":
            if known is not None and request.headers.get("if-none-match") == "*":
                return Response(status_code=412)
            self.files[name] = await request.body()
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


@pytest.fixture
async def drive() -> AsyncGenerator[tuple[Drive, str]]:
    made, listener = Drive(), socket.create_server(("127.0.0.1", 0))
    route = Route("/{path:path}", made.answer, methods=["GET", "PUT", "DELETE"])
    config = uvicorn.Config(Starlette(routes=[route]), log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    serves = asyncio.ensure_future(server.serve(sockets=[listener]))
    yield made, f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serves


async def does_it_once(files: Files) -> None:
    leave: Write[Note, str] = files.write("leave", Note)
    look = files.read("look")
    note = Note(path="2026/ü 1.txt", content="Grüße")
    assert await call_write(leave, note) == "2026/ü 1.txt"
    assert await call_write(leave, note) == "2026/ü 1.txt"
    assert (await look("2026/ü 1.txt")).text == "Grüße"
    other = note.model_copy(update={"content": "other"})
    with pytest.raises(Final, match="another content"):
        await call_write(leave, other)
    assert leave.undo is not None
    # Of what is there by now with another content nothing is taken away.
    await call_write(leave.undo, other)
    assert (await look("2026/ü 1.txt")).text == "Grüße"
    for _ in range(2):
        await call_write(leave.undo, note)
    with pytest.raises(Final, match="no file"):
        await look("2026/ü 1.txt")


async def test_in_a_folder(tmp_path: Path) -> None:
    await does_it_once(Files(tmp_path / "out"))
    assert list((tmp_path / "out" / "2026").iterdir()) == []


async def test_by_http(drive: tuple[Drive, str]) -> None:
    made, url = drive
    await does_it_once(Files(url))
    # An answer that is lost: the same write again finds that it was done.
    made.loses = 1
    leave = Files(url).write("leave", Note)
    note = Note(path="a", content="1")
    with pytest.raises(Exception, match="502"):
        await call_write(leave, note)
    assert await call_write(leave, note) == "a"


@pytest.mark.parametrize(
    "path", ["../out", "/etc/x", "a/../../x", "", ".", "a\\b", "a\nb", "x" * 600, "link/x"]
)
async def test_no_path_leads_elsewhere(path: str, tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path)
    leave: Any = Files(inside).write("leave", Note)
    with pytest.raises(Final):
        await call_write(leave, Note(path=path, content="1"))
    assert os.listdir(tmp_path) == ["in"]  # noqa: PTH208


def test_an_action_without_the_fields_is_said() -> None:
    with pytest.raises(StepError, match="text"):
        Files(Path("x")).write("leave", Note, content="text")
