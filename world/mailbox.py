"""A mail server for one machine: ``python -m world.mailbox --dir PATH --port 8025``.

Real SMTP. A message is in the Maildir, on disk, before the sender hears 250; the same message
sent twice is there twice, and its Message-ID tells. ``--show`` lists what has arrived.
"""

import argparse
import asyncio
import json
import mailbox
import os
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import AwareDatetime, BaseModel

HOST = "127.0.0.1"
PORT = 8025
MAX_BYTES = 1024 * 1024


class Mail(BaseModel, frozen=True):
    """One message that arrived. ``None`` where it lacks the header, or garbles it."""

    sender: str | None
    to: tuple[str, ...]
    """Whom the envelope named, which is who would have got it."""
    subject: str | None
    date: AwareDatetime | None
    message_id: str | None
    text: str


class Keeper:
    """Writes each message into a Maildir before it is acknowledged."""

    def __init__(self, directory: Path, *, answer_after: timedelta = timedelta()) -> None:
        self._maildir = mailbox.Maildir(directory)
        self._new = directory / "new"
        self._answer_after = answer_after

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002 - aiosmtpd calls it by this name, with these
        """Keep a message; called by aiosmtpd, which answers with what this returns."""
        content = envelope.content
        assert isinstance(content, bytes)  # noqa: S101 - aiosmtpd decodes only when told to
        recipients = b"".join(f"X-RcptTo: {to}\r\n".encode() for to in envelope.rcpt_tos)
        try:
            self._maildir.add(recipients + content)
            _sync(self._new)
        except OSError as error:
            return f"451 not kept ({error.strerror}): try again"
        await asyncio.sleep(self._answer_after.total_seconds())
        return "250 OK"


def read(directory: Path) -> Iterator[Mail]:
    """The messages kept in ``directory``, in order of arrival; none if it is not there."""
    for path in sorted((directory / "new").glob("*"), key=_arrived):
        with path.open("rb") as file:
            yield _mail(mailbox.MaildirMessage(file))


async def serve(keeper: Keeper, host: str, port: int) -> asyncio.Server:
    """Listen for SMTP; port 0 is any free one.

    Raises:
        OSError: the port is taken.
    """
    return await asyncio.get_running_loop().create_server(
        lambda: SMTP(keeper, data_size_limit=MAX_BYTES, enable_SMTPUTF8=True, hostname="localhost"),
        host,
        port,
    )


def main() -> None:
    """Serve until a signal ends it, or show what has arrived."""
    parser = argparse.ArgumentParser(description="A mail server that keeps what it gets.")
    parser.add_argument("--dir", type=Path, required=True, help="the Maildir, made if missing")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=PORT, help="0: any free one; it is printed")
    parser.add_argument("--show", action="store_true", help="list what has arrived, and end")
    parser.add_argument("--json", action="store_true", help="show as one JSON object a line")
    parser.add_argument(
        "--answer-after",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="wait between keeping a message and answering, for chaos tests",
    )
    options = parser.parse_args()
    if options.show:
        _show(options.dir, as_json=options.json)
        return
    keeper = Keeper(options.dir, answer_after=timedelta(seconds=options.answer_after))
    try:
        asyncio.run(_run(keeper, options.host, options.port))
    except OSError as error:
        raise SystemExit(
            f"cannot listen on port {options.port} ({error}): choose --port"
        ) from error


async def _run(keeper: Keeper, host: str, port: int) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    server = await serve(keeper, host, port)
    taken = server.sockets[0].getsockname()[1]
    print(f"mailbox listens on smtp://{host}:{taken}", flush=True)  # noqa: T201 - for whoever started it
    await ended.wait()
    server.close()


def _show(directory: Path, *, as_json: bool) -> None:
    for mail in read(directory):
        date = f"{mail.date:%Y-%m-%d %H:%M:%S%z}" if mail.date else "-"
        line = f"{date}  {mail.sender} -> {', '.join(mail.to)}  {mail.subject}  {mail.message_id}"
        print(json.dumps(mail.model_dump(mode="json")) if as_json else line)  # noqa: T201 - what was asked for


def _mail(message: Message) -> Mail:
    return Mail(
        sender=_header(message, "From"),
        to=tuple(str(to) for to in message.get_all("X-RcptTo", [])),
        subject=_header(message, "Subject"),
        date=_date(message),
        message_id=_header(message, "Message-ID"),
        text=_text(message),
    )


def _header(message: Message, name: str) -> str | None:
    value = message[name]
    return None if value is None else str(value)


def _date(message: Message) -> datetime | None:
    try:
        date = parsedate_to_datetime(message["Date"])
    except (TypeError, ValueError):
        return None
    return date if date.tzinfo else None


def _text(message: Message) -> str:
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            payload = part.get_payload(decode=True)
            return payload.decode(errors="replace") if isinstance(payload, bytes) else ""
    return ""


def _arrived(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def _sync(directory: Path) -> None:
    """Make the names in ``directory`` durable; the file's bytes are already."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


if __name__ == "__main__":
    main()
