"""Metrics for Prometheus: counters of what the audit log has lines of.

They go out where Temporal's own do, by the meter of its runtime. Names and labels are promises.
Counted for each process since its start: sum them, and ask for rates.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from temporalio.common import MetricCounter, MetricHistogramFloat, MetricMeter

WRITE_SECONDS = "handrail_write_seconds"

RULING_SECONDS = "handrail_ruling_seconds"

BUCKETS: Mapping[str, list[float]] = {
    WRITE_SECONDS: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    RULING_SECONDS: [5, 15, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 259_200],
}
"""Upper bounds in seconds, for the runtime that the meter is of."""


@dataclass(frozen=True)
class _Counted:
    """What is counted for each line of an event. `labels`: fields of the line."""

    name: str
    what: str
    labels: tuple[str, ...]


_COUNTED = {
    "verdict": _Counted(
        "handrail_verdicts_total",
        "Actions that the door judged",
        ("agent", "step", "verdict", "autonomy", "pilot"),
    ),
    "effect": _Counted(
        "handrail_effects_total",
        "Attempts at writes, by what became of them",
        ("agent", "step", "effect", "how"),
    ),
    "told": _Counted(
        "handrail_notifications_total", "Notifications, sent or not", ("agent", "step", "sent")
    ),
    "order": _Counted(
        "handrail_orders_total",
        "Stops and changes of autonomy, and their ends",
        ("agent", "order", "ended"),
    ),
    "incident": _Counted(
        "handrail_incidents_total", "What a human must look at", ("agent", "step", "kind")
    ),
    "error": _Counted(
        "handrail_errors_total", "Errors of steps, by class", ("agent", "step", "kind")
    ),
    "review": _Counted(
        "handrail_reviews_total",
        "Writes drawn for a look (no answer), and looked at",
        ("agent", "step", "answer"),
    ),
    "breaker": _Counted(
        "handrail_breakers_total", "Breakers that went off", ("agent", "breaker", "then")
    ),
}


class _Meters:
    """The counters of one meter, made once."""

    def __init__(self, meter: MetricMeter) -> None:
        self._counters: dict[str, MetricCounter] = {
            event: meter.create_counter(counted.name, counted.what)
            for event, counted in _COUNTED.items()
        }
        self._seconds: MetricHistogramFloat = meter.create_histogram_float(
            WRITE_SECONDS, "From the door to the receipt, the writing in it", "s"
        )
        self._rulings: MetricHistogramFloat = meter.create_histogram_float(
            RULING_SECONDS, "From a question to how it closed", "s"
        )

    def count(self, event: str, fields: Mapping[str, Any]) -> None:
        counted = _COUNTED[event]
        found = {name: _label(fields.get(name)) for name in counted.labels}
        self._counters[event].add(1, found)
        took = fields.get("duration_ms")
        if event == "effect" and took is not None:
            self._seconds.record(took / 1_000, {k: found[k] for k in ("agent", "step", "effect")})

    def count_ruling(self, seconds: float, **labels: str) -> None:
        self._rulings.record(seconds, labels)


def _label(value: Any) -> str:
    """A label as text: true and false in small letters, "" for what is not there."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


_meters: _Meters | None = None


def count_by(meter: MetricMeter | None) -> None:
    """Have lines counted by a meter from now on; None: by none any more."""
    global _meters  # noqa: PLW0603  # one process, one meter
    _meters = None if meter is None else _Meters(meter)


def count(event: str, fields: Mapping[str, Any]) -> None:
    """Count a line of the audit log, if there is a meter; never raises."""
    if _meters is None:
        return
    # Labels are names of people's choice, and whoever counts decides about no write.
    with contextlib.suppress(Exception):
        _meters.count(event, fields)


def count_ruling(agent: str, step: str, how: str, seconds: float) -> None:
    """Count a question that closed `how` after so long, if there is a meter; never raises."""
    with contextlib.suppress(Exception):  # as in `count`
        if _meters is not None:
            _meters.count_ruling(seconds, agent=agent, step=step, how=how)
