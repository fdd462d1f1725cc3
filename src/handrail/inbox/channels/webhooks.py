"""Webhooks out: a gate has opened, a gate has closed, a case has ended.

Each is an activity, which Temporal tries again for three days until the other side takes it. The
same event has the same id in every try and after every restart (Standard Webhooks): what comes
twice is known by it. Of gates the workflow tells that follows each of them. Cases know nothing of
it: once a minute a schedule looks which have ended, and a minute in which nothing ran is made up.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import aiohttp
from pydantic import JsonValue
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
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.service import RPCError

from handrail.actions import Aware, Wire
from handrail.agent import executions
from handrail.client import case_summary, ended_query
from handrail.exceptions import ConfigurationError
from handrail.inbox.channels.delivery import GateOutcome
from handrail.oversight import MESSAGE_QUEUE, GateView

if TYPE_CHECKING:
    from handrail.runtime import Settings

ENDS: Final = "handrail-case-ends"
"""The schedule that looks which cases have ended."""

EVERY: Final = timedelta(minutes=1)
_LATE: Final = timedelta(seconds=10)
"""So long after the end of a case it is in the server's list for certain."""

_TRY: Final = timedelta(seconds=30)
_LASTS: Final = timedelta(days=3)
_AGAIN: Final = RetryPolicy(
    initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=10)
)
_GONE: Final = 410
_AT: Final = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


class HookEvent(Wire):
    """One event. `id`: the same in every try."""

    id: str
    type: Literal["gate.opened", "gate.closed", "case.ended"]
    timestamp: Aware
    data: dict[str, JsonValue]


class EndedCases(Wire):
    """The events of cases that have ended in a minute."""

    events: tuple[HookEvent, ...] = ()


def opened(view: GateView) -> HookEvent:
    """That a gate has opened. The action itself is read by the API, with a token."""
    kept = ("case", "gate", "kind", "step", "digest", "risk", "waiting_for", "people", "deadline")
    data = view.model_dump(mode="json", include=set(kept)) | {"says": view.says}
    return HookEvent(
        id=f"gate.opened/{view.gate}", type="gate.opened", timestamp=view.opened, data=data
    )


def closed(case: str, gate: str, ended: GateOutcome, now: datetime) -> HookEvent:
    """That a gate has closed, how, and by whom."""
    data = ended.model_dump(mode="json") | {"case": case, "gate": gate}
    at = ended.at or now
    return HookEvent(id=f"gate.closed/{gate}", type="gate.closed", timestamp=at, data=data)


@dataclass(frozen=True)
class WebhookTarget:
    """Where events go. `key`: what they are signed with."""

    url: str
    key: bytes = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> WebhookTarget | None:
        """What the settings say of it; None where none is set up.

        Raises:
            ConfigurationError: if only half of it is set, or the secret can be none.
        """
        url, secret = settings.webhook_url, settings.webhook_secret
        if not url and secret is None:
            return None
        if not url or secret is None:
            raise ConfigurationError("set both HANDRAIL_WEBHOOK_URL and HANDRAIL_WEBHOOK_SECRET")
        given = secret.get_secret_value().removeprefix("whsec_")
        try:
            key = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) < 24:  # noqa: PLR2004  # what Standard Webhooks asks for
            raise ConfigurationError(
                "HANDRAIL_WEBHOOK_SECRET is no secret; fix: whsec_ and 24 bytes or more in base64, "
                "as of `openssl rand -base64 32`"
            )
        return cls(url, key)

    async def send(self, event: HookEvent, now: datetime) -> None:
        """Send one event, signed.

        Raises:
            ApplicationError: if it was not taken: to be tried again, but for 410 Gone.
        """
        body = json.dumps(event.model_dump(mode="json", exclude={"id"})).encode()
        at = str(int(now.timestamp()))
        made = hmac.digest(self.key, f"{event.id}.{at}.".encode() + body, hashlib.sha256)
        headers = {
            "content-type": "application/json",
            "webhook-id": event.id,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{base64.b64encode(made).decode()}",
        }
        patience = aiohttp.ClientTimeout(total=_TRY.total_seconds() / 2)
        try:
            async with (
                aiohttp.ClientSession(timeout=patience) as session,
                session.post(self.url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Not its words: they may hold the address, and with it a secret.
            raise ApplicationError(f"nothing answers: {type(error).__name__}") from None
        if not 200 <= status < 300:  # noqa: PLR2004
            raise ApplicationError(f"HTTP {status}", non_retryable=status == _GONE)


@dataclass(frozen=True)
class HookActivities:
    """What sends events, and finds which cases have ended."""

    client: Client
    webhook: WebhookTarget | None

    def all(self) -> list[Callable[..., Any]]:
        """What the worker runs."""
        return [self.send, self.ended]

    @activity.defn(name="hooks.send")
    async def send(self, event: HookEvent) -> None:
        """Send one event.

        Raises:
            ApplicationError: if it was not taken.
        """
        if self.webhook is None:
            raise ApplicationError("no webhook is set up any more", non_retryable=True)
        await self.webhook.send(event, datetime.now(UTC))

    @activity.defn(name="hooks.ended")
    async def ended(self, until: datetime) -> EndedCases:
        """Find the cases that have ended in the minute before."""
        found: list[HookEvent] = []
        async for each in executions(self.client, ended_query(until - EVERY, until)):
            case = case_summary(each)
            data: dict[str, Any] = {"case": case.case, "agent": case.agent, "state": case.state}
            made = f"case.ended/{case.case}/{each.run_id}"
            at = case.closed or until
            found.append(HookEvent(id=made, type="case.ended", timestamp=at, data=data))
        return EndedCases(events=tuple(found))


async def tell(event: HookEvent) -> None:
    """Have an event sent, from a workflow. Nobody fails because the other side never took it."""
    try:
        await workflow.execute_activity(
            "hooks.send",
            event,
            start_to_close_timeout=_TRY,
            schedule_to_close_timeout=_LASTS,
            retry_policy=_AGAIN,
            summary=event.id[:200],
        )
    except ActivityError as error:
        workflow.logger.warning("%s was not taken by the webhook: %s", event.id, error.cause)


@workflow.defn(name="CaseEnds")
class CaseEnds:
    """Tells the webhook of the cases that have ended in one minute."""

    @workflow.run
    async def run(self) -> int:
        """Find them, and tell of each; how many there were."""
        info = workflow.info()
        at = info.typed_search_attributes.get(_AT) or info.start_time
        found = await workflow.execute_activity(
            "hooks.ended",
            at - _LATE,
            result_type=EndedCases,
            start_to_close_timeout=EVERY,
            summary="which cases have ended?",
        )
        await asyncio.gather(*(tell(each) for each in found.events))
        return len(found.events)


async def schedule(client: Client, webhook: WebhookTarget | None) -> None:
    """See to it that `CaseEnds` runs each minute where there is a webhook, and never without."""
    if webhook is None:
        with contextlib.suppress(RPCError):
            await client.get_schedule_handle(ENDS).delete()
        return
    planned = Schedule(
        action=ScheduleActionStartWorkflow("CaseEnds", id=ENDS, task_queue=MESSAGE_QUEUE),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)]),
        # A minute whose events nobody takes holds up no other.
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.ALLOW_ALL, catchup_window=timedelta(days=1)
        ),
    )
    try:
        await client.create_schedule(ENDS, planned)
    except ScheduleAlreadyRunningError:
        return
