"""What the engine and the door exchange, and what a limit is: never a user's business.

As in `handrail.actions`, a field may be added with a default; none may be renamed, removed or
given another meaning.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, Literal, cast

from pydantic import (
    BaseModel,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    field_serializer,
)
from typing_extensions import TypeVar

from handrail.actions import (
    Basis,
    Decision,
    HandedCase,
    LedgerMark,
    Receipt,
    Ruling,
    RulingRecord,
    Undoes,
    Verdict,
    Wire,
    as_json,
)
from handrail.text import fit_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_READERS: dict[Any, Callable[..., Any]] = {
    kind: TypeAdapter(kind).validate_json
    for kind in (Any, NoneType, bool, int, float, str, dict[str, Any])
}


def json_reader(kind: Any) -> Callable[..., Any]:
    """What reads JSON as a type: a model's own, or that of a `TypeAdapter`.

    Kept only for types that hold no class of an agent's: each sandbox makes those anew.
    """
    with contextlib.suppress(TypeError):  # not every type can be looked up
        if (known := _READERS.get(kind)) is not None:
            return known
    return getattr(kind, "model_validate_json", None) or TypeAdapter(kind).validate_json


def build_models() -> None:
    """Build every model of Handrail's that waits for it: a worker does so before its first case.

    Within a workflow it would be built in the sandbox, and in the time of a workflow task.
    """
    found: list[type[BaseModel]] = [BaseModel]
    for each in found:  # grows as it goes: those that others are made of come first
        found += each.__subclasses__()
        if each.__module__.startswith("handrail."):
            each.model_rebuild()


@dataclass(frozen=True)
class Limit:
    """At most `cap` in `window`: of the action's `field`, summed, or of writes if None.

    `per`: for each value of this field (`action.customer`, `evidence.vip`) by itself; `number`:
    it is one. `unit`: only of writes whose field `currency` has it. `whole`: over all writes of
    the agent.
    """

    field: str | None
    cap: Decimal
    window: timedelta
    text: str
    per: str | None = None
    number: bool = False
    unit: str | None = None
    whole: bool = False


@dataclass(frozen=True)
class Duplicates:
    """A write that is the same as an earlier one in all `fields`, within `within`, is held.

    `fields` as `Limit.per` has them; `numbers` are those among them that are numbers.
    """

    fields: tuple[str, ...]
    within: timedelta
    numbers: frozenset[str] = frozenset()


class RulingReading(Wire):
    """What a class of the agent's makes of an amendment or an answer: the action, or its `fault`.

    It comes back from an activity as it went, so that it is kept: the class may change.
    """

    fault: str | None = None
    action: dict[str, JsonValue] | None = None


class ProofRequest(Wire):
    """What an activity shall prove: rulings on one gate, each with its verb.

    `roles` are those asked so far; `seats` says who rules in whose place by a delegation.
    `readings`: of each ruling, or none at all.
    """

    case: str
    gate: str
    step: str
    action: dict[str, JsonValue]
    digest: str
    kind: str
    basis: Basis | None = None
    requester: str | None = None
    drafters: tuple[str, ...] = ()
    askers: tuple[str, ...] = ()
    planted: bool = False
    roles: tuple[str, ...] = ()
    seats: dict[str, str] = Field(default_factory=dict[str, str])
    rulings: tuple[tuple[str, Ruling], ...]
    readings: tuple[RulingReading | None, ...] = ()


class ProofResult(Wire):
    """Whether one ruling is proven and its person entitled, under the policy in force; or why not.

    `stands_for`: the person in whose place they may rule, by a delegation for a time.
    """

    proven: bool
    entitled: bool = True
    why: str = ""
    stands_for: str | None = None
    reading: RulingReading | None = None


class RoleRequest(Wire):
    """Which role an agent's own question asks; without one, the policy's own choice.

    `pilot`: of a case that writes nothing.
    """

    case: str
    role: str
    pilot: bool = False


class ReceiptRequest(Wire):
    """Which write it is whose receipt may have come."""

    case: str
    key: str


class DoubtAnswer(Wire):
    """What a human said of a write in doubt."""

    answer: Literal["happened", "do it"]
    by: str
    token: str
    """Names the very attempt that is in doubt, so that the answer is used once."""
    result: JsonValue = None


class Attempt(Wire):
    """What a workflow asks the door: one write, which one, and what people said of it."""

    case: str
    key: str
    digest: str
    basis: Basis | None = None
    rulings: tuple[RulingRecord, ...] = ()
    requester: str | None = None
    undoes: Undoes | None = None
    doubt: DoubtAnswer | None = None
    drafters: tuple[str, ...] = ()
    """Who wrote this action by amending another."""
    askers: tuple[str, ...] = ()
    """Who asked for it beside the requester, by way of other agents."""
    pilot: bool = False
    """An earlier write of the case was only recorded: so is this one."""
    ordered: bool = False
    """A human ordered this undo: where the ledger has the order too, only a stop of the very step
    forbids it."""
    kind: str | None = None
    """The class of the action: as JSON, two actions with the same fields look alike."""
    unknown_kind: str | None = None
    """As what class it was decided, where there is none of that name any more among several."""
    ledger: LedgerMark | None = None
    """The ledger of the case's last receipt: one that is lower now has gone back in time."""
    sent: datetime | None = None
    """Since when it may have been sent: an earlier activity was not let pass, nor knew of it."""


class WriteResultKind(StrEnum):
    """How the door dealt with an attempt."""

    WRITTEN = "written"
    HELD = "held"
    REFUSED = "refused"
    IN_DOUBT = "in_doubt"
    FAILED = "failed"
    STOPPED = "stopped"
    """A stop is in force: nothing was done, and it may be asked again when the stop is lifted."""
    PILOT = "pilot"
    """Recorded and not done: the agent runs beside the people who do it."""


class WriteResult(Wire):
    """What the door did.

    `why` is set for in_doubt, failed, stopped and pilot; `verdict.asks` says whom to ask.
    `incident`: what reading back a write found wrong, and `roll_back`, whether the policy then
    wants the case undone. `action` and `digest`: what it is about, as the door has it. That may be
    another action than it was given, where its class has changed; people are asked about it then.
    `misfit`: why the class does not take the action at all. `sent`: as in `Attempt`. `fault`: the
    class of the error, where the system has not just refused it.
    """

    kind: WriteResultKind
    verdict: Verdict
    receipt: Receipt | None = None
    why: str = ""
    token: str = ""
    incident: str = ""
    roll_back: bool = False
    action: dict[str, JsonValue] | None = None
    digest: str = ""
    misfit: str = ""
    sent: datetime | None = None
    fault: str = ""


D = TypeVar("D", bound=BaseModel)


class DecisionResult(Wire, Generic[D]):
    """A decision with what the door would say of it now, so that a hold costs no round trip.

    The verdict is advice: the door judges again in the moment of the write. `kind` is the
    class of the action: as JSON, two actions with the same fields look alike. `by_name`: the
    decision is written as `as_json` writes; before there was that, it had the aliases.
    """

    decision: D
    digest: str | None = None
    verdict: Verdict | None = None
    kind: str | None = None
    unsourced: tuple[str, ...] = ()
    by_name: bool = False

    @field_serializer("decision")
    def _named(self, decision: D) -> Any:
        if not self.by_name or not isinstance(decision, Decision):
            return decision
        made = cast("Decision[Any, Any]", decision)
        action = None if made.action is None else as_json(made.action)
        rest = made.model_dump(mode="json", exclude={"action", "evidence"})
        return rest | {"action": action, "evidence": as_json(made.evidence)}


class NotifyResult(Wire):
    """What became of a notification: sent, or why not."""

    sent: bool
    why: str = ""
    result: JsonValue = None


class Notice(Wire):
    """Under which key a notification goes out. `pilot`: of a case that writes nothing."""

    case: str
    key: str
    pilot: bool = False


# What agents hand to each other


class HandOffOrigin(Wire):
    """Where a case comes from that was handed on. It stands in the memo of the case.

    `chain`: the cases before it, the first one first. `askers` and `drafters`: who asked for
    these, and who amended what they would write. `outside`: text from outside had come in.
    """

    chain: tuple[str, ...] = ()
    askers: tuple[str, ...] = ()
    drafters: tuple[str, ...] = ()
    outside: bool = False

    @property
    def size(self) -> int:
        """How many characters it has."""
        return sum(map(len, (*self.chain, *self.askers, *self.drafters)))

    def with_more(self, other: HandOffOrigin) -> HandOffOrigin:
        """It with what another one adds: nothing that is known is ever taken away."""

        def both(name: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys((*getattr(self, name), *getattr(other, name))))

        return HandOffOrigin(
            chain=both("chain"),
            askers=both("askers"),
            drafters=both("drafters"),
            outside=self.outside or other.outside,
        )


class HandOffState(Wire):
    """What a case knows of hand-offs: where it comes from, and whom it handed work to.

    `number`: how often it has.
    """

    origin: HandOffOrigin = HandOffOrigin()
    number: int = 0
    cases: tuple[HandedCase, ...] = ()

    def asked(self, requester: str | None) -> bool:
        """Whether anybody is known who may not approve."""
        return requester is not None or bool(self.origin.askers or self.origin.drafters)

    def people(self, attempt: Attempt) -> dict[str, tuple[str, ...]]:
        """Who may not approve an attempt beside those whom it names."""
        known = {"askers": self.origin.askers, "drafters": self.origin.drafters}
        return {
            name: tuple(dict.fromkeys((*getattr(attempt, name), *more)))
            for name, more in known.items()
            if more
        }


class HandOff(Wire):
    """Work that a case hands to the agent `to`. `find`: only look whether it has."""

    case: str
    to: str
    event: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    origin: HandOffOrigin = HandOffOrigin()
    find: bool = False


class HandOffVerdict(Wire):
    """Whether a case may hand work to another agent now, and why not."""

    kind: Literal["pass", "refused", "stopped", "pilot"]
    why: str = ""


class HandOffAnswer(Wire):
    """What became of a hand-off: the other agent's case, or why it was not taken.

    `found`: the case was there already, of something else. `field`: of the event, what is wrong.
    """

    case: str = ""
    found: bool = False
    changed: bool = False
    why: str = ""
    field: str = ""


class HandedLook(Wire):
    """The case whose outcome is waited for. `ended`: to its very end, whatever may be undone."""

    case: str
    ended: bool = False


# What is made fit for it

_LARGEST = 10**4_000
"""Readers of JSON refuse longer numbers: they would take for ever."""

_FIT = {NoneType, bool, Decimal, date, datetime, timedelta}


def fit(value: Any) -> Any:
    """A value made fit for JSON: all its texts by `fit_text`, and None for what is no number.

    It is the very same value if nothing in it had to be changed.

    Raises:
        ValueError: if it cannot be made fit, with what and why.
    """
    if type(value) in _FIT:
        return value
    if isinstance(value, str):
        return fit_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not -_LARGEST < value < _LARGEST:
        raise ValueError("a number of more than 4,000 digits, which no reader of JSON takes")
    if isinstance(value, dict):
        return _fit_dict(cast("dict[Any, Any]", value))
    if isinstance(value, list | tuple | set | frozenset):
        return _fit_items(value)
    if isinstance(value, BaseModel):
        changed = _changed({**value.__dict__, **(value.__pydantic_extra__ or {})})
        for name in (name for name, new in changed.items() if new is None):
            _require_optional(value, name)
        return value.model_copy(update=changed) if changed else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = _changed({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
        return dataclasses.replace(value, **changed) if changed else value
    return value


def _fit_items(value: Any) -> Any:
    if all(map(_is_plain, value)):
        return value
    made = [fit(item) for item in value]
    if all(new is old for new, old in zip(made, value, strict=True)):
        return value
    return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)


def _fit_dict(value: dict[Any, Any]) -> dict[Any, Any]:
    items = [(fit(key), fit(item)) for key, item in value.items()]
    if all(k is key and v is value[key] for (k, v), key in zip(items, value, strict=True)):
        return value
    if len(dict(items)) != len(value):
        raise ValueError("two keys that differ only in what JSON does not hold")
    return dict(items)


def _changed(fields: Mapping[str, Any]) -> dict[str, Any]:
    made = {name: fit(old) for name, old in fields.items() if not _is_plain(old)}
    return {name: new for name, new in made.items() if new is not fields[name]}


def _is_plain(value: Any) -> bool:
    """Whether it is fit as it is, which most values are and this tells at once."""
    if type(value) in _FIT:
        return True
    return type(value) is str and value.isascii() and "\x00" not in value


def _require_optional(model: BaseModel, name: str) -> None:
    """See that a field may be None, as what is no number becomes in JSON."""
    field = type(model).model_fields.get(name)
    kind: Any = Any if field is None else field.annotation
    try:
        TypeAdapter[Any](kind).validate_python(None)
    except ValidationError:
        raise ValueError(
            f"{type(model).__name__}.{name} is {getattr(model, name)}, which JSON does not hold"
        ) from None
