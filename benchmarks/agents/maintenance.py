"""Failures warned of in time, and orders that were needed.

``python -m benchmarks.agents.maintenance [FOLDER]``. With a FOLDER that holds `train_FD*.txt`
(`.gz` or not; C-MAPSS, by NASA) it learns from the training engines and plays the test ones: those
of `test_FD*.txt` with `RUL_FD*.txt` where they are there, else every fifth engine, which is not
learnt from then. Without a folder it plays generated plants.
"""

from __future__ import annotations

import argparse
import math
import random
import re
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from activities.maintenance_risk import (
    HOURS,
    WARN,
    Ended,
    Judge,
    Life,
    Pace,
    filled,
    learn,
    left,
    signs,
    tally,
)
from benchmarks.agents import run
from world.folders import set_aside, text_of
from world.maintenance.plant import Plant, played

CYCLES = Pace(short=5, long=20, horizon=72, every=1, lead=48)
"""Flights, not hours: the horizon is that of the figures which others took."""
SOON = replace(CYCLES, horizon=18, lead=12)


def lives_of(plant: Plant) -> list[Life]:
    """The histories of a generated plant, with its truth."""
    seen, failed = plant.readings(), plant.failures
    return [
        Life(filled(seen[:, m])[0], [Ended(f.hour, f.part, f.sudden) for f in failed if f[0] == m])
        for m in range(plant.machines)
    ]


def engines(path: Path, ruls: list[float] | None = None) -> list[Life]:
    """The engines of a C-MAPSS file; without `ruls` each failed after its last cycle."""
    rows: Any = _numbers(path)
    found: list[Life] = []
    units: list[float] = sorted(set(rows[:, 0].tolist()))
    for index, unit in enumerate(units):
        own = rows[rows[:, 0] == unit]
        seen = own[np.argsort(own[:, 1], kind="stable"), 2:]
        if ruls is not None and index >= len(ruls):
            set_aside(f"{path.name}, engine {unit:.0f}", "nobody says how long it ran on")
            continue
        more = 0 if ruls is None else int(ruls[index])
        found.append(Life(filled(seen)[0], [Ended(len(seen) + more, "engine")]))
    return found


def _numbers(path: Path) -> Any:
    """The rows of a file, each as long as most are; what is no such row is set aside.

    Raises:
        ValueError: if there are none.
    """
    found: list[tuple[str, list[float]]] = []
    for number, cells in enumerate(text_of(path).splitlines(), 1):
        where = f"{path.name}:{number}"
        try:
            found += [(where, [float(cell) for cell in re.split(r"[,;\s]+", cells.strip())])]
        except ValueError:
            if cells.strip():
                set_aside(where, f"it is no row of numbers: {cells:.60}")
    if not found:
        raise ValueError(f"{path} has no row of numbers")
    long = statistics.mode(len(row) for _, row in found)
    for where, row in found:
        if len(row) != long or not all(map(math.isfinite, row[:2])):
            set_aside(where, f"it has {len(row)} numbers, and not {long}")
    rows = [row for _, row in found if len(row) == long and all(map(math.isfinite, row[:2]))]
    return np.array(rows)


def _beside(path: Path, kind: str) -> Path | None:
    """The file of another kind that belongs to a training file; packed or not."""
    name = path.name.replace("train_", kind).removesuffix(".gz")
    return next((p for p in map(path.with_name, (name, f"{name}.gz")) if p.exists()), None)


def split(folder: Path, seed: int = 0) -> tuple[list[Life], list[Life]]:
    """Engines to learn from, and engines to be judged by.

    Raises:
        FileNotFoundError: if there is no training file in the folder.
    """
    every = {path.name.removesuffix(".gz"): path for path in folder.rglob("train_FD*.txt*")}
    trains = [every[name] for name in sorted(every)]
    if not trains:
        raise FileNotFoundError(f"no train_FD*.txt in {folder}; fix: name a folder of C-MAPSS")
    train, test = list[Life](), list[Life]()
    for path in trains:
        held, truth, own = _beside(path, "test_"), _beside(path, "RUL_"), engines(path)
        if held and truth:
            test += engines(held, _numbers(truth)[:, 0].tolist())
        else:
            for alone in filter(None, (held, truth)):
                set_aside(alone.name, "the file of the other two is not there: every fifth engine")
            random.Random(seed).shuffle(own)  # noqa: S311 - reproducible, not secret
            test, own = test + own[: len(own) // 5], own[len(own) // 5 :]
        train += own
    return train, test


def auc(judge: Judge, lives: list[Life], pace: Pace) -> float:
    """How well the risk tells looks before a failure from others."""
    from sklearn import metrics  # noqa: PLC0415  # heavy

    risk, near = list[float](), list[bool]()
    for life in lives:
        looked, rows = signs(life.readings, pace)
        if len(rows):
            risk += judge.risk(rows).tolist()
            near += (left(looked, life.ended) <= pace.horizon).tolist()
    any_metrics: Any = metrics  # it has no types
    return float(any_metrics.roc_auc_score(near, risk)) if len(set(near)) > 1 else math.nan


def line(name: str, train: list[Life], test: list[Life], pace: Pace) -> str:
    """One row of the table. Whose failure was not near enough to be seen coming is not counted."""
    judge = learn(train, pace)
    seen = [life for life in test if any(e.at - len(life.readings) < pace.lead for e in life.ended)]
    came = tally(judge, seen, pace, WARN)
    whole = tally(judge, test, pace, WARN)
    lead = "/".join(f"{x:.0f}" for x in np.percentile(came.leads or [0], [10, 50, 90]))
    warned = f"{came.warned} of {came.wear} ({came.warned / max(1, came.wear):.1%})"
    needed = f"{whole.needed} of {whole.orders} ({whole.needed / max(1, whole.orders):.1%})"
    return f"| {name} | {auc(judge, test, pace):.3f} | {warned} | {lead} | {needed} |"


def table(folder: Path | None, seed: int) -> list[str]:
    """The table."""
    rows = [
        "| data | AUC | warned in time | lead p10/50/90 | orders needed |",
        "|---|---|---|---|---|",
    ]
    if folder is None:
        train = lives_of(played(1, 60, 2880))
        for each in (seed, seed + 1):
            test = lives_of(played(each, 80, 2880))
            rows.append(line(f"plant, seed {each}, 48 h", train, test, HOURS))
        return rows
    train, test = split(folder)
    rows.append(line("C-MAPSS, within 72 cycles, 48 ahead", train, test, CYCLES))
    return [*rows, line("C-MAPSS, within 18 cycles, 12 ahead", train, test, SOON)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Failures warned of, and orders needed.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--seed", type=int, default=2)
    given = parser.parse_args()
    print("\n".join(table(given.folder, given.seed)))


if __name__ == "__main__":
    run(main)
