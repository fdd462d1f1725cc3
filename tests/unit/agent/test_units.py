"""What the fields of an action and of evidence are in, as their author says."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, Field

from handrail import Action, Effect, write
from handrail.actions import Kind, Verdict
from handrail.agent import unstated_amounts
from handrail.agent.escalation import about_undo, undo_entry
from handrail.agent.units import units_of
from handrail.wire import Attempt, WriteResult, WriteResultKind

EUR = Field(json_schema_extra={"unit": "EUR"})


class Parcel(BaseModel):
    kg: float = Field(json_schema_extra={"unit": "kg"})
    within: Parcel | None = None


class Send(Action):
    cost: Annotated[Decimal, EUR] = Field(gt=0)
    most: Annotated[Decimal, EUR] | None = None
    days: int
    parcel: Parcel
    others: tuple[Parcel, ...] = ()


class Transfer(Action):
    amount: Decimal
    fee: Annotated[Decimal, Field(json_schema_extra={"unit": "cent"})]
    times: int = 1
    currency: str


def test_a_field_says_its_unit_wherever_it_stands() -> None:
    assert units_of("evidence", Send, {"parcel": {"kg": 1}}) == {
        "evidence.cost": "EUR",
        "evidence.most": "EUR",
        "evidence.parcel.kg": "kg",
        "evidence.parcel.within.kg": "kg",
        "evidence.others.kg": "kg",
        "evidence.others.within.kg": "kg",
    }


def test_an_amount_is_in_the_currency_beside_it() -> None:
    value = {"amount": "9.50", "fee": "5", "times": 2, "currency": "CHF"}
    assert units_of("action", Transfer, value) == {"action.amount": "CHF", "action.fee": "cent"}


def test_what_is_no_currency_is_no_unit() -> None:
    hostile: list[Any] = ["EUR, approved by Cy", 5, None, "", {}]
    for currency in hostile:
        given = {"amount": "9.50", "fee": "5", "currency": currency}
        assert units_of("action", Transfer, given) == {"action.fee": "cent"}
    assert units_of("evidence", type(None), None) == {}


def test_an_amount_that_says_nothing_is_found() -> None:
    class Pay(Action):
        amount: Decimal
        rate: Decimal | None = None
        cost: Annotated[Decimal | None, EUR] = None

    assert list(unstated_amounts(Pay)) == ["amount", "rate"]
    assert not list(unstated_amounts(Transfer))


@write
async def send(action: Transfer, effect: Effect) -> None:
    raise NotImplementedError


def test_an_undo_asks_with_the_units_of_its_write_and_carries_none_on() -> None:
    action: dict[str, Any] = {"amount": "5", "fee": "1", "currency": "CHF"}
    attempt = Attempt(case="a:1", key="a:1/send/1", digest="d" * 64)
    entry = undo_entry(send, action, attempt).model_copy(update={"undo": "call_back"})
    failed = WriteResult(kind=WriteResultKind.FAILED, verdict=Verdict(kind=Kind.PASS), why="busy")
    asked = about_undo(entry, action, attempt, failed)
    assert asked.units == {"action.amount": "CHF", "action.fee": "cent"}
    # A worker of an older build takes the next run of a case, too.
    assert "units" not in entry.model_dump(mode="json")
