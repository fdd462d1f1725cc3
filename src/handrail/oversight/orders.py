"""Orders of people to agents: a stop, its lifting, and how much an agent may do by itself.

An order is signed by whoever gives it, or, of a stop, is taken without: stopping is the safe
direction. Here is only what an order says; whether its giver may say so is asked of the policy,
in `handrail.oversight.control`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import uuid4

from pydantic import AfterValidator, Field, ValidationError, model_validator

from handrail.actions import WHOLE, Aware, Level, Wire, person
from handrail.exceptions import InvalidRequest
from handrail.ledger import FLEET, OrderRow

ALL = "fleet"
"""How people write that an order is for every agent."""

RESERVED = ("autonomy", "messages", ALL, FLEET)
"""Names that no agent may have: ids and commands would mean something else."""

Person = Annotated[str, AfterValidator(person), Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Id = Annotated[str, Field(min_length=8, max_length=64, pattern="^[0-9a-zA-Z-]+$")]


class NoOrder(InvalidRequest):
    """What was sent is no order that can be given. The message says why."""


class Order(Wire):
    """What a person orders. `agent` is `*` for all of them.

    `kind` stop: nothing is written any more, by the agent, by its `step`, or in its `case`.
    `kind` lift: the order `lifts` is over. `kind` level: so much the agent, or its `step`, does
    by itself; `rollout`, of `full`: in so many hundredths of a percent of its cases.
    """

    id: Id
    kind: Literal["stop", "lift", "level"]
    agent: Name
    by: Person
    at: Aware
    step: Name | None = None
    case: Annotated[str, Field(min_length=3, max_length=300)] | None = None
    level: Level | None = None
    rollout: Annotated[int, Field(ge=0, le=WHOLE)] | None = None
    lifts: Id | None = None
    why: str = Field(default="", max_length=1_000)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        faults = {"stop": self._stop, "lift": self._lift, "level": self._level}
        fault = faults[self.kind]()
        if fault is not None:
            raise ValueError(fault)
        return self

    def _stop(self) -> str | None:
        if self.level is not None or self.rollout is not None or self.lifts is not None:
            return "a stop has no `level`, `rollout` or `lifts`"
        if self.step is not None and self.case is not None:
            return "a stop is of a step or of a case, not of both"
        if self.agent == FLEET and (self.step is not None or self.case is not None):
            return "a stop of all agents names no `step` and no `case`"
        if self.case is not None and not self.case.startswith(f"{self.agent}:"):
            return f"{self.case} is no case of {self.agent}"
        return None

    def _lift(self) -> str | None:
        if self.lifts is None:
            return "say in `lifts` the id of the order that is over"
        others = (self.step, self.case, self.level, self.rollout)
        return None if others == (None,) * 4 else "a lift names the order in `lifts`, and no more"

    def _level(self) -> str | None:
        if self.level is None or self.lifts is not None or self.case is not None:
            return "a level has `level`, and no `lifts` or `case`"
        if self.agent == FLEET:
            return "a level is of one agent: its policy says who may set it"
        if self.rollout is not None and self.level is not Level.FULL:
            return "only `full` has a `rollout`"
        return None

    def same_as(self, other: Order) -> bool:
        """Whether another person's order says the same, so that both count as one by two."""
        own = {"by": other.by, "at": other.at, "why": other.why}
        return self.model_copy(update=own) == other


@dataclass(frozen=True)
class Target:
    """What an order is for: all agents, one, a step of it, or a case of it."""

    agent: str
    step: str | None = None
    case: str | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """Read `fleet`, `shipments`, `shipments/rebook` or `shipments:AWB-1042`.

        Raises:
            NoOrder: if it is none of them.
        """
        if text in {ALL, FLEET}:
            return cls(FLEET)
        agent, colon, key = text.partition(":")
        if colon:
            return cls(agent, case=text) if agent and key else _nothing(text)
        agent, slash, step = text.partition("/")
        if not agent or (slash and not step):
            return _nothing(text)
        return cls(agent, step=step or None)

    @property
    def words(self) -> str:
        """It as people write it."""
        if self.case is not None:
            return self.case
        if self.agent == FLEET:
            return "every agent"
        return self.agent if self.step is None else f"{self.agent}/{self.step}"


def _nothing(text: str) -> Any:
    raise NoOrder(
        f"{text!r} names nothing: write fleet, an agent (shipments), one of its writes "
        "(shipments/rebook) or a case (shipments:AWB-1042)"
    )


def target_of(row: OrderRow | Order) -> Target:
    """What an order is for."""
    return Target(row.agent, row.step, row.case)


def stop_order(target: Target, by: str, at: datetime, why: str = "") -> Order:
    """The order to stop.

    Raises:
        NoOrder: if it cannot be given.
    """
    return _made(
        kind="stop", agent=target.agent, step=target.step, case=target.case, by=by, at=at, why=why
    )


def lift_order(row: OrderRow, by: str, at: datetime, why: str = "") -> Order:
    """The order that another one is over.

    Raises:
        NoOrder: if it cannot be given.
    """
    return _made(kind="lift", agent=row.agent, lifts=row.id, by=by, at=at, why=why)


def level_order(  # noqa: PLR0917  # a level has these parts
    target: Target, level: Level, rollout: int | None, by: str, at: datetime, why: str = ""
) -> Order:
    """The order how much an agent, or a step of it, does by itself.

    Raises:
        NoOrder: if it cannot be given.
    """
    return _made(
        kind="level",
        agent=target.agent,
        step=target.step,
        case=target.case,
        level=level,
        rollout=rollout,
        by=by,
        at=at,
        why=why,
    )


def _made(**said: Any) -> Order:
    return order_of(said | {"id": uuid4().hex})


def order_of(payload: Mapping[str, Any]) -> Order:
    """An order from its fields.

    Raises:
        NoOrder: if it is none, with the first thing that is wrong.
    """
    try:
        return Order.model_validate(dict(payload))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise NoOrder(f"this is no order: {where}: {said}".replace(": : ", ": ")) from error


def order_row(order: Order, proofs: Sequence[str] = ()) -> OrderRow:
    """How the ledger keeps a stop or a level; `proofs`: the signed statements of its givers.

    Raises:
        NoOrder: if it is a lift, which ends another order and is none that is kept.
    """
    if order.kind == "lift":
        raise NoOrder("a lift is kept with the order that it ends")
    return OrderRow(
        id=order.id,
        kind=order.kind,
        agent=order.agent,
        step=order.step,
        case=order.case,
        level=order.level,
        rollout=order.rollout,
        by=order.by,
        at=order.at,
        why=order.why,
        proofs=tuple(proofs),
    )
