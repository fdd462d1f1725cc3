"""Mail that comes back: who it was for, and whether trying again is of use.

Each mail goes out under a return path of its own: `b-<gate>-<tag>@domain`. The tag is
made with a secret, so that nobody can say of a mail they never had that it came back. A
small mail server takes what arrives there, reads delivery reports (RFC 3464) and nothing
else, and tells the workflow of the gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import logging
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from email.message import Message
from email.policy import default as modern
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from aiosmtpd.smtp import SMTP, Envelope, Session
from temporalio.service import RPCError, RPCStatusCode

from handrail.exceptions import ConfigurationError
from handrail.oversight import BOUNCED_SIGNAL, BounceReport, message_id
from handrail.text import one_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from temporalio.client import Client
LARGEST: Final = 512 * 1024
"""Bytes of the largest report; they hold at most the headers of the mail that came back."""

_PATH = re.compile(r"b-([0-9A-Za-z_-]{1,40})-([0-9a-f]{16})", re.ASCII)
_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})", re.ASCII)
_FAILED = "failed"
_DELAYED = "delayed"

log = logging.getLogger("handrail.messages")


@dataclass(frozen=True)
class Bounce:
    """What a report says of one mail. `final`: no more tries will be made."""

    gate: str
    tag: str
    code: str
    why: str
    final: bool


def gate_of(address: str) -> tuple[str, str] | None:
    """The gate and the tag that a return path names; None if it is none of ours."""
    found = _PATH.fullmatch(address.rpartition("@")[0])
    return (found[1], found[2]) if found else None


def parse(content: bytes, address: str) -> Bounce | None:
    """What came back to `address`, if it is a delivery report that says so; else None."""
    named = gate_of(address)
    if named is None or len(content) > LARGEST:
        return None
    message = email.message_from_bytes(content, policy=modern)
    report = _report(message)
    if report is None:
        return None
    action = _field(report, "Action").lower()
    status = _STATUS.match(_field(report, "Status"))
    if status is None or action not in {_FAILED, _DELAYED}:
        return None
    diagnostic = _field(report, "Diagnostic-Code").partition(";")[2]
    why = one_line(diagnostic.strip() or "no reason given", 300)
    return Bounce(*named, code=status[0], why=why, final=action == _FAILED)


def _report(message: Message) -> Message | None:
    """The fields about the recipient: those of one mail, which had one."""
    if message.get_content_type() != "multipart/report":
        return None
    if str(message.get_param("report-type") or "").lower() != "delivery-status":
        return None
    parts = [p for p in message.walk() if p.get_content_type() == "message/delivery-status"]
    if len(parts) != 1:
        return None
    blocks: Any = parts[0].get_payload()
    if not isinstance(blocks, list):
        return None
    fields = cast("list[Any]", blocks)
    about: list[Message] = [b for b in fields if isinstance(b, Message) and b["Final-Recipient"]]
    return about[0] if len(about) == 1 else None


def _field(report: Message, name: str) -> str:
    return " ".join(str(report[name] or "").split())


class MailTaker(Protocol):
    """What takes mail to addresses of its own."""

    def takes(self, address: str) -> bool:
        """Whether it is one of them."""
        ...

    async def take(self, address: str, content: bytes) -> None:
        """Take a mail. What it raises has it come again."""
        ...


class BounceListener:
    """Takes mail for return paths of ours, and hands on what is a delivery report."""

    def __init__(
        self, heard: Callable[[Bounce], Awaitable[None]], mail: MailTaker | None = None
    ) -> None:
        """Call `heard` with each. Were it to fail, the report is asked for again later.

        `mail`: takes what is for other addresses.
        """
        self._heard = heard
        self._mail = mail

    def protocol(self) -> SMTP:
        """A conversation with one mail server."""
        return SMTP(self, data_size_limit=LARGEST, hostname="handrail")

    async def handle_RCPT(  # noqa: N802  # aiosmtpd calls it by this name, with these
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Take only what is for a return path of ours: this is no relay."""
        del server, session, options
        if gate_of(address) is None and not (self._mail and self._mail.takes(address)):
            return "550 5.1.1 no such address here"
        if envelope.rcpt_tos:
            return "452 4.5.3 one recipient at a time"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # the same
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Read one report. What is none (a holiday note, say) is taken and forgotten."""
        del server, session
        content: Any = envelope.content
        address = envelope.rcpt_tos[0]
        if self._mail is not None and self._mail.takes(address) and isinstance(content, bytes):
            try:
                await self._mail.take(address, content)
            # Whatever it is, the sending server keeps the mail and comes again.
            except Exception:
                log.exception("a mail could be neither started nor kept")
                return "451 4.3.0 try again later"
            return "250 OK"
        bounce = parse(content, envelope.rcpt_tos[0]) if isinstance(content, bytes) else None
        if bounce is None:
            log.info("mail to a return path that is no delivery report")
            return "250 OK"
        try:
            await self._heard(bounce)
        # Whatever it is, the sending server keeps the report and comes again.
        except Exception:
            log.exception("a delivery report could not be handed on")
            return "451 4.3.0 try again later"
        return "250 OK"


@contextlib.asynccontextmanager
async def listening(
    client: Client,
    port: int,
    host: str = "0.0.0.0",  # noqa: S104  # other servers bring mail
    mail: MailTaker | None = None,
) -> AsyncGenerator[None]:
    """Take mail that comes back in this context, and what `mail` takes.

    Raises:
        ConfigurationError: if the port cannot be used.
    """

    async def heard(bounce: Bounce) -> None:
        await _tell_of(client, bounce)

    try:
        server = await asyncio.get_running_loop().create_server(
            BounceListener(heard, mail).protocol, host, port
        )
    except OSError as error:
        raise ConfigurationError(
            f"mail that comes back cannot be taken on port {port}: {error}; "
            "fix: set HANDRAIL_BOUNCE_PORT to a free port"
        ) from error
    async with server:
        yield


async def _tell_of(client: Client, bounce: Bounce) -> None:
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
