"""What the words of who asks say, and a call leaves out where it has a field for it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, JsonValue

from handrail import Action, FreeText
from handrail.agent.left_out import left_out
from handrail.agent.wording import PersonWords


class Guest(BaseModel):
    name: str
    mail: str | None = None


class Pay(Action):
    to: str
    amount: Decimal | None = None
    subject: Annotated[str, FreeText] = ""
    copies: tuple[str, ...] = ()
    day: date | None = None
    currency: str = "EUR"
    guests: tuple[Guest, ...] = ()


def found(request: str, *carried: Any, **given: Any) -> list[str]:
    action = Pay.model_validate({"to": "Ann"} | given)
    made = left_out(action, PersonWords(request), [given, *carried])
    return [each.partition(":")[0].removeprefix("action.") for each in made]


@pytest.mark.parametrize(
    ("request_", "given", "held"),
    [
        # A text that they quote.
        ("Pay Ann for 'Car rental'", {}, ["subject", "copies"]),
        ("Pay Ann for 'Car rental'", {"subject": "car rental, as asked"}, []),
        ("Pay Ann for \u201cCar rental\u201d", {"subject": " "}, ["subject", "copies"]),
        ("Pay Ann's bill, and Bo's", {}, []),
        # A field by its name.
        ("Pay Ann, subject: Car rental", {}, ["subject"]),
        ("Pay Ann, with copies to all", {"copies": ["Bo"]}, []),
        ("Pay Ann using the currency of her bill", {}, ["currency"]),
        ("Pay Ann; currency: EUR", {}, []),
        ("Pay Ann what her subjects are worth", {}, []),
        ("Pay Ann on her day, and use my currency", {}, []),
        ("Tell Ann 'the currency is odd'", {"subject": "the currency is odd"}, []),
        ("Pay Ann with a short subject", {}, ["subject"]),
        ("Pay Ann. The subject should be Car rental", {}, ["subject"]),
        # A day: of what is left out, one is as good as another.
        ("Pay Ann tomorrow", {}, ["day"]),
        ("Pay Ann on 2024-05-16", {}, ["day"]),
        ("Pay Ann on Friday", {"day": "2024-05-16"}, []),
        ("Today is 2024-05-15. Pay Ann", {}, []),
        ("Pay Ann who worked for five days, 'on Friday'", {"subject": "on Friday"}, []),
        # A figure.
        ("Pay Ann 2,200.00", {}, ["amount"]),
        ("Pay Ann 2,200.00", {"amount": "2200"}, []),
        ("Pay Ann at 10:30 for 3 hours", {}, []),
        # An address, where the model does not word it itself.
        ("Pay Ann and tell bo@example.com", {}, ["copies"]),
        ("Pay Ann and tell bo@example.com", {"copies": ["bo@example.com"]}, []),
        # Within an object.
        ("Ask Bo: bo@x.com", {"guests": [{"name": "Bo"}], "copies": ["x"]}, ["guests.mail"]),
    ],
)
def test_what_is_said_and_left_out(request_: str, given: dict[str, Any], held: list[str]) -> None:
    assert found(request_, **given) == held


def test_what_another_call_has_is_not_left_out() -> None:
    asked = "Pay Ann 20 with the subject 'Rent', and Bo 5 on 2024-05-16"
    others = {"to": "Bo", "amount": 5, "subject": "Rent", "day": "2024-05-16"}
    assert found(asked, amount=20) == ["subject", "copies", "day"]
    assert found(asked, others, amount=20) == []


def test_a_list_of_addresses_has_all_that_are_said() -> None:
    asked = "Pay Ann, and tell bo@x.com and cy@x.com; see www.x.com"
    assert found(asked, copies=["bo@x.com", "cy@x.com"]) == []
    assert found(asked, copies=["bo@x.com"]) == ["copies"]
    assert found(asked, {"copies": ["cy@x.com"]}, copies=["bo@x.com"]) == []
    assert found(asked, copies=["urgent"]) == []
    # The text that tells of it has it as well.
    assert found(asked, copies=["bo@x.com"], subject="for cy@x.com") == []


class Loose(Action):
    to: str
    more: dict[str, JsonValue] | None = None


def test_what_takes_any_json_takes_a_text_too() -> None:
    made = left_out(Loose(to="Ann"), PersonWords("Write to Ann for 'Rent'"), [])
    assert [*made] == ['action.more: it is left out, and who asks speaks of "Rent"']


def test_each_says_why() -> None:
    made = left_out(Pay(to="Ann"), PersonWords("Pay Ann for 'Rent', with that currency"), [])
    assert [*made] == [
        'action.subject: it is left out, and who asks speaks of "Rent"',
        'action.copies: it is left out, and who asks speaks of "Rent"',
        "action.currency: it is left out, and who asks speaks of its currency",
    ]
