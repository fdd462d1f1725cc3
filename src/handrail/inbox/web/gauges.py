"""Gauges for Prometheus: what is open, held up and in force, of every agent.

The inbox shows them, since it runs once where workers are many. They are read every few seconds,
not at each scrape: who scrapes often costs the server nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from temporalio.service import RPCError

from handrail.exceptions import HandrailError

if TYPE_CHECKING:
    from temporalio.common import MetricGaugeFloat, MetricMeter

    from handrail.client import AgentList, AgentStatus, Operator

log = structlog.get_logger("handrail.inbox")

EVERY = timedelta(seconds=15)

_GAUGES = {
    "handrail_agent_state": "1 for the state that an agent is in: working, pilot, stopped, away",
    "handrail_cases_open": "Cases that have not ended",
    "handrail_cases_waiting": "Open cases with a question to people",
    "handrail_cases_paused": "Open cases that somebody has paused",
    "handrail_incidents_open": "Incidents that nobody has closed",
    "handrail_gates_open": "Questions to people that wait for an answer",
    "handrail_gate_oldest_timestamp_seconds": "When the oldest of them was asked; 0 without one",
    "handrail_policy_info": "1 for the version of the policy that an agent has loaded last",
    "handrail_spent_today": "What an agent's models cost since midnight, UTC, by currency",
    "handrail_budget_used_ratio": "Which share of a budget of the policy is used; 1 is all of it",
    "handrail_workers": "Workers that asked for an agent's work lately, by build",
    "handrail_write_level": "1 for the level of autonomy that a write has",
    "handrail_last_write_timestamp_seconds": "When an agent last wrote, in seconds since 1970",
}

_Series = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


class Gauges:
    """Sets the gauges of a meter to what an `AgentList` says."""

    def __init__(self, meter: MetricMeter) -> None:
        self._gauges: dict[str, MetricGaugeFloat] = {
            name: meter.create_gauge_float(name, what) for name, what in _GAUGES.items()
        }
        self._shown: set[tuple[str, frozenset[tuple[str, str]]]] = set()

    def show(self, found: AgentList) -> None:
        """Show it; what is there no more, such as a stop that is over, goes to 0."""
        series = dict(each for agent in found.agents for each in _series(agent).items())
        for gone in self._shown - set(series):
            self._gauges[gone[0]].set(0, dict(gone[1]))
        for (name, labels), value in series.items():
            self._gauges[name].set(value, dict(labels))
        self._shown |= set(series)


def _series(agent: AgentStatus) -> _Series:
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}

    def put(name: str, value: float, **labels: str) -> None:
        found[name, frozenset({"agent": agent.agent, **labels}.items())] = value

    put("handrail_agent_state", 1, state=agent.state)
    put("handrail_cases_open", agent.open)
    put("handrail_cases_waiting", agent.waiting)
    put("handrail_cases_paused", agent.paused)
    if agent.incidents is not None:
        put("handrail_incidents_open", agent.incidents)
    if agent.questions is not None:
        put("handrail_gates_open", agent.questions)
        oldest = agent.oldest
        put("handrail_gate_oldest_timestamp_seconds", oldest.timestamp() if oldest else 0)
    if agent.policy is not None:
        put("handrail_policy_info", 1, version=str(agent.policy))
    for currency, cost in agent.spent.items():
        put("handrail_spent_today", float(cost), currency=currency)
    for each in agent.budgets:
        put("handrail_budget_used_ratio", float(each.used), kind=each.kind, budget=each.budget)
    builds = [worker.build for worker in agent.workers]
    for build in set(builds):
        put("handrail_workers", builds.count(build), build=build)
    for step, level in agent.levels.items():
        put("handrail_write_level", 1, step=step, level=level)
    if agent.last_write is not None:
        put("handrail_last_write_timestamp_seconds", agent.last_write.timestamp())
    return found


@contextlib.asynccontextmanager
async def measured(operator: Operator, meter: MetricMeter | None) -> AsyncGenerator[None]:
    """Keep the gauges up to date meanwhile; without a meter there is nothing to do."""
    if meter is None:
        yield
        return
    task = asyncio.create_task(_measure(operator, Gauges(meter)))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _measure(operator: Operator, gauges: Gauges) -> None:
    while True:
        try:
            gauges.show(await operator.agents())
        except (RPCError, HandrailError) as error:
            log.warning("the gauges are as they were", fault=str(error))
        await asyncio.sleep(EVERY.total_seconds())
