"""Agents at a glance: who works on them, what is open, and what was stopped.

A few calls for each agent, all at once, whatever the number of its cases; of the ledger one query
for all agents each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING, Literal

from handrail.actions import Level
from handrail.agent import OPEN_QUERY
from handrail.client.base import OperatorBase
from handrail.client.deployments import pollers
from handrail.client.gates import quoted
from handrail.client.stewards import steward_book, stewards
from handrail.client.views import Document, Moment
from handrail.exceptions import LedgerUnavailable
from handrail.ledger import FLEET

if TYPE_CHECKING:
    from datetime import datetime

    from temporalio.api.taskqueue.v1 import PollerInfo

    from handrail.ledger import Ledger
    from handrail.oversight import AutonomyView


_PAUSED = f"HandrailState = 'paused' AND {OPEN_QUERY}"


class WorkerView(Document):
    """A worker that asked for an agent's work lately. `build`: empty where it does not say."""

    identity: str
    build: str
    seen: Moment


class AgentStatus(Document):
    """One agent. `state`: `away` where no worker runs it, whatever may be in force.

    `levels`: of each write, as the steward has it; empty without a worker. `waiting`: of its
    `open` cases, those with a question to people. `incidents`: the open ones; they and
    `last_write` are None without a ledger. `stopped`: of a stop of the whole agent, by whom.
    """

    agent: str
    state: Literal["working", "pilot", "stopped", "away"]
    levels: dict[str, str]
    workers: tuple[WorkerView, ...]
    open: int
    waiting: int
    paused: int
    incidents: int | None = None
    last_write: Moment | None = None
    stopped: str = ""


class AgentList(Document):
    """All agents, by name. `lacking`: what could not be found out, and why."""

    agents: tuple[AgentStatus, ...]
    lacking: tuple[str, ...] = ()


class _Books:
    """What the ledger has of all agents."""

    def __init__(self) -> None:
        self.stops: dict[str, str] = {}
        self.incidents: Counter[str] | None = None
        self.latest: dict[str, datetime] = {}

    async def read(self, ledger: Ledger) -> None:
        orders = await ledger.orders(live=True, kind="stop")
        whole = [each for each in orders if each.step is None and each.case is None]
        self.stops = {each.agent: each.by for each in whole}
        met = await ledger.incidents(open_only=True)
        self.incidents = Counter(each.agent for each in met)
        self.latest = await ledger.latest_writes()


class AgentActs(OperatorBase):
    """Looking at agents."""

    async def agents(self) -> AgentList:
        """Every agent that has a steward, or that this Operator was given.

        Raises:
            RPCError: if the server does not answer.
        """
        client, books, lacking = await self.temporal(), _Books(), list[str]()
        try:
            await books.read(self.ledger)
        except LedgerUnavailable as error:
            lacking.append(str(error))
        names = sorted({*self._agents, *await stewards(client)})
        found = await asyncio.gather(*(self._status(name, books) for name in names))
        return AgentList(agents=tuple(found), lacking=tuple(lacking))

    async def _status(self, agent: str, books: _Books) -> AgentStatus:
        client, mine = await self.temporal(), f"HandrailAgent = {quoted(agent, 'agent')}"
        query = f"{mine} AND HandrailState IS NOT NULL AND {OPEN_QUERY}"
        of = (query, f"{query} AND HandrailWaitingFor IS NOT NULL", f"{mine} AND {_PAUSED}")
        workers = await self._workers(agent)
        counts = [each.count for each in await asyncio.gather(*map(client.count_workflows, of))]
        book = await steward_book(client, agent) if workers else None
        picture = None if book is None else book.picture
        stopped = books.stops.get(agent) or books.stops.get(FLEET) or ""
        return AgentStatus(
            agent=agent,
            state=_state(stopped, picture) if workers else "away",
            levels={} if picture is None else {e.step: e.level.value for e in picture.steps},
            workers=workers,
            open=counts[0],
            waiting=counts[1],
            paused=counts[2],
            incidents=None if books.incidents is None else books.incidents[agent],
            last_write=books.latest.get(agent),
            stopped=stopped,
        )

    async def _workers(self, agent: str) -> tuple[WorkerView, ...]:
        found = [
            WorkerView(
                identity=each.identity,
                build=_build(each),
                seen=each.last_access_time.ToDatetime(UTC),
            )
            for each in await pollers(await self.temporal(), agent)
        ]
        return tuple(sorted(found, key=lambda each: each.identity))


def _build(poller: PollerInfo) -> str:
    return poller.deployment_options.build_id or poller.worker_version_capabilities.build_id


def _state(stopped: str, picture: AutonomyView | None) -> Literal["working", "pilot", "stopped"]:
    levels = {each.level for each in picture.steps} if picture is not None else set[Level]()
    if stopped or levels == {Level.STOP}:
        return "stopped"
    return "pilot" if levels and levels <= {Level.PILOT, Level.STOP} else "working"
