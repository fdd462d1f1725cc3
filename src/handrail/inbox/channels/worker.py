"""The worker of the inbox: its workflows, its activities and what listens for mail, run here."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxRestrictions

from handrail.inbox.channels import alerts, webhooks
from handrail.inbox.channels.activities import InboxActivities, OwnerLookup
from handrail.inbox.channels.alerts import ApproverAlert, OwnerAlert
from handrail.inbox.channels.bounces import MailTaker, listening
from handrail.inbox.channels.content import MessageLinks
from handrail.inbox.channels.digest_activities import DigestActivities
from handrail.inbox.channels.digest_workflow import Digest
from handrail.inbox.channels.mail import Mailer
from handrail.inbox.channels.people import PeopleFile
from handrail.inbox.channels.slack import Slack
from handrail.inbox.channels.webhooks import CaseEnds, HookActivities, WebhookTarget
from handrail.inbox.channels.workflow import GateNotifications
from handrail.ledger import Ledger
from handrail.oversight import MESSAGE_QUEUE
from handrail.runtime import GRACE, STICKY, BoundedSlots, ContextFreeSandbox, worker_build
from handrail.wire import build_models

if TYPE_CHECKING:
    from handrail.runtime import Settings


def _nobody(agent: str) -> str:
    del agent
    return ""


@contextlib.asynccontextmanager
async def running(
    client: Client,
    settings: Settings,
    *,
    links: MessageLinks,
    secret: str,
    owners: OwnerLookup = _nobody,
    ledger: Ledger | None = None,
    mail: MailTaker | None = None,
    **options: Any,
) -> AsyncGenerator[None]:
    """Send messages in this context, to those who are asked and to the owners of policies.

    `links`: where they lead. `secret`: the inbox's; marks of mail are made with it. `owners`:
    who owns the policy of an agent. With a `ledger` the owners are told once a day of
    approvers who do not seem to look. `mail`: takes mail to agents. `options` go to Temporal's
    `Worker`.

    Raises:
        ConfigurationError: if the settings of mail do not fit together, or a port is taken.
        PeopleError: if the people file is broken.
    """
    people = PeopleFile(settings.people)
    people.current()
    webhook = WebhookTarget.of(settings)
    activities = InboxActivities(
        client,
        people,
        links,
        owners,
        Mailer.of(settings, secret),
        Slack.of(settings),
        ledger,
        hook=webhook is not None,
    )
    parts = (activities, DigestActivities(activities), HookActivities(client, webhook))
    workflows: list[type] = [GateNotifications, Digest, OwnerAlert, CaseEnds]
    await webhooks.schedule(client, webhook)
    if ledger is not None:
        workflows.append(ApproverAlert)
        await alerts.schedule(client)
    given: dict[str, Any] = {
        "sticky_queue_schedule_to_start_timeout": STICKY,
        "graceful_shutdown_timeout": GRACE,
        "plugins": [BoundedSlots("handrail.slots")],
        **worker_build(),
    }
    build_models()
    worker = Worker(
        client,
        task_queue=MESSAGE_QUEUE,
        workflows=workflows,
        activities=[each for part in parts for each in part.all()],
        workflow_runner=ContextFreeSandbox(
            restrictions=SandboxRestrictions.default.with_passthrough_modules("handrail")
        ),
        workflow_failure_exception_types=[ValidationError],
        **(given | options),
    )
    async with _bounces(client, settings, mail), worker:
        yield


def _bounces(
    client: Client, settings: Settings, mail: MailTaker | None
) -> contextlib.AbstractAsyncContextManager[None]:
    if settings.bounce_port is None:
        return contextlib.nullcontext()
    return listening(client, settings.bounce_port, mail=mail)
