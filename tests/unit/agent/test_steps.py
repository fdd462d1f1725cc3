"""Steps: what a declaration says, and every declaration that is refused."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from handrail import Action, Decision, Effect, NoEvidence, StepError, decide, notify, read, write
from handrail.agent.steps import LOCAL_LIMIT, Posture, decided_type
from handrail.wire import DecisionResult


class Pay(Action):
    """Pay."""

    amount: int


class Ship(Action):
    """Ship."""


class Facts(BaseModel):
    """Evidence."""

    stock: int


@read
async def look(order: str, depth: int = 3) -> list[str]:
    """Look at an order. And more.

    More still.
    """
    return [order] * depth


@decide(timeout=timedelta(minutes=2))
async def choose(order: str) -> Decision[Pay | Ship, Facts]:
    raise NotImplementedError


@write(idempotent=True)
async def refund(action: Pay, effect: Effect) -> str:
    """Give it back."""
    return effect.key


@write(undo=refund)
async def pay(action: Pay, effect: Effect) -> str:
    """Pay."""
    return effect.key


def test_a_step_says_what_it_is() -> None:
    assert (look.name, look.posture, look.summary) == (
        "look",
        Posture.READ,
        "Look at an order. And more",
    )
    assert look.local
    assert look.returns == list[str]
    assert (choose.posture, choose.local, choose.summary) == (Posture.DECIDE, False, "choose")
    assert (choose.actions, choose.evidence) == ((Pay, Ship), Facts)
    assert decided_type(choose) is DecisionResult[Decision[Pay | Ship, Facts]]
    assert (pay.action, pay.undo, pay.idempotent, pay.local) == (Pay, refund, False, False)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"timeout": LOCAL_LIMIT}, True),
        ({"timeout": LOCAL_LIMIT + timedelta(microseconds=1)}, False),
        ({"timeout": timedelta(hours=1), "local": True}, True),
        ({"timeout": timedelta(seconds=1), "local": False}, False),
    ],
)
def test_a_short_step_is_local_unless_it_says_otherwise(
    options: dict[str, Any], *, wanted: bool
) -> None:
    @read(**options)
    async def step() -> None: ...

    assert step.local is wanted


def test_arguments_are_bound_in_order_with_their_defaults() -> None:
    assert look.bind("1") == ["1", 3]
    assert look.bind(depth=5, order="1") == ["1", 5]
    with pytest.raises(TypeError):
        look.bind()  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        look.bind("1", 2, 3)  # pyright: ignore[reportCallIssue]


async def test_a_read_can_be_called_like_the_function_it_is() -> None:
    assert await look("a", depth=2) == ["a", "a"]


@pytest.mark.parametrize("step", [pay, refund])
def test_a_write_cannot_be_called_past_the_door(step: Any) -> None:
    with pytest.raises(TypeError, match="not callable"):
        step(Pay(amount=1), Effect(key="k", case="c", step="s"))


def defined(source: str) -> Any:
    """The function that a source defines: type checkers do not let these be written."""
    known: dict[str, Any] = {
        "Pay": Pay,
        "Ship": Ship,
        "Facts": Facts,
        "Effect": Effect,
        "Iterator": Iterator,
        "Decision": Decision,
        "functools": functools,
        "Odd": type("Odd", (), {}),
    }
    exec(source, known)  # noqa: S102  # our own text
    return known["step"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("async def step(order) -> str: ...", "declare the type of `order`"),
        ("async def step(order: str): ...", "declare what it returns"),
        ("def step(order: str) -> Iterator[str]: yield order", "must be an `async def` or a `def`"),
        ("async def step(*orders: str) -> None: ...", "`orders` must be an ordinary parameter"),
        ("async def step(*, order: str) -> None: ...", "`order` must be an ordinary parameter"),
        ("async def step(order: str) -> Odd: ...", "cannot be stored as JSON"),
        ("async def step(order: 'Missing') -> None: ...", "import its types at run time"),
        ("async def step(self, order: str) -> None: ...", "a function of the module"),
        ("step = lambda order: order", "knows? a step by its name"),
        ("step = functools.partial(print, 1)", "must be an `async def` or a `def`"),
        ("@functools.cache\nasync def step(order: str) -> str: ...", "the same coroutine again"),
    ],
)
@pytest.mark.parametrize("declare", [read, notify])
def test_a_step_without_clear_types_is_refused_where_it_is_defined(
    declare: Any, source: str, says: str
) -> None:
    with pytest.raises(StepError, match=says):
        declare(defined(source))


@pytest.mark.parametrize("declare", [read, decide, notify, write])
def test_a_timeout_must_be_positive(declare: Any) -> None:
    with pytest.raises(StepError, match="longer than zero"):
        declare(timeout=timedelta(0))(pay.fn)


@pytest.mark.parametrize(
    "returns",
    [
        *("str", "Decision", "Pay", "list[Decision[Pay, Facts]]"),
        *("Decision[Pay, dict]", "Decision[Pay, object]", "Decision[Pay, int]"),
    ],
)
def test_a_decide_step_must_return_a_decision_of_an_action(returns: str) -> None:
    with pytest.raises(StepError, match="must be declared to return"):
        decide(defined(f"async def step(order: str) -> {returns}: ..."))


@pytest.mark.parametrize(
    "parameters",
    [
        "action: Pay",
        "action: Pay, effect: Effect, more: int",
        "effect: Effect, action: Pay",
        "action: Facts, effect: Effect",
        "action: Pay | Ship, effect: Effect",
        "action: Pay, effect: str",
    ],
)
def test_a_write_takes_exactly_one_action_and_its_effect(parameters: str) -> None:
    with pytest.raises(StepError, match=r"takes exactly `\(action: YourAction, effect: Effect\)`"):
        write(defined(f"async def step({parameters}) -> str: ..."))


async def _find(action: Pay, effect: Effect) -> str | None:
    return None


def test_a_write_is_of_one_kind() -> None:
    with pytest.raises(StepError, match="not both"):
        write(idempotent=True, find=_find)(pay.fn)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"find": _find}, "settles=timedelta"),
        ({"find": _find, "settles": timedelta(seconds=-1)}, "not negative"),
        ({"idempotent": timedelta(0)}, "how long a key is known"),
        ({"take_over": "never"}, "one of wait, ask"),
    ],
)
def test_how_doubt_is_dealt_with_is_said_whole(options: dict[str, Any], said: str) -> None:
    with pytest.raises(StepError, match=said):
        write(**options)(pay.fn)


def test_a_key_that_ends_may_be_looked_for_too() -> None:
    day = timedelta(hours=24)
    step = write(idempotent=day, find=_find, settles=timedelta(0))(pay.fn)
    assert (step.idempotent, step.keeps) == (True, day)


def test_an_undo_takes_the_action_that_it_undoes() -> None:
    with pytest.raises(StepError, match="takes Pay, not Ship"):
        write(undo=refund)(defined("async def step(action: Ship, effect: Effect) -> str: ..."))


def test_a_decision_without_evidence_says_so() -> None:
    decision = Decision[Pay, NoEvidence](
        action=None, rationale="nothing", confidence=0, evidence=NoEvidence()
    )
    assert decision.basis().evidence == {}
