"""Delivery reports: what is believed, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.inbox.channels.bounces import Bounce, gate_of, parse
from handrail.inbox.channels.mail import return_path, tag_of

SECRET = b"of the inbox"
GATE = "0123456789abcdef"
TAG = tag_of(SECRET, GATE, "ana@example.com")
TO = return_path(GATE, TAG, "bounce.example.com")

REPORT = """\
From: MAILER-DAEMON@mx.example.net
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="cut"

--cut
Content-Type: text/plain

I'm sorry.
--cut
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Arrival-Date: Fri, 30 Jan 2026 09:00:00 +0000

Final-Recipient: rfc822; ana@example.com
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such
 mailbox
--cut
Content-Type: message/rfc822

Subject: May this be done?

--cut--
"""


def test_a_report_names_the_mail_that_came_back() -> None:
    assert parse(REPORT.encode(), TO) == Bounce(
        gate=GATE, tag=TAG, code="5.1.1", why="550 5.1.1 no such mailbox", final=True
    )


def test_a_delay_is_not_the_end() -> None:
    text = REPORT.replace("Action: failed", "Action: Delayed").replace("5.1.1\nD", "4.4.1\nD")
    bounce = parse(text.encode(), TO)
    assert bounce is not None
    assert (bounce.final, bounce.code) == (False, "4.4.1")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("multipart/report", "multipart/mixed"),
        ("report-type=delivery-status", "report-type=disposition-notification"),
        ("message/delivery-status", "text/plain"),
        ("Action: failed", "Action: delivered"),
        ("Action: failed", "Action: relayed"),
        ("Action: failed", ""),
        ("Status: 5.1.1", "Status: bad"),
        ("Status: 5.1.1", "Status: 9.1.1"),
        ("Final-Recipient", "Original-Recipient"),
        ("\n--cut--", "\n--cut\nContent-Type: message/delivery-status\n\nX: y\n\nZ: y\n--cut--"),
    ],
)
def test_what_is_not_exactly_such_a_report_is_none(old: str, new: str) -> None:
    assert old in REPORT
    assert parse(REPORT.replace(old, new).encode(), TO) is None


@pytest.mark.parametrize(
    "address",
    [
        "ana@example.com",
        f"b-{GATE}@bounce.example.com",
        f"b-{GATE}-{TAG}0@bounce.example.com",
        f"b-{GATE}-{TAG.upper()}@bounce.example.com",
        f"b-{GATE}/..-{TAG}@bounce.example.com",
        f"x{TO}",
        "",
    ],
)
def test_only_return_paths_of_ours_name_a_gate(address: str) -> None:
    assert gate_of(address) is None
    assert parse(REPORT.encode(), address) is None


def test_the_tag_depends_on_the_secret_the_gate_and_the_person() -> None:
    tags = {
        tag_of(secret, gate, who)
        for secret in (SECRET, b"another")
        for gate in (GATE, "f" * 16)
        for who in ("ana@example.com", "bo@example.com")
    }
    assert len(tags) == 8
    assert gate_of(TO) == (GATE, TAG)
    assert len(TO.partition("@")[0]) <= 64


def test_what_is_too_large_is_not_read() -> None:
    assert parse(REPORT.encode() + b" " * 600_000, TO) is None


@given(st.binary(max_size=400))
def test_no_bytes_at_all_make_it_fail(content: bytes) -> None:
    parse(content, TO)
    parse(REPORT.encode().replace(b"Status: 5.1.1", content), TO)
