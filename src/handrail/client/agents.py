"""Agents at a glance: who works on them, what is open, and what was stopped.

A few calls for each agent, all at once, whatever the number of its cases; of the ledger one query
for all agents each, and three for each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field
from temporalio.service import RPCError

from handrail import policy as policy_files
from handrail.actions import Level
from handrail.agent import OPEN_QUERY
from handrail.client.base import OperatorBase
from handrail.client.deployments import pollers
from handrail.client.gates import ImpossibleName, quoted
from handrail.client.stewards import steward_book, stewards
from handrail.client.views import Document, Moment
from handrail.exceptions import LedgerUnavailable
from handrail.ledger import FLEET

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from temporalio.api.taskqueue.v1 import PollerInfo

    from handrail.ledger import Ledger
    from handrail.oversight import AutonomyView


_LATELY = timedelta(minutes=5)

_PAUSED = f"HandrailState = 'paused' AND {OPEN_QUERY}"


class WorkerView(Document):
    """A worker that asked for an agent's work lately. `build`: empty where it does not say."""

    identity: str
    build: str
    seen: Moment


class BudgetView(Document):
    """A budget of the policy that was loaded last, and which share of it is `used`: 1 is all."""

    kind: str
    budget: str
    used: Decimal


class AgentStatus(Document):
    """One agent. `state`: `away` where no worker runs it, whatever may be in force.

    `levels`: of each write, as the steward has it; empty without a worker. `waiting`: of its
    `open` cases, those with a question to people. `incidents`: the open ones; they and
    `last_write` are None without a ledger. `stopped`: of a stop of the whole agent, by whom.
    `questions`: those that wait, by the ledger, the `oldest` asked then; `policy`: the version that
    was loaded last, with its `budgets`; `spent`: on models since midnight (UTC), by currency.
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
    questions: int | None = None
    oldest: Moment | None = None
    policy: int | None = None
    spent: dict[str, Decimal] = Field(default_factory=dict[str, Decimal])
    budgets: tuple[BudgetView, ...] = ()


class WorkerStatus(Document):
    """A worker process. `seen`: when it last asked for work; `since`: by its own heartbeats.

    `silent`: of its agents those for which no worker answers, though one may have asked for
    work a moment ago: a frozen process is seen for some minutes after its last request.
    """

    identity: str
    build: str
    agents: tuple[str, ...]
    seen: Moment
    since: Moment | None = None
    silent: tuple[str, ...] = ()


class WorkerList(Document):
    """The workers of all agents. `away`: agents for which no worker is seen.

    `lacking`: what could not be found out, and why.
    """

    workers: tuple[WorkerStatus, ...]
    away: tuple[str, ...]
    lacking: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether a worker answers for each agent."""
        return not self.away and not any(each.silent for each in self.workers)


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
        self.more: dict[str, dict[str, Any]] = {}

    async def read(self, ledger: Ledger) -> None:
        orders = await ledger.orders(live=True, kind="stop")
        whole = [each for each in orders if each.step is None and each.case is None]
        self.stops = {each.agent: each.by for each in whole}
        met = await ledger.incidents(open_only=True)
        self.incidents = Counter(each.agent for each in met)
        self.latest = await ledger.latest_writes()

    async def read_more(self, ledger: Ledger, agent: str, now: datetime) -> None:
        """What the ledger has of one of them."""
        asked = await ledger.old_questions(agent, now)
        policies = await ledger.policies(agent)
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        spent = await ledger.spent(agent, day)
        self.more[agent] = {
            "questions": len(asked),
            "oldest": asked[0][1] if asked else None,
            "policy": policies[0].version if policies else None,
            "spent": dict(spent.cost),
            "budgets": await _budgets(ledger, agent, policies[0].text, now) if policies else (),
        }


async def _budgets(ledger: Ledger, agent: str, policy: str, now: datetime) -> list[BudgetView]:
    """How far the budgets of a policy are used. None of one that this version cannot read."""
    doc, found = policy_files.known_policy(policy), list[BudgetView]()
    budgets = {} if doc is None else {"tokens": doc.budgets.tokens, "cost": doc.budgets.cost}
    for kind, caps in budgets.items():
        for cap in caps:
            used = (await ledger.spent(agent, now - cap.window)).of(kind, cap.unit)
            share = round(used / cap.amount, 4) if cap.amount else Decimal(1)
            found.append(BudgetView(kind=kind, budget=cap.text, used=share))
    return found


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
        try:
            for name in names if not lacking else ():
                await books.read_more(self.ledger, name, self._clock())
        except LedgerUnavailable as error:
            lacking.append(str(error))
        looks = (self._status(name, books) for name in names)
        found = dict(zip(names, await asyncio.gather(*looks, return_exceptions=True), strict=True))
        agents = [each for each in found.values() if isinstance(each, AgentStatus)]
        faults = {name: e for name, e in found.items() if isinstance(e, BaseException)}
        for name, fault in faults.items():
            # One that is wrong hides no other; what is wrong with all is the server's.
            if not agents or not isinstance(fault, (RPCError, ImpossibleName)):
                raise fault
            lacking.append(f"{name}: {fault}")
        return AgentList(agents=tuple(agents), lacking=tuple(lacking))

    async def workers(self) -> WorkerList:
        """Every worker that asked for work lately, and the agents for which none answers.

        Raises:
            RPCError: if the server does not answer.
        """
        client, lacking = await self.temporal(), list[str]()
        stewarded = set(await stewards(client))
        names = sorted({*self._agents, *stewarded})
        seen = dict(zip(names, await asyncio.gather(*map(self._workers, names)), strict=True))
        # What has a steward and a worker has somebody who answers for it.
        asked = [name for name in names if seen[name] and name in stewarded]
        books = await asyncio.gather(*(steward_book(client, name) for name in asked))
        silent = {name for name, book in zip(asked, books, strict=True) if book is None}
        since = await self._since([name for name in names if seen[name]], lacking)
        found: dict[str, list[tuple[str, WorkerView]]] = {}
        for name, workers in seen.items():
            for each in workers:
                found.setdefault(each.identity, []).append((name, each))
        return WorkerList(
            workers=tuple(
                WorkerStatus(
                    identity=identity,
                    build=polls[0][1].build,
                    agents=tuple(name for name, _ in polls),
                    seen=max(each.seen for _, each in polls),
                    since=since.get(identity),
                    silent=tuple(name for name, _ in polls if name in silent),
                )
                for identity, polls in sorted(found.items())
            ),
            away=tuple(name for name in names if not seen[name]),
            lacking=tuple(lacking),
        )

    async def _since(self, agents: Sequence[str], lacking: list[str]) -> dict[str, datetime]:
        """From when on each worker was there without a gap, by the heartbeats in the ledger."""
        found: dict[str, datetime] = {}
        try:
            for agent in agents:
                for row in await self.ledger.presence(agent, self._clock() - _LATELY):
                    found[row.worker] = row.since
        except LedgerUnavailable as error:
            lacking.append(str(error))
        return found

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
            **books.more.get(agent, {}),
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
