"""Upkeep: every few minutes what is kept of an agent's cases is completed, and its owner told.

A workflow that a Temporal Schedule starts for each agent. In turn: the records that a dead worker
did not write are made from histories; figures beyond the policy's `alerts:` begin an alert, and
end it; what has earned more freedom is proposed, and what has become worse is taken back; once a
week the owner is told the figures of the last one. Each by itself: one that fails stops no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from temporalio import activity, workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from handrail.actions import Aware, Wire
from handrail.client import Operator
from handrail.evidence import find_alarms, keep_alarms, week_of, weekly_lines
from handrail.exceptions import InvalidRequest, LedgerUnavailable, NotKept, RowConflict
from handrail.guardrails import alert_owner
from handrail.ledger import PROPOSED, CaseRecord
from handrail.oversight import Alert
from handrail.runtime.payload_codec import ClaimCheck
from handrail.runtime.rebuild import UPKEEP, cases_of, record_of

if TYPE_CHECKING:
    from pathlib import Path

    from temporalio.client import WorkflowExecution
    from temporalio.plugin import SimplePlugin

    from handrail.agent import OutcomeRead
    from handrail.ledger import AlertRow, Ledger
    from handrail.oversight import Trust
    from handrail.runtime.agent import Agent

EVERY = timedelta(minutes=5)

AT_FIRST = timedelta(days=1)
"""How far back the first sweep of an agent looks; `handrail evidence rebuild` looks at all."""

PILOTS = timedelta(days=90)
"""How far back is read what people did, the first time; after that a day before the latest."""

OVERLAP = timedelta(minutes=5)
"""By how much two sweeps overlap: visibility and recorders are late by seconds."""

_OF_A_LOST_TASK = 5
"""At least so many events follow the beginning of a task that was not the last one."""

_TIME = timedelta(minutes=4)
_TRIES = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_attempts=3)
_SWEEP, _WATCH = "handrail.sweep", "handrail.alarms"
_PROMOTE, _WEEK = "handrail.promotions", "handrail.week"
_BACK = "step back"

log = logging.getLogger("handrail.upkeep")


class SweepRequest(Wire):
    """Whose cases that ended since then are looked at."""

    agent: str
    since: Aware


class UpkeepResult(Wire):
    """How far it came. `swept`: until when all that ended is recorded; the next begins there."""

    swept: Aware | None = None
    failed: tuple[str, ...] = ()


@workflow.defn(name=UPKEEP)
class Upkeep:
    """One round of it, for one agent. Its result is where the next round begins."""

    @workflow.run
    async def run(self, agent: str) -> UpkeepResult:
        """Do each part; what fails is named, and comes again with the next round."""
        before: Any = (
            workflow.get_last_completion_result(UpkeepResult)
            if workflow.has_last_completion_result()
            else UpkeepResult()
        )
        now = workflow.now()
        since = now - AT_FIRST if before.swept is None else before.swept - OVERLAP
        request = SweepRequest(agent=agent, since=since)
        failed: list[str] = []
        for name, given in ((_SWEEP, request), (_WATCH, agent), (_PROMOTE, agent), (_WEEK, agent)):
            try:
                await workflow.execute_activity(
                    name,
                    given,
                    start_to_close_timeout=_TIME,
                    retry_policy=_TRIES,
                    summary=f"{name.partition('.')[2]} of {agent}",
                )
            except ActivityError as error:
                failed.append(f"{name}: {error.cause or error}"[:300])
        swept = before.swept if any(f.startswith(_SWEEP) for f in failed) else now
        return UpkeepResult(swept=swept, failed=tuple(failed))


@dataclass
class UpkeepActivities:
    """What the rounds of one agent do.

    `plugin`: what replays its cases, made by where their large payloads are kept. `trust`: whose
    answers to reviews count as evidence, and where owners are told to go; without an inbox nobody
    is told.
    """

    agent: Agent
    ledger: Ledger
    plugin: Callable[[Path], SimplePlugin]
    trust: Trust
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _said: str = field(default="", init=False)
    """The policy of which the ledger was told that it is in force."""

    def activities(self) -> list[Callable[..., Awaitable[Any]]]:
        """All of them, for a worker."""
        return [self.sweep, self.watch, self.promote, self.week]

    @activity.defn(name=_SWEEP)
    async def sweep(self, request: SweepRequest) -> int:
        """Record the cases that ended since then and are not recorded; how many there were."""
        client = activity.client()
        codec = client.data_converter.payload_codec
        if not isinstance(codec, ClaimCheck):
            log.warning("no history of %s is replayed: the client has no plugin", request.agent)
            return 0
        plugin = self.plugin(codec.directory)
        ended = f" AND CloseTime >= '{request.since.astimezone(UTC).isoformat()}'"
        there = [each async for each in cases_of(client, request.agent, ended)]
        known = await self.ledger.runs_recorded([each.id for each in there])
        missing = [each for each in there if not _is_final(each, *known.get(each.id, ("", 0)))]
        away: LedgerUnavailable | None = None
        for each in missing:
            record = await record_of(self.agent, client, plugin, each)
            try:
                if isinstance(record, CaseRecord):
                    record = await self.ledger.record_cases([record])
            except (NotKept, RowConflict) as error:
                record = str(error)
            except LedgerUnavailable as error:  # the others first: it may be for this one alone
                away = error
                continue
            if record is not None:
                log.warning("there is no record of %s: %s", each.id, record)
        if away is not None:
            raise away
        return len(missing)

    @activity.defn(name=_WATCH)
    async def watch(self, agent: str) -> int:
        """Begin and end alerts, and tell the owner of each that is new; how many those are.

        That another policy is in force by now is kept too, so that pages show it before a write.
        """
        now, policy = self.clock(), self.agent.policy_file.current()
        alarms = await find_alarms(self.ledger, agent, policy.doc.alerts, now)
        news = await keep_alarms(self.ledger, agent, alarms, now)
        then = f"See all, and say that you are at it: {self._where('alerts')}handrail alerts"
        tell = (self._tell(row, f"{agent}: {row.rule}", then) for row in news)
        for fault in await asyncio.gather(*tell, return_exceptions=True):
            if fault is not None:  # comes again with the next round; the others were told
                raise fault
        if policy.sha != self._said:  # a door says so too, but at its next write only
            of = (policy.version, policy.sha, policy.label, policy.text)
            await self.ledger.loaded(agent, *of)
            self._said = policy.sha
        return len(news)

    @activity.defn(name=_PROMOTE)
    async def promote(self, agent: str) -> int:
        """Propose what is due, and take back what has become worse; how many of both.

        What people did is read first. Of what fails in that the rest is none the worse.
        """
        client = activity.client()
        operator = Operator(
            client,
            self.ledger,
            keyring=self.trust.keyring,
            agents={agent: self.agent},
            clock=self.clock,
        )
        read = await asyncio.gather(
            *(self._read(each, operator) for each in self.agent.outcomes), return_exceptions=True
        )
        done = await operator.evaluate_promotions(agent)
        where = f"{self._where('promote')}handrail promote show {agent}"
        # Also what somebody else had judged, by command; what is older was told in another way.
        since = self.clock() - AT_FIRST
        rows = await self.ledger.alerts(agent, every=True)
        for row in (row for row in rows if row.told is None):
            if row.rule.startswith(PROPOSED) and row.ended is None:
                said = f"See the evidence, agree or decline: {where}"
                await self._tell(row, f"{agent} may do more", said)
            elif row.rule.startswith(_BACK) and row.began > since:
                said = f"See what it rests on: {where}"
                await self._tell(row, f"{agent} does less by itself", said)
        for fault in read:
            if fault is not None:
                raise fault
        return len(done.proposed) + len(done.back)

    async def _read(self, outcomes: OutcomeRead, operator: Operator) -> None:
        """Take in what people did since what was read last."""
        name = self.agent.name
        source = f"@outcome {outcomes.fn.__name__}"
        last = await self.ledger.last_outcome(name, source)
        since = self.clock() - PILOTS if last is None else last - AT_FIRST
        given = await outcomes.fn(since)
        took = await operator.import_outcomes(name, given, source)
        if took.bad:
            raise InvalidRequest(f"{source}: {took.bad[0].where}: {took.bad[0].why}")

    @activity.defn(name=_WEEK)
    async def week(self, agent: str) -> bool:
        """Tell the owner the figures of the last whole week, once; False where there is nothing.

        That is where no case ended in it, nor in the one before.
        """
        now = self.clock().astimezone(UTC)
        monday = now - timedelta(days=now.weekday())
        monday = monday.replace(hour=0, minute=0, second=0, microsecond=0)
        before = monday - timedelta(days=14)
        seen = await self.ledger.cases_recorded(agent, before, monday, limit=1)
        if not seen:
            return False
        lines = await weekly_lines(self.ledger, agent, monday)
        all_ = f"See all: {self._where('')}handrail report {agent} --since 14d"
        await self._say(f"week {week_of(monday)}", f"The week of {agent}", (*lines, all_))
        return True

    def _where(self, page: str) -> str:
        """The page of the inbox on which the owner sees it, before the command that says it."""
        inbox = self.trust.inbox
        where = f"{inbox}/agents/{quote(self.agent.name, safe='')}/{page}".rstrip("/")
        return f"{where} or " if inbox else ""

    async def _tell(self, row: AlertRow, title: str, then: str) -> None:
        lines = (f"{row.rule}: {row.value}", f"limit: {row.limit}" if row.limit else "", then)
        if await self._say(row.id, title, lines, row.began):
            await self.ledger.change_alert(row.id, told=self.clock())

    async def _say(
        self, id_: str, title: str, lines: Iterable[str], at: datetime | None = None
    ) -> bool:
        agent = self.agent.name
        said = tuple(each for each in lines if each)
        news = Alert(
            agent=agent, what="alert", id=id_, title=title, lines=said, at=at or self.clock()
        )
        return await alert_owner(news, self.trust.inbox)


def _is_final(case: WorkflowExecution, run: str, events: int) -> bool:
    """Whether the end that is recorded, in a run after so many events, is that of the case.

    A worker may have died, or lost the task, after it had recorded an end that the server never
    took. Three events then came before the next task, and that may have ended otherwise.
    """
    return run == case.run_id and case.history_length - events < _OF_A_LOST_TASK


async def keep_upkeep(client: Client, agent: str) -> None:
    """See to it that an agent has its schedule. Called again it changes nothing.

    Raises:
        RPCError: if the server does not answer.
    """
    schedule_id = f"upkeep:{agent}"
    planned = Schedule(
        action=ScheduleActionStartWorkflow(
            UPKEEP,
            agent,
            id=schedule_id,
            task_queue=agent,
            static_summary=f"upkeep of {agent}: records, alerts, promotions, the week",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)]),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)
        ),
    )
    with contextlib.suppress(ScheduleAlreadyRunningError):
        await client.create_schedule(schedule_id, planned)
