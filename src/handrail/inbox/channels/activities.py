"""The inbox's activities: to look at a gate, to tell one person, to lock a message in Slack."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError

from handrail.actions import person
from handrail.client import gates
from handrail.exceptions import CaseError
from handrail.inbox.channels import apprise
from handrail.inbox.channels.content import Links
from handrail.inbox.channels.directory import ALSO, People, PeopleError, PeopleFile
from handrail.inbox.channels.faults import NotNow, Undeliverable
from handrail.inbox.channels.mail import CHANNEL as MAIL
from handrail.inbox.channels.mail import Mailer
from handrail.inbox.channels.slack import CHANNEL as SLACK
from handrail.inbox.channels.slack import Slack
from handrail.inbox.channels.wire import Ended, Locking, Look, Looking, Query, Ref, Telling
from handrail.oversight import CaseView, GateView

if TYPE_CHECKING:
    from handrail.oversight import Consultation

log = logging.getLogger("handrail.messages")

Owners = Callable[[str], str]
"""The address of who owns the policy of an agent; empty if nobody is known."""


@dataclass(frozen=True)
class Post:
    """What sends messages, with the credentials to do so. A channel that is not set is None."""

    client: Client
    people: PeopleFile
    links: Links
    owners: Owners
    mailer: Mailer | None = None
    slack: Slack | None = None

    def activities(self) -> list[Callable[..., Any]]:
        """What the worker of the inbox runs."""
        return [self.look, self.tell, self.lock]

    @activity.defn(name="messages.look")
    async def look(self, looking: Looking) -> Look:
        """See how a gate is now, and by which channels its people are told."""
        call = looking.call
        view, ended, case = await self._see(call.case, call.gate)
        people, fault = self.listed()
        owner = self.owners(call.case.partition(":")[0])
        named: set[str] = {*looking.people, *([owner] if owner else [])}
        named |= _named(view) if view else frozenset[str]()
        return Look(
            view=view,
            ended=ended,
            fresh=case is not None,
            questions=_questions(view.asked) if view else (),
            ways={person(each): people.of(each).ways() for each in named},
            owner=owner,
            fault=fault,
            silent=self.silent(),
        )

    async def _see(
        self, case: str, gate: str
    ) -> tuple[GateView | None, Ended | None, CaseView | None]:
        """The gate if it is open, how it ended if that is known, and its case if it answers."""
        try:
            seen = await gates.case_view(self.client, case)
            if seen is None:
                return await self._remembered(case, gate)
        except CaseError:
            return None, Ended(how="gone"), None
        view = next((each for each in seen.gates if each.gate == gate), None)
        return view, None if view else _ended(seen, gate), seen

    async def _remembered(self, case: str, gate: str) -> tuple[GateView | None, Ended | None, None]:
        """The gate as its case last published it, while no worker answers for the case.

        Raises:
            CaseError: if there is no such case.
        """
        known = await gates.existing(self.client, case)
        view = next((g for g in await gates.gates_of(known) if g.gate == gate), None)
        over = known.status is not WorkflowExecutionStatus.RUNNING
        return (None, Ended(how="gone"), None) if over else (view, None, None)

    def listed(self) -> tuple[People, str]:
        """The people of the file, or nobody and what is wrong with it."""
        try:
            return self.people.current(), ""
        except PeopleError as error:
            log.exception("the people file is broken, so everybody gets mail")
            return People({}), str(error)

    def silent(self) -> bool:
        """Whether there is no channel at all, and people look into the inbox by themselves."""
        return self.mailer is None and self.slack is None and not self.listed()[0].others()

    @activity.defn(name="messages.tell")
    async def tell(self, telling: Telling) -> Ref:
        """Send one message by one channel.

        Raises:
            ApplicationError: if it could not be sent: to be tried again, or not.
        """
        async with failed():
            return await self._tell(telling)

    async def _tell(self, telling: Telling) -> Ref:
        call, view, address = telling.call, telling.view, telling.due.person
        # Whoever may start workflows can ask for any message: a button must not mean another
        # action than is shown beside it.
        if (view.case, view.gate) != (call.case, call.gate) or not gates.is_shown(view):
            raise Undeliverable(f"what is to be shown is not what {call.case} asks")
        people, _ = self.listed()
        someone = people.of(address)
        page = self.links.page(call.case, call.gate)
        if telling.channel == MAIL:
            return await Mailer.required(self.mailer).tell(
                telling, someone.mail or address, self.links
            )
        if telling.channel == SLACK:
            if someone.slack is None:
                raise Undeliverable(f"{address} has no Slack id in the people file")
            again = activity.info().attempt > 1
            return await self.chat().tell(telling, someone.slack, page, again=again)
        number = telling.channel.removeprefix(ALSO).strip()
        if not number.isdecimal() or int(number) > len(someone.also):
            raise Undeliverable(f"{address} has no channel {telling.channel} in the people file")
        await apprise.tell(telling, someone.also[int(number) - 1], page)
        return Ref(channel=telling.channel)

    @activity.defn(name="messages.lock")
    async def lock(self, locking: Locking) -> None:
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


@contextlib.asynccontextmanager
async def failed() -> AsyncGenerator[None]:
    """Say to Temporal whether, and when, to try again what is done in this context.

    Raises:
        ApplicationError: for what could not be delivered.
    """
    try:
        yield
    except Undeliverable as error:
        raise ApplicationError(str(error), type="Undeliverable", non_retryable=True) from error
    except NotNow as error:
        raise ApplicationError(str(error), type="NotNow", next_retry_delay=error.after) from error


def _named(view: GateView) -> frozenset[str]:
    """Everybody who is or may be told of a gate."""
    stages = {p for stage in view.stages for p in (*stage.people, *stage.deputies)}
    asking = {p for each in view.asked for p in (each.by, each.to)}
    return frozenset(stages | asking | set(view.people))


def _questions(asked: tuple[Consultation, ...]) -> tuple[Query, ...]:
    return tuple(
        Query(id=each.id, by=each.by, to=each.to, text=each.text, answer=each.answer or "")
        for each in asked
    )


def _ended(case: CaseView, gate: str) -> Ended:
    """How a gate closed. The case keeps those of its present run."""
    found = next((each.closing for each in case.closed if each.gate == gate), None)
    if found is None:
        return Ended(how="gone")
    return Ended(how=found.how, at=found.at, by=found.by, why=found.why)
