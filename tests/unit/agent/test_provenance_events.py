"""What of an event with text from outside is trusted, and which answers about it rules take."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from typing_extensions import override

from handrail import Action, Classified, Decision, Event, Untrusted, decide
from handrail.agent import source_finding
from handrail.agent.provenance import unsourced
from handrail.exceptions import StepError

KEYS: dict[str, Callable[[Any], str]] = {
    "number": lambda it: it.number,
    "numbered": lambda it: f"ticket-{it.number}",
    "of a shop": lambda it: f"{it.shop}/{it.count}",
    "text": lambda it: it.body.text,
    "part": lambda it: it.body.text[4:9],
    "slug": lambda it: "-".join(it.body.text.split()).upper(),
    "both": lambda it: f"{it.number}-{it.body.text[:3]}",
    "subject": lambda it: f"{it.number}:{it.subject.text}",
    "broken": lambda it: it.nothing,
}


class Ticket(Event):
    number: str
    shop: str = "north"
    count: int = 7
    kind: str = "number"
    subject: Untrusted = Untrusted(untrusted="T9")
    body: Untrusted

    @property
    @override
    def key(self) -> str:
        return KEYS[self.kind](self)


class SetStatus(Action):
    ticket: str
    shop: str = "north"


class Urgency(Enum):
    LOW = "low"
    HIGH = "high"


MEASURED = Classified(wrong=3, of=400)


class Found(BaseModel):
    urgency: Annotated[Literal["low", "high"] | None, MEASURED] = None
    topics: Annotated[list[Literal["late", "broken"]], MEASURED] = []
    grade: Annotated[Urgency, MEASURED] = Urgency.LOW
    angry: Annotated[bool, MEASURED] = False
    said: str = ""
    loud: Literal["low", "high"] = "low"


@decide
async def label(ticket: Ticket) -> Decision[SetStatus, Found]:
    """Stand in for a model."""
    raise NotImplementedError


@decide
async def label_mail(mail: Ticket) -> Decision[SetStatus, Found]:
    """Stand in for a model that names its argument otherwise."""
    raise NotImplementedError


def event(kind: str = "number", body: str = "Set ticket 12 to done, north T1!") -> Ticket:
    return Ticket(number="T1", kind=kind, body=Untrusted(untrusted=body))


def lacking(ticket: Ticket, named: str, step: Any = label, **evidence: Any) -> tuple[str, ...]:
    made = Decision[SetStatus, Found](
        action=SetStatus(ticket=named), rationale="", confidence=1, evidence=Found(**evidence)
    )
    found = unsourced(step, [ticket], made)
    return tuple(each for each in found if each not in {"evidence.loud", "evidence.said"})


@pytest.mark.parametrize("kind", ["number", "numbered", "of a shop"])
def test_the_key_of_an_event_is_trusted_beside_a_text_from_outside(kind: str) -> None:
    ticket = event(kind, "Please!")
    for step in (label, label_mail):  # by its class, or by its parameter
        assert lacking(ticket, ticket.key, step) == ()
    assert lacking(ticket, "T2") == ("action.ticket",)


def test_also_where_the_text_repeats_it() -> None:
    assert lacking(event(), "T1") == ()


@pytest.mark.parametrize("kind", ["text", "part", "slug", "both", "subject"])
def test_a_key_that_a_text_from_outside_has_made_is_not(kind: str) -> None:
    ticket = event(kind)
    assert lacking(ticket, ticket.key)[0].partition(":")[0] == "action.ticket"


def test_a_key_that_cannot_be_made_is_none() -> None:
    assert lacking(event("broken"), "T2") == ("action.ticket",)


@given(st.text(min_size=1), st.integers(0, 9), st.integers(1, 9))
def test_whatever_stands_in_a_text_from_outside_makes_no_key(text: str, at: int, end: int) -> None:
    part = text[at : at + end]
    ticket = event(body=text).model_copy(update={"kind": "part"})
    KEYS["part"] = lambda _: part
    words = set(re.findall(r"[^\W_]+", part.casefold()))
    if words - {"t1", "north", "7"}:  # those are trusted fields of it
        assert lacking(ticket, part) != () or part in {"number", "part"}


def test_a_value_without_a_source_says_where_it_stands() -> None:
    [why] = lacking(event(), "north")
    assert why == "action.ticket: it is the shop of Ticket; fix: say so by From(Ticket, 'shop')"


ANSWERS: list[dict[str, Any]] = [
    {"urgency": "high"},
    {"topics": ["late", "broken"]},
    {"grade": Urgency.HIGH},
    {"angry": True},
]


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_a_rule_relies_on_a_closed_answer_that_was_measured(answer: dict[str, Any]) -> None:
    [name] = answer
    assert [e for e in lacking(event(), "T1", **answer) if name in e] == []


@pytest.mark.parametrize(
    ("name", "answer"), [("said", {"said": "high"}), ("loud", {"loud": "high"})]
)
def test_and_on_none_that_is_open_or_was_not_measured(name: str, answer: dict[str, Any]) -> None:
    made = Decision[SetStatus, Found](
        action=SetStatus(ticket="T1"), rationale="", confidence=1, evidence=Found(**answer)
    )
    found = unsourced(label, [event()], made)
    assert f"evidence.{name}" in found
    basis = made.basis().model_copy(update={"unsourced": found})
    assert source_finding(basis, [f"evidence.{name}"]) is not None
    assert source_finding(basis, ["evidence.urgency"]) is None


@pytest.mark.parametrize(
    ("wrong", "of", "most"),
    [(0, 400, 0.0075), (3, 400, 0.0193), (100, 100, 1.0), (5, 9000, 0.0012)],
)
def test_the_most_that_it_may_be_wrong(wrong: int, of: int, most: float) -> None:
    assert Classified(wrong=wrong, of=of).at_most == pytest.approx(most, abs=1e-4)


@pytest.mark.parametrize(("wrong", "of"), [(0, 99), (-1, 200), (201, 200)])
def test_what_is_no_measurement_is_refused(wrong: int, of: int) -> None:
    with pytest.raises(StepError, match="fix: look at 100"):
        Classified(wrong=wrong, of=of)


@pytest.mark.parametrize("answer", [str, list[str], int | None, dict[str, bool]])
def test_an_answer_that_is_open_cannot_be_declared_as_classified(answer: Any) -> None:
    said = Annotated[answer, MEASURED]
    evidence = type("Said", (BaseModel,), {"__annotations__": {"said": said}})

    async def tell(ticket: Ticket) -> Any:
        raise NotImplementedError

    tell.__annotations__["return"] = Decision[SetStatus, evidence]
    with pytest.raises(StepError, match="closed set"):
        decide(tell)
