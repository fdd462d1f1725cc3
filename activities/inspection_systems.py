"""The inspection agent's system: how the lines' controller is asked, and what was learnt."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import threading
import zipfile
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from activities import inspection_sight as sight
from activities.models import chosen
from handrail import Final

LINES_URL = "http://127.0.0.1:8550"
_PATIENCE = 10.0


def lines_url() -> str:
    """Where the lines' controller is."""
    return os.environ.get("INSPECTION_LINES_URL") or LINES_URL


@functools.cache
def _controller(url: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, timeout=_PATIENCE)


async def disconnect() -> None:
    """Close the connections to the controller; the next step opens new ones."""
    await _controller(lines_url()).aclose()
    _controller.cache_clear()


async def call(
    method: str, path: str, allow: AbstractSet[int] = frozenset(), **more: Any
) -> httpx2.Response:
    """Ask the controller.

    Raises:
        Final: if it declines: it did nothing then.
        httpx2.HTTPError: if it cannot answer now; a write may have happened or not.
    """
    answer = await _controller(lines_url()).request(method, path, **more)
    if answer.is_client_error and answer.status_code not in {*allow, 408, 425, 429}:
        raise Final(f"the controller answered {answer.status_code}: {answer.text[:200]}")
    if answer.status_code not in allow:
        answer.raise_for_status()
    return answer


# What was learnt

_learning = threading.Lock()
_known: dict[Path, sight.Judge] = {}


def learnt() -> sight.Judge:
    """What was learnt before, or is learnt now from labelled boards; once for a process.

    On a shelf of models (`AGENT_MODELS`) it is the version in use there.
    """
    path = Path(os.environ.get("INSPECTION_MODEL") or "inspection.model")
    with _learning:
        found = chosen("inspection", lambda: sight.packed(sight.labelled(archive())))
        if found is not None:
            return _fitted(*found)
        if path not in _known:
            if not path.exists():
                sight.learn(archive()).save(path)
            _known[path] = sight.load(path)
        return _known[path]


@functools.lru_cache(maxsize=4)
def _fitted(version: str, kept: bytes) -> sight.Judge:
    return dataclasses.replace(sight.fit(sight.unpacked(kept)), name=version)


class Board(NamedTuple):
    """What differs on a board. `boxes`: what people drew around defects; None: nobody looked."""

    name: str
    found: sight.Patches
    boxes: list[sight.Box] | None


def archive() -> list[tuple[sight.Patches, list[sight.Box]]]:
    """Boards of other lines, with the boxes that people drew around their defects."""
    return [(each.found, each.boxes) for each in boards("/archive") if each.boxes is not None]


def boards(path: str) -> list[Board]:
    """The boards of an archive of the controller's."""
    answer = httpx2.get(lines_url() + path, timeout=60).raise_for_status()
    made: list[Board] = []
    with zipfile.ZipFile(io.BytesIO(answer.content)) as kept:
        names = kept.namelist()
        for name in (each.removesuffix("_test.png") for each in names if "_test" in each):
            images = (kept.read(f"{name}_{which}.png") for which in ("temp", "test"))
            found, boxes = sight.patches(*map(sight.read_image, images)), None
            if f"{name}.txt" in names:
                rows = [line.split(",") for line in kept.read(f"{name}.txt").decode().splitlines()]
                boxes = [sight.Box(*(int(n) for n in row)) for row in rows]
            made.append(Board(name, found, boxes))
    return made
