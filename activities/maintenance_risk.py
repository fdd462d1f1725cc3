"""How near to its failure a machine is: signs of wear, and trees that learnt from failures.

The same code serves hourly sensors of a plant and cycles of an engine: only `Pace` differs.
scikit-learn is imported where it is used, so that a worker's start stays light.
"""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pace:
    """In samples: what is short and what is long for this kind of machine."""

    short: int = 24
    long: int = 168
    horizon: int = 96
    """What fails within it counts as near: what the trees learn to tell."""
    every: int = 6
    """How often a machine is looked at."""
    lead: int = 48
    """A warning later than this before the failure is no warning."""


HOURS = Pace()
WARN = 0.55
"""Risk of a failure within the horizon from which work is planned."""


class Ended(NamedTuple):
    """A failure in a history: at which sample, of which part, and whether wear showed before."""

    at: int
    part: str
    sudden: bool = False


class Life(NamedTuple):
    """One machine's history: by sample and sensor, and when it failed."""

    readings: Floats
    ended: Sequence[Ended]


def signs(readings: Floats, pace: Pace) -> tuple[NDArray[np.int64], Floats]:
    """At which samples a machine is looked at, and what is seen: one row a look.

    Means, deviations and maxima over a short and a long while, and how far the short mean is
    from where the long while began. Who has not run for a long while is not looked at.
    """
    looked = np.arange(len(readings) - 1, pace.long - 2, -pace.every)[::-1]
    if not len(looked):
        return looked, np.empty((0, 7 * readings.shape[1]))
    long = np.lib.stride_tricks.sliding_window_view(readings, pace.long, axis=0)
    usual = long[looked - pace.long + 1]
    recent = usual[..., -pace.short :]
    mean = recent.mean(axis=-1)
    seen = [mean - usual[..., : pace.long // 4].mean(axis=-1)]
    for window in (recent, usual):
        seen += [window.mean(axis=-1), window.std(axis=-1), window.max(axis=-1)]
    return looked, np.concatenate(seen, axis=1)


def filled(readings: Floats) -> tuple[Floats, float]:
    """Readings without holes (the last good one stands in), and the share that was missing.

    A sensor that never spoke is all 0 afterwards, and the share says so.
    """
    bad = ~np.isfinite(readings)
    at = np.where(bad, 0, np.arange(len(readings))[:, None])
    carried = np.take_along_axis(readings, np.maximum.accumulate(at, axis=0), axis=0)
    return np.nan_to_num(carried), float(bad.mean()) if bad.size else 1.0


def left(looked: NDArray[np.int64], ended: Sequence[Ended]) -> Floats:
    """Samples from each look to the next failure; infinite where none is known."""
    ends = np.array(sorted(each.at for each in ended), dtype=float)
    after = np.searchsorted(ends, looked, side="right")
    until: Floats = np.append(ends, np.inf)[after]
    return until - looked.astype(np.float64)


@dataclass(frozen=True)
class Judge:
    """What was learnt: the risk of a failure within the horizon, and which part it will be."""

    near: Any
    part: Any
    parts: tuple[str, ...]
    name: str
    """Digest of what it was learnt from."""

    def risk(self, rows: Floats) -> Floats:
        """How likely a failure is within the horizon."""
        with _one_thread():
            return self.near.predict_proba(rows)[:, 1]

    def which(self, rows: Floats) -> list[str]:
        """The part that will fail, if one does."""
        if self.part is None:
            return [self.parts[0]] * len(rows)
        with _one_thread():
            return [self.parts[int(each)] for each in self.part.predict(rows)]

    def save(self, path: Path) -> None:
        """Keep it, whole or not at all."""
        half = path.with_suffix(".half")
        half.write_bytes(pickle.dumps(self))
        half.replace(path)


def load(path: Path) -> Judge:
    """What was kept by this agent itself: a pickle of anybody else must not be opened."""
    return pickle.loads(path.read_bytes())  # noqa: S301  # our own file, see above


def _one_thread() -> Any:
    """Trees of this size are slower with as many threads as a busy machine has cores."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  # comes with scikit-learn

    return threadpool_limits(1, "openmp")


def learn(lives: Sequence[Life], pace: Pace) -> Judge:
    """Learn from histories with their failures. What came suddenly teaches nothing."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415  # heavy

    rows: list[Any] = []
    near: list[Any] = []
    which: list[int] = []
    names = tuple(sorted({e.part for life in lives for e in life.ended})) or ("machine",)
    for life in lives:
        looked, found = signs(life.readings, pace)
        until = left(looked, [e for e in life.ended if not e.sudden])
        part = {e.at: names.index(e.part) for e in life.ended}
        rows.append(found)
        near.append(until <= pace.horizon)
        which += [
            part.get(int(at + n), -1) if n < np.inf else -1
            for at, n in zip(looked, until, strict=True)
        ]
    x: Any = np.concatenate(rows)
    y: Any = np.concatenate(near)
    options: Any = {"max_iter": 80, "learning_rate": 0.08, "random_state": 0}
    trees: Any = HistGradientBoostingClassifier(max_leaf_nodes=15, min_samples_leaf=40, **options)
    kinds: Any = HistGradientBoostingClassifier(max_leaf_nodes=8, **options)
    with _one_thread():
        trees.fit(x, y)
        if len(names) > 1:
            kinds.fit(x[y], np.array(which)[y])
    name = hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()[:12]
    return Judge(trees, kinds if len(names) > 1 else None, names, name)


class Tally(NamedTuple):
    """Orders against what came: the deciding function without any system around it."""

    wear: int
    warned: int
    """Wear failures with an order at least `lead` before."""
    orders: int
    needed: int
    """Orders after which the machine did fail within two and a half horizons."""
    right_part: int
    leads: tuple[int, ...]


def tally(judge: Judge, lives: Sequence[Life], pace: Pace, warn: float = WARN) -> Tally:
    """Play a judge over histories: one order at a time for a machine, until its failure."""
    valid = pace.horizon * 5 // 2
    wear = warned = orders = needed = right = 0
    leads: list[int] = []
    for life in lives:
        looked, rows = signs(life.readings, pace)
        ends, made, until = sorted(life.ended), list[int](), -1
        risks = judge.risk(rows) if len(rows) else rows
        for row in np.flatnonzero(risks >= warn):
            at = int(looked[row])
            if at < until:
                continue
            came = next((e for e in ends if at < e.at <= at + valid), None)
            made.append(at)
            until = came.at if came else at + valid
            needed += came is not None
            right += came is not None and judge.which(rows[row : row + 1]) == [came.part]
        orders += len(made)
        for end in (e for e in ends if not e.sudden):
            ahead = [end.at - at for at in made if 0 < end.at - at <= valid]
            wear, warned = wear + 1, warned + (max(ahead, default=0) >= pace.lead)
            leads += [max(ahead)] if ahead else []
    return Tally(wear, warned, orders, needed, right, tuple(leads))
