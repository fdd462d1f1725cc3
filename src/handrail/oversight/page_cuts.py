"""Cutting what a page in Temporal's Web UI shows, so that the reasons have room."""

from __future__ import annotations

import json
from typing import Any, cast

from handrail.text import CUT, LONGEST_QUOTED

_FENCE = "```"


def cut_middle(text: str, most: int) -> str:
    """Text of at most about `most` characters: what is left out stood in its middle."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}{CUT} {text[-half:]}"


def cut_values(value: Any, most: int) -> Any:
    """A JSON value whose long texts are cut in their middles, so that it has about `most`."""
    length = most
    while length > LONGEST_QUOTED and len(json.dumps(value, ensure_ascii=False)) > most:
        length //= 2
        value = _cut_texts(value, length)
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= most else cut_middle(text, most)


def _cut_texts(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return cut_middle(value, most)
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: _cut_texts(each, most) for name, each in fields.items()}
    if isinstance(value, list | tuple):
        return [_cut_texts(each, most) for each in cast("list[Any]", value)]
    return value


def open_fence(page: str) -> str:
    """The code fence that a page in Markdown opens and does not close; empty if none."""
    fence = ""
    for line in page.splitlines():
        ticks = line[: len(line) - len(line.lstrip("`"))]
        if fence:
            fence = "" if line.strip() == fence else fence
        elif len(ticks) >= len(_FENCE):
            fence = ticks
    return fence
