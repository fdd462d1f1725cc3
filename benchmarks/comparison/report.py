"""The tables of the comparison, and the same as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from statistics import median
from typing import Any

from benchmarks.comparison.contenders import Contender
from benchmarks.comparison.keeps import Keeps, Kill
from benchmarks.comparison.measure import Measured, Plan, Round
from benchmarks.report import table
from benchmarks.stats import paired


def markdown(
    contenders: Mapping[str, Contender],
    measured: Mapping[str, Measured],
    keeps: Mapping[str, Keeps],
    plan: Plan,
) -> str:
    """What it costs beside what is kept; and below it the figures behind the ratios."""
    return "\n\n".join(
        [
            table(_HEAD, [_row(each, measured, keeps) for each in contenders.values()]),
            f"Medians of {plan.rounds} rounds; CPU in ms:",
            figures(measured),
        ]
    )


_HEAD = (
    "contender",
    "CPU of a case / Handrail",
    "of an approved one / Handrail",
    "killed, outside heeds keys",
    "killed, outside heeds none",
    "yes without a worker",
    "deadline",
    "forged yes",
    "history",
    "rules",
)
_FIGURES = (
    "contender",
    "alone, ms",
    "cases/s",
    "CPU, worker",
    "servers",
    "approved: worker",
    "servers",
    "at rest, a second",
    "memory, MiB: worker",
    "servers",
)


def figures(measured: Mapping[str, Measured]) -> str:
    """What it costs, by itself."""
    return table(_FIGURES, [_figures(name, found) for name, found in measured.items()])


def _row(
    contender: Contender, measured: Mapping[str, Measured], keeps: Mapping[str, Keeps]
) -> list[str]:
    name, kept = contender.name, keeps[contender.name]
    by = {kill.outside: kill for kill in kept.kills}
    bare = [_killed(by[mode], mode) for mode in ("find", "bare") if mode in by]
    return [
        name,
        _ratio(measured, name, lambda one: one.passes.all),
        _ratio(measured, name, lambda one: one.held.all),
        _killed(by["key"], "key"),
        "; ".join(bare),
        "kept" if kept.yes else "not kept",
        "kept" if kept.deadline else "not kept",
        "**taken**" if kept.forged else "refused",
        f"{kept.records}: {contender.history}" if kept.records else contender.history,
        contender.policy,
    ]


def _ratio(measured: Mapping[str, Measured], name: str, cost: Callable[[Round], float]) -> str:
    first = next(iter(measured.values()))
    theirs = [cost(one) for one in measured[name].rounds]
    return str(paired(theirs, [cost(one) for one in first.rounds]))


def _killed(kill: Kill, mode: str) -> str:
    """How many effects there are of how many cases, and what became of these."""
    effects = f"{kill.effects} of {kill.cases}"
    if kill.effects > kill.cases:
        effects = f"**{effects}**"
    parts = [f"{effects} (asked)" if mode == "find" else effects]
    if kill.asks:
        parts.append(f"{kill.asks} ask a human")
    if kill.resumed:
        parts.append("resumed by hand")
    if lost := kill.cases - kill.done - kill.asks:
        parts.append(f"{lost} lost")
    return ", ".join(parts)


def _figures(name: str, found: Measured) -> list[str]:
    def middle(cost: Callable[[Round], float]) -> str:
        return f"{median(cost(one) for one in found.rounds):.1f}"

    worker, server = found.memory
    return [
        name,
        middle(lambda one: one.one),
        middle(lambda one: one.rate),
        middle(lambda one: one.passes.worker),
        middle(lambda one: one.passes.server),
        middle(lambda one: one.held.worker),
        middle(lambda one: one.held.server),
        middle(lambda one: one.rest.all),
        f"{worker:.0f}",
        f"{server:.0f}",
    ]


def as_json(
    measured: Mapping[str, Measured], keeps: Mapping[str, Keeps], plan: Plan, where: str
) -> dict[str, Any]:
    """Everything, for other programs."""
    return {
        "machine": where,
        "plan": asdict(plan),
        "measured": {name: asdict(found) for name, found in measured.items()},
        "keeps": {name: asdict(found) for name, found in keeps.items()},
    }
