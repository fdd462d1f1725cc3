"""What differs between a board and its golden board, and how likely it is a defect.

Pure: images in, numbers out. The golden board is aligned with the scan block by block; a patch is
copper that is too much or missing by more than a pixel. Trees that learnt from boxes which people
drew say how likely each is a defect. scikit-learn and what comes with it are imported where they
are used, so that a worker's start stays light.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MARGIN = 14
"""Pixels around a patch that a person's box of it would have at most."""
_DRAWN = 8
"""Pixels that it has at least: what lies in there only is beside the defect."""
HOLD, STOP = 0.10, 0.95
"""Risks from which a part is held for a person, and from which it is stopped unasked."""
_SHIFT, _BLOCK, _AROUND = 3, 64, 24
_LEAST = 3
"""Pixels below which a patch is noise."""
_WINDOW = 24

Image = NDArray[np.bool_]
Rows = NDArray[np.float64]
Depths = NDArray[np.int64]


class Box(NamedTuple):
    """A part of an image, without its right and lower edge."""

    left: int
    top: int
    right: int
    bottom: int

    def grown(self, by: int) -> Box:
        """A box that is larger by so many pixels at each edge; smaller, if it is negative."""
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def touches(self, other: Box) -> bool:
        """Whether the two have a pixel in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


class Patches(NamedTuple):
    """What differs: where, and what tells of each."""

    boxes: list[Box]
    rows: Rows


def read_image(content: bytes) -> Image:
    """Copper or not, by the threshold that parts dark from bright best (Otsu).

    Raises:
        ValueError: if it is no image that can be read.
    """
    import PIL.Image  # noqa: PLC0415  # heavy

    try:
        grey = np.asarray(PIL.Image.open(io.BytesIO(content)).convert("L"))
    except OSError as error:
        raise ValueError(f"it is no image that can be read: {error}") from error
    count = np.bincount(grey.ravel(), minlength=256).astype(float)
    below, level = count.cumsum(), np.arange(256)
    sums = (count * level).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below / below[-1] - sums) ** 2 / (below * (below[-1] - below))
    return grey > int(np.nanargmax(np.where(np.isfinite(between), between, -1)))


def aligned(golden: Image, scan: Image) -> Image:
    """The golden board, each block of it where the scan has it."""
    height, width = scan.shape
    far = _SHIFT + _AROUND
    wide = np.pad(golden, far, mode="edge")
    seen = np.pad(scan, _AROUND, mode="edge")
    found = np.empty_like(golden)
    moves = [(y, x) for y in range(-_SHIFT, _SHIFT + 1) for x in range(-_SHIFT, _SHIFT + 1)]
    moves.sort(key=lambda move: move[0] ** 2 + move[1] ** 2)
    for top in range(0, height, _BLOCK):
        for left in range(0, width, _BLOCK):
            block = seen[top : top + _BLOCK + 2 * _AROUND, left : left + _BLOCK + 2 * _AROUND]
            tall, broad = block.shape

            def moved(y: int, x: int, t: int = top, e: int = left, s: Any = (tall, broad)) -> Any:
                return wide[t + _SHIFT + y :, e + _SHIFT + x :][: s[0], : s[1]]

            best = min(moves, key=lambda move: int((moved(*move) ^ block).sum()))
            inner = moved(*best)[_AROUND : tall - _AROUND, _AROUND : broad - _AROUND]
            found[top : top + _BLOCK, left : left + _BLOCK] = inner
    return found


def patches(golden: Image, scan: Image) -> Patches:
    """What differs between the two, and what tells of each difference.

    Raises:
        ValueError: if the two are not of one size.
    """
    from scipy import ndimage  # noqa: PLC0415  # heavy; it comes with scikit-learn

    if golden.shape != scan.shape:
        raise ValueError(f"the golden image is {golden.shape}, the scan {scan.shape}")
    image: Any = ndimage
    golden = aligned(golden, scan)
    inside, outside = _depth(image, golden), _depth(image, ~golden)
    depth = np.where(golden ^ scan, np.where(scan, outside, inside), 0)
    labels, _ = image.label(depth > 1, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    noise = float((depth == 1).sum()) / max(1.0, float((inside == 1).sum()))
    boxes, rows = list[Box](), list[list[float]]()
    for number, place in enumerate(image.find_objects(labels), 1):
        if sizes[number] < _LEAST:
            continue
        ys, xs = place
        boxes.append(Box(xs.start, ys.start, xs.stop, ys.stop))
        mine = labels[place] == number
        rows.append([noise, *_signs(image, golden, scan, depth, mine, place)])
    return Patches(boxes, np.array(rows, dtype=float))


def _depth(image: Any, copper: Image) -> Depths:
    """How many steps each pixel of it is from its edge."""
    return image.distance_transform_cdt(copper, metric="chessboard")


def _signs(  # noqa: PLR0917
    image: Any, golden: Any, scan: Any, depth: Any, mine: Any, place: Any
) -> list[float]:
    """What tells of one patch: its form, how deep it is, and what is around it."""
    ys, xs = place
    tall, broad = mine.shape
    deep = depth[place][mine]
    extra = float(scan[place][mine].mean())
    thick = float(_depth(image, np.pad(mine, 1)).max())
    around = (
        slice(max(0, ys.start - _WINDOW), ys.stop + _WINDOW),
        slice(max(0, xs.start - _WINDOW), xs.stop + _WINDOW),
    )
    near, was, now = depth[around], golden[around], scan[around]
    edges = float((was[1:] ^ was[:-1]).sum() + (was[:, 1:] ^ was[:, :-1]).sum())
    border = min(ys.start, xs.start, scan.shape[0] - ys.stop, scan.shape[1] - xs.stop)
    parts = [image.label(each)[1] for each in (was, now, ~was, ~now)]
    area = float(mine.sum())
    return [
        *(area, tall, broad, min(tall, broad), area / mine.size, thick),
        *(extra, deep.max(), deep.mean(), (deep > 2).sum(), (deep > 3).sum()),  # noqa: PLR2004
        *(parts[1] - parts[0], parts[3] - parts[2], edges / near.size, was.mean()),
        *((near == 1).sum() / (edges + 1), ((near > 1).sum() - area) / (edges + 1)),
        min(border, 2 * _WINDOW),
    ]


# What was learnt


@dataclass(frozen=True)
class Judge:
    """What was learnt: how likely a patch is a defect."""

    trees: Any
    name: str
    """Digest of what it was learnt from."""

    def risks(self, found: Patches) -> Rows:
        """How likely each patch is a defect: what the trees say on average.

        The forest, asked as a whole, changes the warning filters of the whole process for each of
        them (scikit-learn 1.9): of threads that ask at once, each is warned hundreds of times.
        """
        rows, trees = found.rows.astype(np.float32), self.trees.estimators_
        said = np.zeros(len(found.boxes))
        for tree in trees if found.boxes else ():
            said += tree.predict_proba(rows, check_input=False)[:, 1]
        return said / len(trees)

    def save(self, path: Path) -> None:
        """Keep it, whole or not at all."""
        half = path.with_suffix(".half")
        half.write_bytes(pickle.dumps(self))
        half.replace(path)


def load(path: Path) -> Judge:
    """What was kept by this agent itself: a pickle of anybody else must not be opened."""
    return pickle.loads(path.read_bytes())  # noqa: S301  # our own file, see above


def learn(boards: Iterable[tuple[Patches, list[Box]]]) -> Judge:
    """Learn from patches, and from the boxes that people drew around defects.

    Raises:
        ValueError: if there are no defects to learn from, or nothing else.
    """
    return fit(labelled(boards))


def labelled(boards: Iterable[tuple[Patches, list[Box]]]) -> Rows:
    """What tells of each patch, and in the end whether it is a defect: what is learnt from."""
    rows, bad = list[Rows](), list[bool]()
    for found, boxes in boards:
        cores = [box.grown(-_DRAWN) for box in boxes]
        rows += list(found.rows)
        bad += [any(box.touches(core) for core in cores) for box in found.boxes]
    return np.column_stack([np.array(rows), np.array(bad)]) if rows else np.empty((0, 1))


def packed(known: Rows) -> bytes:
    """What is learnt from, as it is kept: no pickle, by which others could have any code run."""
    file = io.BytesIO()
    np.save(file, known, allow_pickle=False)
    return file.getvalue()


def unpacked(kept: bytes) -> Rows:
    """What was kept to learn from."""
    return np.load(io.BytesIO(kept), allow_pickle=False)


def fit(known: Rows) -> Judge:
    """Learn from patches of which people have said what they are; the same gives the same.

    Raises:
        ValueError: if there are no defects to learn from, or nothing else.
    """
    from sklearn.ensemble import ExtraTreesClassifier  # noqa: PLC0415  # heavy

    x, y = known[:, :-1], known[:, -1].astype(bool)
    if len(set(y.tolist())) != 2:  # noqa: PLR2004  # defects, and what is none
        raise ValueError(f"{y.sum()} of {len(y)} patches are defects; fix: give it both kinds")
    half: Any = 0.5  # of the signs, at each split
    trees: Any = ExtraTreesClassifier(200, min_samples_leaf=2, max_features=half, random_state=0)
    trees.fit(x, y)
    return Judge(trees, hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()[:12])


def risk_in(region: Box, found: Patches, risks: Rows) -> float:
    """How likely a defect is in a part of the image, or so near that its box would reach in."""
    near = (
        r for box, r in zip(found.boxes, risks, strict=True) if box.grown(MARGIN).touches(region)
    )
    return max((float(risk) for risk in near), default=0.0)
