"""The owner of an agent's policy is told at once: a breaker, a budget, an incident; once each.

A worker starts the workflow, under an id made of the event (`guardrails.alerts`). It tries the
owner's channels one after the other, and all of them again each hour for a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final

from temporalio import activity, workflow
from temporalio.exceptions import ActivityError, ApplicationError

from handrail.actions import Wire
from handrail.agent import AGENT_ATTRIBUTE, RISK_ATTRIBUTE
from handrail.inbox.channels import apprise
from handrail.inbox.channels.activities import Post, failed
from handrail.inbox.channels.content import LONGEST_SUBJECT, line
from handrail.inbox.channels.directory import ALSO
from handrail.inbox.channels.faults import Undeliverable
from handrail.inbox.channels.mail import CHANNEL as MAIL
from handrail.inbox.channels.mail import Mailer
from handrail.inbox.channels.shown import LARGEST, safe
from handrail.inbox.channels.slack import CHANNEL as SLACK
from handrail.inbox.channels.workflow import ATTEMPT, TRIES, UNDELIVERED
from handrail.oversight import OWNER_WORKFLOW, News, news_id

AGAIN: Final = timedelta(hours=1)
"""After this time everything is tried again."""

ROUNDS: Final = 24
"""So often everything is tried, before it is given up."""

_LONGEST = 500


class Reached(Wire):
    """Who owns the policy of an agent, and by which channels they are told.

    `owner` is empty when nobody knows. `silent`: the inbox has no channel at all.
    """

    owner: str = ""
    ways: tuple[str, ...] = ()
    silent: bool = False


class Telling(Wire):
    """One event, for one person, by one channel."""

    news: News
    owner: str
    channel: str


class Done(Wire):
    """By which channel the owner was told; empty when they could not be. `tries`: why not."""

    told: str = ""
    tries: tuple[str, ...] = ()


@workflow.defn(name=OWNER_WORKFLOW)
class Owner:
    """Tells the owner of an agent's policy of one event."""

    @workflow.run
    async def run(self, news: News) -> Done:
        """Try each channel, and all of them again, until one takes it."""
        page = "\n".join(f"- {safe(each)}" for each in news.lines)
        workflow.set_current_details(page.encode()[:LARGEST].decode(errors="ignore"))
        workflow.upsert_search_attributes([AGENT_ATTRIBUTE.value_set(news.agent)])  # pyright: ignore[reportUnknownMemberType]  # Temporal's own signature is
        tries: tuple[str, ...] = ()
        for _ in range(ROUNDS):
            reached = await self._whom(news)
            if reached.silent or not reached.owner:
                break
            for channel in reached.ways:
                why = await self._tell(Telling(news=news, owner=reached.owner, channel=channel))
                if why is None:
                    return Done(told=channel, tries=tries)
                tries = (*tries, f"{reached.owner} by {channel}: {why}")[-ROUNDS:]
            workflow.upsert_search_attributes([RISK_ATTRIBUTE.value_set(UNDELIVERED)])  # pyright: ignore[reportUnknownMemberType]  # the same
            await workflow.sleep(AGAIN)
        return Done(tries=tries)

    async def _whom(self, news: News) -> Reached:
        return await workflow.execute_activity(
            "owner.whom",
            news.agent,
            result_type=Reached,
            start_to_close_timeout=ATTEMPT,
            summary="who owns the policy?",
        )

    async def _tell(self, telling: Telling) -> str | None:
        """Why one channel did not take it; None if it did."""
        try:
            await workflow.execute_activity(
                "owner.tell",
                telling,
                start_to_close_timeout=ATTEMPT,
                retry_policy=TRIES,
                summary=line(f"{telling.news.what}: {telling.owner} by {telling.channel}", 200),
            )
        except ActivityError as error:
            cause = error.cause
            why = cause.message if isinstance(cause, ApplicationError) else str(cause or error)
            workflow.logger.warning("%s could not be told: %s", telling.owner, why)
            return why
        return None


@dataclass(frozen=True)
class OwnersPost:
    """The activities that know the owners, and have the credentials to tell them."""

    post: Post

    def activities(self) -> list[Callable[..., Any]]:
        """What the worker of the inbox runs."""
        return [self.whom, self.tell]

    @activity.defn(name="owner.whom")
    async def whom(self, agent: str) -> Reached:
        """Who is to be told, and how."""
        owner = self.post.owners(agent)
        ways = self.post.listed()[0].of(owner).ways() if owner else ()
        return Reached(owner=owner, ways=ways, silent=self.post.silent())

    @activity.defn(name="owner.tell")
    async def tell(self, telling: Telling) -> None:
        """Send one message by one channel.

        Raises:
            ApplicationError: if it could not be sent: to be tried again, or not.
        """
        async with failed():
            await self._tell(telling)

    async def _tell(self, telling: Telling) -> None:
        news, owner, channel = telling.news, telling.owner, telling.channel
        # Whoever may start workflows can ask for any message, but only the owner gets one.
        if owner != self.post.owners(news.agent):
            raise Undeliverable(f"{owner} does not own the policy of {news.agent}")
        someone, key = self.post.listed()[0].of(owner), news_id(news)
        title, lines = line(news.title, LONGEST_SUBJECT), [line(e, _LONGEST) for e in news.lines]
        if channel == MAIL:
            mailer = Mailer.required(self.post.mailer)
            to = someone.mail or owner
            await mailer.deliver(_mail(news, to, mailer.sender), mailer.sender, to)
        elif channel == SLACK:
            if someone.slack is None:
                raise Undeliverable(f"{owner} has no Slack id in the people file")
            again = activity.info().attempt > 1
            await self.post.chat().say(someone.slack, title, lines, key=key, again=again)
        else:
            number = channel.removeprefix(ALSO).strip()
            if not number.isdecimal() or not 0 < int(number) <= len(someone.also):
                raise Undeliverable(f"{owner} has no channel {channel} in the people file")
            await apprise.send(someone.also[int(number) - 1], title, "\n".join(lines))


def _mail(news: News, to: str, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = Address("Handrail", addr_spec=sender)
    message["To"] = Address(addr_spec=to)
    message["Subject"] = line(news.title, LONGEST_SUBJECT)
    message["Date"] = format_datetime(news.at.astimezone(UTC))
    named = hashlib.sha256(news_id(news).encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{named}.owner@{sender.rpartition('@')[2] or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"
    said = "\n\n".join(line(each, _LONGEST) for each in news.lines)
    message.set_content(f"You own the policy of {news.agent}.\n\n{said}\n")
    return message
