"""What the inbox's process runs for messages: the worker of its queue, and the bounce listener."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxRestrictions

from handrail.exceptions import ConfigurationError
from handrail.inbox.channels import approver_report
from handrail.inbox.channels.activities import Owners, Post
from handrail.inbox.channels.bounces import Bounce, Listener
from handrail.inbox.channels.directory import PeopleFile
from handrail.inbox.channels.mail import Mailer, Server
from handrail.inbox.channels.owner_alerts import Owner, OwnersPost
from handrail.inbox.channels.slack import Slack
from handrail.inbox.channels.workflow import Messages
from handrail.oversight import BOUNCED_SIGNAL, MESSAGE_QUEUE, BounceReport, message_id
from handrail.runtime import GRACE, STICKY, ContextFreeSandbox, worker_build

if TYPE_CHECKING:
    from temporalio.client import Client

    from handrail.inbox.channels.content import Links
    from handrail.ledger import Ledger
    from handrail.runtime import Settings

log = logging.getLogger("handrail.messages")


def _nobody(agent: str) -> str:
    del agent
    return ""


@contextlib.asynccontextmanager
async def running(
    client: Client,
    settings: Settings,
    *,
    links: Links,
    secret: str,
    owners: Owners = _nobody,
    ledger: Ledger | None = None,
    **options: Any,
) -> AsyncGenerator[None]:
    """Send messages in this context, to those who are asked and to the owners of policies.

    `links`: where they lead. `secret`: the inbox's; marks of mail are made with it. `owners`:
    who owns the policy of an agent. With a `ledger` the owners are told once a day of
    approvers who do not seem to look. `options` go to Temporal's `Worker`.

    Raises:
        ConfigurationError: if the settings of mail do not fit together, or a port is taken.
        PeopleError: if the people file is broken.
    """
    people = PeopleFile(settings.people)
    people.current()
    mailer = mailer_of(settings, secret)
    post = Post(client, people, links, owners, mailer, slack_of(settings))
    activities = [*post.activities(), *OwnersPost(post).activities()]
    workflows: list[type] = [Messages, Owner]
    if ledger is not None:
        activities += approver_report.Watch(ledger, owners, people, mailer).activities()
        workflows.append(approver_report.Approvers)
        await approver_report.schedule(client)
    given: dict[str, Any] = {
        "sticky_queue_schedule_to_start_timeout": STICKY,
        "graceful_shutdown_timeout": GRACE,
        **worker_build(),
    }
    worker = Worker(
        client,
        task_queue=MESSAGE_QUEUE,
        workflows=workflows,
        activities=activities,
        workflow_runner=ContextFreeSandbox(
            restrictions=SandboxRestrictions.default.with_passthrough_modules("handrail")
        ),
        workflow_failure_exception_types=[ValidationError],
        **(given | options),
    )
    async with listening(client, settings), worker:
        yield


def mailer_of(settings: Settings, secret: str) -> Mailer | None:
    """What sends mail; None where none is set up.

    Raises:
        ConfigurationError: if only half of it is set.
    """
    if settings.smtp_url is None and not settings.mail_from:
        return None
    if settings.smtp_url is None or not settings.mail_from:
        raise ConfigurationError("set both HANDRAIL_SMTP_URL and HANDRAIL_MAIL_FROM, or neither")
    domain = settings.bounce_domain or settings.mail_from.rpartition("@")[2]
    return Mailer(
        server=Server.of(settings.smtp_url.get_secret_value()),
        sender=settings.mail_from,
        # Not the secret itself, which signs people in.
        secret=hashlib.sha256(f"handrail bounces\n{secret}".encode()).digest(),
        bounces=domain if settings.bounce_port else "",
    )


def slack_of(settings: Settings) -> Slack | None:
    """What speaks to Slack; None where no app is set up."""
    if settings.slack_token is None:
        return None
    return Slack(settings.slack_token.get_secret_value(), settings.slack_url)


@contextlib.asynccontextmanager
async def listening(
    client: Client,
    settings: Settings,
    host: str = "0.0.0.0",  # noqa: S104  # other servers bring mail
) -> AsyncGenerator[None]:
    """Take mail that comes back, where a port for it is set.

    Raises:
        ConfigurationError: if the port cannot be used.
    """
    if settings.bounce_port is None:
        yield
        return

    async def heard(bounce: Bounce) -> None:
        await tell_of(client, bounce)

    try:
        server = await asyncio.get_running_loop().create_server(
            Listener(heard).protocol, host, settings.bounce_port
        )
    except OSError as error:
        raise ConfigurationError(
            f"mail that comes back cannot be taken on port {settings.bounce_port}: {error}; "
            "fix: set HANDRAIL_BOUNCE_PORT to a free port"
        ) from error
    async with server:
        yield


async def tell_of(client: Client, bounce: Bounce) -> None:
    """Tell the workflow of a gate that mail came back. One that is over needs to know nothing.

    Raises:
        RPCError: if the server cannot be told now.
    """
    handle = client.get_workflow_handle(message_id(bounce.gate))
    what = BounceReport(tag=bounce.tag, code=bounce.code, why=bounce.why, final=bounce.final)
    try:
        await handle.signal(BOUNCED_SIGNAL, what, rpc_timeout=timedelta(seconds=10))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        log.info("mail came back for a gate that is over: %s", bounce.gate)
