"""What is changed in Slack: what nobody touched goes back as the gate has it."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model
from pydantic.alias_generators import to_camel

from handrail import Action, Agent, Fleet, State
from handrail.actions import as_json, json_schema
from handrail.inbox.channels import slack_actions, slack_forms
from handrail.inbox.web import forms
from handrail.testing import eventually
from handrail.testing.fixtures import RunFleet
from tests.agents import drawn
from tests.agents.drawing import models
from tests.agents.fleets import LEAD, put_policy
from tests.integration.inbox.messages_tools import (
    buttons,
    filled_in,
    inbox,
    mail_server,
    people,
    trusting,
)
from tests.integration.inbox.messages_tools import settings as settings_of
from tests.integration.inbox.slack_tools import SlackServer, slack_server, wrong_inputs

UANA = "U012ANA"


class Colour(StrEnum):
    EMPTY = ""
    RED = "red"


LongChoice = StrEnum("LongChoice", {"X": "x" * 149, "Y": "y"})


class Line(BaseModel, alias_generator=to_camel, populate_by_name=True):
    unit_price: Decimal = Decimal("99.00")
    count: int | None = None


class Visa(Action):
    """Decide on a visa."""

    married: bool | None
    sure: bool
    source: str = Field(alias="from")
    line: Line
    colour: Colour | None
    kind: Literal["a", "b"]
    day: date | None
    note: str | None
    text: str


PROPOSED = {
    "married": None,
    "sure": True,
    "source": " DE1\t",
    "line": {"unit_price": "1E+3", "count": None},
    "colour": "",
    "kind": "c",  # a deploy has taken it away
    "day": None,
    "note": "",
    "text": "\n one\r\ntwo\n",
}


def changed(kind: type[BaseModel], value: Any, **changes: str) -> Any:
    """What is read of a dialogue, by the way of what Slack sends, where only this is touched."""
    schema = json_schema(kind)
    fields = forms.fields(schema, value)
    blocks = slack_forms.inputs(fields)
    assert blocks is not None
    assert list(wrong_inputs(blocks)) == []
    said = {
        name: slack_actions.SlackValue.model_validate(each).said
        for name, block in filled_in(blocks, changes).items()
        for each in block.values()
    }
    filled = forms.read(schema, slack_forms.given(fields, said), value)
    assert filled.errors == {}
    return filled.value


@pytest.mark.parametrize("married", [None, True, False])
@pytest.mark.parametrize("colour", [None, "", "red"])
def test_what_nobody_touched_goes_back_as_the_gate_has_it(
    married: bool | None,  # noqa: FBT001
    colour: str | None,
) -> None:
    before = PROPOSED | {"married": married, "colour": colour}
    assert changed(Visa, before) == before
    one = changed(Visa, before, **{"f/line/unit_price": "12.50", "f/married": "false"})
    line = {"unit_price": "12.50", "count": None}
    assert one == before | {"married": False, "line": line}
    none = changed(Visa, before, **{"f/married": "null", "f/sure": "false", "f/colour": "null"})
    assert none == before | {"married": None, "sure": False, "colour": None}


@settings(max_examples=60)
@given(made=models(base=Action), data=st.data())
def test_so_does_an_action_of_any_class(made: tuple[Any, Any], data: st.DataObject) -> None:
    kind, values = made
    value = as_json(data.draw(values))
    assert changed(kind, value) == value


MAKE: Any = create_model


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (MAKE("Long", text=(str, ...)), {"text": "x" * 3_001}),
        (MAKE("Many", **{f"f{n}": (int, n) for n in range(100)}), {}),
        (MAKE("Named", **{"n" * 254: (int, 1)}), {}),
        (MAKE("Choice", c=(LongChoice, ...)), {}),
    ],
)
def test_what_slack_cannot_hold_is_changed_elsewhere(kind: type[BaseModel], value: Any) -> None:
    assert slack_forms.inputs(forms.fields(json_schema(kind), value)) is None


async def test_what_is_changed_in_slack_is_signed_and_written(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    """By the route that Slack calls, where proof is required."""
    drawn.DONE.clear()
    proposed = Visa.model_validate(PROPOSED | {"kind": "a"}, by_name=True, by_alias=False)
    people(tmp_path, ana={"slack": UANA, "channels": ["slack"]})
    trust, key = trusting(tmp_path)
    document = {"agent": "drawn", "version": 1, "owner": "boss@example.com", "for": "lead"}
    actions = {"do_0": {"autonomy": "supervised"}}
    document |= {"drafter": "may approve", "roles": {"lead": LEAD}, "actions": actions}
    steps, policy = drawn.steps([proposed]), put_policy(tmp_path, document)
    fleet = Fleet(
        Agent("drawn", drawn.DrawnAgent, steps=steps, policy=policy), passthrough=[drawn.__name__]
    )
    async with (
        run_fleet(fleet, trust=trust) as stage,
        mail_server() as mail,
        slack_server() as slack,
    ):
        given = settings_of(tmp_path, mail, slack)
        async with inbox(stage, given), buttons(stage, given, key, slack) as pressed:
            case = await stage.start("drawn", drawn.Drawn(number=0))
            await case.gate()
            (shown,) = await eventually(lambda: _messages(slack))
            room = f"D{UANA[1:]}"
            assert await pressed.post(pressed.press("U012EVE", shown, room, "amend")) == 200
            assert await pressed.post(pressed.press(UANA, shown, room, "amend")) == 200
            (opened,) = await eventually(lambda: _dialogues(slack))
            bad = pressed.submit(UANA, opened, **{"f/line/unit_price": "much"})
            assert await pressed.post(bad) == 200
            good = {"f/line/unit_price": "12.50", "f/married": "false"}
            assert await pressed.post(pressed.submit(UANA, opened, "so", **good)) == 200
            view = await case.until(lambda view: view.state is State.SETTLING)
    [ruled] = view.rulings
    assert (ruled.verb, ruled.via, ruled.proven, ruled.why) == ("amend", "slack", True, "so")
    line = proposed.line.model_copy(update={"unit_price": Decimal("12.50")})
    [(_, _, written)] = drawn.DONE
    assert written == proposed.model_copy(update={"line": line, "married": False})
    assert repr(written.line.unit_price) == repr(line.unit_price)
    said = [call.form["text"] for call in slack.of("chat.postEphemeral")]
    assert said[0].startswith("You may not")
    assert (
        said[1] == "Nothing was sent: line/unit_price: write a number with a point, such as 12.50"
    )


async def _messages(slack: SlackServer) -> list[dict[str, Any]]:
    return list(slack.messages.values())


async def _dialogues(slack: SlackServer) -> list[dict[str, Any]]:
    return [json.loads(call.form["view"]) for call in slack.of("views.open")]
