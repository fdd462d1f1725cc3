"""What the support agent's own policy lets pass, holds and refuses; and how messages come in."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from activities.support_facts import Refund, Seen
from activities.support_intake import LONGEST, IncomingMail, RawEvent, of_mail, of_shop
from handrail import Untrusted
from handrail.actions import Basis
from handrail.policy import Facts, Policy
from tests.agents.policies import holds, refusals
from workers.fleets.support import fleet

AGENT = fleet.agent("support")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return AGENT.policy_file.current()


def facts(amount: str = "34.90", confidence: float = 0.95, **evidence: Any) -> Facts:
    usual = {
        "intent": "refund",
        "handling": "refund",
        "channel": "shop",
        "customer": "C1",
        "order": "R40000",
        "status": "delivered",
        "days": 3,
    }
    return Facts(
        step="refund",
        action=Refund(order="R40000", amount=Decimal(amount)),
        basis=Basis(confidence=confidence),
        evidence=Seen.model_validate(usual | evidence),
        case="support:M1",
        requester=None,
    )


def test_it_has_no_faults_and_nothing_that_surprises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDRAIL_SECRET_DESK_PASSWORD", "of-this-machine")
    assert (AGENT.faults(), AGENT.notes()) == ([], [])


@pytest.mark.parametrize(
    ("given", "roles"),
    [
        (facts("100"), set[str]()),
        (facts("100.01"), {"support-lead"}),
        (facts("40", channel="mail"), set[str]()),
        (facts("40.01", channel="mail"), {"support-lead"}),
        (facts(refunds=3), {"fraud"}),
        (facts(confidence=0.59), {"support-lead"}),
    ],
)
def test_who_is_asked(policy: Policy, given: Facts, roles: set[str]) -> None:
    assert refusals(policy, given) == []
    assert {finding.role for finding in holds(policy, given)} == roles


@pytest.mark.parametrize("given", [facts(days=31), facts(refunded=True)])
def test_what_is_refused(policy: Policy, given: Facts) -> None:
    assert len(refusals(policy, given)) == 1


def test_nothing_is_refunded_that_has_not_come(policy: Policy) -> None:
    assert policy.scope(facts(status="shipped"))
    assert policy.scope(facts()) == []


def test_a_mail_and_a_webhook_become_messages_of_their_own_kind() -> None:
    mail = IncomingMail(
        id="<1@example.com>",
        to="support@agents.example.com",
        sender=Untrusted(untrusted="ana@example.com"),
        subject=Untrusted(untrusted="Refund"),
        text=Untrusted(untrusted="x" * 9_000),
    )
    came = of_mail(mail)
    assert came is not None
    assert (came.channel, came.account, came.key) == ("mail", None, (of_mail(mail) or came).key)
    assert len(came.text.text) == LONGEST
    away = mail.model_copy(update={"subject": Untrusted(untrusted="Out of Office: Ana")})
    assert of_mail(away) is None
    body = {"type": "message.created", "number": "M1", "account": "a@example.com", "text": "hi"}
    shop = of_shop(RawEvent(json.dumps(body).encode(), {}))
    assert shop is not None
    assert (shop.channel, shop.account, shop.sender) == ("shop", "a@example.com", None)
    assert of_shop(RawEvent(json.dumps(body | {"type": "order.paid"}).encode(), {})) is None


def test_the_secret_is_of_the_steps_that_write_at_the_desk() -> None:
    assert {step.name for step in AGENT.steps if step.secrets} == {"file", "withdraw"}
