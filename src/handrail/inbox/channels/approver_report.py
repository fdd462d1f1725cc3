"""Once a day: the owner of each policy is told which approvers do not seem to look.

The workflow is started by a schedule. It tells what is new since the last time, and says
nothing where nothing is: what it told is its result, which the next one is given.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field
from temporalio import activity, workflow
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
from handrail.evidence import inattentive
from handrail.inbox.channels.activities import Owners, failed
from handrail.inbox.channels.content import line
from handrail.inbox.channels.directory import PeopleFile
from handrail.inbox.channels.mail import Mailer
from handrail.ledger import Ledger
from handrail.oversight import MESSAGE_QUEUE

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEDULE: Final = "handrail-approvers"
"""The id of the schedule."""

AT: Final = "0 7 * * *"
"""When it runs: at seven in the morning, UTC."""

SINCE = timedelta(days=90)
"""Rulings that are older say nothing of a person any more."""

_TRIES = RetryPolicy(initial_interval=timedelta(minutes=1), maximum_attempts=10)


class Flagged(Wire):
    """What owners are to know: by owner, lines that name an agent, a person and what was seen."""

    lines: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])

    def new(self, before: Flagged | None) -> Flagged:
        """What was not there before."""
        told = before.lines if before is not None else {}
        fresh = {
            owner: tuple(each for each in lines if each not in told.get(owner, ()))
            for owner, lines in self.lines.items()
        }
        return Flagged(lines={owner: lines for owner, lines in fresh.items() if lines})


class Report(Wire):
    """One owner's message."""

    owner: str
    lines: tuple[str, ...]
    at: Aware


@workflow.defn(name="Approvers")
class Approvers:
    """Tells owners of approvers who do not seem to look, if there is something new."""

    @workflow.run
    async def run(self) -> Flagged:
        """Look, and tell each owner what is new."""
        before: Any = (
            workflow.get_last_completion_result(Flagged)
            if workflow.has_last_completion_result()
            else None
        )
        flagged = await workflow.execute_activity(
            "approvers.flagged",
            workflow.now(),
            result_type=Flagged,
            start_to_close_timeout=timedelta(minutes=2),
            retry_policy=_TRIES,
            summary="who does not seem to look?",
        )
        told = dict(flagged.lines)
        for owner, lines in flagged.new(before).lines.items():
            if not await self._tell(Report(owner=owner, lines=lines, at=workflow.now())):
                told[owner] = tuple(each for each in told[owner] if each not in lines)
        return Flagged(lines=told)

    async def _tell(self, report: Report) -> bool:
        try:
            await workflow.execute_activity(
                "approvers.tell",
                report,
                start_to_close_timeout=timedelta(minutes=2),
                retry_policy=_TRIES,
                summary=f"tell {report.owner}",
            )
        except ActivityError:
            workflow.logger.warning("%s could not be told of approvers", report.owner)
            return False
        return True


@dataclass(frozen=True)
class Watch:
    """The activities: they read the ledger, and send mail."""

    ledger: Ledger
    owners: Owners
    people: PeopleFile
    mailer: Mailer | None

    def activities(self) -> list[Callable[..., Any]]:
        """What the worker of the inbox runs."""
        return [self.flagged, self.tell]

    @activity.defn(name="approvers.flagged")
    async def flagged(self, now: datetime) -> Flagged:
        """Whom each owner should know of."""
        agents = defaultdict[str, list[Any]](list)
        for row in await self.ledger.rulings(since=now - SINCE):
            agents[row.agent].append(row)
        lines = defaultdict[str, list[str]](list)
        for agent, rows in sorted(agents.items()):
            owner = self.owners(agent)
            for who, flags in inattentive(rows).items():
                if owner:
                    lines[owner] += [f"{agent}: {who} {flag}" for flag in flags]
        return Flagged(lines={owner: tuple(each) for owner, each in lines.items()})

    @activity.defn(name="approvers.tell")
    async def tell(self, report: Report) -> None:
        """Mail one owner.

        Raises:
            ApplicationError: if it could not be sent: to be tried again, or not.
        """
        async with failed():
            mailer = Mailer.required(self.mailer)
            to = self.people.current().of(report.owner).mail or report.owner
            await mailer.deliver(_mail(report, to, mailer.sender), mailer.sender, to)


def _mail(report: Report, to: str, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = Address("Handrail", addr_spec=sender)
    message["To"] = Address(addr_spec=to)
    message["Subject"] = "Approvers who do not seem to look"
    message["Date"] = format_datetime(report.at.astimezone(UTC))
    named = hashlib.sha256("\n".join((report.owner, *report.lines)).encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{named}.approvers@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    said = "\n".join(f"- {line(each, 300)}" for each in report.lines)
    message.set_content(
        "You own the policies of these agents. New since the last message:\n\n"
        f"{said}\n\nAll figures: handrail approvers\n"
    )
    return message


async def schedule(client: Client) -> None:
    """See to it that the workflow runs once a day. Called again it changes nothing."""
    planned = Schedule(
        action=ScheduleActionStartWorkflow("Approvers", id=SCHEDULE, task_queue=MESSAGE_QUEUE),
        spec=ScheduleSpec(cron_expressions=[AT]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    try:
        await client.create_schedule(SCHEDULE, planned)
    except ScheduleAlreadyRunningError:
        return
