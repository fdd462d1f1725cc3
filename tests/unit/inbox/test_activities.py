"""What the inbox sends for whoever may start workflows: nothing that shows what is not asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from handrail.actions import digest_of
from handrail.inbox.channels.activities import InboxActivities
from handrail.inbox.channels.mail import Mailer
from handrail.inbox.channels.people import PeopleFile
from handrail.inbox.web.tokens import Links
from handrail.oversight import NotificationRequest
from handrail.runtime import SmtpServer
from tests.unit.inbox.messages_views import telling, view

ACTION = {"order": "1", "amount": "300"}


def post(directory: Path) -> InboxActivities:
    nobody: Any = None
    links = Links("a secret of thirty-two characters or more", "https://inbox.example.com")
    # Nobody listens there: what would be sent is tried, and fails for now.
    mailer = Mailer(SmtpServer("127.0.0.1", 1), "handrail@example.com")
    people = PeopleFile(directory / "people.yaml")
    return InboxActivities(nobody, people, links, lambda _: "", mailer)


@pytest.mark.parametrize(
    ("changed", "call", "kind"),
    [
        ({}, {}, "NotNow"),
        ({"action": ACTION | {"amount": "5"}}, {}, "Undeliverable"),
        ({}, {"case": "orders:2"}, "Undeliverable"),
        ({}, {"gate": "fedcba9876543210"}, "Undeliverable"),
    ],
)
async def test_only_what_the_gate_asks_is_sent(
    tmp_path: Path, changed: dict[str, Any], call: dict[str, Any], kind: str
) -> None:
    shown = view(**{"digest": digest_of("pay", ACTION), **changed})
    to = NotificationRequest.model_validate(
        {"case": "orders:1", "gate": "0123456789abcdef", **call}
    )
    with pytest.raises(ApplicationError) as failed:
        await ActivityEnvironment().run(post(tmp_path).tell, telling(shown, call=to))
    assert failed.value.type == kind
