"""What a class makes of an amendment: what was signed, or nothing."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from pydantic import BaseModel, Field, field_validator

from handrail import Action, Untrusted
from handrail.actions import Ruling, Verb, Wire
from handrail.agent.escalation import AnswerModel


class Loose(BaseModel):
    city: str = "Wien"


class Pay(Action):
    """Pay."""

    amount: Decimal = Decimal("10.00")
    share: float = 0.5
    iban: str = "DE01"
    order: str = "7"
    names: tuple[str, ...] = ()
    to: Loose = Field(default_factory=Loose)
    note: Untrusted = Untrusted(untrusted="")
    at: str = ""
    limit: int = 5

    @field_validator("amount")
    @classmethod
    def _cents(cls, amount: Decimal) -> Decimal:
        return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)

    @field_validator("iban")
    @classmethod
    def _capitals(cls, iban: str) -> str:
        return iban.upper().strip()

    @field_validator("order")
    @classmethod
    def _short(cls, order: str) -> str:
        return order.lstrip("0")

    @field_validator("names")
    @classmethod
    def _sorted(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(names)[:2])

    @field_validator("limit")
    @classmethod
    def _most(cls, limit: int) -> int:
        return min(limit, 500)


def reading(action: dict[str, Any]) -> Any:
    ruling = Ruling(gate="g", digest="0" * 64, by="ana@example.com", action=action)
    return AnswerModel(Pay).reading(Verb.AMEND, ruling)


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"amount": "10.005"}, 'amount would be "10.01", and not "10.005"'),
        ({"amount": 9007199254740993, "share": 9007199254740993}, "share would be"),
        ({"share": "0.1234567890123456789"}, "share would be 0.1234"),
        ({"iban": "de01"}, 'iban would be "DE01", and not "de01"'),
        ({"order": "007"}, 'order would be "7", and not "007"'),
        ({"names": ["a", "b", "c"]}, "names would be"),
        ({"to": {"city": "Rom", "street": "1"}}, "to.street is left out"),
        ({"limit": 600}, "limit would be 500, and not 600"),
    ],
)
def test_an_amendment_of_which_its_class_makes_another_is_refused(
    sent: dict[str, Any], says: str
) -> None:
    read = reading(sent)
    assert read.action is None
    assert "makes another one of it" in read.fault
    assert says in read.fault


@pytest.mark.parametrize(
    "sent",
    [
        {"amount": 10},
        {"amount": "1e1", "order": "7"},
        {"amount": "10.0", "share": 1},
        {"iban": "DE01 "},
        {"names": ["b", "a"]},
        {"note": "x"},
        {"note": {"untrusted": "x"}, "to": {}},
        {"limit": "5"},
        {"at": "2026-01-01T10:00:00+01:00"},
    ],
)
def test_another_spelling_of_it_is_none(sent: dict[str, Any]) -> None:
    read = reading(sent)
    assert read.fault is None
    assert read.action is not None


class Deep(Wire):
    parts: list[Pay]


class Several(Action):
    """Pay several."""

    deep: dict[str, Deep]


def test_it_is_found_however_deep_it_is() -> None:
    action: dict[str, Any] = {"deep": {"x": {"parts": [{"iban": "DE1"}, {"iban": "de2"}]}}}
    ruling = Ruling(gate="g", digest="0" * 64, by="ana@example.com", action=action)
    read = AnswerModel(Several).reading(Verb.AMEND, ruling)
    assert 'deep.x.parts[1].iban would be "DE2"' in str(read.fault)
