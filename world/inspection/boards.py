"""Seeded circuit boards: golden ones, and scans with planted defects of six kinds.

A scan has what dust and a camera do to it: specks, blur, uneven light, noise, and a shift. The
truth (boxes around the defects) stays in here. A line whose machine goes off makes more defects
from its part `DRIFTS` on, until somebody has seen to it.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = 160
KINDS = ("open", "short", "mousebite", "spur", "copper", "pin-hole")
USUAL, DRIFTED = 0.04, 0.5
"""Share of a line's boards that have a defect, and after its machine went off."""
LINES, PARTS = 2, 50
OFF_LINE, DRIFTS = 2, 16
"""The line whose machine goes off, and from which part on."""
SPECKS, _BRIGHT = 0.7, 0.7
"""Specks of dust on a board, which are no defects, and the share of them that shine."""
DUSTY, _LARGEST, _FLAKE = 3.0, 2.1, 3.2
"""Specks on a board where the air is not filtered, and how large they are; flakes, then."""
_PITCH, _WIDTH, _MARGIN = 20, 7, 10

Grey = NDArray[np.uint8]
Copper = NDArray[np.bool_]
Place = tuple[int, int, int, int]


class Part(NamedTuple):
    """A board as the camera has it, its golden board, and its truth."""

    golden: bytes
    scan: bytes
    defects: list[tuple[str, Place]]


def part(line: int, serial: int, seed: int, *, off: bool = False, dusty: bool = False) -> Part:
    """A part of a line; `off`: its machine is; `dusty`: the filter of its air is."""
    chance = np.random.default_rng((seed, line, serial))
    golden = _board(np.random.default_rng((seed, line)))
    copper, defects = golden.copy(), list[tuple[str, Place]]()
    share = DRIFTED if off else USUAL
    if chance.random() < share:
        for _ in range(int(chance.integers(1, 3))):
            defects += _planted(copper, golden, chance)
    return Part(_png(golden * np.uint8(255)), _png(_scanned(copper, chance, dusty=dusty)), defects)


def archive(seed: int, count: int) -> list[Part]:
    """Boards of other lines, half of them with defects, for whom it is to be learnt from."""
    return [part(100 + n % 10, n, seed, off=True) for n in range(count)]


def _board(chance: np.random.Generator) -> Copper:
    """Traces that run across with bends, and pads with holes."""
    copper = np.zeros((SIZE, SIZE), dtype=bool)
    for lane in range(_PITCH // 2, SIZE, _PITCH):
        bend, jog = int(chance.integers(30, SIZE - 30)), int(chance.integers(-1, 2)) * 4
        for left, right, at in ((0, bend, lane), (bend - _WIDTH // 2, SIZE, lane + jog)):
            copper[max(0, at - _WIDTH // 2) : at + _WIDTH // 2 + 1, left:right] = True
        if chance.random() < 0.5:  # noqa: PLR2004  # half of the traces have a pad
            _disc(copper, lane, int(chance.integers(15, bend)), 9, on=True)
    return copper


def _disc(copper: Copper, y: int, x: int, radius: float, *, on: bool) -> None:
    ys, xs = np.ogrid[:SIZE, :SIZE]
    copper[(ys - y) ** 2 + (xs - x) ** 2 <= radius**2] = on


def _planted(
    copper: Copper, golden: Copper, chance: np.random.Generator
) -> list[tuple[str, Place]]:
    """Plant one defect; where it is."""
    kind = KINDS[int(chance.integers(len(KINDS)))]
    before, size = copper.copy(), int(chance.integers(3, 6))
    inner = slice(_MARGIN, SIZE - _MARGIN)
    edge = golden.copy()
    edge[1:] &= ~golden[:-1]
    core = golden & np.roll(golden, 3, 0) & np.roll(golden, -3, 0)
    free = ~golden & ~np.roll(golden, 5, 0) & ~np.roll(golden, -5, 0)
    where = {"pin-hole": core, "open": core, "copper": free}.get(kind, edge)
    ys, xs = np.nonzero(where[inner, inner])
    pick = int(chance.integers(len(ys)))
    y, x = int(ys[pick]) + _MARGIN, int(xs[pick]) + _MARGIN
    if kind == "open":
        copper[max(0, y - 9) : y + 10, x - size // 2 : x + size // 2 + 1] = False
    elif kind == "short":
        copper[max(0, y - _PITCH) : y + 1, x - 1 : x + size - 1] = True
    elif kind == "spur":
        copper[max(0, y - 2 - size) : y + 1, x - size // 2 : x + size // 2 + 1] = True
    else:
        radius = {"mousebite": size - 0.5, "copper": size - 0.5}.get(kind, 2.3)
        _disc(copper, y, x, radius, on=kind == "copper")
    ys, xs = np.nonzero(copper ^ before)
    if not len(ys):
        return []
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    left, top, right, bottom = (v + (_MARGIN if n > 1 else -_MARGIN) for n, v in enumerate(box))
    return [(kind, (left, top, right, bottom))]


def _scanned(copper: Copper, chance: np.random.Generator, *, dusty: bool = False) -> Grey:
    """What the camera makes of it."""
    copper, largest = copper.copy(), _FLAKE if dusty else _LARGEST
    for _ in range(int(chance.poisson(DUSTY if dusty else SPECKS))):
        y, x = (int(n) for n in chance.integers(0, SIZE, 2))
        _disc(copper, y, x, chance.uniform(1.0, largest), on=bool(chance.random() < _BRIGHT))
    y, x = (int(n) for n in chance.integers(0, 5, 2))
    moved = np.pad(copper, 3, mode="edge").astype(float)[y : y + SIZE + 2, x : x + SIZE + 2]
    moved = (moved[:-2] + 2 * moved[1:-1] + moved[2:]) / 4
    moved = (moved[:, :-2] + 2 * moved[:, 1:-1] + moved[:, 2:]) / 4
    ramp = np.linspace(-1, 1, SIZE) * chance.uniform(-12, 12)
    grey = 60 + 130 * moved + ramp[None, :] + chance.normal(0, 6, moved.shape)
    return np.clip(grey, 0, 255).astype(np.uint8)


def _png(grey: Grey) -> bytes:
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG", compress_level=1)
    return file.getvalue()
