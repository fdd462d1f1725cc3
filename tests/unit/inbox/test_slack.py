"""What is written into Slack, whatever an agent or the world put into the question."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from handrail.inbox.channels.content import ended_words, note
from handrail.inbox.channels.delivery import (
    GateOutcome,
    Notification,
    NotificationKind,
    NotNow,
    Undeliverable,
)
from handrail.inbox.channels.slack import ButtonValue, Slack, blocks, mark
from handrail.oversight import GateKind, GateView
from tests.integration.inbox.slack_tools import web_server
from tests.unit.inbox.messages_views import ANA, BO, OPENED, telling, view

PAGE = "https://inbox.example.com/gates/orders:1/0123456789abcdef"


def shown(seen: GateView | None = None, **more: Any) -> list[dict[str, Any]]:
    told = telling(seen, channel="slack", **more)
    return blocks(note(told), told.view, PAGE, key=told.key)


def buttons(of: list[dict[str, Any]]) -> list[str]:
    return [e["action_id"] for block in of if block["type"] == "actions" for e in block["elements"]]


def texts(of: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [block["text"] for block in of if "text" in block]
    found += [each for block in of for each in block.get("fields", [])]
    found += [e for block in of for e in block.get("elements", []) if e["type"] != "button"]
    return found + [e["text"] for b in of for e in b.get("elements", []) if e["type"] == "button"]


def test_a_button_stands_for_exactly_this_action_at_this_gate() -> None:
    of = shown()
    assert buttons(of) == ["approve", "approve_why", "amend", "reject", "open"]
    approve, why, amend, reject, inbox = of[-1]["elements"]
    assert approve["value"] == why["value"] == amend["value"] == reject["value"]
    pressed = ButtonValue.model_validate_json(approve["value"])
    assert pressed == ButtonValue(case="orders:1", gate="0123456789abcdef", digest="ab" * 32)
    assert inbox["url"] == PAGE


def test_who_asks_how_much_until_when_and_why_it_is_held_stand_in_fields() -> None:
    seen = view(requester="dora@example.com", action={"amount": "300.00", "currency": "EUR"})
    fields = [each["text"] for block in shown(seen) for each in block.get("fields", [])]
    assert fields[:4] == [
        "Who asks\norders, for dora@example.com",
        "amount\n300.00 EUR",
        "Answer by\n2026-01-30 17:00 UTC",
        "Why it is held\ncosts more than 200 EUR",
    ]


def test_the_first_block_carries_the_key_of_the_message() -> None:
    assert shown()[0]["block_id"] == mark(f"0123456789abcdef/{ANA}/asked/0")
    assert len(mark("x" * 1_000)) < 255
    assert mark("a") != mark("b")


def test_everything_is_plain_text() -> None:
    seen = view(title="*<!channel>* `x` <https://evil.example.com|ok>", action={"a": "<@U1>"})
    assert {text["type"] for text in texts(shown(seen))} == {"plain_text"}
    assert not any(text["emoji"] for text in texts(shown(seen)))


@pytest.mark.parametrize(
    "action",
    [
        {"text": "x" * 2_500},
        {str(number): number for number in range(61)},
        {str(number): "x" * 300 for number in range(12)},
        {"list": list(range(1_000))},
    ],
    ids=["a long field", "many fields", "all fields together", "a long list"],
)
def test_what_does_not_fit_is_not_approved_here(action: dict[str, Any]) -> None:
    assert buttons(shown(view(action=action))) == ["reject", "open"]


@pytest.mark.parametrize("kind", [GateKind.IN_DOUBT, GateKind.QUESTION])
def test_what_takes_no_yes_or_no_is_answered_in_the_inbox(kind: GateKind) -> None:
    assert buttons(shown(view(kind=kind))) == ["open"]


@pytest.mark.parametrize("what", [NotificationKind.EARLY, NotificationKind.OWNER])
def test_who_may_not_rule_has_no_buttons_to_rule_with(what: NotificationKind) -> None:
    assert buttons(shown(due=Notification(what=what, person=BO))) == ["open"]


def test_what_is_over_has_no_buttons() -> None:
    of = shown(
        due=Notification(what=NotificationKind.CLOSED, person=BO),
        ended=GateOutcome(how="expired", at=OPENED),
    )
    assert buttons(of) == ["open"]
    assert "Expired at 2026-01-30 09:00:00 UTC" in json.dumps(of)
    by_name = GateOutcome(how="approved", at=OPENED, by=(ANA, BO), unproven=" (signed in by name)")
    assert ended_words(by_name) == (
        f"Approved by {ANA}, {BO} (signed in by name) at 2026-01-30 09:00:00 UTC"
    )


@given(
    st.text(max_size=300),
    st.dictionaries(st.text(max_size=50), st.text(max_size=4_000), max_size=80),
)
def test_any_question_at_all_fits_into_a_message(title: str, action: dict[str, str]) -> None:
    of = shown(view(title=title, action=action, evidence=action))
    assert len(of) <= 50
    for block in of:
        most = 150 if block["type"] == "header" else 3_000
        if "text" in block:
            assert 0 < len(block["text"]["text"]) <= most
        fields = block.get("fields", [])
        assert len(fields) <= 10
        assert all(0 < len(each["text"]) <= 2_000 for each in fields)
        elements = block.get("elements", [])
        assert len(elements) <= (25 if block["type"] == "actions" else 10)
        for each in (each for each in elements if each["type"] == "button"):
            assert 0 < len(each["text"]["text"]) <= 75
            assert len(each.get("value", "")) <= 2_000
            assert len(each.get("url", "")) <= 3_000
            assert 0 < len(each["action_id"]) <= 255
    whole = all(any(text in each["text"] for each in texts(of)) for text in action.values())
    if "approve" in buttons(of) and all(text.isascii() and text.isprintable() for text in action):
        printable = all(text.isascii() and text.isprintable() for text in action.values())
        assert whole or not printable


# What Slack answers, whatever stands between it and us

GARBAGE = {
    "no JSON": "<html>Sign in to the hotel's network</html>",
    "nothing": "",
    "a list": "[1, 2]",
    "a text": '"ok"',
    "nothing in it": '{"ok": true}',
    "no place": '{"ok": true, "ts": null, "channel": 7, "messages": 3}',
    "ill messages": '{"ok": true, "channel": {"id": "D"}, "messages": [0, {"blocks": [1, {}]}]}',
    "deep": "[" * 100_000,
    "an odd error": '{"ok": false, "error": {"a": 1}}',
}


@pytest.mark.parametrize("content_type", ["application/json", "text/html"])
@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE)
async def test_a_garbled_answer_is_a_delivery_that_failed_and_nothing_else(
    body: str, content_type: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type=content_type)

    async with web_server(answer, "/api/{method}") as port:
        slack = Slack("xoxb-1", f"http://127.0.0.1:{port}/api/")
        told = telling(channel="slack")
        for again in (False, True):
            with contextlib.suppress(NotNow, Undeliverable):
                await slack.tell(told, "U012", PAGE, again=again)
            with contextlib.suppress(NotNow, Undeliverable):
                await slack.say("U012", "title", ["line"], key="k", again=again)
