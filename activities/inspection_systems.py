"""The inspection agent's system: how the lines' controller is asked, and what was learnt."""

from __future__ import annotations

import functools
import io
import os
import threading
import zipfile
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import httpx2

from activities import inspection_sight as sight
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
    """What was learnt before, or is learnt now from labelled boards; once for a process."""
    path = Path(os.environ.get("INSPECTION_MODEL") or "inspection.model")
    with _learning:
        if path not in _known:
            if not path.exists():
                sight.learn(archive()).save(path)
            _known[path] = sight.load(path)
        return _known[path]


def archive() -> list[tuple[sight.Patches, list[sight.Box]]]:
    """Boards of other lines, with the boxes that people drew around their defects."""
    answer = httpx2.get(lines_url() + "/archive", timeout=60).raise_for_status()
    found: list[tuple[sight.Patches, list[sight.Box]]] = []
    with zipfile.ZipFile(io.BytesIO(answer.content)) as kept:
        for text in (name for name in kept.namelist() if name.endswith(".txt")):
            images = [kept.read(text.replace(".txt", f"_{w}.png")) for w in ("temp", "test")]
            golden, scan = (sight.read_image(each) for each in images)
            rows = [line.split(",") for line in kept.read(text).decode().splitlines()]
            boxes = [sight.Box(*(int(n) for n in row)) for row in rows]
            found.append((sight.patches(golden, scan), boxes))
    return found
