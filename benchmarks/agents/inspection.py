"""Defects caught, and good parts held.

``python -m benchmarks.agents.inspection [FOLDER] [--learn OTHER]``. A FOLDER of DeepPCB's form
holds `NAME_temp.jpg` (the golden board), `NAME_test.jpg` and `NAME.txt` (`x1,y1,x2,y2,type`, one a
line; commas or spaces). Parts are tiles of 160 x 160 pixels: bad, if a box reaches into them. It
learns from OTHER; else from the other five sixths of FOLDER: no board is judged by what it taught.
Without a folder it judges generated boards, having learnt from others.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from activities.inspection_sight import (
    HOLD,
    STOP,
    Box,
    Judge,
    Patches,
    learn,
    patches,
    read_image,
    risk_in,
)
from benchmarks.agents import run
from world.folders import set_aside, text_of
from world.inspection import boards

TILE = 160
_IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}
FOLDS = 6


class Board(NamedTuple):
    """A board that was looked at, and the boxes that people drew."""

    found: Patches
    boxes: list[Box]
    size: tuple[int, int]


class Tile(NamedTuple):
    """A part, and how likely it is bad."""

    risk: float
    bad: bool


def look(golden: bytes, scan: bytes, boxes: list[Box]) -> Board:
    """A board, looked at."""
    image = read_image(scan)
    return Board(patches(read_image(golden), image), boxes, (image.shape[1], image.shape[0]))


def boards_of(folder: Path) -> list[Board]:
    """The boards of a folder of DeepPCB's form, however deep they lie.

    Raises:
        FileNotFoundError: if there are none. One that lacks its golden one or its boxes, or
            that cannot be read, is set aside.
    """
    texts = {path.stem: path for path in folder.rglob("*.txt")}
    found: list[Board] = []
    scans = [path for path in sorted(folder.rglob("*_test.*")) if path.suffix.lower() in _IMAGES]
    for scan in scans:
        name = scan.stem.removesuffix("_test")
        golden = scan.with_name(scan.name.replace("_test.", "_temp."))
        try:
            if name not in texts:
                raise FileNotFoundError(f"{name}.txt is not there")
            boxes = _boxes(texts[name])
            found.append(look(golden.read_bytes(), scan.read_bytes(), boxes))
        except (OSError, ValueError) as error:
            set_aside(scan.name, error)
    if not found:
        raise FileNotFoundError(f"no NAME_test.jpg in {folder}; fix: name a folder of DeepPCB")
    return found


def _boxes(path: Path) -> list[Box]:
    """The boxes of a board: four corners, and what it is.

    Raises:
        ValueError: if one cannot be read: what is in it would count as a false alarm.
    """
    found: list[Box] = []
    for number, line in enumerate(filter(str.strip, text_of(path).splitlines()), 1):
        try:
            left, top, right, bottom, *_ = map(int, re.split(r"[,;\s]+", line.strip()))
        except ValueError:
            raise ValueError(f"{path.name}:{number} is no box: {line:.40}") from None
        found.append(Box(left, top, right, bottom))
    return found


def generated(seed: int, count: int) -> list[Board]:
    """Generated boards, half of which have defects."""
    made = boards.archive(seed, count)
    return [look(p.golden, p.scan, [Box(*b) for _, b in p.defects]) for p in made]


def tiles(judge: Judge, board: Board) -> list[Tile]:
    """Its parts, judged."""
    risks = judge.risks(board.found)
    found: list[Tile] = []
    for top in range(0, board.size[1], TILE):
        for left in range(0, board.size[0], TILE):
            part = Box(left, top, left + TILE, top + TILE)
            bad = any(box.touches(part) for box in board.boxes)
            found.append(Tile(risk_in(part, board.found, risks), bad))
    return found


def judged(test: Sequence[Board], train: Sequence[Board] | None, seed: int = 0) -> list[Tile]:
    """All parts, each judged by what was learnt from other boards."""
    if train is not None:
        judge = learn((b.found, b.boxes) for b in train)
        return [tile for board in test for tile in tiles(judge, board)]
    order = list(range(len(test)))
    random.Random(seed).shuffle(order)  # noqa: S311 - reproducible, not secret
    found: list[Tile] = []
    for fold in range(FOLDS):
        others = [test[n] for at, n in enumerate(order) if at % FOLDS != fold]
        mine = [test[n] for at, n in enumerate(order) if at % FOLDS == fold]
        found += judged(mine, others)
    return found


def share(parts: Sequence[Tile], at: float) -> str:
    """How many of the parts have this risk and more."""
    count = sum(part.risk >= at for part in parts)
    return f"{count} of {len(parts)} ({count / max(1, len(parts)):.1%})"


def line(name: str, parts: Sequence[Tile]) -> str:
    """One row of the table."""
    bad, good = [p for p in parts if p.bad], [p for p in parts if not p.bad]
    shares = (share(bad, HOLD), share(good, HOLD), share(bad, STOP), share(good, STOP))
    return f"| {name} | {' | '.join(shares)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Defects caught, and good parts held.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--learn", type=Path, help="another folder, to learn from")
    parser.add_argument("--seed", type=int, default=2)
    given = parser.parse_args()
    print("| parts | bad: held or stopped | good: held or stopped | bad: stopped | good: stopped |")
    print("|---|---|---|---|---|")
    if given.folder is None:
        name, train = f"generated, seed {given.seed}", generated(1, 200)
        print(line(name, judged(generated(given.seed, 300), train)))
        return
    train = boards_of(given.learn) if given.learn else None
    name = f"{given.folder.name}, tiles"
    print(line(name, judged(boards_of(given.folder), train, given.seed)))


if __name__ == "__main__":
    run(main)
