"""An agent whose decide step asks a model: traced, paid for, tried, and never asked in vain."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from handrail import State, Untrusted
from handrail.client import Operator
from handrail.evidence import agreement
from handrail.integrations import evaluate, past_decisions
from handrail.oversight import GateKind
from handrail.testing import Human, Outside, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents.clerk_steps import MODEL, Mail, judge
from tests.agents.fleets import ALONE, clerk

pytestmark = pytest.mark.integration

ANA = Human("ana@example.com")
AGO = timedelta(days=1)
COST = Decimal("0.2")


def refund(order: str, amount: str) -> list[Any]:
    said = {"action": {"order": order, "amount": amount}, "rationale": "The glass broke."}
    return ["Refund", said]


def mail(number: str, *answers: Any) -> Mail:
    text = Untrusted(untrusted=json.dumps(answers))
    return Mail(number=number, customer="c1", body=text)


@pytest.fixture(autouse=True)
def no_log() -> Generator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def test_what_a_model_decides_is_traced_and_kept_with_who_decided(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(clerk(tmp_path)) as stage:
        good = await stage.start("clerk", mail("1", refund("o1", "30")))
        outcome = await good.outcome()
        assert (outcome.status, outcome.why) == (State.DONE, "The glass broke.")
        assert (outcome.usage.cost, outcome.usage.currency) == (COST, "EUR")
        assert len(outside.effects("refund")) == 1
        text = (await good.history()).to_json()
        made = next(e for e in _results(text) if "decision" in e)["decision"]["asked"]
        assert (made["model"], made["temperature"], made["requests"]) == ("function:clerk", 0, 1)
        hostile = await stage.start("clerk", mail("2", refund("o1", "45")))
        gate = await hostile.gate()
        assert "no trusted read" in gate.why
        await ANA.reject(hostile, gate, why="no")
        assert (await hostile.outcome()).status is State.REJECTED
        assert len(outside.effects("refund")) == 1
        spent = await stage.ledger.spent("clerk", datetime.now(UTC) - AGO)
        assert (spent.tokens, spent.cost) == (220, {"EUR": 2 * COST})


def _results(history: str) -> Generator[Any]:
    for event in json.loads(history)["events"]:
        done: Any = event.get("activityTaskCompletedEventAttributes", {}).get("result") or {}
        for payload in done.get("payloads", []):
            yield json.loads(base64.b64decode(payload["data"]))


async def test_a_model_that_cannot_answer_leads_to_a_human_and_is_paid(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(clerk(tmp_path)) as stage:
        case = await stage.start("clerk", mail("1", "away"))
        gate = await case.gate()
        assert (gate.kind, gate.step) == (GateKind.UNDECIDED, "judge")
        assert "the model is away" in gate.why
        assert len(outside.calls("model")) == 2  # its tries, and no more
        await ANA.reject(case, gate, why="no use")
        outcome = await case.outcome()
        assert outcome.status is State.FAILED
        assert outcome.usage.cost > COST
        spent = await stage.ledger.spent("clerk", datetime.now(UTC) - AGO)
        assert spent.cost == {"EUR": outcome.usage.cost}


async def test_a_request_that_the_budget_has_no_room_for_is_not_made(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleet = clerk(tmp_path, budgets={"cost": "1.1 EUR per day"})
    async with run_fleet(fleet) as stage:
        first = await stage.start("clerk", mail("1", refund("o1", "30")))
        assert (await first.outcome()).status is State.DONE
        spent = await stage.ledger.spent("clerk", datetime.now(UTC) - AGO)
        assert spent.cost == {"EUR": COST}  # what was held back before is given back
        # What is left would pay for three answers, and not for what one may cost.
        second = await stage.start("clerk", mail("2", refund("o2", "45")))
        await second.until(lambda view: any("read orders_of" in line.text for line in view.log))

        async def waits() -> bool:
            described = await second.handle.describe()
            pending = described.raw_description.pending_activities
            return any("one request may take" in p.last_failure.message for p in pending)

        await eventually(waits)
        assert len(outside.calls("model")) == 1


async def test_keys_of_providers_are_in_no_history(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-1234567890abcdef"
    monkeypatch.setenv("CLERK_API_KEY", key)
    async with run_fleet(clerk(tmp_path)) as stage:
        case = await stage.start("clerk", mail("1", "leak"))
        gate = await case.gate()
        assert "wrong key: [secret CLERK_API_KEY]" in gate.why
        history = (await case.history()).to_json()
        view = (await case.view()).model_dump_json()
    coded = [base64.b64encode(key.encode()).decode()[:-2], key]
    assert not [each for each in coded if each in history or each in view]


async def test_what_was_decided_is_found_again_with_what_people_made_of_it(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    levels = {"refund": {"autonomy": "supervised"}, "unpay": ALONE}
    fleet = clerk(tmp_path, actions=levels, drafter="may approve")
    agent = fleet.agent("clerk")
    async with run_fleet(fleet) as stage:
        for number, order, amount in (("1", "o1", "30"), ("2", "o2", "45")):
            case = await stage.start("clerk", mail(number, refund(order, amount)))
            gate = await case.gate()
            if number == "1":
                await ANA.amend(case, {"amount": "20"}, gate)
            else:
                await ANA.approve(case, gate)
            assert (await case.outcome()).status is State.DONE
        found = await past_decisions(
            stage.client,
            stage.ledger,
            agent,
            judge,
            since=datetime.now(UTC) - AGO,
            limit=10,
        )
        asked = len(outside.calls("model"))
        again = agreement(await evaluate(judge, found))
    assert {each.case for each in found} == {"clerk:1", "clerk:2"}
    assert again["as_before"] == {"agree": 2, "of": 2}
    assert again["as_people"] == {"agree": 1, "of": 2}
    assert [each["people"]["action"]["amount"] for each in again["differ"]] == ["20"]
    assert (asked, len(outside.calls("model"))) == (2, 4)
    assert len(outside.effects("refund")) == 2


async def test_what_a_model_says_is_shown_while_it_says_it_and_is_in_no_history(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = asyncio.Event()

    async def slowly(
        _messages: list[ModelMessage], _info: AgentInfo
    ) -> AsyncGenerator[str | DeltaToolCalls]:
        yield "First I look at "
        yield "the broken glass."
        await said.wait()
        name, args = refund("o1", "30")
        yield {0: DeltaToolCall(name=name, json_args=json.dumps(args))}

    model = FunctionModel(stream_function=slowly, model_name="clerk")
    monkeypatch.setattr(MODEL, "_given", model)
    monkeypatch.setattr(MODEL, "_streams", True)
    async with run_fleet(clerk(tmp_path)) as stage:
        operator = Operator(stage.client, stage.ledger, by="ana@example.com")
        case = await stage.start("clerk", mail("1"))

        async def shown() -> bool:
            return (await operator.case(case.id)).thinking == "First I look at the broken glass."

        await eventually(shown)
        said.set()
        outcome = await case.outcome()
        assert (outcome.status, outcome.why) == (State.DONE, "The glass broke.")
        assert outcome.usage.cost > 0
        assert len(outside.effects("refund")) == 1
        assert (await operator.case(case.id)).thinking == ""
        text = (await case.history()).to_json()
    kept = [base64.b64decode(each) for each in re.findall(r'"data": "([^"]+)"', text)]
    assert kept
    assert not any(b"broken glass" in each for each in kept)
