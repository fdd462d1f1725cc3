"""Slack takes every message and every dialogue, whatever sizes a question has."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, create_model

from handrail.inbox.channels import slack_actions, slack_forms
from handrail.inbox.channels.content import note, of_view
from handrail.inbox.channels.delivery import GateOutcome, Notification, NotificationKind
from handrail.inbox.channels.slack import alert_blocks, blocks
from handrail.inbox.web import forms
from handrail.oversight import GateKind, GateView
from tests.integration.inbox.slack_blocks import wrong_blocks, wrong_message, wrong_view
from tests.unit.inbox.messages_views import ANA, BO, OPENED, telling, view

SIGN = "\U0001f4a5"
HARD = ["", " ", "\n", "\u200b", "&<>\"'", "x" * 9_000, SIGN * 5_000, "a\n" * 4_000, "\x00" * 900]
CASE = "orders:" + '"\\' * 100
PAGE = "https://inbox.example.com/gates/" + "%22%5C" * 100 + "/0123456789abcdef"


def wrong(seen: GateView, **more: Any) -> list[str]:
    told = telling(seen, channel="slack", **more)
    said = note(told)
    found = blocks(said, seen, PAGE, key=told.key)
    text = f"{said.subject}: {' '.join(said.opening)}"
    locked = blocks(of_view(seen, " ".join(said.opening)), seen, PAGE)
    return [*wrong_message(found, text), *wrong_message(locked, text)]


def hostile(text: str, count: int = 1) -> dict[str, Any]:
    fields = {f"{text[:40]}{number}": text for number in range(count)}
    return {
        "title": text,
        "case": CASE,
        "step": text,
        "why": text,
        "rationale": text,
        "requester": text,
        "risk": text,
        "summary": text,
        "action": fields | {"price": "1.50", "currency": text},
        "evidence": fields | {"within": {text: {text: [text, {text: text}]}}},
        "before": {**fields, "price": "9"},
        "then": (text, *(f"if nobody of {text} answers" for _ in range(count))),
        "waiting_for": (text,),
        "units": {"action.price": text},
    }


@pytest.mark.parametrize("text", HARD, ids=range(len(HARD)))
@pytest.mark.parametrize("count", [1, 12, 300])
def test_no_text_makes_a_message_that_slack_refuses(text: str, count: int) -> None:
    assert wrong(view(**hostile(text, count))) == []


@pytest.mark.parametrize("kind", list(GateKind))
@pytest.mark.parametrize("what", list(NotificationKind))
def test_neither_does_any_kind_of_message(kind: GateKind, what: NotificationKind) -> None:
    ended = GateOutcome(how="approved", at=OPENED, by=(ANA, BO)) if what == "closed" else None
    asked = {"id": "q", "by": ANA, "to": BO, "text": "why?", "answer": ""}
    due = Notification(what=what, person=ANA, role="lead", why="nobody answered")
    more: dict[str, Any] = {"question": asked} if what in {"question", "answer"} else {}
    assert wrong(view(kind=kind), due=due, ended=ended, **more) == []


@given(
    st.dictionaries(st.text(max_size=30), st.text(max_size=3_000), max_size=70),
    st.dictionaries(st.text(max_size=30), st.integers() | st.lists(st.text()) | st.none()),
)
def test_neither_does_any_action(action: dict[str, Any], evidence: dict[str, Any]) -> None:
    assert wrong(view(action=action, evidence=evidence)) == []


def test_an_alert_says_each_of_its_lines() -> None:
    for lines in (["", "x"], ["x" * 500] * 80, [SIGN * 500]):
        found = alert_blocks("t" * 400, lines, key="k")
        assert list(wrong_message(found, "title")) == []


MAKE: Any = create_model
PLACE = slack_actions._ButtonPlace(  # pyright: ignore[reportPrivateUsage]
    case=CASE, gate="g" * 64, digest="ab" * 32, room="D012", ts="1700000000.000100"
)


@pytest.mark.parametrize("pressed", ["approve_why", "reject"])
def test_a_dialogue_for_the_reason_is_one(pressed: str) -> None:
    shown = slack_actions._reasons(PLACE, pressed)  # pyright: ignore[reportPrivateUsage]
    assert list(wrong_view(shown)) == []


class Line(BaseModel):
    price: Decimal
    note: str = ""


class Order(BaseModel):
    sure: bool
    kind: Literal["a", "b"] | None
    text: str
    lines: list[Line]
    first: Line


@pytest.mark.parametrize("text", HARD, ids=range(len(HARD)))
def test_so_is_the_one_for_changes_or_the_inbox_has_it(text: str) -> None:
    many = MAKE("Many", **{f"f{n}": (str, ...) for n in range(98)})
    order: dict[str, Any] = {
        "sure": True,
        "kind": None,
        "text": text,
        "lines": [],
        "first": {"price": text},
    }
    values: list[tuple[type[BaseModel], dict[str, Any]]] = [
        (Order, order),
        (many, dict.fromkeys(many.model_fields, text)),
    ]
    for kind, value in values:
        shown = slack_forms.inputs(forms.fields(kind.model_json_schema(), value))
        if shown is not None:
            shown.append(slack_actions._why("Why?", optional=True))  # pyright: ignore[reportPrivateUsage]
            dialogue = slack_actions._dialogue(PLACE, "amend", "Change", shown)  # pyright: ignore[reportPrivateUsage]
            assert list(wrong_view(dialogue)) == []


def test_the_judge_itself_finds_what_is_wrong() -> None:
    text = {"type": "plain_text", "text": "x", "emoji": False}
    assert list(wrong_blocks([{"type": "section", "text": text}])) == []
    for block in (
        {"type": "section", "text": text | {"text": ""}},
        {"type": "section", "text": text | {"text": "x" * 3_001}},
        {"type": "section", "fields": [text] * 11},
        {"type": "section", "fields": [text | {"text": "x" * 2_001}]},
        {"type": "header", "text": text | {"text": "x" * 151}},
        {"type": "context", "elements": [text] * 11},
        {"type": "section", "text": text, "colour": "red"},
    ):
        assert len(list(wrong_blocks([block]))) >= 1
