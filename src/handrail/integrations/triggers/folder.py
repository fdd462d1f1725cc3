"""Watched folders: each file that appears becomes events, and is moved to done/ or failed/.

Write a file aside, or under a name that begins with a dot, and rename it when it is complete. A
crash between the start of its cases and its move costs nothing: it is read again, and its events
have their cases. Links are not followed.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import structlog
from typing_extensions import override

from handrail.exceptions import ConfigurationError, LedgerUnavailable
from handrail.integrations.triggers.source import EventMapping, EventSource, RawEvent

if TYPE_CHECKING:
    from handrail.integrations.triggers.receiver import Receiver
    from handrail.runtime import Agent

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of the largest file; each of its lines is bounded like any other event."""

LARGEST_EVENT: Final = 256 * 1024
"""Bytes of one event, by whatever way it comes."""

_LOOK_MS: Final = 2_000
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload")

log = structlog.get_logger("handrail.triggers")


@dataclass(frozen=True, kw_only=True)
class Folder(EventSource):
    """Cases of the files of a folder: each one event as JSON, or with `.jsonl` one a line.

    `event` makes the event of a file that is something else; its name is the header
    `file-name`. None: it is not for us.
    """

    path: Path
    event: EventMapping | None = None
    source: ClassVar[str] = "folder"

    @property
    @override
    def mapping(self) -> EventMapping | None:
        return self.event


async def watch(receiver: Receiver, agent: Agent, folder: Folder) -> None:
    """Take the files of a folder until cancelled.

    Raises:
        ConfigurationError: if the folder cannot be used.
    """
    import watchfiles  # noqa: PLC0415  # an extra, there only where folders are watched

    try:
        for name in ("done", "failed"):
            (folder.path / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"folder {folder.name}: {error}; fix: let this user write to {folder.path}"
        ) from error
    await take_all(receiver, agent, folder)
    # Also without news: what could neither be started nor kept is tried again.
    looks: Any = watchfiles.awatch(  # pyright: ignore[reportUnknownMemberType]  # of its own stop
        folder.path, recursive=False, rust_timeout=_LOOK_MS, yield_on_timeout=True
    )
    async for _ in looks:
        await take_all(receiver, agent, folder)


async def take_all(receiver: Receiver, agent: Agent, folder: Folder) -> None:
    """Take every file that is there now, by its name; what cannot be kept yet stays."""
    for path in sorted(await asyncio.to_thread(lambda: list(folder.path.iterdir()))):
        if path.name.startswith(".") or path.suffix in _UNFINISHED or not path.is_file():
            continue
        try:
            faults = await _take(receiver, agent, folder, path)
        except LedgerUnavailable as error:
            log.warning("a file stays", file=path.name, why=str(error)[:300])
            return
        except OSError as error:
            faults = [f"it cannot be read: {error}"]
        await asyncio.to_thread(_move, path, faults)


async def _take(receiver: Receiver, agent: Agent, folder: Folder, path: Path) -> list[str]:
    """Take one file. What is wrong with it, each line of it apart."""
    if await asyncio.to_thread(path.is_symlink):
        return ["it is a link: whoever may write here would have this machine's files read"]
    data = await asyncio.to_thread(_read, path)
    if len(data) > LARGEST:
        return [f"it is larger than {LARGEST} bytes"]
    lines = folder.event is None and path.suffix in {".jsonl", ".ndjson"}
    parts = data.splitlines() if lines else [data]
    faults: list[str] = []
    for number, part in enumerate(parts, 1):
        if lines and not part.strip():
            continue
        fault = await _take_one(receiver, agent, folder, RawEvent(part, {"file-name": path.name}))
        if fault:
            faults.append(f"line {number}: {fault}" if lines else fault)
    return faults


async def _take_one(receiver: Receiver, agent: Agent, folder: Folder, given: RawEvent) -> str:
    if len(given.body) > LARGEST_EVENT:
        return f"an event has at most {LARGEST_EVENT} bytes"
    try:
        answer = await receiver.delivery(agent, folder, given)
    except UnicodeDecodeError:
        return "it is no text in UTF-8"
    if answer is None or answer.what != "kept" or answer.case:
        return ""
    return f"kept in the intake as {answer.entry}, where it says why (`handrail intake show`)"


def _read(path: Path) -> bytes:
    # Nor is one followed that takes its place meanwhile.
    with open(path, "rb", opener=_unfollowed) as file:
        return file.read(LARGEST + 1)


def _unfollowed(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _move(path: Path, faults: list[str]) -> None:
    folder = path.parent / ("failed" if faults else "done")
    to = folder / path.name
    if to.exists():
        to = folder / f"{path.stem}.{datetime.now(UTC):%Y%m%dT%H%M%S%f}{path.suffix}"
    if faults:
        # Before the file: a crash between leaves a file that is taken again, and no riddle.
        reason = to.with_name(f"{to.name}.reason.txt")
        reason.write_text("".join(f"{each}\n" for each in faults), encoding="utf-8")
    path.replace(to)
