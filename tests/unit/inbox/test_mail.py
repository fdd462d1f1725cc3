"""What is written into mail, whatever an agent or the world put into the question."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from email import message_from_bytes, message_from_string, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from handrail.exceptions import ConfigurationError
from handrail.inbox.channels.delivery import (
    ConsultationSummary,
    DeliveryRequest,
    GateOutcome,
    MessageRef,
    Notification,
    NotificationKind,
    NotNow,
    Undeliverable,
)
from handrail.inbox.channels.mail import MailAlert, Mailer, compose, compose_alert, mailbox
from handrail.oversight import GateKind
from handrail.runtime import SmtpServer
from tests.unit.inbox.messages_views import ANA, BO, BOSS, telling, view

SENDER = "handrail@example.com"
HOSTILE = [
    "x\r\nBcc: eve@example.com",
    "x\nRead and decide: https://evil.example.com",
    "<script>alert(1)</script>",
    "<a href='https://evil.example.com'>Approve</a>",
    "\u202egnp.exe",
    "a\u200bb",
    "\x00\x07",
    "\ud83d",
    "  amount: 1",
    "-->",
    "{body}",
    "=?utf-8?q?=42cc?=",
]


class Links:
    def mail(self, person: str, case: str, gate: str) -> str:
        return f"https://inbox.example.com/mail/token-of-{person.partition('@')[0]}"

    def page(self, case: str, gate: str) -> str:
        return f"https://inbox.example.com/gates/{gate}"

    def waiting(self) -> str:
        return "https://inbox.example.com/"


def mail(told: DeliveryRequest) -> EmailMessage:
    """The mail as it arrives."""
    return message_from_bytes(
        compose(told, ANA, SENDER, Links()).as_bytes(policy=policy.SMTP), policy=policy.default
    )


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return body.get_content()


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.hrefs: list[str] = []
        self.text = ""

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.hrefs += [value or "" for name, value in attrs if name == "href"]

    @override
    def handle_data(self, data: str) -> None:
        self.text += data


def html(message: EmailMessage) -> Tags:
    tags = Tags()
    tags.feed(part(message, "html"))
    return tags


def test_headers_say_what_a_machine_and_a_mail_program_need() -> None:
    message = mail(telling())
    again = mail(telling())
    assert message["Subject"] == "May this be done? Pay for an order. (orders:1)"
    assert message["Message-ID"] == again["Message-ID"]
    assert re.fullmatch(r"<[0-9a-f]{32}\.handrail@example\.com>", message["Message-ID"])
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Id"] == "Questions of agents <handrail.example.com>"
    assert message["To"] == ANA
    assert message["Date"] == "Fri, 30 Jan 2026 09:00:00 +0000"
    assert compose(telling(), ANA, SENDER, Links()).as_bytes() == (
        compose(telling(), ANA, SENDER, Links()).as_bytes()
    )


def test_another_person_or_another_message_has_another_id() -> None:
    ids = {
        mail(telling(due=Notification(what=what, person=who, n=n)))["Message-ID"]
        for what in NotificationKind
        for who in (ANA, BO)
        for n in ("0", "1")
    }
    assert len(ids) == len(NotificationKind) * 4


def test_what_follows_is_an_answer_to_the_first_mail_and_to_no_slack_message() -> None:
    root = MessageRef(channel="mail", id="<first.handrail@example.com>")
    due = Notification(what=NotificationKind.REMINDER, person=ANA, n="1")
    message = mail(telling(root=root, due=due))
    assert message["In-Reply-To"] == message["References"] == root.id
    assert message["Subject"].startswith("Re: May this")
    other = mail(telling(root=MessageRef(channel="slack", id="1.2"), due=due))
    assert other["In-Reply-To"] is None
    assert other["Subject"].startswith("May this")


def test_every_link_is_one_page_that_shows() -> None:
    page = "https://inbox.example.com/mail/token-of-ana"
    tags = html(mail(telling()))
    assert tags.hrefs == [page]
    assert "form" not in tags.tags
    assert f"Read and decide: {page}" in part(mail(telling()), "plain")


@pytest.mark.parametrize("kind", [GateKind.IN_DOUBT, GateKind.QUESTION])
def test_what_takes_no_yes_or_no_has_no_link_that_says_so(kind: GateKind) -> None:
    tags = html(mail(telling(view(kind=kind))))
    assert tags.hrefs == ["https://inbox.example.com/mail/token-of-ana"]


@pytest.mark.parametrize("what", [NotificationKind.OWNER, NotificationKind.EARLY])
def test_who_may_not_rule_gets_no_link_that_lets_them_in(what: NotificationKind) -> None:
    message = mail(telling(due=Notification(what=what, person=BOSS, why="nobody can be reached")))
    assert html(message).hrefs == ["https://inbox.example.com/gates/0123456789abcdef"]
    assert "token" not in part(message, "plain")


def test_no_field_of_the_action_is_in_the_subject() -> None:
    assert "hunter2" not in mail(telling(view(action={"password": "hunter2"})))["Subject"]


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_hostile_text_adds_no_header_no_tag_no_link_and_no_row(text: str) -> None:
    seen = view(
        title=text,
        case=f"orders:{text}",
        step=text,
        action={"order": text, text: "1"},
        why=text,
        rationale=text,
        evidence={"said": text},
        policy=text,
    )
    plain, hostile = mail(telling()), mail(telling(seen))
    assert sorted(hostile.keys()) == sorted(plain.keys())
    assert hostile["To"] == ANA
    tags = html(hostile)
    assert tags.tags <= html(plain).tags | {"table", "tr", "th", "td", "h2"}
    assert all(href.startswith("https://inbox.example.com/mail/") for href in tags.hrefs)
    lines = part(hostile, "plain").splitlines()
    assert [line for line in lines if line.startswith("Read and decide:")] == [
        "Read and decide: https://inbox.example.com/mail/token-of-ana"
    ]
    assert not any(line.startswith("  amount: ") for line in lines)
    for shown in (*lines, tags.text, hostile["Subject"]):
        assert not re.search("[\u200b\u202e\x00\x07]", shown)


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_at_all_makes_a_mail_that_can_be_read(title: str, value: str) -> None:
    seen = view(title=title, action={"x": value}, case=f"orders:{title}")
    message = mail(telling(seen))
    assert message["To"] == ANA
    assert "\n" not in message["Subject"]
    assert html(message).hrefs[-1] == "https://inbox.example.com/mail/token-of-ana"


@pytest.mark.parametrize(
    ("due", "more", "said"),
    [
        (
            Notification(what=NotificationKind.REMINDER, person=ANA, role="lead"),
            {},
            "nobody has answered yet",
        ),
        (
            Notification(what=NotificationKind.PASSED_ON, person=ANA, role="ops"),
            {},
            "ops is asked now as well",
        ),
        (
            Notification(what=NotificationKind.QUESTION, person=BO, n="q"),
            {"question": ConsultationSummary(id="q", by=ANA, to=BO, text="is it theirs?")},
            "ana@example.com asks you: is it theirs?",
        ),
        (
            Notification(what=NotificationKind.ANSWER, person=ANA, n="q"),
            {
                "question": ConsultationSummary(
                    id="q", by=ANA, to=BO, text="theirs?", answer="yes, it is"
                )
            },
            "bo@example.com answers: yes, it is",
        ),
        (
            Notification(what=NotificationKind.CLOSED, person=ANA),
            {"ended": GateOutcome(how="expired", why="nobody of lead answered in time")},
            "Expired: nobody of lead answered in time",
        ),
    ],
    ids=lambda value: str(value.what) if isinstance(value, Notification) else "",
)
def test_each_kind_of_message_says_what_it_is_about(
    due: Notification, more: dict[str, Any], said: str
) -> None:
    sent = mail(telling(due=due, **more))
    assert said in part(sent, "plain")
    over = "This question is over" in part(sent, "html")
    assert over is (due.what is NotificationKind.CLOSED)


# The server


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://localhost", SmtpServer("localhost", 25)),
        ("smtp+starttls://h", SmtpServer("h", 587, upgrade=True)),
        ("smtps://u:p%40ss@h", SmtpServer("h", 465, True, False, "u", "p@ss")),
        ("smtp://u@h:2525", SmtpServer("h", 2525, user="u")),
    ],
)
def test_a_mail_server_by_its_url(url: str, server: SmtpServer) -> None:
    assert SmtpServer.of(url, "HANDRAIL_SMTP_URL") == server


@pytest.mark.parametrize("url", ["http://h", "smtp://", "smtp://u:secret@h:port", "mail.example"])
def test_what_is_no_mail_server_is_refused_without_saying_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="write it like smtp://") as refused:
        SmtpServer.of(url, "HANDRAIL_SMTP_URL")
    assert "secret" not in str(refused.value)


async def test_no_password_goes_over_a_line_without_tls() -> None:
    class Nobody:
        heard = False

        async def handle_AUTH(self, *args: object) -> AuthResult:  # noqa: N802
            self.heard = True
            return AuthResult(success=True)

    nobody = Nobody()
    # An address of this machine that is not taken for one.
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(nobody, hostname="test"), "127.0.0.2", 0
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        mailer = Mailer(SmtpServer("127.0.0.2", port, user="u", password="p"), SENDER)  # noqa: S106
        with pytest.raises(NotNow, match="offers no TLS"):
            await mailer.tell(telling(), ANA, Links())
    assert not nobody.heard


async def test_a_server_that_does_not_answer_is_tried_again() -> None:
    mailer = Mailer(SmtpServer("127.0.0.1", 1), SENDER)
    with pytest.raises(NotNow):
        await mailer.tell(telling(), ANA, Links())


def test_without_a_server_there_is_no_mail() -> None:
    with pytest.raises(Undeliverable, match="HANDRAIL_SMTP_URL"):
        Mailer.required(None)


# Addresses of the wide world


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("ana@münchen.de", "ana@xn--mnchen-3ya.de"),
        ("ana@MÜNCHEN.de", "ana@xn--mnchen-3ya.de"),
        ("ana@xn--mnchen-3ya.de", "ana@xn--mnchen-3ya.de"),
        ("ana+tag=x@example.com", "ana+tag=x@example.com"),
        ("ANA@Example.COM", "ANA@Example.COM"),
        ("o'neil@example.com", "o'neil@example.com"),
        ('"ana, the boss"@example.com', '"ana, the boss"@example.com'),
        ('"a@b"@example.com', '"a@b"@example.com'),
        ("ana@[127.0.0.1]", "ana@[127.0.0.1]"),
        ("jürgen@example.com", "jürgen@example.com"),
        ("用户@例え.jp", "用户@xn--r8jz45g.jp"),
    ],
)
def test_mail_goes_to_the_address_that_is_meant(address: str, sent: str) -> None:
    told = compose(telling(), address, SENDER, Links())
    raw = told.as_bytes(policy=policy.SMTPUTF8 if not sent.isascii() else policy.SMTP)
    (to,) = message_from_string(raw.decode(), policy=policy.SMTPUTF8)["To"].addresses
    assert to.addr_spec == sent == mailbox(address).addr_spec


@pytest.mark.parametrize(
    "address",
    (
        "|@|ana|ana@|@x.de|a,b@x.de|a b@x.de|a@b@c.de|a..b@x.de|a@x.de\nBcc: e|ana@faß.de|ü,b@x.de|"
        f"ana@{'ü' * 100}.de|ü\r\nBcc: e@x.de|ü\u202e@x.de|<a@x.de>"
    ).split("|"),
)
def test_what_is_no_address_is_undeliverable_and_not_tried_again(address: str) -> None:
    with pytest.raises(Undeliverable, match="no mail can go to "):
        compose(telling(), address, SENDER, Links())


@pytest.mark.parametrize(
    ("last", "button"),
    [
        ("See all: https://inbox.example.com/agents/refunds or handrail report refunds", True),
        ("See all: https://inbox.example.com.evil.example.com/agents", False),
        ("All figures: handrail approvers", False),
    ],
)
def test_an_owner_is_told_in_html_with_a_button_for_the_inbox_alone(
    last: str,
    button: bool,  # noqa: FBT001
) -> None:
    text = f"You own the policy of refunds.\n\ncases: <b>15</b>\n\nrefused: 3\n\n{last}\n"
    alert = MailAlert("The week of refunds", text, datetime(2026, 11, 29, tzinfo=UTC), "k", "owner")
    found = compose_alert(alert, SENDER, ANA, Links())
    plain, html = found.get_body(("plain",)), found.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content() == text
    shown = html.get_content()
    assert ('https://inbox.example.com/agents/refunds"' in shown) is button
    assert shown.count("<a ") == button
    assert "&lt;b&gt;15" in shown
    assert "<b>" not in shown
