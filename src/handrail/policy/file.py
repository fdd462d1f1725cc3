"""The model of a policy file, and what is wrong with one whoever its agent is.

A value that does not fit is reported and replaced by one that does,
so that one reading finds the other faults too; a file with faults is never used.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictInt, ValidationError
from pydantic_core import ErrorDetails

from handrail.policy.business_hours import Hours
from handrail.policy.clauses import (
    BreakerDoc,
    BudgetsDoc,
    Caps,
    ControlDoc,
    Doc,
    DuplicatesDoc,
    LevelName,
    NormalDoc,
    RefuseDoc,
    Review,
    Risk,
    RiskDoc,
    Text,
    keys_of,
)
from handrail.policy.rules import nearest
from handrail.policy.values import (
    Day,
    Days,
    Duration,
    Names,
    Person,
    Reason,
    Share,
    TimeOfDay,
    Zone,
    shown,
)
from handrail.policy.yaml import Faults, Loc, parse_yaml

_ROUNDS = 5

Channel = Literal["inbox", "mail", "slack", "key"]


class HoldDoc(RefuseDoc):
    """A rule that holds, and the roles that it asks: each of them, by different people."""

    roles: Names = Field(default=(), alias="for")


class ActionDoc(Doc):
    """What the agent may do of one write."""

    autonomy: LevelName
    risk: Risk | None = None
    rollout: Share | None = None
    irreversible: Reason | None = None
    role: str | None = Field(default=None, alias="for")
    only: tuple[RefuseDoc, ...] = ()
    refuse: tuple[RefuseDoc, ...] = ()
    hold: tuple[HoldDoc, ...] = ()
    limits: dict[str, Caps] = Field(default_factory=dict[str, Caps])
    duplicates: DuplicatesDoc | None = None
    normal: NormalDoc | None = None
    review: Review | None = None
    mismatch: Literal["incident", "roll back"] = "incident"


class NotifyDoc(Doc):
    """Whether a notification may go out."""

    allow: bool


class DeadlineDoc(Doc):
    """How long a role has, and what happens then."""

    after: Duration
    then: Literal["escalate", "refuse"]
    to: str | None = None


class HoursDoc(Doc):
    """When the people of a role work."""

    zone: Zone
    days: Days = frozenset(range(5))
    begins: TimeOfDay = Field(alias="from")
    ends: TimeOfDay = Field(alias="to")
    holidays: tuple[Day, ...] = ()

    def hours(self) -> Hours:
        """The same, to reckon with."""
        return Hours(self.zone, self.days, self.begins, self.ends, frozenset(self.holidays))


class RoleDoc(Doc):
    """Who may rule and for how much, how many of them it takes, and until when."""

    people: Annotated[tuple[Person, ...], Field(min_length=1)]
    quorum: Annotated[StrictInt, Field(ge=1)] = 1
    up_to: Text | None = Field(default=None, alias="up to")
    deputies: tuple[Person, ...] = ()
    lasts: Duration = timedelta(days=7)
    accept: Annotated[tuple[Channel, ...], Field(min_length=1)] | None = None
    hours: HoursDoc | None = None
    clock: Literal["runs", "stops"] = "runs"
    remind: Duration | None = None
    deadline: DeadlineDoc


class FileDoc(Doc):
    """A whole policy file."""

    agent: Text
    # A database has no larger whole number; the digits of a whole moment are too many.
    version: Annotated[StrictInt, Field(ge=1, le=2_147_483_647)]
    owner: Person
    proof: Literal["required", "unproven"] | None = None
    drafter: Literal["may approve", "may not approve"] = "may not approve"
    planted: Share = 0
    caps: RiskDoc = RiskDoc()
    control: ControlDoc | None = None
    limits: dict[str, Caps] = Field(default_factory=dict[str, Caps])
    budgets: BudgetsDoc = BudgetsDoc()
    breakers: tuple[BreakerDoc, ...] = ()
    role: str | None = Field(default=None, alias="for")
    actions: dict[str, ActionDoc]
    notify: dict[str, NotifyDoc] = Field(default_factory=dict[str, NotifyDoc])
    roles: Annotated[dict[str, RoleDoc], Field(min_length=1)]


# What stands in for a value that does not fit, until the other faults are found.
_ROLE: dict[str, Any] = {"people": ["a@b"], "deadline": {"after": "1h", "then": "refuse"}}
_HOURS = {"zone": "UTC", "from": "09:00", "to": "17:00"}
_STAND_INS: dict[str, Any] = {
    "actions": {},
    "after": "1h",
    "agent": "-",
    "allow": True,
    "autonomy": "human_led",
    "deadline": _ROLE["deadline"],
    "owner": "a@b",
    "people": ["a@b"],
    "roles": {"-": _ROLE},
    "then": "refuse",
    "version": 1,
    "when": "true",
    "why": "-",
}
_ENTRIES: dict[str, Any] = {
    "actions": {"autonomy": "human_led"},
    "notify": {"allow": True},
    "roles": _ROLE,
}
_NEEDS = {
    "actions": "list the writes of the agent below actions:",
    "after": "add after: and a time, such as 8h",
    "agent": "add agent: and the name of the agent",
    "allow": "add allow: true or allow: false",
    "autonomy": "add autonomy: full, supervised, human_led, pilot or stop",
    "same": "add same: and the fields that make it the same, such as [customer, amount]",
    "watch": "add watch: and what is watched, such as [amount, confidence, rate]",
    "within": "add within: and for how long, such as 7d",
    "deadline": "add deadline: {after: 8h, then: refuse}",
    "from": 'add from: and when the day begins, such as "09:00"',
    "owner": "add owner: and the address of who answers for this agent",
    "people": "add people: [ana@example.com]",
    "roles": "add roles: with the people who may be asked",
    "then": "add then: refuse, or then: escalate with to: and a role",
    "to": 'add to: and when the day ends, such as "17:00"',
    "version": "add version: 1, and count up with each change",
    "when": "add when: and a condition, such as action.amount > 200",
    "why": "add why: and the reason in words",
    "zone": "add zone: and a name such as Europe/Berlin",
}
_BREAKER_NEEDS = {
    "after": "add after: and what trips it, such as 5 refusals per hour",
    "then": "add then: supervised, human_led, pilot or stop",
}
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
    "tuple_type": "write a list, such as [a, b]",
}


def read_policy_file(text: str, faults: Faults) -> FileDoc | None:
    """The file as a model. Usable only if `faults` stays empty; None if it cannot be read."""
    data = parse_yaml(text, faults)
    return _validated(data, faults) if data is not None else None


def _validated(data: dict[str, Any], faults: Faults) -> FileDoc | None:
    for _ in range(_ROUNDS):
        try:
            return FileDoc.model_validate(data)
        except ValidationError as invalid:
            for error in invalid.errors():
                if error["loc"] not in faults.broken:
                    faults.broken.add(error["loc"])
                    faults.add(error["loc"], *_words(error))
                _mend(data, error)
    return None


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
        case ("actions", _, "only" | "duplicates" | "normal" | "review", *_):
            return loc[:3]
        case ("caps" | "control" | "budgets" | "breakers", *_):
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
        case (*_, "hours", ("zone" | "from" | "to") as key):
            return _HOURS[key]
        case (*_, "refuse" | "hold", int()):
            return {"when": "true", "why": "-"}
        case ("actions" | "notify" | "roles" as section, _):
            return _ENTRIES[section]
        case (*_, "limits", _):
            return None
        case _:
            return _STAND_INS.get(str(loc[-1]))


def _words(error: ErrorDetails) -> tuple[str, str]:
    """What is wrong, and the fix."""
    *above, last = error["loc"]
    where = f" of {_dotted(above)}" if above else ""
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "extra_forbidden":
        return f"{last} is not a key{where or ' of a policy'}", nearest(str(last), _keys(above))
    if kind == "missing":
        needs = _BREAKER_NEEDS if above[:1] == ["breakers"] else _NEEDS
        return f"{last} is missing{' in ' + _dotted(above) if above else ''}", needs[str(last)]
    if kind == "policy":
        return f"{_dotted(error['loc'])}: {context['what']}", str(context["fix"])
    if kind == "literal_error":
        choices = re.findall(r"'([^']+)'", str(context["expected"]))
        return f"{shown(given)} is not a value of {_dotted(error['loc'])}", nearest(
            str(given), choices
        )
    what = f"{_dotted(error['loc'])}: {shown(given)} does not belong here"
    if kind == "greater_than_equal":
        return what, f"write {context['ge']} or more"
    return what, _EXPECTED.get(kind, "correct it")


def _dotted(loc: Loc | list[str | int]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in loc).lstrip(".")


def _keys(above: list[str | int]) -> list[str]:
    """The keys that may stand at a place."""
    model: type[BaseModel] = FileDoc
    match above:
        case ["actions", _]:
            model = ActionDoc
        case ["actions", _, "hold", _]:
            model = HoldDoc
        case ["notify", _]:
            model = NotifyDoc
        case ["roles", _]:
            model = RoleDoc
        case ["roles", _, "deadline"]:
            model = DeadlineDoc
        case ["roles", _, "hours"]:
            model = HoursDoc
        case _:
            model = keys_of(above) or model
    return [field.alias or name for name, field in model.model_fields.items()]
