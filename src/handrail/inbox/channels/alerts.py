"""Alerts: the owner of an agent's policy is told what they must know, each thing once.

Of a breaker, a budget or an incident at once: a worker starts `OwnerAlert` under an id made of the
event (`guardrails.breakers`). Of approvers who do not seem to look once a day, by a schedule.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final

from pydantic import Field
from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from handrail.actions import Aware, Wire
from handrail.agent import AGENT_ATTRIBUTE, PROBLEM_ATTRIBUTE
from handrail.inbox.channels.workflow import ATTEMPT, LARGEST, TRIES, UNDELIVERED, mark, why_failed
from handrail.oversight import MESSAGE_QUEUE, OWNER_WORKFLOW, Alert
from handrail.text import escape_markdown, one_line

AGAIN: Final = timedelta(hours=1)
"""After this time every channel is tried again."""

ROUNDS: Final = 24
"""So often every channel is tried, before it is given up."""

SCHEDULE: Final = "handrail-approvers"
"""The id of the schedule of `ApproverAlert`."""

AT: Final = "0 7 * * *"
"""When it runs: at seven in the morning, UTC."""

_MINUTES = timedelta(minutes=2)
_DAILY = RetryPolicy(initial_interval=timedelta(minutes=1), maximum_attempts=10)


class OwnerChannels(Wire):
    """Who owns the policy of an agent, and by which channels they are told.

    `owner` is empty when nobody knows. `silent`: the inbox has no channel at all.
    """

    owner: str = ""
    ways: tuple[str, ...] = ()
    silent: bool = False


class AlertRequest(Wire):
    """One event, for one owner, by one channel."""

    news: Alert
    owner: str
    channel: str


class AlertDelivery(Wire):
    """By which channel the owner was told; empty when they could not be. `tries`: why not."""

    told: str = ""
    tries: tuple[str, ...] = ()


class ApproverFlags(Wire):
    """What owners are to know: by owner, lines that name an agent, a person and what was seen."""

    lines: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])

    def new(self, before: ApproverFlags | None) -> ApproverFlags:
        """What was not there before."""
        told = before.lines if before is not None else {}
        fresh = {
            owner: tuple(each for each in lines if each not in told.get(owner, ()))
            for owner, lines in self.lines.items()
        }
        return ApproverFlags(lines={owner: lines for owner, lines in fresh.items() if lines})


class ApproverReport(Wire):
    """One owner's message about approvers."""

    owner: str
    lines: tuple[str, ...]
    at: Aware


@workflow.defn(name=OWNER_WORKFLOW)
class OwnerAlert:
    """Tells the owner of an agent's policy of one event."""

    @workflow.run
    async def run(self, news: Alert) -> AlertDelivery:
        """Try each channel, and all of them again, until one takes it."""
        page = "\n".join(f"- {escape_markdown(each)}" for each in news.lines)
        workflow.set_current_details(page.encode()[:LARGEST].decode(errors="ignore"))
        mark(AGENT_ATTRIBUTE.value_set(news.agent))
        tries: tuple[str, ...] = ()
        for _ in range(ROUNDS):
            to = await workflow.execute_activity(
                "owner.whom",
                news.agent,
                result_type=OwnerChannels,
                start_to_close_timeout=ATTEMPT,
                summary="who owns the policy?",
            )
            if to.silent or not to.owner:
                break
            for channel in to.ways:
                request = AlertRequest(news=news, owner=to.owner, channel=channel)
                what = f"{news.what}: {to.owner} by {channel}"
                why = await _try("owner.tell", request, what, ATTEMPT, TRIES)
                if why is None:
                    return AlertDelivery(told=channel, tries=tries)
                tries = (*tries, f"{to.owner} by {channel}: {why}")[-ROUNDS:]
            mark(PROBLEM_ATTRIBUTE.value_set(UNDELIVERED))
            await workflow.sleep(AGAIN)
        return AlertDelivery(tries=tries)


@workflow.defn(name="Approvers")
class ApproverAlert:
    """Tells owners of approvers who do not seem to look, if there is something new.

    What was told is its result, which the next day's run is given.
    """

    @workflow.run
    async def run(self) -> ApproverFlags:
        """Look, and tell each owner what is new."""
        before: Any = (
            workflow.get_last_completion_result(ApproverFlags)
            if workflow.has_last_completion_result()
            else None
        )
        flags = await workflow.execute_activity(
            "approvers.flagged",
            workflow.now(),
            result_type=ApproverFlags,
            start_to_close_timeout=_MINUTES,
            retry_policy=_DAILY,
            summary="who does not seem to look?",
        )
        told = dict(flags.lines)
        new = flags.new(before).lines
        # Those that began before this told one owner after another.
        if workflow.patched("owners-are-told-side-by-side"):
            whys = await asyncio.gather(*(_report(*each) for each in new.items()))
        else:
            whys = [await _report(*each) for each in new.items()]
        for (owner, lines), why in zip(new.items(), whys, strict=True):
            if why is not None:
                told[owner] = tuple(each for each in told[owner] if each not in lines)
        return ApproverFlags(lines=told)


async def _report(owner: str, lines: tuple[str, ...]) -> str | None:
    report = ApproverReport(owner=owner, lines=lines, at=workflow.now())
    return await _try("approvers.tell", report, f"tell {owner}", _MINUTES, _DAILY)


async def _try(
    activity: str, said: Wire, what: str, length: timedelta, retries: RetryPolicy
) -> str | None:
    """Why one channel did not take an alert; None if it did."""
    try:
        await workflow.execute_activity(
            activity,
            said,
            start_to_close_timeout=length,
            retry_policy=retries,
            summary=one_line(what, 200),
        )
    except ActivityError as error:
        why = why_failed(error)
        workflow.logger.warning("not told: %s: %s", what, why)
        return why
    return None


async def schedule(client: Client) -> None:
    """See to it that `ApproverAlert` runs once a day. Called again it changes nothing."""
    planned = Schedule(
        action=ScheduleActionStartWorkflow("Approvers", id=SCHEDULE, task_queue=MESSAGE_QUEUE),
        spec=ScheduleSpec(cron_expressions=[AT]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    try:
        await client.create_schedule(SCHEDULE, planned)
    except ScheduleAlreadyRunningError:
        return
