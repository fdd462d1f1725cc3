"""The support agent, and what starts its cases: the shop's webhook, and the desk's mail."""

from pathlib import Path

import activities.support
import guardrails.support
from activities.support_facts import RefundDue
from activities.support_intake import of_mail, of_shop
from handrail import Agent, Fleet, HandsTo
from handrail.integrations.triggers import Mail, Webhook
from workflows.support import SupportAgent

_POLICIES = Path(guardrails.support.__file__).parent

SHOP = Webhook(name="support-shop", event=of_shop, secret="SUPPORT_HOOK", signed="standard")  # noqa: S106 - its name
MAIL = Mail(name="support-mail", address="support@agents.example.com", event=of_mail)


def support(*, elsewhere: bool) -> Agent:
    """The agent. `elsewhere`: whether refunds are worked on by another fleet, if by any."""
    return Agent(
        "support",
        SupportAgent,
        steps=activities.support,
        policy=_POLICIES / "support.yaml",
        checks=guardrails.support,
        triggers=[SHOP, MAIL],
        hands_to=[HandsTo("refunds", RefundDue, elsewhere=elsewhere)],
    )


fleet = Fleet(support(elsewhere=True))
