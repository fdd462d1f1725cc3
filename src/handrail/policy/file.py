"""The parser of policy files: their model, and what is wrong with one whoever its agent is.

A value that does not fit is reported and replaced by one that does,
so that one reading finds the other faults too; a file with faults is never used.
"""

from __future__ import annotations

import functools
import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, Field, StrictInt, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from handrail.actions import Level
from handrail.policy.alerting import AlertsDoc
from handrail.policy.business_hours import Hours
from handrail.policy.document import Doc, needed
from handrail.policy.rule_types import nearest
from handrail.policy.values import (
    STUCK_AFTER,
    Caps,
    Day,
    Days,
    Duration,
    Fields,
    Names,
    Person,
    Positive,
    Reason,
    Share,
    TimeOfDay,
    Trips,
    Watch,
    Within,
    Zone,
    share,
    shown,
    wrong,
)
from handrail.policy.worth import WorthDoc
from handrail.policy.yaml import Faults, Loc, parse_yaml

_ROUNDS = 5

Channel = Literal["inbox", "mail", "slack", "key"]
Text = Annotated[str, Field(min_length=1, max_length=2_000)]


class RefuseDoc(Doc):
    """A rule that refuses; in `only`, one without which the write is refused."""

    when: Text = needed("true", "add when: and a condition, such as action.amount > 200")
    why: Text = needed("-", "add why: and the reason in words")


class HoldDoc(RefuseDoc):
    """A rule that holds, and the roles that it asks: each of them, by different people."""

    roles: Names = Field(default=(), alias="for")


class RiskDoc(Doc):
    """The most that any setting may come to, for each class of risk."""

    low: Level | None = None
    medium: Level | None = None
    high: Level | None = None
    critical: Level | None = None


class DuplicatesDoc(Doc):
    """Which fields make a write the same as an earlier one, and for how long."""

    same: Fields = needed(
        None, "add same: and the fields that make it the same, such as [customer, amount]"
    )
    within: Duration = needed(None, "add within: and for how long, such as 7d")


class NormalDoc(Doc):
    """What is learned of an agent's writes, from how many of them, and how far off is odd."""

    learn: Annotated[StrictInt, Field(ge=2, le=100_000)] = 30
    watch: Watch = needed(
        None, "add watch: and what is watched, such as [amount, confidence, rate]"
    )
    z: Positive = Decimal(4)


class ReviewDoc(Doc):
    """Which share of what ran alone is looked at afterwards, and by whom.

    `ramp`: at least so much of it while only a share of the cases runs alone.
    """

    random: Share = 0
    ramp: Share = 0
    unusual: Share = 0
    role: str | None = Field(default=None, alias="for")


def _review(value: object) -> object:
    if isinstance(value, dict):
        return cast("dict[str, object]", value)
    share(value)  # what is wrong with it is said where it stands
    return {"random": value}


_SHARE_OR_DOC = BeforeValidator(_review, json_schema_input_type=Share | ReviewDoc)


class PilotDoc(Doc):
    """When what people did is what the agent proposed: every field is the same, but for `match`.

    `kind`: a field whose values are the classes in which agreement is counted. `wait`: after how
    long a decision of people that has not come in is missing.
    """

    kind: str | None = Field(default=None, alias="class")
    match: dict[str, Within] = Field(default_factory=dict[str, Within])
    wait: Duration = timedelta(days=14)


_RAMP = (500, 2_500, 5_000, 10_000)


class PromoteDoc(Doc):
    """What it takes for an agent to be let do more of one write, in what shares, and back.

    `agreement`: the least that its lower bound comes to, in pilot or as people approve. `wrong`:
    the most that its upper bound comes to, of what runs alone. `reviews`: the most that may wait.
    `caught`: of what was planted. `worse`: by how much it may be worse than before. `watch`: fields
    of the action and the evidence that must not drift.
    """

    agreement: Share = 9_500
    wrong: Share = 200
    cases: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 100
    days: Annotated[StrictInt, Field(ge=0, le=3_650)] = 14
    reviews: Annotated[StrictInt, Field(ge=0, le=100_000)] = 5
    caught: Share = 0
    worse: Share = 100
    watch: tuple[str, ...] = ()
    shares: Annotated[tuple[Share, ...], Field(min_length=1)] = _RAMP


def _promote(value: object) -> object:
    if value is None:
        raise wrong("promote: says nothing", "write promote: {} for what is usual, or remove it")
    return value


_SAYS_WHAT_IT_TAKES = BeforeValidator(_promote, json_schema_input_type=PromoteDoc)


class ActionDoc(Doc):
    """What the agent may do of one write."""

    autonomy: Level = needed(
        "human_led", "add autonomy: full, supervised, human_led, pilot or stop"
    )
    risk: Literal["low", "medium", "high", "critical"] | None = None
    rollout: Share | None = None
    irreversible: Reason | None = None
    role: str | None = Field(default=None, alias="for")
    only: tuple[RefuseDoc, ...] = ()
    refuse: tuple[RefuseDoc, ...] = ()
    hold: tuple[HoldDoc, ...] = ()
    limits: dict[str, Caps] = Field(default_factory=dict[str, Caps])
    duplicates: DuplicatesDoc | None = None
    normal: NormalDoc | None = None
    review: Annotated[ReviewDoc, _SHARE_OR_DOC] | None = None
    mismatch: Literal["incident", "roll back"] = "incident"
    pilot: PilotDoc = PilotDoc()
    promote: Annotated[PromoteDoc | None, _SAYS_WHAT_IT_TAKES] = None
    tools: tuple[str, ...] = ()
    """Of a write that calls what a server lists at run time: those that are not held for that."""


class NotifyDoc(Doc):
    """Whether a notification may go out."""

    allow: bool = needed(stand_in=True, fix="add allow: true or allow: false")


class DeadlineDoc(Doc):
    """How long a role has, and what happens then."""

    after: Duration = needed("1h", "add after: and a time, such as 8h")
    then: Literal["escalate", "refuse"] = needed(
        "refuse", "add then: refuse, or then: escalate with to: and a role"
    )
    to: str | None = None


class HoursDoc(Doc):
    """The business hours of a role."""

    zone: Zone = needed("UTC", "add zone: and a name such as Europe/Berlin")
    days: Days = frozenset(range(5))
    begins: TimeOfDay = needed(
        "09:00", 'add from: and when the day begins, such as "09:00"', alias="from"
    )
    ends: TimeOfDay = needed("17:00", 'add to: and when the day ends, such as "17:00"', alias="to")
    holidays: tuple[Day, ...] = ()

    def hours(self) -> Hours:
        """The same, to reckon with."""
        return Hours(self.zone, self.days, self.begins, self.ends, frozenset(self.holidays))


_DEADLINE = {"after": "1h", "then": "refuse"}


class RoleDoc(Doc):
    """Who may rule and for how much, how many of them it takes, and until when."""

    people: Annotated[tuple[Person, ...], Field(min_length=1)] = needed(
        ["a@b"], "add people: [ana@example.com]"
    )
    quorum: Annotated[StrictInt, Field(ge=1)] = 1
    up_to: Text | None = Field(default=None, alias="up to")
    deputies: tuple[Person, ...] = ()
    lasts: Duration = timedelta(days=7)
    accept: Annotated[tuple[Channel, ...], Field(min_length=1)] | None = None
    hours: HoursDoc | None = None
    clock: Literal["runs", "stops"] = "runs"
    remind: Duration | None = None
    deadline: DeadlineDoc = needed(_DEADLINE, "add deadline: {after: 8h, then: refuse}")


class ControlDoc(Doc):
    """Who may turn an agent's autonomy, and for which levels it takes two of them."""

    people: Annotated[tuple[Person, ...], Field(min_length=1)] | None = None
    two: tuple[Level, ...] = ()


class BreakerDoc(Doc):
    """After what the agent's autonomy is lowered, and to which level."""

    after: Trips = needed(None, "add after: and what trips it, such as 5 refusals per hour")
    then: Level = needed(None, "add then: supervised, human_led, pilot or stop")


class BudgetsDoc(Doc):
    """What the agent's own thinking may cost."""

    tokens: Caps = ()
    cost: Caps = ()


class StuckDoc(Doc):
    """After how long a step that goes on failing is stuck."""

    after: Duration = STUCK_AFTER


class FileDoc(WorthDoc):
    """A whole policy file."""

    agent: Text = needed("-", "add agent: and the name of the agent")
    # A database has no larger whole number; the digits of a whole moment are too many.
    version: Annotated[StrictInt, Field(ge=1, le=2_147_483_647)] = needed(
        1, "add version: 1, and count up with each change"
    )
    owner: Person = needed("a@b", "add owner: and the address of who answers for this agent")
    proof: Literal["required", "unproven"] | None = None
    drafter: Literal["may approve", "may not approve"] = "may not approve"
    planted: Share = 0
    caps: RiskDoc = RiskDoc()
    control: ControlDoc | None = None
    limits: dict[str, Caps] = Field(default_factory=dict[str, Caps])
    budgets: BudgetsDoc = BudgetsDoc()
    breakers: tuple[BreakerDoc, ...] = ()
    stuck: StuckDoc = StuckDoc()
    alerts: AlertsDoc = AlertsDoc()
    role: str | None = Field(default=None, alias="for")
    reads: tuple[str, ...] = ()
    """Tools of servers that list them at run time, of which the owner says that they only read."""
    actions: dict[str, ActionDoc] = needed({}, "list the writes of the agent below actions:")
    notify: dict[str, NotifyDoc] = Field(default_factory=dict[str, NotifyDoc])
    roles: Annotated[dict[str, RoleDoc], Field(min_length=1)] = needed(
        {"-": {"people": ["a@b"], "deadline": _DEADLINE}},
        "add roles: with the people who may be asked",
    )


_EXPECTED = {
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "dict_type": "write keys below it",
    "less_than_equal": "write a smaller number",
    "int_type": "write a whole number",
    "model_type": "write keys below it",
    "string_too_long": "write less",
    "string_too_short": "write something",
    "string_type": "write text, in quotes if it is a number",
    "too_short": "name at least one",
    "tuple_type": "write a list: put it in [ ]",
}


def read_policy_file(text: str, faults: Faults) -> FileDoc | None:
    """The file as a model. Usable only if `faults` stays empty; None if it cannot be read."""
    data = parse_yaml(text, faults)
    return _validated(data, faults) if data is not None else None


@functools.lru_cache(maxsize=200)
def known_policy(text: str) -> FileDoc | None:
    """The file as a model, of a text that the ledger keeps: read once for all who look at it."""
    return read_policy_file(text, Faults("policy"))


def _validated(data: dict[str, Any], faults: Faults) -> FileDoc | None:
    for _ in range(_ROUNDS):
        try:
            return FileDoc.model_validate(data)
        except ValidationError as invalid:
            for error in _inmost(invalid.errors()):
                if error["loc"] not in faults.broken:
                    faults.broken.add(error["loc"])
                    faults.add(error["loc"], *_words(error))
                _mend(data, error)
    return None


def _inmost(found: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without what a fault of a part has a whole lack: a list of one wrong name is not empty."""
    locs = [error["loc"] for error in found]
    return [
        e
        for e in found
        if not any(len(of) > len(e["loc"]) and of[: len(e["loc"])] == e["loc"] for of in locs)
    ]


def _mend(data: Any, error: ErrorDetails) -> None:
    *above, last = _whole(error["loc"])
    for key in above:
        data = data[key]
    stand_in = _stand_in((*above, last))
    if error["type"] == "extra_forbidden" or stand_in is None:
        data.pop(last, None)
    else:
        data[last] = stand_in


def _whole(loc: Loc) -> Loc:
    """What is left out for a fault: the whole part that guards, where it is in one."""
    match loc:
        case ("actions", _, "only" | "duplicates" | "normal" | "review" | "pilot" | "promote", *_):
            return loc[:3]
        case ("value" | "prices", *_) | ("metrics", _, *_):
            return loc[: 2 if loc[0] == "metrics" else 1]
        case ("alerts", _, *_):
            return loc[:2]
        case ("caps" | "control" | "budgets" | "breakers" | "stuck", *_):
            return loc[:1]
        case _:
            return loc


def _stand_in(loc: Loc) -> Any:
    match loc:
        case (*_, "people" | "deputies" as who, int() as position):
            return f"{who}{position}@b"
        case (*_, "holidays", int()):
            return "2000-01-01"
        case (*_, "accept", int()):
            return "inbox"
        case ("actions" | "notify" | "roles", _) | (*_, "refuse" | "hold", int()):
            needed = _fields(loc).items()
            return {key: each.examples[0] for key, each in needed if each.examples}
        case _:
            known = _fields(loc[:-1]).get(str(loc[-1]))
            return known.examples[0] if known and known.examples else None


def _words(error: ErrorDetails) -> tuple[str, str]:
    """What is wrong, and the fix."""
    *above, last = error["loc"]
    where = f" of {_dotted(above)}" if above else ""
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "extra_forbidden":
        return f"{last} is not a key{where or ' of a policy'}", nearest(str(last), _fields(above))
    if kind == "missing":
        what = f"{last} is missing{' in ' + _dotted(above) if above else ''}"
        return what, _fields(above)[str(last)].description or ""
    if kind == "policy":
        return f"{_dotted(error['loc'])}: {context['what']}", str(context["fix"])
    if kind in {"literal_error", "enum"}:
        choices = re.findall(r"'([^']+)'", str(context["expected"]))
        what = f"{shown(given)} is not a value of {_dotted(error['loc'])}"
        return what, nearest(str(given), choices)
    what = f"{_dotted(error['loc'])}: {shown(given)} does not belong here"
    if kind == "greater_than_equal":
        return what, f"write {context['ge']} or more"
    return what, _EXPECTED.get(kind, "correct it")


def _dotted(loc: Loc | list[str | int]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in loc).lstrip(".")


def _fields(loc: Loc | list[str | int]) -> dict[str, FieldInfo]:
    """The keys that may stand at a place, as the models have them."""
    found, keys = _keys(FileDoc), iter(loc)
    for key in keys:
        kind = found[str(key)].annotation if key in found else None
        model = _model_in(kind)
        found = _keys(model) if model is not None else {}
        if get_origin(kind) in {dict, tuple}:
            next(keys, None)  # the name of an entry, or the position in a list
    return found


def _keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_in(kind: Any) -> type[BaseModel] | None:
    """The model in a type such as `tuple[Model, ...] | None`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next(filter(None, map(_model_in, get_args(kind))), None)
