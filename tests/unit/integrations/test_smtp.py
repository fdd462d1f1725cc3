"""A mail as a step: what is sent, what a mail server's answers mean, and how it is known again."""

from __future__ import annotations

import asyncio
import mailbox
from collections.abc import AsyncGenerator
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd import smtp

from handrail import Action, Effect, Final, NotDone, StepError
from handrail.agent import secrets_given
from handrail.integrations.connectors import SMTP
from handrail.integrations.connectors.http import Unanswered
from handrail.testing import call_find, call_write


class Send(Action):
    """Send a mail."""

    to: str | tuple[str, ...]
    subject: str = "Your offer"
    text: str = "Grüße"
    replies_to: str = ""


class PostOffice:
    """A mail server that keeps what it takes in a Maildir, by folder, as archives do."""

    def __init__(self, folder: Path) -> None:
        self.kept = mailbox.Maildir(folder)
        self.senders: list[str | None] = []
        self.loses = False
        self.answers = dict[str, str]()

    async def handle_RCPT(  # noqa: N802
        self,
        _server: smtp.SMTP,
        _session: smtp.Session,
        envelope: smtp.Envelope,
        to: str,
        _options: list[str],
    ) -> str:
        if to in self.answers:
            return self.answers[to]
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: smtp.SMTP, _session: smtp.Session, envelope: smtp.Envelope
    ) -> str:
        if "DATA" in self.answers:
            return self.answers["DATA"]
        assert isinstance(envelope.content, bytes)
        self.kept.add(envelope.content)
        self.senders.append(envelope.mail_from)
        if self.loses:
            assert server.transport is not None
            server.transport.close()
        return "250 OK"

    def found(self, message_id: str) -> list[Any]:
        every = (message_from_bytes(each.as_bytes(), policy=policy.default) for each in self.kept)
        return [each for each in every if each["Message-ID"] == message_id]


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[PostOffice]:
    made = PostOffice(tmp_path / "sent")
    server = await asyncio.get_running_loop().create_server(
        lambda: smtp.SMTP(made, hostname="test"), "127.0.0.1", 0
    )
    async with server:
        url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        monkeypatch.setenv("HANDRAIL_SECRET_MAIL_URL", url)
        with secrets_given(["MAIL_URL"]):
            yield made


MAIL = SMTP("MAIL_URL", sender="The shop <shop@example.com>")


async def test_a_mail_is_sent_under_the_message_id_of_its_key(office: PostOffice) -> None:
    send = MAIL.write("send", Send)
    assert (send.marked, send.find, send.secrets) == (True, None, ("MAIL_URL",))
    action = Send(to=("ann@example.com", "Bo@example.com"), replies_to="<1@example.com>")
    named = await call_write(send, action)
    assert await call_write(send, action) == named  # people said: do it again
    first, second = office.found(named)
    assert first["Message-ID"] == second["Message-ID"] == named
    assert first["To"] == "ann@example.com, Bo@example.com"
    assert (first["From"], first["Subject"]) == ("The shop <shop@example.com>", "Your offer")
    assert first["In-Reply-To"] == first["References"] == "<1@example.com>"
    assert first.get_content().strip() == "Grüße"
    assert office.senders[0] == "shop@example.com"
    assert await call_write(send, action, key="test:2/write/1") != named


async def test_where_the_answer_to_a_whole_mail_is_lost_an_archive_can_be_asked(
    office: PostOffice,
) -> None:
    async def in_archive(_action: Action, effect: Effect) -> str | None:
        named = MAIL.message_id(effect)
        return named if office.found(named) else None

    send = MAIL.write("send", Send, find=in_archive, settles=timedelta(0))
    action = Send(to="ann@example.com")
    assert await call_find(send, action) is None
    office.loses = True
    with pytest.raises(Unanswered, match="did not say whether"):
        await call_write(send, action)
    assert await call_find(send, action) == office.kept.popitem()[1]["Message-ID"]


@pytest.mark.parametrize(
    ("at", "answer", "kind"),
    [
        ("DATA", "554 spam", Final),
        ("DATA", "451 later", NotDone),
        ("bo@example.com", "550 no such mailbox", Final),
        ("bo@example.com", "450 greylisted", NotDone),
    ],
)
async def test_what_a_mail_server_refuses_goes_to_nobody(
    office: PostOffice, at: str, answer: str, kind: type[Exception]
) -> None:
    office.answers[at] = answer
    with pytest.raises(kind, match=answer.partition(" ")[2]):
        await call_write(MAIL.write("send", Send), Send(to=("ann@example.com", "bo@example.com")))
    assert len(office.kept) == 0


async def test_a_server_that_cannot_be_reached_has_sent_nothing() -> None:
    send = SMTP("smtp://127.0.0.1:1", sender="shop@example.com").write("send", Send)
    with pytest.raises(NotDone):
        await call_write(send, Send(to="ann@example.com"))


@pytest.mark.parametrize(
    "given",
    [
        {"to": "nobody"},
        {"to": ()},
        {"to": "ann@example.com, eve@example.com"},
        {"to": "ann@example.com\r\nBcc: eve@example.com"},
        {"subject": "a\r\nBcc: eve@example.com"},
        {"replies_to": "<1@example.com>\nBcc: eve@example.com"},
        {"to": "änn@example.com"},
        {"to": "ann@example.com (not eve@example.com)"},
        {"to": "ann(of sales)@example.com"},
    ],
)
async def test_what_is_no_mail_is_not_sent(office: PostOffice, given: dict[str, Any]) -> None:
    with pytest.raises(Final, match="sent"):
        await call_write(
            MAIL.write("send", Send), Send.model_validate({"to": "ann@example.com"} | given)
        )
    assert len(office.kept) == 0


def test_an_action_must_have_its_fields() -> None:
    with pytest.raises(StepError, match="`body`"):
        MAIL.write("send", Send, text="body")
