"""An event is taken as others send it, and under its fields' own names, as forms have it."""

from __future__ import annotations

import json
import uuid
from typing import Any, cast

import pytest
from typing_extensions import override

from handrail import Agent, CaseError, Event
from handrail.client.starts import event_of, start_case
from tests.agents import refunds_steps
from tests.agents.trips_flow import Trip, TripAgent

REST: dict[str, Any] = {"day": "2026-12-24", "hotel": {"town": "Linz"}}
AGENT = Agent("trips", TripAgent, steps=[refunds_steps.refund], policy="none.yaml")


@pytest.mark.parametrize("given", [{"tripNumber": "7"} | REST, {"number": "7"} | REST])
def test_by_alias_and_by_name(given: dict[str, Any]) -> None:
    event = AGENT.parse_event(json.dumps(given))
    assert event == event_of(Trip, given)
    assert event.key == "7"
    # As it is kept while the server is away.
    assert AGENT.parse_event(event.model_dump_json(by_alias=False)) == event


def test_what_is_neither_is_said() -> None:
    with pytest.raises(CaseError, match="tripNumber"):
        AGENT.parse_event(json.dumps({"no": "7"} | REST))


class Shifting(Event):
    @property
    @override
    def key(self) -> str:
        return str(uuid.uuid4())


async def test_a_key_that_is_another_each_time_starts_nothing() -> None:
    event, nobody = Shifting(), cast("Any", None)
    with pytest.raises(CaseError, match="the same event would be two cases; fix: make it of"):
        await start_case(nobody, "trips", "TripAgent", event, event.key)
