"""What a hostile text says stays text from outside, by way of another agent too."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import Agent, Fleet, HandsTo, State
from handrail.testing import Human, Outside, Stage
from handrail.testing.fixtures import RunFleet
from tests.agents import carried_flow, carried_steps
from tests.agents.carried_steps import FETCHED, LINK, ORDER, Page, Wish
from tests.agents.fleets import ALONE, LEAD, handing, put_policy
from tests.agents.handing_steps import Job

pytestmark = pytest.mark.integration

ANA = Human("ana@example.com")


@pytest.fixture
def balances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    bank = tmp_path / "bank.db"
    with sqlite3.connect(bank) as opened:
        opened.execute("create table accounts (id text primary key, balance text not null)")
        opened.executemany("insert into accounts values (?, '0')", [("EVE",), ("BO",)])
    monkeypatch.setenv("HANDRAIL_SECRET_BANK", f"sqlite:///{bank}")
    FETCHED.clear()

    def now() -> dict[str, Decimal]:
        with sqlite3.connect(bank) as opened:
            rows = opened.execute("select id, balance from accounts").fetchall()
        return {name: Decimal(str(balance)) for name, balance in rows}

    return now


def carrying(home: Path) -> Fleet:
    def policy(agent: str, actions: dict[str, Any]) -> Path:
        known = {"agent": agent, "version": 1, "owner": "boss@example.com"}
        return put_policy(
            home, known | {"actions": actions, "roles": {"lead": LEAD}, "for": "lead"}
        )

    steps: Sequence[Any] = [carried_steps.fetch, carried_steps.transfer, carried_steps.serve]
    to = [HandsTo("helper", Wish)]
    return Fleet(
        Agent("front", carried_flow.FrontAgent, steps=[], policy=policy("front", {}), hands_to=to),
        Agent(
            "helper",
            carried_flow.HelperAgent,
            steps=steps,
            policy=policy("helper", {"transfer": ALONE | {"irreversible": "it is soon sent back"}}),
        ),
    )


async def handed(stage: Stage, number: str, **said: str) -> str:
    """Why people are asked about what a page has the other agent do."""
    [(way, text)] = said.items()
    page = Page.model_validate({"number": number, "way": way, "page": text})
    await (await stage.start("front", page, requested_by=ANA.address)).outcome()
    return (await stage.case(f"helper:{number}").gate()).why


async def test_words_that_were_handed_on_are_not_those_of_who_asks(
    run_fleet: RunFleet, balances: Any, tmp_path: Path
) -> None:
    async with run_fleet(carrying(tmp_path)) as stage:
        wish = Wish(number="own", request="Send 50 to BO")
        own = await stage.start("helper", wish, requested_by=ANA.address)
        assert (await own.outcome()).status is State.DONE
        why = await handed(stage, "1", request=ORDER)
    assert "it is not in the plan" in why
    assert balances() == {"EVE": 0, "BO": 50}


async def test_what_was_handed_on_is_not_fetched_unasked(
    run_fleet: RunFleet, balances: Any, tmp_path: Path
) -> None:
    async with run_fleet(carrying(tmp_path)) as stage:
        why = await handed(stage, "1", link=LINK)
        # It comes under the key of a case that somebody began before.
        await stage.start("helper", Wish(number="2", link="wait"), requested_by=ANA.address)
        again = await handed(stage, "2", link=LINK)
    assert "a text from outside may have chosen it" in why
    assert again == why
    assert FETCHED == []


async def test_a_value_that_was_handed_on_is_no_parameter_of_a_statement(
    run_fleet: RunFleet, balances: Any, tmp_path: Path
) -> None:
    async with run_fleet(carrying(tmp_path)) as stage:
        assert "nobody knows where its values come from" in await handed(stage, "1", account="EVE")
    assert balances() == {"EVE": 0, "BO": 0}


async def test_what_comes_back_of_a_case_is_as_far_from_outside_as_it_was(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(handing(tmp_path)) as stage:

        async def obeyed(number: str, *parts: str) -> Any:
            then = Job(number=f"P{number}", parts=parts).model_dump(mode="json")
            job = Job(number=number, parts=("obey payer",), then=then)
            return await stage.start("desk", job)

        hostile, own = await obeyed("1", "quote"), await obeyed("2", "plan")
        why = (await hostile.gate()).why
        assert (await own.outcome()).status is State.DONE
    assert why.startswith("action.order, action.amount come from no trusted read")
    assert sorted(outside.effects("pay")) == ["desk:2/pay/1", "payer:P2/pay/1"]
