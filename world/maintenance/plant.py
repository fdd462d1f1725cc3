"""A seeded plant: machines whose parts wear by a gamma process under load, hour by hour.

The truth (wear, and what fails when) stays in here; readings are what a historian would have.
What is drawn in an hour does not depend on what people do, so that the same seed can be played
with an agent, without one, and by a calendar, and only the work differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SENSORS = ("vibration", "temperature", "pressure", "current", "load")
PARTS = ("bearing", "seal", "motor")
LIVES = (1700.0, 2500.0, 3400.0)
"""Mean hours that a part lasts at full load."""
ROUGHNESS = 14.0
"""Shape of the wear of a hundredth of a life: the lower, the more lives differ."""
SHOWS_FROM = 0.75
"""Share of a life from which wear is seen in the signals."""
SUDDEN = 0.055
"""Of the rate of failures: those that come without a warning (about 7 %)."""
LOST = 0.004
"""Share of readings that never reach the historian."""
DOWN_UNPLANNED, DOWN_PLANNED = 24, 4
"""Hours that a machine stands after a failure, and for work that was planned."""
_EFFECT = np.array(  # vibration, temperature, pressure, current at the end of a part's life
    [[2.0, 5.0, 0.0, 0.5], [0.2, 4.0, -1.2, 0.2], [0.4, 11.0, 0.0, 3.2]]
)
_USUAL = np.array([2.0, 55.0, 6.0, 20.0])
_BY_LOAD = np.array([0.8, 14.0, 0.4, 9.0])
_NOISE = np.array([0.15, 0.9, 0.09, 0.38])
_BY_MACHINE = np.array([0.2, 2.0, 0.15, 0.8])

Floats = NDArray[np.float64]


class Failure(NamedTuple):
    """A machine stood because a part of it failed."""

    machine: int
    hour: int
    part: str
    sudden: bool


class Plant:
    """The machines, and what has happened to them by `hour`."""

    def __init__(self, seed: int, machines: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.machines = machines
        self.hour = 0
        self.failures: list[Failure] = []
        self.down_hours = 0
        self.replaced = 0
        self._wear = self._rng.uniform(0, 0.7, (machines, len(PARTS)))
        self._own = self._rng.normal(0, _BY_MACHINE, (machines, len(_USUAL)))
        self._phase = self._rng.uniform(0, 2 * np.pi, machines)
        self._down = np.zeros(machines, dtype=int)
        self._readings: list[Floats] = []

    def step(self) -> None:
        """Let an hour pass."""
        n, rng = self.machines, self._rng
        day = 0.72 + 0.22 * np.sin(2 * np.pi * self.hour / 24 + self._phase)
        load = np.clip(day + rng.normal(0, 0.06, n), 0.2, 1.0)
        lives = np.array(LIVES) * 0.72
        grown = rng.gamma(ROUGHNESS * 100 / lives, 1 / (ROUGHNESS * 100), (n, len(PARTS)))
        noise = rng.normal(0, _NOISE, (n, len(_USUAL)))
        sudden = rng.random(n) < SUDDEN * float((1 / lives).sum())
        suddenly = rng.integers(0, len(PARTS), n)
        runs = self._down == 0
        self._wear += grown * (load * runs / 0.72)[:, None]
        seen = np.clip((self._wear - SHOWS_FROM) / (1 - SHOWS_FROM), 0, 1.2) ** 1.5
        load = load * runs
        signals = _USUAL + self._own + load[:, None] * _BY_LOAD + seen @ _EFFECT + noise
        row = np.column_stack([signals, load])
        self._readings.append(np.where(rng.random(row.shape) < LOST, np.nan, row))
        self._down = np.maximum(self._down - 1, 0)
        self.down_hours += int((~runs).sum())
        self._fail(runs, sudden, suddenly)
        self.hour += 1

    def _fail(
        self, runs: NDArray[np.bool_], sudden: NDArray[np.bool_], suddenly: NDArray[np.int64]
    ) -> None:
        for machine in np.flatnonzero(runs & ((self._wear >= 1).any(axis=1) | sudden)):
            worn = self._wear[machine] >= 1
            part = int(np.argmax(worn)) if worn.any() else int(suddenly[machine])
            failed = Failure(int(machine), self.hour, PARTS[part], not worn.any())
            self.failures.append(failed)
            self._wear[machine, part] = 0
            self._down[machine] = DOWN_UNPLANNED

    def replace(self, machine: int, part: str) -> None:
        """Put a new part in, while the machine stands as planned."""
        self._wear[machine, PARTS.index(part)] = 0
        self._down[machine] = max(DOWN_PLANNED, int(self._down[machine]))
        self.replaced += 1

    def readings(self, hours: int | None = None) -> Floats:
        """What the sensors said in the last hours: by hour, machine and sensor."""
        return np.array(self._readings[-(hours or self.hour) :])


Work = Callable[[Plant], Iterable[tuple[int, str]]]


def played(seed: int, machines: int, hours: int, work: Work | None = None) -> Plant:
    """A plant after so many hours; `work` says before each what is replaced."""
    plant = Plant(seed, machines)
    for _ in range(hours):
        for machine, part in work(plant) if work else ():
            plant.replace(machine, part)
        plant.step()
    return plant


def every_30_days(plant: Plant) -> Iterable[tuple[int, str]]:
    """The plan of many plants: all parts of a machine each thirtieth day, spread over the month."""
    for machine in range(plant.machines):
        if plant.hour and plant.hour % 720 == machine * 720 // plant.machines:
            yield from ((machine, part) for part in PARTS)
