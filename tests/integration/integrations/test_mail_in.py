"""Mail to an agent's address is an event: once, by its Message-ID, and of nobody who is proven."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest
from temporalio.client import Client

from handrail import ConfigurationError, Event
from handrail.integrations.triggers import IncomingMail, Mail
from handrail.integrations.triggers.mail import MailReceiver, mails_of, received
from handrail.integrations.triggers.receiver import Receiver
from handrail.ledger import IntakeState
from handrail.testing import Outside
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration

DESK = "Orders@example.com"


def of_mail(mail: IncomingMail) -> Event | None:
    """The order of a mail: the amount stands in its subject."""
    if mail.subject.text.startswith("Out of office"):
        return None
    amount = mail.subject.text.rpartition(" ")[2]
    return Order.model_validate({"number": mail.id, "amount": amount})


MAIL = Mail(name="desk", address=DESK, event=of_mail)


def mail(subject: str, number: str = "<1@shop.example>", text: str = "Grüße") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Ida <ida@shop.example>", DESK, subject
    made["Message-ID"], made["Date"] = number, "Sat, 28 Nov 2026 12:00:00 +0100"
    made.set_content(text)
    return made


async def test_a_mail_is_one_case_and_what_is_none_is_kept(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(orders(tmp_path, triggers=[MAIL])) as stage:

        async def connect() -> Client:
            return stage.client

        taker = MailReceiver(Receiver(stage.fleet, stage.ledger, connect))
        assert taker.takes(DESK.upper())
        assert not taker.takes("eve@example.com")
        await taker.take(DESK, bytes(mail("Order for 12")))
        case = stage.case("orders:1@shop.example")
        await case.outcome()
        # Who asks is the way that it came by, never who it says has sent it.
        assert (await case.view()).requester == "mail:desk"
        # The same again, also to another spelling of the address, is the same case.
        await taker.take(DESK.upper(), bytes(mail("Order for 12")))
        await taker.take(DESK, bytes(mail("Out of office until 7", "<2@x>")))
        assert await stage.ledger.intake() == []
        # What becomes no event is kept, with what was written.
        await taker.take(DESK, bytes(mail("Order for much", "<3@x>")))
        [entry] = await stage.ledger.intake()
        assert (entry.state, entry.source) == (IntakeState.WRONG, "mail:desk")
        assert "Grüße" in entry.body
    assert len(outside.effects("pay")) == 1


def test_a_mail_as_its_mapping_sees_it() -> None:
    made = mail("Hello", text="the plain text")
    made.add_alternative("<p>the other text</p>", subtype="html")
    made.add_attachment(b"...", maintype="image", subtype="png", filename="box.png")
    seen = IncomingMail.model_validate_json(received(bytes(made), DESK).body)
    assert (seen.id, seen.to, seen.sender.text) == (
        "1@shop.example",
        DESK,
        "Ida <ida@shop.example>",
    )
    assert (seen.subject.text, seen.text.text.strip()) == ("Hello", "the plain text")
    assert [each.text for each in seen.files] == ["box.png"]
    assert seen.sent is not None


@pytest.mark.parametrize(
    "number", ["<a/b:{}@x>", "<a b{}@x>", "<a.{}.@x>", "<{}>", "<a@b{}> (once)"]
)
def test_mails_of_two_numbers_are_two_however_they_are_spelt(number: str) -> None:
    """A parser by the book reads `a/b` of the first one, whatever comes after it."""

    def of(each: int) -> str:
        raw = f"Message-ID: {number.format(each)}\r\n\r\nHello"
        return IncomingMail.model_validate_json(received(raw.encode(), DESK).body).id

    assert of(1) == of(1)
    assert of(1) != of(2)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: =?utf-8?q?=ff?=\r\nDate: never\r\n\r\n\xff",
        b"Content-Type: text/plain; charset=nonsense\r\n\r\nhello",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n--x",
        b"Message-ID: " + b"x" * 5_000 + b"\r\nFrom: a\r\n\r\n.",
    ],
)
def test_whatever_comes_can_be_kept(content: bytes) -> None:
    first, second = received(content, DESK), received(content, DESK)
    assert first == second
    assert 0 < len(IncomingMail.model_validate_json(first.body).id) <= 150


def test_an_address_is_one_and_of_one_agent(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no address"):
        Mail(name="desk", address="nobody", event=of_mail)
    other = Mail(name="other", address=DESK.lower(), event=of_mail)
    with pytest.raises(ConfigurationError, match="of two"):
        mails_of(orders(tmp_path, triggers=[MAIL, other]))
