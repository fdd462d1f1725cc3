"""Failures warned of in time, and orders that were needed.

``python -m benchmarks.agents.maintenance [FOLDER]``. With a FOLDER that holds `train_FD*.txt`
(`.gz` or not; C-MAPSS, by NASA) it learns from the training engines and plays the test ones: those
of `test_FD*.txt` with `RUL_FD*.txt` where they are there, else every fifth engine, which is not
learnt from then. Without a folder it plays generated plants.
"""

from __future__ import annotations

import argparse
import gzip
import random
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
    read = gzip.open if path.suffix == ".gz" else open
    with read(path, "rt") as lines:
        rows = np.loadtxt(lines, ndmin=2)
    found: list[Life] = []
    for index, unit in enumerate(np.unique(rows[:, 0])):
        seen = rows[rows[:, 0] == unit, 2:]
        more = 0 if ruls is None else int(ruls[index])
        found.append(Life(filled(seen)[0], [Ended(len(seen) + more, "engine")]))
    return found


def split(folder: Path, seed: int = 0) -> tuple[list[Life], list[Life]]:
    """Engines to learn from, and engines to be judged by.

    Raises:
        FileNotFoundError: if there is no training file in the folder.
    """
    trains = sorted(folder.rglob("train_FD*.txt*"))
    if not trains:
        raise FileNotFoundError(f"no train_FD*.txt in {folder}; fix: name a folder of C-MAPSS")
    train, test = list[Life](), list[Life]()
    for path in trains:
        held = path.with_name(path.name.replace("train_", "test_"))
        truth = path.with_name(path.name.replace("train_", "RUL_"))
        own = engines(path)
        if held.exists() and truth.exists():
            read = gzip.open if truth.suffix == ".gz" else open
            with read(truth, "rt") as lines:
                test += engines(held, [float(line) for line in lines if line.strip()])
        else:
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
    return float(any_metrics.roc_auc_score(near, risk))


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
    main()
