"""Orders of people to agents: a stop, its lifting, and how much an agent may do by itself.

What an order says, who may give it, and what all of them come to. Pure: orders, signatures and
policy in, a judgement out. The direction decides what an order takes. Whatever lets the agent do
less counts, signed or not, whoever gave it: a stop, a lower level, what a breaker does. Whatever
lets it do more counts only with the signatures of the people whom the policy names for that
(`control:`), of two different ones where it says so.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from uuid import uuid4

from pydantic import AfterValidator, Field, ValidationError, model_validator

from handrail.actions import WHOLE, Aware, LedgerMark, Level, Wire, Words, person
from handrail.exceptions import InvalidRequest
from handrail.ledger import FLEET, OrderRow
from handrail.oversight.keys import TrustedKey
from handrail.oversight.signatures import ORDER_STATEMENT, NotProven, stated_by_name
from handrail.policy import Setting
from handrail.text import first_fault, moment_in_words

if TYPE_CHECKING:
    from handrail.policy import Policy

Keys = Mapping[str, TrustedKey]
Required = Literal["required", "unproven"]

ALL = "fleet"
"""How people write that an order is for every agent."""

RESERVED = ("autonomy", "messages", "rollout", ALL, FLEET)
"""Names that no agent may have: ids and commands would mean something else."""

Person = Annotated[str, AfterValidator(person), Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Id = Annotated[str, Field(min_length=8, max_length=64, pattern="^[0-9a-zA-Z-]+$")]


_SETTLED = datetime(2200, 1, 1, tzinfo=UTC)
"""A time at which nothing that was taken once has been signed too early."""

_KEPT = ("id", "kind", "agent", "step", "case", "level", "rollout", "by", "at", "why")
"""Fields of an order that are columns in the ledger, too."""


class NoOrder(InvalidRequest):
    """What was sent is no order that can be given. The message says why."""


def _is_none(value: object) -> bool:
    return value is None


class Ramp(Wire):
    """What becomes of a new `build` of a worker `deployment`, for all of its agents.

    `to` shares: it gets these shares of the new cases, one after the other, in hundredths of a
    percent: the last is all, and then it is current. Each lasts until `cases` of it have ended, and
    is looked at `every` so often. `allowed`: the share of bad ones that is allowed, instead of what
    the build before it had. `to` pause, resume, back: of the rollout that is on.
    """

    deployment: Annotated[str, Field(min_length=1, max_length=200)]
    build: Annotated[str, Field(min_length=1, max_length=200)]
    to: Literal["shares", "pause", "resume", "back"]
    shares: Annotated[tuple[Annotated[int, Field(gt=0, le=WHOLE)], ...], Field(max_length=20)] = ()
    cases: Annotated[int, Field(ge=1, le=100_000)] = 20
    every: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = timedelta(
        minutes=1
    )
    allowed: Annotated[int | None, Field(gt=0, lt=WHOLE)] = None

    @model_validator(mode="after")
    def _rises(self) -> Self:
        rising = all(low < high for low, high in pairwise(self.shares))
        if self.to == "shares" and not (rising and self.shares and self.shares[-1] == WHOLE):
            raise ValueError("the shares of a rollout rise, and the last one is 100%")
        return self

    @property
    def raises(self) -> bool:
        """Whether it gives more cases to the new build, which takes those who may allow it."""
        return self.to in {"shares", "resume"}


class Order(Wire):
    """What a person orders. `agent` is `*` for all of them.

    `kind` stop: nothing is written any more, by the agent, by its `step`, or in its `case`.
    `kind` ledger: the agent goes on with the `ledger` of that id, although it is another than
    before, or lacks what was above its `height`.
    `kind` rollout: a new build of the workers gets a share of the new cases, as `ramp` says.
    `kind` lift: the order `lifts` is over. `kind` level: so much the agent, or its `step`, does
    by itself; `rollout`, of `full`: in so many hundredths of a percent of its cases.
    """

    id: Id
    kind: Literal["stop", "lift", "level", "ledger", "rollout"]
    agent: Name
    by: Person
    at: Aware
    step: Name | None = None
    case: Annotated[str, Field(min_length=3, max_length=300)] | None = None
    level: Level | None = None
    rollout: Annotated[int, Field(ge=0, le=WHOLE)] | None = None
    lifts: Id | None = None
    # What is signed of any other order stays what it was, byte for byte.
    ledger: Annotated[Id | None, Field(exclude_if=_is_none)] = None
    height: Annotated[int | None, Field(ge=0, exclude_if=_is_none)] = None
    ramp: Annotated[Ramp | None, Field(exclude_if=_is_none)] = None
    why: Words = ""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        faults = {
            "stop": self._stop,
            "lift": self._lift,
            "level": self._level,
            "ledger": self._ledger,
            "rollout": self._rollout,
        }
        fault = faults[self.kind]()
        if fault is None and self.kind != "rollout" and self.ramp is not None:
            fault = f"a {self.kind} has no `ramp`"
        if fault is None and self.kind != "ledger" and (self.ledger or self.height is not None):
            fault = f"a {self.kind} has no `ledger` and no `height`"
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

    def _ledger(self) -> str | None:
        if self.ledger is None or self.height is None or self.agent == FLEET:
            return "say in `ledger` and `height` with which one goes on, and for which agent"
        others = (self.step, self.case, self.level, self.rollout, self.lifts)
        return None if others == (None,) * 5 else "it names a `ledger` and its `height`, no more"

    def _level(self) -> str | None:
        if self.level is None or self.lifts is not None or self.case is not None:
            return "a level has `level`, and no `lifts` or `case`"
        if self.agent == FLEET:
            return "a level is of one agent: its policy says who may set it"
        if self.rollout is not None and self.level is not Level.FULL:
            return "only `full` has a `rollout`"
        return None

    def _rollout(self) -> str | None:
        if self.ramp is None or self.agent != FLEET:
            return "say in `ramp` which build gets which shares; it is for every agent (*) of it"
        others = (self.step, self.case, self.level, self.rollout, self.lifts)
        return None if others == (None,) * 5 else "a rollout has a `ramp`, and no more"

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
    return _new(kind="stop", **vars(target), by=by, at=at, why=why)


def lift_order(row: OrderRow, by: str, at: datetime, why: str = "") -> Order:
    """The order that another one is over.

    Raises:
        NoOrder: if it cannot be given.
    """
    return _new(kind="lift", agent=row.agent, lifts=row.id, by=by, at=at, why=why)


def level_order(
    target: Target, level: Level, rollout: int | None, by: str, at: datetime, *, why: str = ""
) -> Order:
    """The order how much an agent, or a step of it, does by itself.

    Raises:
        NoOrder: if it cannot be given.
    """
    return _new(kind="level", **vars(target), level=level, rollout=rollout, by=by, at=at, why=why)


def ledger_order(agent: str, ledger: LedgerMark, by: str, at: datetime, why: str) -> Order:
    """The order that an agent goes on with a ledger as it is.

    Raises:
        NoOrder: if it cannot be given.
    """
    held = {"ledger": ledger.id, "height": ledger.height}
    return _new(kind="ledger", agent=agent, by=by, at=at, why=why, **held)


def rollout_order(ramp: Ramp, by: str, at: datetime, why: str) -> Order:
    """The order that a new build gets a share of the new cases, or what becomes of its rollout.

    Raises:
        NoOrder: if it cannot be given.
    """
    return _new(kind="rollout", agent=FLEET, by=by, at=at, why=why, ramp=ramp)


def _new(**said: Any) -> Order:
    return order_of(said | {"id": uuid4().hex})


def order_of(payload: Mapping[str, Any]) -> Order:
    """An order from its fields.

    Raises:
        NoOrder: if it is none, with the first thing that is wrong.
    """
    try:
        return Order.model_validate(dict(payload))
    except ValidationError as error:
        raise NoOrder(f"this is no order: {first_fault(error)}") from error


def order_row(order: Order, proofs: Sequence[str] = ()) -> OrderRow:
    """How the ledger keeps an order; `proofs`: the signed statements of its givers.

    Raises:
        NoOrder: if it is a lift: none that is kept by itself.
    """
    if order.kind == "lift":
        raise NoOrder("a lift is kept with the order that it ends")
    return OrderRow(**{name: getattr(order, name) for name in _KEPT}, proofs=tuple(proofs))


def order_of_row(row: OrderRow) -> Order | None:
    """What a row says; None if it is no order that could be given."""
    try:
        return order_of({name: getattr(row, name) for name in _KEPT} | {"why": row.why[:1_000]})
    except NoOrder:
        return None


# What is in force


def why_stopped(rows: Sequence[OrderRow], step: str | None, case: str) -> str | None:
    """Why a write is stopped, in words: who, when and why; None if it is not.

    `rows` are those in force for its agent. Signed or not, a stop counts.
    """
    for row in rows:
        of_step = row.step is None or row.step == step
        of_case = row.case is None or row.case == case
        if row.kind == "stop" and row.ended is None and of_step and of_case:
            return stop_in_words(row)
    return None


def stop_in_words(row: OrderRow) -> str:
    """Who stopped what, when and why."""
    why = f": {row.why}" if row.why else ""
    return f"stopped since {moment_in_words(row.at)} by {row.by} ({target_of(row).words}){why}"


def setting_in_force(
    rows: Sequence[OrderRow], step: str, policy: Policy, keys: Keys, proof: Required
) -> Setting | None:
    """How much the agent does of `step` by itself, as orders have it; None if none does.

    The last order for the step or for the whole agent counts. One that lets it do more than
    what was in force before counts only if it is by those who may; else it is as if it were
    not there. `proof`: whether orders must be signed, as the policy or the settings say.
    """
    now, made = policy.of(step).own, None
    mine = (r for r in rows if r.kind == "level" and r.ended is None and r.step in {None, step})
    for row in sorted(mine, key=lambda row: (row.at, row.id)):
        new = asked_setting(row)
        if (
            setting_exceeds(new, now)
            and order_lacks(order_of_row(row), row.proofs, policy, keys, proof) is not None
        ):
            continue
        now = made = new
    return made


def setting_exceeds(one: Setting, other: Setting) -> bool:
    """Whether one setting lets the agent do more than another."""
    if one.level is other.level is Level.FULL:
        return one.rollout > other.rollout
    return one.level.exceeds(other.level)


def asked_setting(order: Order | OrderRow) -> Setting:
    """The setting that an order of a level asks for.

    Raises:
        NoOrder: if it is of another kind.
    """
    if order.level is None:
        raise NoOrder(f"{order.id} sets no level")
    why = f": {order.why}" if order.why else ""
    label = f"set by {order.by} at {moment_in_words(order.at)}{why}"
    return Setting(order.level, WHOLE if order.rollout is None else order.rollout, label)


# Who gave it


def stated_order(text: str, keys: Keys, proof: Required, now: datetime | None = None) -> Order:
    """The order that somebody states: signed, or, where that is allowed, as bare JSON.

    `now`: nobody has seen it before.

    Raises:
        NotProven: if they cannot be shown to, or it must be signed and is not.
        NoOrder: if what they state is none.
    """
    if not text.startswith("{"):
        return order_of(_proven(text, keys, now))
    if proof == "required":
        raise NotProven("it is not signed; give it by `handrail` with your key, or in the inbox")
    try:
        return Order.model_validate_json(text)
    except ValidationError as error:
        raise NoOrder(f"this is no order: {first_fault(error)}") from error


def order_lacks(
    order: Order | None,
    statements: Sequence[str],
    policy: Policy,
    keys: Keys,
    proof: Required,
    *,
    now: datetime | None = None,
    two: bool | None = None,
) -> str | None:
    """What an order that lets the agent do more lacks, in words; None if it counts.

    `statements`: what its givers signed. `two`: whether it takes two different people; as the
    policy says of its level if None.
    """
    if order is None:
        return "it is no order"
    people, faults = _people(order, statements, keys, proof, now)
    may = {person(each) for each in policy.control.people}
    others = sorted(people - may)
    faults += [f"{who} may not turn the autonomy of {policy.agent}" for who in others]
    needed = two if two is not None else order.level in policy.control.two
    missing = (2 if needed else 1) - len(people & may)
    if missing <= 0:
        return None
    named = ", ".join(sorted(may - people)) or "nobody else"
    wanted = "a second person" if people & may else "somebody who may"
    return "; ".join([*faults, f"it takes {wanted}: {named}"])


def waits_for_second(
    order: Order, statements: Sequence[str], policy: Policy, keys: Keys, proof: Required
) -> bool:
    """Whether an order lacks nothing but a second person."""
    people, _ = _people(order, statements, keys, proof, None)
    may = {person(each) for each in policy.control.people}
    return len(people & may) == 1 and len(may) > 1


def order_givers(order: Order, statements: Sequence[str], keys: Keys) -> tuple[str, ...]:
    """Who is shown by a signature to have given an order."""
    return tuple(sorted(_people(order, statements, keys, "required", None)[0]))


def order_proven(people: Collection[str], statements: Sequence[str]) -> bool:
    """Whether it is proven who gave an order: none of them only said who they are."""
    return bool(people) and not any(map(stated_by_name, statements))


def _people(
    order: Order, statements: Sequence[str], keys: Keys, proof: Required, now: datetime | None
) -> tuple[set[str], list[str]]:
    """Who is shown to have given exactly this order, and what is wrong with the rest."""
    people, faults = set[str](), list[str]()
    for text in statements or [""]:
        try:
            stated = stated_order(text or order.model_dump_json(), keys, proof, now)
        except (NotProven, NoOrder) as error:
            faults.append(str(error))
            continue
        if stated.same_as(order):
            people.add(stated.by)
        else:
            faults.append(f"what {stated.by} signed is another order")
    return people, faults


def _proven(text: str, keys: Keys, now: datetime | None) -> Mapping[str, Any]:
    if now is not None:
        return ORDER_STATEMENT.verify(text, keys, now, arriving=True)[0]
    key = keys.get(_kid(text))
    if key is None:
        return ORDER_STATEMENT.verify(text, keys, _SETTLED)[0]  # says what is wrong
    return _seen(text, key.model_dump_json())


@functools.lru_cache(maxsize=1_024)
def _seen(text: str, key: str) -> Mapping[str, Any]:
    """What was signed by exactly this key, as it stands in the keyring: it stays so."""
    trusted = TrustedKey.model_validate_json(key)
    return ORDER_STATEMENT.verify(text, {trusted.kid: trusted}, _SETTLED)[0]


def _kid(text: str) -> str:
    """The key that a signed text names, for looking it up; nothing else of it is believed."""
    head = text.partition(".")[0]
    try:
        header: Any = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        return str(header["kid"])
    except (ValueError, LookupError, TypeError):
        return ""
