"""The mail to a customer, and where mail and bookings go."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from email import message_from_bytes

import aiosmtplib
import pytest

from activities.shipments_facts import Booking, Consignment
from activities.shipments_systems import bookings_url, compose, for_good, mail_server
from handrail import ConfigurationError

KNOWN = Consignment(
    id="AWB-1",
    customer="Hårbor Tools",
    email="harbor.tools@example.com",
    goods="standard",
    kg=100,
    value=Decimal(5000),
    origin="JFK",
    promised=datetime(2013, 3, 8, 20, 0, tzinfo=UTC),
    now=datetime(2013, 3, 8, 12, 0, tzinfo=UTC),
    current_flight="NEW",
    status="scheduled",
    estimated_arrival=datetime(2013, 3, 8, 18, 30, tzinfo=UTC),
)
BOOKING = Booking(
    id="BK-7", consignment="AWB-1", flight="NEW", extra_cost=Decimal(99), status="booked"
)


def test_a_rebooked_consignment() -> None:
    text = compose(KNOWN, BOOKING, "k").get_content()
    assert text == (
        "Dear Hårbor Tools,\n\n"
        "The flight of your consignment AWB-1 was late or cancelled. We have moved it\n"
        "to flight NEW (booking BK-7), at no cost to you.\n\n"
        "Its expected arrival is 2013-03-08 18:30 UTC. We had promised 2013-03-08 20:00 UTC.\n\n"
        "Your freight desk\n"
    )


def test_a_cancelled_flight_without_another() -> None:
    known = KNOWN.model_copy(update={"estimated_arrival": None, "status": "cancelled"})
    text = compose(known, None, "k").get_content()
    assert "found no other flight" in text
    assert "Its expected arrival is not known yet." in text


@pytest.mark.parametrize("key", ["shipments:AWB-1/tell_customer/1", "a" * 190 + ":/é<>"])
def test_its_id_is_the_key_on_one_line_in_ascii(key: str) -> None:
    sent = compose(KNOWN, None, key).as_bytes()
    [line] = [line for line in sent.splitlines() if line.startswith(b"Message-ID:")]
    found = message_from_bytes(sent)["Message-ID"]
    assert line.decode("ascii") == f"Message-ID: {found}"
    assert found.count("<") == found.count(">") == found.count("@") == 1
    assert found != compose(KNOWN, None, key + "0")["Message-ID"]


@pytest.mark.parametrize("email", ["a@b\r\nBcc: everybody@example.com", "a@b\n\nhello"])
def test_an_address_cannot_add_a_header(email: str) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        compose(KNOWN.model_copy(update={"email": email}), None, "k")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (aiosmtplib.SMTPDataError(554, "no"), True),
        (aiosmtplib.SMTPDataError(451, "later"), False),
        (aiosmtplib.SMTPConnectError("away"), False),
        (
            aiosmtplib.SMTPRecipientsRefused([aiosmtplib.SMTPRecipientRefused(550, "no", "a@b")]),
            True,
        ),
        (
            aiosmtplib.SMTPRecipientsRefused([aiosmtplib.SMTPRecipientRefused(450, "no", "a@b")]),
            False,
        ),
    ],
)
def test_a_5xx_is_for_good(error: aiosmtplib.SMTPException, expected: bool) -> None:  # noqa: FBT001
    assert for_good(error) is expected


def test_where_the_systems_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHIPMENTS_SMTP", raising=False)
    monkeypatch.setenv("SHIPMENTS_BOOKINGS_URL", "")
    assert (bookings_url(), mail_server()) == ("http://127.0.0.1:8470", ("127.0.0.1", 8025))
    monkeypatch.setenv("SHIPMENTS_BOOKINGS_URL", "https://carrier.example.com")
    monkeypatch.setenv("SHIPMENTS_SMTP", "[::1]:25")
    assert (bookings_url(), mail_server()) == ("https://carrier.example.com", ("::1", 25))


@pytest.mark.parametrize("given", ["mail", "mail:", "mail:x", "mail:99999", ":25"])
def test_a_mail_server_without_host_or_port(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPMENTS_SMTP", given)
    with pytest.raises(ConfigurationError, match="write it like"):
        mail_server()
