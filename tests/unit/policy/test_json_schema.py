"""The JSON Schema that editors take: it takes every sound policy, and finds plain mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from handrail.policy import Faults, parse_yaml, policy_schema
from tests.agents.payments import SHAPE

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "guardrails").glob("*.yaml"))
WHOLE = """
agent: payments
version: 3
owner: boss@example.com
proof: required
planted: 2%
for: lead
caps: {high: supervised}
control: {people: [boss@example.com], two: [full]}
limits: {count: 100 per hour}
budgets: {tokens: 2000000 per day, cost: [50 EUR per day, 9 EUR per 15m]}
breakers: [{after: 5 refusals per hour, then: supervised}]
stuck: {after: 10m}
alerts: {failures: {over: 3%, in: 30m}, cost: {times: 2.5, in: 7d}, silent: {for: 1h30m}}
value: {done: 12.50 EUR, late: {after: 4h, worth: -5 EUR}}
prices: {human minute: 0.80 EUR, infrastructure: 90 EUR per month}
notify: {tell: {allow: false}}
actions:
  pay:
    autonomy: full
    rollout: 50%
    refuse: [{when: 'action.amount > 5', why: too much}]
    hold: [{when: 'confidence < 0.8', why: not sure, for: [lead, boss]}]
    limits: {amount: 500 EUR per hour per customer, count: [1 per minute, 9 per day]}
    duplicates: {same: customer, within: 7d}
    normal: {watch: [amount, rate, {target: customer}], z: 3.5}
    review: {random: 5%, unusual: 50%, for: lead}
    pilot: {class: customer, match: {amount: 5%, customer: ignore, fee: 0.01}}
    promote: {wrong: 2%, watch: [fee, confidence], shares: [5%, 25%, 100%]}
  refund: {autonomy: stop, review: 5%, irreversible: nobody gets it back}
roles:
  lead:
    people: [ana@example.com]
    up to: action.amount <= 5000
    hours:
      {zone: Europe/Berlin, days: "mon, wed", from: "09:00", to: "24:00", holidays: [2026-12-25]}
    deadline: {after: 8h, then: escalate, to: boss}
  boss:
    people: [cy@example.com]
    accept: [inbox, key]
    lasts: 2d
    deadline: {after: 1d, then: refuse}
"""


def read(text: str) -> dict[str, Any]:
    found = parse_yaml(text, Faults("test"))
    assert found is not None
    return found


def faults(document: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    validator: Any = Draft202012Validator(schema)
    return [error.json_path for error in validator.iter_errors(document)]


def test_it_is_a_schema() -> None:
    for each in (policy_schema(), policy_schema(SHAPE)):
        Draft202012Validator.check_schema(each)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_policy_here_is_one(path: Path) -> None:
    assert faults(read(path.read_text()), policy_schema()) == []


def test_every_key_may_stand_there() -> None:
    assert faults(read(WHOLE), policy_schema()) == []


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("", {"vershun": 1}, "$"),
    ("", {"version": "1"}, "$.version"),
    ("actions.pay", {"autonomy": "most"}, "$.actions.pay.autonomy"),
    ("actions.pay", {"rollout": 50}, "$.actions.pay.rollout"),
    ("actions.pay.limits", {"amount": "much"}, "$.actions.pay.limits.amount"),
    ("actions.pay.duplicates", {"within": "7"}, "$.actions.pay.duplicates"),
    ("roles.lead", {"people": ["ana"]}, "$.roles.lead.people[0]"),
    ("roles.lead", {"people": []}, "$.roles.lead.people"),
    ("roles.lead.deadline", {"after": "8 hours"}, "$.roles.lead.deadline.after"),
    ("roles.lead.deadline", {"then": "approve"}, "$.roles.lead.deadline.then"),
]


@pytest.mark.parametrize(("at", "mistake", "where"), MISTAKES, ids=[w for *_, w in MISTAKES])
def test_a_mistake_is_found_where_it_is(at: str, mistake: dict[str, Any], where: str) -> None:
    document = read(WHOLE)
    part: Any = document
    for name in at.split(".") if at else ():
        part = part[name]
    part.update(mistake)
    assert faults(document, policy_schema()) == [where]


def test_what_is_missing_is_found() -> None:
    document = read(WHOLE)
    del document["owner"]
    assert faults(document, policy_schema()) == ["$"]


def test_of_an_agent_it_knows_the_steps_and_their_fields() -> None:
    schema = policy_schema(SHAPE)
    writes = schema["properties"]["actions"]["properties"]
    assert writes.keys() == SHAPE.writes.keys()
    one = next(iter(SHAPE.writes))
    field = next(iter(SHAPE.writes[one].action.model_fields))
    assert f"action.{field}" in writes[one]["description"]
    role = {"people": ["ana@example.com"], "deadline": {"after": "8h", "then": "refuse"}}
    given: dict[str, Any] = {
        "agent": SHAPE.agent,
        "version": 1,
        "owner": "boss@example.com",
        "actions": {one: {"autonomy": "full", "limits": {field: "9 per day"}}},
        "roles": {"lead": role},
    }
    assert faults(given, schema) == []
    assert faults(given | {"agent": "other"}, schema) == ["$.agent"]
    assert faults(given | {"actions": {"fly": {"autonomy": "full"}}}, schema) == ["$.actions"]
    wrong = {one: {"autonomy": "full", "limits": {"amounts": "9 per day"}}}
    assert faults(given | {"actions": wrong}, schema) == [f"$.actions.{one}.limits"]
