"""An agent that pays, with a policy that has every key that guards and watches."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel

from handrail.actions import Action, Basis
from handrail.policy import AgentShape, Facts, Policy, WriteShape, parse_policy

PATH = "guardrails/payments.yaml"


class Pay(Action):
    """Pay somebody."""

    customer: str = "C7"
    amount: Decimal = Decimal(240)
    currency: Literal["EUR", "USD"] = "EUR"
    entity: str = "EU"
    memo: str | None = None


class Weigh(Action):
    """Book a weight."""

    kilos: Decimal = Decimal(1)


class Account(BaseModel):
    id: str = "A1"
    vip: bool = False


class Known(BaseModel):
    account: Account = Account()
    score: float = 0.5


SHAPE = AgentShape(
    agent="payments",
    writes={
        "pay": WriteShape("pay", Pay, Known, undo="unpay"),
        "weigh": WriteShape("weigh", Weigh),
        "unpay": WriteShape("unpay", Pay, undoes=frozenset({"pay"})),
    },
)
GOOD = """\
agent: payments
version: 3
owner: boss@example.com
caps: {high: supervised, critical: human_led}
control: {people: [boss@example.com, cy@example.com], two: [full]}
limits: {count: 100 per hour}
budgets: {tokens: 2000000 per day, cost: [50 EUR per day, 1000 EUR per month]}
breakers:
  - {after: 5 refusals per hour, then: supervised}
  - {after: 2 in doubt per day, then: stop}
actions:
  pay:
    autonomy: full
    rollout: 50%
    risk: medium
    only:
      - when: action.entity == "EU"
        why: only accounts of the EU entity
    hold:
      - when: evidence.account.vip
        why: a good customer
    limits:
      amount: [500 EUR per hour per customer, 9000 EUR per day, 100 USD per 15m]
      count: 40 per hour per evidence.account.id
    duplicates: {same: [customer, amount], within: 7d}
    normal: {learn: 20, watch: [amount, evidence.score, confidence, hour, target: customer], z: 4.5}
    review: {random: 5%, unusual: 50%, for: lead}
    mismatch: roll back
  weigh:
    autonomy: full
    irreversible: a weight harms nobody
    limits: {kilos: 100 per week}
    review: 0.5%
roles:
  lead:
    people: [ana@example.com, bo@example.com]
    up to: (confidence ?? 1) > 0.2
    deadline: {after: 8h, then: refuse}
"""


def policy(*edits: tuple[str, str]) -> Policy:
    text = GOOD.replace("    up to: (confidence ?? 1) > 0.2\n", "")
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return parse_policy(text, PATH, SHAPE)


def facts(step: str = "pay", action: Action | None = None, **others: Any) -> Facts:
    known: dict[str, Any] = {
        "basis": Basis(confidence=0.9),
        "evidence": Known(),
        "case": "payments:1",
        "requester": None,
    }
    return Facts(step=step, action=action or Pay(), **(known | others))
