"""Schedules: declared beside an agent, made and kept in step as Temporal's own.

Temporal names what a schedule starts by the schedule and the time; a case is named by its event.
So it starts a `ScheduledStart`, which has the event made, and starts the case as its child. Where
cases shall not overlap it lives as long as its case, so that Temporal's overlap policy is the
case's. Jitter is its own timer: of Temporal's the time that a run stands for could not be asked.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from temporalio import activity, workflow
from temporalio.client import (
    Client,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    SchedulePolicy,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.client import Schedule as TemporalSchedule
from temporalio.common import (
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from handrail.actions import Event, Wire, canonical
from handrail.agent import AGENT_ATTRIBUTE, Activity, in_thread
from handrail.client import (
    SCHEDULED_CASES,
    SCHEDULED_START,
    TASK_TIMEOUT,
    ScheduledInput,
    case_id,
    case_options,
    declared_schedule,
    is_known,
    iso,
)
from handrail.exceptions import CaseError, ConfigurationError
from handrail.failpoints import reached
from handrail.runtime.triggers import OVERLAPS, Schedule, event_of_kind, schedules_of
from handrail.runtime.upkeep import keep_upkeep

if TYPE_CHECKING:
    from handrail.ledger import Ledger
    from handrail.runtime.agent import Agent

MAKE_EVENT: Final = "handrail.scheduled"
"""The activity that makes the event of a time: `ScheduledTime` to `ScheduledEvent`."""

NO_EVENT: Final = "NoEvent"
"""The type of the failure of a time of which the author's code makes no event."""

RETIRED: Final = "no worker declares it any more"
"""The note of a schedule that was paused because it is not declared; by it, it is resumed."""

_AGAIN = timedelta(seconds=30)
_MAKES = timedelta(seconds=20)
"""How long the author's code may take to make an event, within the time of its activity."""
_MOST_TRIES = 10
"""Of the author's code that makes an event: some four minutes."""
_START = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
_TRIES = RetryPolicy(maximum_interval=timedelta(minutes=1))

log = logging.getLogger("handrail.schedules")


# What a schedule starts


class ScheduledTime(Wire):
    """A time of a schedule, whose event is to be made."""

    schedule: str
    at: datetime


class ScheduledEvent(Wire):
    """The event of a time. `known`: the ledger has its case already, which has written."""

    workflow: str
    key: str
    event: dict[str, Any]
    known: bool = False


def scheduled_activity(agent: Agent, ledger: Ledger) -> Activity:
    """The activity that makes the events of an agent's schedules."""

    @activity.defn(name=MAKE_EVENT)
    async def make(time: ScheduledTime) -> ScheduledEvent:
        schedule = schedules_of(agent.triggers).get(time.schedule)
        if schedule is None:
            raise CaseError(
                f"{agent.name} declares no schedule {time.schedule} any more; a worker that does "
                "starts the case"
            )
        try:
            async with asyncio.timeout(_MAKES.total_seconds()):
                event: Event = await in_thread(event_of_kind, schedule, time.at, agent.event)
            case = case_id(agent.name, event.key, type(event).__name__)
        # The author's own code may raise anything. What it asks may be there again in a while; for
        # longer no time waits for another that makes no event.
        except Exception as error:
            if activity.info().attempt < _MOST_TRIES:
                raise
            why = f"{type(error).__name__}: {error}"
            raise ApplicationError(why, type=NO_EVENT, non_retryable=True) from error
        reached("schedule:fired", case)
        found = ScheduledEvent(
            workflow=agent.workflow_type or agent.workflow.__name__,
            key=event.key,
            event=event.model_dump(mode="json"),
            known=await is_known(ledger, case),
        )
        reached("schedule:made", case)
        return found

    return make


@workflow.defn(name=SCHEDULED_START)
class ScheduledStart:
    """Starts the cases of times that a schedule has, one after the other where that is declared."""

    @workflow.run
    async def run(self, asked: ScheduledInput) -> dict[str, str]:
        """Start them; the id of the case of each time.

        Raises:
            ApplicationError: of type `NO_EVENT`, at the end, naming the times that have no event.
        """
        cases: dict[str, str] = {}
        without: list[str] = []
        for at in asked.times or [await self._own_time(asked.jitter)]:
            try:
                made = await workflow.execute_activity(
                    MAKE_EVENT,
                    ScheduledTime(schedule=asked.schedule, at=at),
                    result_type=ScheduledEvent,
                    start_to_close_timeout=timedelta(seconds=30),
                    retry_policy=_TRIES,
                    summary=f"the event of {iso(at)}",
                )
            except ActivityError as error:
                if not isinstance(error.cause, ApplicationError) or error.cause.type != NO_EVENT:
                    raise
                without.append(f"{iso(at)}: {error.cause.message}")
                continue
            cases[iso(at)] = f"{asked.agent}:{made.key}"
            await self._start(asked, made, cases)
        if without:
            again = f"mend it, then: handrail schedules trigger {asked.agent}/{asked.schedule} --at"
            why = f"no event is made of {'; '.join(without)}; fix: {again} TIME"
            raise ApplicationError(why, type=NO_EVENT, non_retryable=True)
        return cases

    async def _start(
        self, asked: ScheduledInput, made: ScheduledEvent, cases: Mapping[str, str]
    ) -> None:
        by, child = asked.requested_by or f"schedule:{asked.schedule}", None
        if not made.known:
            try:
                child = await workflow.start_child_workflow(
                    made.workflow,
                    made.event,
                    cancellation_type=ChildWorkflowCancellationType.ABANDON,
                    parent_close_policy=ParentClosePolicy.ABANDON,
                    **case_options(asked.agent, made.key, by),
                )
            except WorkflowAlreadyStartedError:
                workflow.logger.info("its case is there already")
        workflow.upsert_memo({SCHEDULED_CASES: dict(cases)})
        if child is not None and asked.waits:
            try:
                await child
            except ChildWorkflowError:
                workflow.logger.info("its case has failed, which that says itself")

    async def _own_time(self, jitter: timedelta) -> datetime:
        if jitter:
            await workflow.sleep(jitter * workflow.random().random())
        return workflow.info().typed_search_attributes.get(_START) or workflow.now()


# Kept in step


async def keep_schedules(client: Client, agents: Iterable[Agent]) -> None:
    """Keep the schedules of agents in step with their declarations; tried until it is done.

    What is wrong with one agent, or with its schedules, keeps nothing else from being done.
    """
    agents = tuple(agents)
    kept = [_kept(each.name, functools.partial(keep_in_step, client, each)) for each in agents]
    upkeep = [
        _kept(each.name, functools.partial(keep_upkeep, client, each.name)) for each in agents
    ]
    await asyncio.gather(*kept, *upkeep)


async def _kept(agent: str, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await work()
        # The agent works without them: what is wrong, its author's code or what somebody put
        # under the id of a schedule, is said until it is mended.
        except Exception as error:  # noqa: BLE001
            log.error("the schedules of %s are not in step: %s", agent, error)  # noqa: TRY400
        await asyncio.sleep(_AGAIN.total_seconds())


async def keep_in_step(client: Client, agent: Agent) -> None:
    """Make, change and pause the schedules of one agent.

    Raises:
        ConfigurationError: if Temporal does not take one, with its words.
        RPCError: if the server does not answer.
    """
    declared = {f"{agent.name}/{name}": each for name, each in schedules_of(agent.triggers).items()}
    faults: list[str] = []
    for schedule_id, each in declared.items():
        try:
            await _put(client, agent.name, schedule_id, each)
        except RPCError as error:
            if error.status is not RPCStatusCode.INVALID_ARGUMENT:
                raise
            faults.append(f"schedule {each.name}: {error}; fix: change it")
    query = f"HandrailAgent = '{agent.name}'"
    async for there in await client.list_schedules(query):
        if there.id.startswith(f"{agent.name}/") and there.id not in declared:
            await client.get_schedule_handle(there.id).update(_retired)
    if faults:
        raise ConfigurationError("; ".join(faults))


async def _put(client: Client, agent: str, schedule_id: str, declared: Schedule) -> None:
    given = _given(agent, declared)
    wanted = _as_temporal(schedule_id, declared, given)

    async def changed(found: ScheduleUpdateInput) -> ScheduleUpdate | None:
        state = found.description.schedule.state
        known = await declared_schedule(client, found.description)
        if known is not None and known.declared == given.declared and state.note != RETIRED:
            return None
        # What a person said of it stays: it is declared anew, and not resumed.
        if state.note == RETIRED:
            state = ScheduleState()
        return ScheduleUpdate(schedule=dataclasses.replace(wanted, state=state))

    try:
        await client.create_schedule(
            schedule_id,
            wanted,
            search_attributes=TypedSearchAttributes([SearchAttributePair(AGENT_ATTRIBUTE, agent)]),
        )
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(schedule_id).update(changed)


def _given(agent: str, declared: Schedule) -> ScheduledInput:
    parts = [str(declared.spec()), declared.overlap, str(declared.jitter), str(declared.catch_up)]
    return ScheduledInput(
        agent=agent,
        schedule=declared.name,
        waits=declared.overlap != "allow_all",
        spec=declared.in_words(),
        jitter=declared.jitter,
        declared=hashlib.sha256(canonical(parts).encode()).hexdigest(),
    )


def _as_temporal(schedule_id: str, declared: Schedule, given: ScheduledInput) -> TemporalSchedule:
    return TemporalSchedule(
        action=ScheduleActionStartWorkflow(
            SCHEDULED_START,
            given,
            id=schedule_id,
            task_queue=given.agent,
            task_timeout=TASK_TIMEOUT,
            static_summary=f"{schedule_id}: {given.spec}",
        ),
        spec=declared.spec(),
        policy=SchedulePolicy(overlap=OVERLAPS[declared.overlap], catchup_window=declared.catch_up),
    )


def _retired(found: ScheduleUpdateInput) -> ScheduleUpdate | None:
    schedule = found.description.schedule
    if schedule.state.paused:
        return None
    schedule.state = dataclasses.replace(schedule.state, paused=True, note=RETIRED)
    return ScheduleUpdate(schedule=schedule)
