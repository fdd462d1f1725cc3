"""An agent before and after a deploy that changes the classes of what it decides, reads and writes.

`BEFORE` and `AFTER` are its steps; a case writes what its event's `what` names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model, field_validator
from temporalio import workflow
from typing_extensions import override

from handrail import (
    Action,
    Agent,
    AgentWorkflow,
    Decision,
    Effect,
    Event,
    Fleet,
    Outcome,
    decide,
    read,
    write,
)
from handrail.actions import as_json
from handrail.testing import Outside
from tests.agents.fleets import LEAD, put_policy

BOOKS: list[Outside] = []
"""The outside system that the writes reach, where they run in a process of their own."""

DONE: list[tuple[str, Any]] = []
"""What the writes were called with."""

UNDONE: list[tuple[str, Any]] = []
"""What their undos were called with."""


class Colour(StrEnum):
    """What there is to choose from."""

    RED = "red"
    BLUE = "blue"


class MoreColours(StrEnum):
    """More to choose from."""

    RED = "red"
    BLUE = "blue"
    GREEN = "green"


class FewerColours(StrEnum):
    """Less to choose from."""

    BLUE = "blue"


class Line(BaseModel):
    """What stands in an order."""

    item: str = "nut"


class NewLine(BaseModel):
    """What stands in an order, with how many of it."""

    item: str = "nut"
    count: int = 1


class Upper(Action):
    """Pay. Its invoices are written in capitals."""

    invoice: str = "a1"

    @field_validator("invoice")
    @classmethod
    def _capitals(cls, invoice: str) -> str:
        return invoice.upper()


class Lower(Action):
    """Pay. Its invoices are written in small letters."""

    invoice: str = "a1"

    @field_validator("invoice")
    @classmethod
    def _small(cls, invoice: str) -> str:
        return invoice.lower()


def action(name: str, **fields: Any) -> type[Action]:
    """A class of an action, with these fields and their defaults."""
    make: Any = create_model
    typed: Any = fields.copy()
    typed |= {n: (type(v), v) for n, v in fields.items() if not isinstance(v, tuple)}
    return make(name, __base__=Action, __module__=__name__, **typed)


@dataclass(frozen=True)
class Change:
    """What a deploy makes of an action, and what comes of a case that waits with it."""

    before: type[Action]
    after: type[Action]
    becomes: str
    beside: type[Action] | None = None
    """What else may be decided on."""


OLD = action("Pay", invoice="a1")
CHANGES = {
    "nothing": Change(OLD, OLD, "done"),
    "a field with a default": Change(OLD, action("Pay", invoice="a1", note=""), "asked"),
    "a field without": Change(OLD, action("Pay", invoice="a1", to=(str, ...)), "amended"),
    "a field less": Change(action("Pay", invoice="a1", note="n"), OLD, "amended"),
    "an optional field": Change(OLD, action("Pay", invoice="a1", note=(str | None, None)), "asked"),
    "another default": Change(action("Pay", days=14), action("Pay", days=30), "done"),
    "another type": Change(action("Pay", count=3), action("Pay", count=Decimal(3)), "asked"),
    "a type that does not fit": Change(action("Pay", count=3), action("Pay", count="3"), "amended"),
    "a rule that it keeps": Change(
        OLD, action("Pay", invoice=(str, Field("a1", max_length=9))), "done"
    ),
    "a rule that it breaks": Change(
        OLD, action("Pay", invoice=(str, Field("a", max_length=1))), "amended"
    ),
    "another name of a field": Change(OLD, action("Pay", bill="a1"), "amended"),
    "an alias": Change(OLD, action("Pay", invoice=(str, Field("a1", alias="from"))), "done"),
    "within": Change(action("Pay", line=Line()), action("Pay", line=NewLine()), "asked"),
    "a validator that lets it be": Change(action("Low", invoice="a1"), Lower, "done"),
    "a validator that changes it": Change(action("Up", invoice="a1"), Upper, "asked"),
    "another name": Change(action("Send", invoice="a1"), action("Settle", invoice="a1"), "done"),
    "another name among several": Change(
        action("Give", invoice="a1"),
        action("Grant", invoice="a1"),
        "done",
        action("Credit", invoice="a1"),
    ),
    "more choices": Change(
        action("Pay", colour=Colour.RED), action("Pay", colour=MoreColours.RED), "done"
    ),
    "fewer choices": Change(
        action("Pay", colour=Colour.RED), action("Pay", colour=FewerColours.BLUE), "amended"
    ),
    "fewer literals": Change(
        action("Pay", kind=(Literal["a", "b"], "a")),
        action("Pay", kind=(Literal["b"], "b")),
        "amended",
    ),
}


class Came(Event):
    """Something came."""

    what: str
    number: str = "1"
    gone: str = "x"

    @property
    @override
    def key(self) -> str:
        return self.number


class NewCame(Event):
    """Something came, by a class that has changed."""

    what: str
    number: str = "1"
    source: str

    @property
    @override
    def key(self) -> str:
        return self.number


class Seen(BaseModel):
    """What was read."""

    stock: int = 3


class NewSeen(BaseModel):
    """What is read by now."""

    stock: str
    place: str


class Why(BaseModel):
    """What it rests on."""

    sure: bool = True


class NewWhy(BaseModel):
    """What it rests on by now."""

    certain: bool


STEPS: dict[str, Any] = {}
"""Those of the code that is deployed."""


def steps(*, after: bool, only: Sequence[str] = ()) -> list[Any]:
    """The steps of the agent, before or after the deploy, or of a deploy of some changes."""
    seen, why = (NewSeen, NewWhy) if after else (Seen, Why)
    came = NewCame if after else Came

    async def look(what: str) -> Any:
        return seen.model_construct()

    look.__annotations__ = {"what": str, "return": seen}
    found: dict[str, Any] = {"look": read(look)}
    for number, (what, change) in enumerate(CHANGES.items()):
        if only and what not in only:
            continue
        kind = change.after if after else change.before
        found |= _steps(number, what, kind, why, came)
    STEPS.clear()
    STEPS.update(found)
    return list(found.values())


def _steps(number: int, what: str, kind: Any, why: Any, came: Any) -> dict[str, Any]:
    other = CHANGES[what].beside
    kinds = kind if other is None else kind | other

    async def choose(event: Any) -> Any:
        return Decision[kinds, why](action=kind(), rationale="so", confidence=1, evidence=why())

    async def mark(action: Any, effect: Effect) -> Any:
        return Seen()

    async def undo(action: Any, effect: Effect) -> Any:
        UNDONE.append((effect.case, action))
        return "undone"

    async def do(action: Any, effect: Effect) -> Any:
        DONE.append((effect.case, action))
        for books in BOOKS:
            await books.do("till", effect.case, as_json(action))
        return "done"

    seen = NewSeen if why is NewWhy else Seen
    returned = {"choose": Decision[kinds, why], "mark": seen, "undo": str, "do": str}
    made: dict[str, Any] = {}
    ways: list[Any] = [
        (choose, decide),
        (mark, write(idempotent=True)),
        (undo, write(idempotent=True)),
        (do, None),
    ]
    for fn, declared in ways:
        declare = declared or write(idempotent=True, undo=made[f"undo {what}"])
        name = fn.__name__
        fn.__name__ = fn.__qualname__ = f"{name}_{number}"
        first = {"event": came} if name == "choose" else {"action": kind, "effect": Effect}
        fn.__annotations__ = first | {"return": returned[name]}
        made[f"{name} {what}"] = declare(fn)
    return made


async def run(agent: AgentWorkflow, event: Any) -> Outcome:
    """Read, write what passes alone, and write what waits for people."""
    await agent.read(STEPS["look"], event.what)
    decision = await agent.decide(STEPS[f"choose {event.what}"], event)
    await agent.write(STEPS[f"mark {event.what}"], decision)
    await agent.write(STEPS[f"do {event.what}"], decision)
    return agent.done()


@workflow.defn(name="ShiftingAgent")
class BeforeAgent(AgentWorkflow):
    """Pays, by the classes of before."""

    undo_window = timedelta(days=1)

    @workflow.run
    async def run(self, came: Came) -> Outcome:
        return await run(self, came)


@workflow.defn(name="ShiftingAgent")
class AfterAgent(AgentWorkflow):
    """Pays, by the classes of after."""

    undo_window = timedelta(days=1)

    @workflow.run
    async def run(self, came: NewCame) -> Outcome:
        return await run(self, came)


def deployed(directory: Path, *, after: bool, only: Sequence[str] = ()) -> Fleet:
    """The fleet of before or after the deploy, with its policy in `directory`."""
    here = steps(after=after, only=only)
    actions: dict[str, Any] = {
        step.name: {"autonomy": "full", "irreversible": "a mark is no loss"}
        if step.name.startswith("mark")
        else {"autonomy": "supervised"}
        for step in here
        if step.posture == "write" and not step.name.startswith("undo")
    }
    document: dict[str, Any] = {
        "agent": "shifting",
        "version": 1,
        "owner": "boss@example.com",
        "for": "lead",
    }
    document["drafter"] = "may approve"
    policy = put_policy(directory, document | {"actions": actions, "roles": {"lead": LEAD}})
    kind: Any = AfterAgent if after else BeforeAgent
    return Fleet(Agent("shifting", kind, steps=here, policy=policy), passthrough=[__name__])
