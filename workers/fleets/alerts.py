"""The alerts agent, and what starts its cases: what Alertmanager posts."""

from pathlib import Path

import activities.alerts
import guardrails.alerts
from activities.alerts_facts import Heard
from handrail import Agent, Fleet, HandsTo
from handrail.integrations.triggers import RawEvent, Webhook
from workflows.alerts import AlertsAgent


def of_alertmanager(came: RawEvent) -> Heard:
    """The event of a post of Alertmanager's."""
    return Heard.model_validate(came.json())


POSTS = Webhook(name="alertmanager", event=of_alertmanager, secret="ALERTS_HOOK", signed="standard")  # noqa: S106 - its name

fleet = Fleet(
    Agent(
        "alerts",
        AlertsAgent,
        steps=activities.alerts,
        policy=Path(guardrails.alerts.__file__).with_name("alerts.yaml"),
        checks=guardrails.alerts,
        hands_to=[HandsTo("alerts", Heard, again=True)],  # a post hands on each cause
        triggers=[POSTS],
    )
)
