"""A policy that tests vary, and what its agent can do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from handrail.actions import Action, Basis, Finding, Kind
from handrail.policy import AgentShape, Facts, Policy, WriteShape, parse_policy

PATH = "guardrails/shipments.yaml"


class Rebook(Action):
    """Move a late shipment to another carrier."""

    shipment: str = "S1"
    extra_cost: Decimal = Decimal("240.00")
    refund: Decimal | None = None


class Release(Action):
    """Let a shipment go."""

    shipment: str = "S1"


class Delay(BaseModel):
    status: str = "late"


SHAPE = AgentShape(
    agent="shipments",
    writes={
        "rebook": WriteShape("rebook", Rebook, Delay, undo="cancel"),
        "release": WriteShape("release", Release, Delay),
        "cancel": WriteShape("cancel", Release, undoes=frozenset({"rebook"})),
    },
    notifies=frozenset({"tell_customer"}),
)

GOOD = """\
agent: shipments
version: 3
owner: logistics@example.com
actions:
  rebook:
    autonomy: full
    refuse:
      - when: evidence.status == "delivered"
        why: it has already arrived
    hold:
      - when: action.extra_cost > 200
        why: costs more than 200 EUR extra
        for: lead
      - when: confidence < 0.5
        why: unsure
    limits: {extra_cost: 2000 per day, count: 40 per hour}
roles:
  lead:
    people: [ana@example.com, bo@example.com]
    quorum: 1
    remind: 30m
    deadline: {after: 8h, then: escalate, to: operations}
  operations: {people: [cy@example.com], deadline: {after: 24h, then: refuse}}
"""


def policy(*edits: tuple[str, str], shape: AgentShape = SHAPE) -> Policy:
    text = GOOD
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return parse_policy(text, PATH, shape)


def facts(step: str = "rebook", action: Action | None = None, **others: Any) -> Facts:
    known: dict[str, Any] = {
        "basis": Basis(confidence=0.9),
        "evidence": Delay(),
        "case": "shipments:AWB-1",
        "requester": None,
    }
    return Facts(step=step, action=action or Rebook(), **(known | others))


CHEAP = Rebook(extra_cost=Decimal(10))


def refusals(given: Policy, about: Facts) -> list[Finding]:
    """The refuse-rules that are true. One that could not be judged is among `holds`."""
    return [found for found in given.rules(about) if found.kind is Kind.REFUSE]


def holds(given: Policy, about: Facts) -> list[Finding]:
    """Why a human is asked: autonomy, hold-rules, and rules that could not be judged."""
    return [found for found in given.rules(about) if found.kind is Kind.HOLD]
