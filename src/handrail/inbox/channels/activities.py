"""The activities of the inbox's worker, which alone hold the credentials."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError

from handrail.actions import person
from handrail.client import case_view, existing_case, gates_of, is_shown
from handrail.evidence import inattentive
from handrail.exceptions import CaseError
from handrail.inbox.channels.alerts import (
    AlertRequest,
    ApproverFlags,
    ApproverReport,
    OwnerChannels,
)
from handrail.inbox.channels.content import LONGEST_SUBJECT, MessageLinks, note
from handrail.inbox.channels.delivery import (
    ConsultationSummary,
    DeliveryRequest,
    GateOutcome,
    GateSnapshot,
    LockRequest,
    MessageRef,
    SnapshotRequest,
    Undeliverable,
)
from handrail.inbox.channels.digests import held_until, hold
from handrail.inbox.channels.mail import CHANNEL as MAIL
from handrail.inbox.channels.mail import MailAlert, Mailer, compose_alert
from handrail.inbox.channels.people import People, PeopleFile, Person
from handrail.inbox.channels.sending import also, failed, send
from handrail.inbox.channels.slack import CHANNEL as SLACK
from handrail.inbox.channels.slack import Slack
from handrail.ledger import Ledger, RulingRow
from handrail.oversight import CaseView, GateView, alert_id, unproven_people
from handrail.text import one_line

if TYPE_CHECKING:
    from handrail.oversight import Consultation

log = logging.getLogger("handrail.messages")

OwnerLookup = Callable[[str], str]
"""The address of who owns the policy of an agent; empty if nobody is known."""

SINCE = timedelta(days=90)
"""Rulings that are older say nothing of an approver any more."""

_LONGEST = 500
_PAGES = {"incident": "incidents", "breaker": "stops"}
"""Where the inbox shows what an alert is of; any other is on the page of its agent."""
_ASKED = 4
"""Times that an ended case is asked how a gate closed, before it is only said that it is over."""


@dataclass(frozen=True)
class InboxActivities:
    """The activities, with the credentials to send. A channel that is not set is None."""

    client: Client
    people: PeopleFile
    links: MessageLinks
    owners: OwnerLookup
    mailer: Mailer | None = None
    slack: Slack | None = None
    ledger: Ledger | None = None
    hook: bool = False

    def all(self) -> list[Callable[..., Any]]:
        """What the worker runs."""
        reports = [self.flagged, self.report] if self.ledger is not None else []
        return [self.look, self.tell, self.lock, self.whom, self.alert, *reports]

    @activity.defn(name="messages.look")
    async def look(self, looking: SnapshotRequest) -> GateSnapshot:
        """See how a gate is now, and by which channels its people are told."""
        call = looking.call
        view, ended, case = await self.see(call.case, call.gate)
        people, fault = self.listed()
        owner = self.owners(call.case.partition(":")[0])
        named: set[str] = {*looking.people, *([owner] if owner else [])}
        named |= _named(view) if view else frozenset[str]()
        return GateSnapshot(
            view=view,
            ended=ended,
            fresh=case is not None,
            questions=_questions(view.asked) if view else (),
            ways={person(each): people.of(each).ways() for each in named},
            owner=owner,
            fault=fault,
            silent=self.silent(),
            hook=self.hook,
        )

    async def see(
        self, case: str, gate: str
    ) -> tuple[GateView | None, GateOutcome | None, CaseView | None]:
        """The gate if it is open, how it ended if that is known, and its case if it answers."""
        try:
            seen = await case_view(self.client, case)
            if seen is None:
                return await self._remembered(case, gate)
        except CaseError:
            return None, GateOutcome(how="gone"), None
        view = next((each for each in seen.gates if each.gate == gate), None)
        return view, None if view else _ended(seen, gate), seen

    async def _remembered(
        self, case: str, gate: str
    ) -> tuple[GateView | None, GateOutcome | None, None]:
        """The gate as its case last published it, while no worker answers for the case.

        Raises:
            CaseError: if there is no such case.
            ApplicationError: if the case has ended, and it is worth asking again how the gate did.
        """
        known = await existing_case(self.client, case)
        view = next((g for g in await gates_of(known) if g.gate == gate), None)
        over = known.status is not WorkflowExecutionStatus.RUNNING
        if over and activity.info().attempt < _ASKED:
            raise ApplicationError("no worker says how a gate of an ended case closed")
        return (None, GateOutcome(how="gone"), None) if over else (view, None, None)

    def listed(self) -> tuple[People, str]:
        """The people of the file whose entries are sound, and what is wrong with the others."""
        people, fault = self.people.sound()
        if fault:
            log.error("the people file is broken, so those with faults get mail: %s", fault)
        return people, fault

    def silent(self) -> bool:
        """Whether there is no channel at all, and people look into the inbox by themselves."""
        return self.mailer is None and self.slack is None and not self.listed()[0].others()

    @activity.defn(name="messages.tell")
    async def tell(self, telling: DeliveryRequest) -> MessageRef:
        """Send one message by one channel.

        Raises:
            ApplicationError: if it could not be sent: to be tried again, or not.
        """
        async with failed():
            return await self._tell(telling)

    async def _tell(self, telling: DeliveryRequest) -> MessageRef:
        call, view, address = telling.call, telling.view, telling.due.person
        # Whoever may start workflows can ask for any message: a button must not mean another
        # action than is shown beside it.
        if (view.case, view.gate) != (call.case, call.gate) or not is_shown(view):
            raise Undeliverable(f"what is to be shown is not what {call.case} asks")
        people, _ = self.listed()
        someone = people.of(address)
        page = self.links.page(call.case, call.gate)
        if telling.channel != SLACK and not telling.at_once:
            # By the workflow's clock, so that a second try decides as the first one did.
            until = held_until(someone, telling.due, view, telling.at)
            if until is not None:
                return await hold(self.client, telling, someone, until)
        if telling.channel == MAIL:
            return await Mailer.required(self.mailer).tell(
                telling, someone.mail or address, self.links
            )
        if telling.channel == SLACK:
            again = activity.info().attempt > 1
            return await self.chat().tell(telling, _slack_id(someone, address), page, again=again)
        said = note(telling)
        text = "\n".join([*said.opening, page, *said.closing])
        await send(also(someone, address, telling.channel), said.subject, text)
        return MessageRef(channel=telling.channel)

    @activity.defn(name="messages.lock")
    async def lock(self, locking: LockRequest) -> None:
        """Take the buttons away from a message in Slack, and say how it ended.

        Raises:
            ApplicationError: if it could not be done: to be tried again, or not.
        """
        call = locking.call
        async with failed():
            await self.chat().lock(locking, self.links.page(call.case, call.gate))

    def chat(self) -> Slack:
        """What speaks to Slack.

        Raises:
            Undeliverable: if no app is set up.
        """
        if self.slack is None:
            raise Undeliverable("no Slack app is set: HANDRAIL_SLACK_TOKEN")
        return self.slack

    @activity.defn(name="owner.whom")
    async def whom(self, agent: str) -> OwnerChannels:
        """Find who owns the policy of an agent, and how they are told."""
        owner = self.owners(agent)
        ways = self.listed()[0].of(owner).ways() if owner else ()
        return OwnerChannels(owner=owner, ways=ways, silent=self.silent())

    @activity.defn(name="owner.tell")
    async def alert(self, request: AlertRequest) -> None:
        """Tell an owner of one event, by one channel.

        Raises:
            ApplicationError: if it could not be sent: to be tried again, or not.
        """
        async with failed():
            await self._alert(request)

    async def _alert(self, request: AlertRequest) -> None:
        news, owner, channel = request.news, request.owner, request.channel
        # Whoever may start workflows can ask for any message, but only the owner gets one.
        if owner != self.owners(news.agent):
            raise Undeliverable(f"{owner} does not own the policy of {news.agent}")
        someone, key = self.listed()[0].of(owner), alert_id(news)
        title = one_line(news.title, LONGEST_SUBJECT)
        lines = [one_line(each, _LONGEST) for each in news.lines]
        if not any(self.links.waiting() in line for line in lines):
            # An owner may have no shell where the commands of the lines can be typed.
            path = _PAGES.get(news.what, "agents/{}").format(quote(news.agent, safe=""))
            lines.append(f"In the inbox: {self.links.waiting()}{path}")
        if channel == MAIL:
            text = "\n\n".join((f"You own the policy of {news.agent}.", *lines))
            await self._mail(owner, someone, MailAlert(title, f"{text}\n", news.at, key, "owner"))
        elif channel == SLACK:
            user, again = _slack_id(someone, owner), activity.info().attempt > 1
            await self.chat().say(user, title, lines, key=key, again=again)
        else:
            await send(also(someone, owner, channel), title, "\n".join(lines))

    async def _mail(self, owner: str, someone: Person, alert: MailAlert) -> None:
        mailer, to = Mailer.required(self.mailer), someone.mail or owner
        mail = compose_alert(alert, mailer.sender, to, self.links)
        await mailer.deliver(mail, mailer.sender, to)

    @activity.defn(name="approvers.flagged")
    async def flagged(self, now: datetime) -> ApproverFlags:
        """Find which approvers do not seem to look, for each owner."""
        agents = defaultdict[str, list[Any]](list)
        rows = list[RulingRow]()
        if self.ledger is not None:
            rows = await self.ledger.rulings(since=now - SINCE, texts=False)
        for row in rows:
            agents[row.agent].append(row)
        lines = defaultdict[str, list[str]](list)
        for agent, ruled in sorted(agents.items()):
            owner = self.owners(agent)
            for who, flags in inattentive(ruled).items():
                if owner:
                    lines[owner] += [f"{agent}: {who} {flag}" for flag in flags]
        return ApproverFlags(lines={owner: tuple(each) for owner, each in lines.items()})

    @activity.defn(name="approvers.tell")
    async def report(self, report: ApproverReport) -> None:
        """Mail one owner about approvers.

        Raises:
            ApplicationError: if it could not be sent: to be tried again, or not.
        """
        said = "\n".join(f"- {one_line(each, 300)}" for each in report.lines)
        text = (
            "You own the policies of these agents. New since the last message:\n\n"
            f"{said}\n\nAll figures: handrail approvers\n"
        )
        title, key = "Approvers who do not seem to look", "\n".join((report.owner, *report.lines))
        async with failed():
            someone = self.listed()[0].of(report.owner)
            alert = MailAlert(title, text, report.at, key, "approvers")
            await self._mail(report.owner, someone, alert)


def _slack_id(someone: Person, address: str) -> str:
    if someone.slack is None:
        raise Undeliverable(f"{address} has no Slack id in the people file")
    return someone.slack


def _named(view: GateView) -> frozenset[str]:
    """Everybody who is or may be told of a gate."""
    stages = {p for stage in view.stages for p in (*stage.people, *stage.deputies)}
    asking = {p for each in view.asked for p in (each.by, each.to)}
    return frozenset(stages | asking | set(view.people))


def _questions(asked: tuple[Consultation, ...]) -> tuple[ConsultationSummary, ...]:
    return tuple(
        ConsultationSummary(
            id=each.id, by=each.by, to=each.to, text=each.text, answer=each.answer or ""
        )
        for each in asked
    )


def _ended(case: CaseView, gate: str) -> GateOutcome:
    """How a gate closed. The case keeps those of its present run."""
    found = next((each for each in case.closed if each.gate == gate), None)
    if found is None:
        return GateOutcome(how="gone")
    closing = found.closing
    return GateOutcome(
        how=closing.how,
        at=closing.at,
        by=closing.by,
        unproven=unproven_people(found.rulings, closing.by),
        why=closing.why,
    )
