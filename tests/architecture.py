"""Draw the house: the rooms of the engine, floor by floor, as the import contract has them.

`make map` writes the drawing into docs/architecture.md; a test fails when it is stale.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENGINE = ROOT / "src" / "handrail"
PAGE = ROOT / "docs" / "architecture.md"
MARKS = ("<!-- map -->\n", "<!-- /map -->")
WIDTH = 98

_SEPARATOR = re.compile(r"\s*[|:]\s*")


def floors() -> list[list[str]]:
    """The rooms of each floor, the highest first, from the contract that a machine holds."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    line = next(each for each in contracts["contracts"] if each["name"].startswith("One line"))
    return [
        [name.removeprefix("handrail.") for name in _SEPARATOR.split(layer)]
        for layer in line["layers"]
    ]


def says(room: str) -> str:
    """The first sentence of a room, without its name."""
    path = ENGINE / room
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text("utf-8")
    first = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].replace("\n", " ")
    return first.partition(": ")[2] or first


def drawing() -> str:
    """The floors one above the other: what is higher imports what is lower, never back."""
    ruler = "+" + "-" * (WIDTH - 2) + "+"
    lines = [ruler]
    for floor in floors():
        ground = not any((ENGINE / room).is_dir() for room in floor)
        told = [("ground", ", ".join(f"{room}.py" for room in floor))] if ground else []
        for room, text in told or [(room, says(room)) for room in floor]:
            lines += _lines(f"{room:<13}", text)
        lines.append(ruler)
    return "```text\n" + "\n".join(lines) + "\n```\n"


def _lines(head: str, text: str) -> list[str]:
    room = WIDTH - len(head) - 4
    words, rows = text.split(), [""]
    for word in words:
        if len(rows[-1]) + len(word) + 1 > room:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    heads = [head, *[" " * len(head)] * (len(rows) - 1)]
    return [f"| {head}{row:<{room}} |" for head, row in zip(heads, rows, strict=True)]


def page() -> str:
    """The page with the drawing as it is now."""
    before, rest = PAGE.read_text("utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    return f"{before}{MARKS[0]}{drawing()}{MARKS[1]}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
