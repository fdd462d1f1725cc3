"""Schedules: listed, paused, triggered and back-filled.

A schedule is Temporal's own, `agent/name`. What it starts is no case but a `ScheduledStart`: a
workflow that starts the case of the time it stands for, as its agent's code makes the event of
it, and keeps in its memo which that was. So the case has the id that its event gives it, and the
same time again, by hand or by back-fill, is the same case.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import TypeAdapter
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import (
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    WorkflowExecution,
    WorkflowExecutionStatus,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from handrail.actions import Aware, Wire
from handrail.agent import describe_execution, executions
from handrail.client.base import OperatorBase
from handrail.client.gates import quoted
from handrail.client.starts import TASK_TIMEOUT
from handrail.client.views import ScheduledRun, ScheduleList, ScheduleRuns, ScheduleView, iso
from handrail.exceptions import InvalidRequest, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporalio.client import Client, ScheduleHandle

SCHEDULED_START: Final = "ScheduledStart"
"""The workflow that a schedule starts: `ScheduledInput`."""

SCHEDULED_CASES: Final = "cases"
"""In its memo: the id of the case of each time, as ISO 8601 in UTC."""

MOST_TIMES = 200
"""Times that one back-fill is of at most."""

SOON = timedelta(seconds=5)
"""How long it is waited for the case that was triggered, which only a worker can start."""

_DAY = timedelta(days=1)
_SHOWN = 5
_LOOKED = 1_000
_SECOND = timedelta(seconds=1)
_POLL = timedelta(milliseconds=50)


class ScheduledInput(Wire):
    """Which schedule's case is to be started, and for which `times`: none is Temporal's own.

    `waits`: until the case has ended, so that the next one is not started before. `spec`: in
    words. `jitter`: at most so much later, where it is Temporal's own start. `declared`: the
    digest of the declaration, by which a change of it is known.
    """

    agent: str
    schedule: str
    waits: bool = True
    spec: str = ""
    jitter: timedelta = timedelta(0)
    declared: str = ""
    times: tuple[Aware, ...] = ()
    requested_by: str | None = None


async def declared_schedule(client: Client, found: ScheduleDescription) -> ScheduledInput | None:
    """What a schedule was declared as; None if it is none of ours."""
    action: Any = found.schedule.action
    ours = isinstance(action, ScheduleActionStartWorkflow) and action.workflow == SCHEDULED_START
    # Anybody may have made a schedule, with anything in it.
    with contextlib.suppress(Exception):
        args: Any = action.args if ours else []
        [given] = await client.data_converter.decode(args, [ScheduledInput])
        return given if isinstance(given, ScheduledInput) else None
    return None


async def matching_times(client: Client, schedule: str, since: datetime, until: datetime) -> Any:
    """The times of a schedule after `since` and until then, at most 1,000, as Temporal has them."""
    first, last = Timestamp(), Timestamp()
    first.FromDatetime(since)
    last.FromDatetime(until)
    answer = await client.workflow_service.list_schedule_matching_times(
        ListScheduleMatchingTimesRequest(
            namespace=client.namespace, schedule_id=schedule, start_time=first, end_time=last
        ),
        retry=True,
    )
    return [each.ToDatetime(UTC) for each in answer.start_time]


class ScheduleActs(OperatorBase):
    """Looking at schedules, and what people may ask of them."""

    async def schedules(self, agent: str | None = None) -> ScheduleList:
        """The schedules, of an agent or of all that are declared.

        Raises:
            ImpossibleName: if there can be no such agent.
        """
        client = await self.temporal()
        query = None if agent is None else f"HandrailAgent = {quoted(agent, 'agent')}"
        ids = [each.id async for each in await client.list_schedules(query)]
        found: list[ScheduleView] = []
        for each in sorted(ids):
            with contextlib.suppress(NotFound):
                found.append(await _view(client, each))
        return ScheduleList(schedules=tuple(found))

    async def pause_schedule(self, schedule: str, why: str = "") -> ScheduleView:
        """Start nothing more by a schedule, until it is resumed. A worker's start keeps it so.

        Raises:
            NotFound: if there is no such schedule.
        """
        client, note = await self.temporal(), self._note("paused", why)
        await (await _handle(client, schedule)).pause(note=note)
        return await _view(client, schedule)

    async def resume_schedule(self, schedule: str, why: str = "") -> ScheduleView:
        """Let a paused schedule go on. What it missed is not made up for: see `backfill_schedule`.

        Raises:
            NotFound: if there is no such schedule.
        """
        client, note = await self.temporal(), self._note("resumed", why)
        await (await _handle(client, schedule)).unpause(note=note)
        return await _view(client, schedule)

    async def trigger_schedule(self, schedule: str, at: datetime | None = None) -> ScheduleRuns:
        """Start the case of a time of the schedule, or of now. A time that had one has it still.

        Whoever triggers it is who asked for the case, and may not approve it.

        Raises:
            NotFound: if there is no such schedule.
            InvalidRequest: if it has no such time.
        """
        client = await self.temporal()
        await _view(client, schedule)
        if at is None:
            return await self._start(client, schedule, [datetime.now(UTC).replace(microsecond=0)])
        near = await matching_times(client, schedule, at - _SECOND, at + _SECOND)
        if at not in near:
            raise InvalidRequest(
                f"{schedule} has no time {at.isoformat()}; `handrail schedules` shows its times; "
                "without one it is triggered for now",
                "at",
            )
        return await self._start(client, schedule, [at])

    async def backfill_schedule(
        self, schedule: str, since: datetime, until: datetime | None = None
    ) -> ScheduleRuns:
        """Start the cases of all times between, until now; those that had one have it still.

        One after the other, unless the schedule lets its cases overlap.

        Raises:
            NotFound: if there is no such schedule.
            InvalidRequest: if there is no time between, or more than `MOST_TIMES`.
        """
        client, end = await self.temporal(), until or datetime.now(UTC)
        await _view(client, schedule)
        times = await matching_times(client, schedule, since - _SECOND, end)
        times = [each for each in times if since <= each <= end]
        if not 0 < len(times) <= MOST_TIMES:
            raise InvalidRequest(
                f"{schedule} has {len(times) or 'no'} times from {since.isoformat()} to "
                f"{end.isoformat()}; fix: choose a span with 1 to {MOST_TIMES} of them",
                "since",
            )
        return await self._start(client, schedule, times)

    def _note(self, what: str, why: str) -> str:
        return f"{what} by {self._who()}{f': {why}' if why else ''}"

    async def _start(self, client: Client, schedule: str, times: list[datetime]) -> ScheduleRuns:
        declared = await declared_schedule(client, await _described(client, schedule))
        if declared is None:
            raise NotFound(f"{schedule} is no schedule of an agent")
        span = "" if len(times) == 1 else f"..{iso(times[-1])}"
        started = await client.start_workflow(
            SCHEDULED_START,
            declared.model_copy(update={"times": tuple(times), "requested_by": self.by or None}),
            # As Temporal itself names what it starts.
            id=f"{schedule}-{iso(times[0])}{span}",
            task_queue=declared.agent,
            task_timeout=TASK_TIMEOUT,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=f"{schedule}: asked for by {self.by or 'somebody'}",
        )
        cases: Mapping[str, str] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SOON.total_seconds()):
                while iso(times[0]) not in cases:
                    await asyncio.sleep(_POLL.total_seconds())
                    cases = await _cases(await describe_execution(client, started.id))
        runs = [ScheduledRun(at=each, case=cases.get(iso(each), "")) for each in times]
        return ScheduleRuns(schedule=schedule, runs=tuple(runs))


async def _handle(client: Client, schedule: str) -> ScheduleHandle:
    await _described(client, schedule)
    return client.get_schedule_handle(schedule)


async def _described(client: Client, schedule: str) -> ScheduleDescription:
    try:
        return await client.get_schedule_handle(schedule).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise NotFound(
            f"there is no schedule {schedule!r}; `handrail schedules` lists them (agent/name)"
        ) from error


async def _view(client: Client, schedule: str) -> ScheduleView:
    found = await _described(client, schedule)
    declared = await declared_schedule(client, found)
    if declared is None:
        raise NotFound(f"{schedule} is no schedule of an agent")
    runs, info, now = await _runs(client, schedule), found.info, datetime.now(UTC)
    since = max(now - _DAY, info.created_at)
    past = await matching_times(client, schedule, since, now - SOON)
    ran = {run.at for run in runs}
    return ScheduleView(
        schedule=schedule,
        agent=declared.agent,
        spec=declared.spec,
        paused=found.schedule.state.paused,
        note=found.schedule.state.note or "",
        next=tuple(info.next_action_times[:_SHOWN]),
        runs=tuple(runs[:_SHOWN]),
        missed=tuple(each for each in past if each not in ran),
        late=info.num_actions_missed_catchup_window,
        skipped=info.num_actions_skipped_overlap,
    )


async def _runs(client: Client, schedule: str) -> list[ScheduledRun]:
    """What was started lately, the latest time first."""
    query = (
        f"WorkflowType = '{SCHEDULED_START}' AND WorkflowId STARTS_WITH "
        f"{quoted(f'{schedule}-', 'schedule')}"
    )
    found: dict[str, str] = {}
    async for each in executions(client, query, _LOOKED):
        named = await _cases(each)
        own = each.id.removeprefix(f"{schedule}-")
        # One that failed had no event: its time is missed, until somebody triggers it.
        failed = each.status == WorkflowExecutionStatus.FAILED
        found |= named or ({} if ".." in own or failed else {own: ""})
    known = [(_moment(at), case) for at, case in found.items()]
    runs = [ScheduledRun(at=at, case=case) for at, case in known if at is not None]
    return sorted(runs, key=lambda run: run.at, reverse=True)


async def _cases(execution: WorkflowExecution) -> Mapping[str, str]:
    # Anybody may start what is called so, with anything in its memo: that names no case.
    with contextlib.suppress(Exception):
        known: Any = await execution.memo_value(SCHEDULED_CASES, None)
        return TypeAdapter(dict[str, str]).validate_python(known or {})
    return {}


def _moment(text: str) -> datetime | None:
    with contextlib.suppress(ValueError):
        found = datetime.fromisoformat(text)
        return None if found.tzinfo is None else found
    return None
