"""Steps made of files: made whole, once, and never over another; in a folder and by HTTP."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from handrail import Action, Effect, Final, StepError
from handrail.agent import Write, call_directly
from handrail.integrations.connectors import Files
from handrail.integrations.connectors.http import Unanswered
from handrail.testing import call_write
from tests.agents.file_server import Drive, file_server


class Note(Action):
    """Leave a note."""

    path: str
    content: str


class Edit(Action):
    """Replace a note."""

    path: str
    content: str
    etag: str


@pytest.fixture
async def drive() -> AsyncGenerator[tuple[Drive, str]]:
    async with file_server() as running:
        yield running


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


async def replaces_it_once(files: Files) -> None:
    leave, edit = files.write("leave", Note), files.replace("edit", Edit)
    current = files.current("current")
    assert edit.undo is None
    await call_write(leave, Note(path="a/b", content="1"))
    first = await current("a/b")
    assert first.text.text == "1"
    second = Edit(path="a/b", content="2", etag=first.etag)
    for _ in range(2):  # run again, it was done
        assert await call_write(edit, second) == "a/b"
    # It is another by now: of whoever read the first version nothing is overwritten.
    late = second.model_copy(update={"content": "3"})
    with pytest.raises(Final, match="another than was read"):
        await call_write(edit, late)
    assert (await current("a/b")).text.text == "2"
    for bad in ("*", 'W/"1"', "", '"a\r\nX: 1"'):
        with pytest.raises(Final, match="no ETag"):
            await call_write(edit, late.model_copy(update={"etag": bad}))
    gone = late.model_copy(update={"path": "none/none"})
    with pytest.raises(Final, match="another than was read"):
        await call_write(edit, gone)
    await call_write(edit, Edit(path="a/b", content="3", etag=(await current("a/b")).etag))
    assert (await current("a/b")).text.text == "3"


async def test_replaced_in_a_folder(tmp_path: Path) -> None:
    await replaces_it_once(Files(tmp_path))
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["b"]


async def test_of_two_that_read_one_version_one_replaces_it(tmp_path: Path) -> None:
    files = Files(tmp_path)
    (tmp_path / "a").write_text("0")
    mine = Edit(path="a", content="mine", etag=(await files.current("current")("a")).etag)
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    waits = asyncio.ensure_future(call_write(files.replace("edit", Edit), mine))
    await asyncio.sleep(0.1)  # it must not have looked before the other is through
    (tmp_path / "a").write_text("theirs")
    os.close(folder)
    with pytest.raises(Final, match="another than was read"):
        await waits
    assert (tmp_path / "a").read_text() == "theirs"


async def test_replaced_by_http(drive: tuple[Drive, str]) -> None:
    made, url = drive
    await replaces_it_once(Files(url))
    # An answer that is lost, and somebody else replaces it meanwhile: nobody may say "not done".
    edit, current = Files(url).replace("edit", Edit), Files(url).current("current")
    mine = Edit(path="a/b", content="mine", etag=(await current("a/b")).etag)
    made.loses, made.changes = 1, [b"theirs"]
    again = Effect(key="test:1/edit/1", case="test:1", step="edit", attempt=2)
    with pytest.raises(Exception, match="502"):
        await call_write(edit, mine)
    with pytest.raises(Unanswered, match="another than was read"):
        await call_directly(edit.fn, mine, again)
    assert made.files["/a/b"] == b"theirs"


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
