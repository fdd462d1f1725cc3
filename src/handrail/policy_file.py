"""The model of a policy file, and what is wrong with one whoever its agent is.

A value that does not fit is reported and replaced by one that does,
so that one reading finds the other faults too; a file with faults is never used.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from handrail.policy_text import Faults, Loc, plain
from handrail.rules import nearest

WHOLE = 10_000
"""All cases, in the unit of a rollout: a hundredth of a percent."""

WINDOWS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
"""The windows of limits, by name."""

_YEAR = timedelta(days=366)
_DURATION = re.compile(r"(?=\d)" + "".join(rf"(?:(\d{{1,6}}){u})?" for u in "dhms"), re.ASCII)
_LIMIT = re.compile(rf"(\d{{1,18}}(?:\.\d{{1,6}})?) per ({'|'.join(WINDOWS)})", re.ASCII)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)%", re.ASCII)
_ADDRESS = re.compile(r"[^@\s<>,;:]+@[^@\s<>,;:]+")
_WORDS_AT_LEAST = 3
_ROUNDS = 5
_SHOWN = 60


def _wrong(what: str, fix: str) -> PydanticCustomError:
    return PydanticCustomError("policy", "{what}", {"what": what, "fix": fix})


def _shown(value: object) -> str:
    """A value of the file, on one short line."""
    text = "" if value is None else " ".join(str(value).split())
    return f"{text[:_SHOWN]}..." if len(text) > _SHOWN else text or "nothing"


def duration(value: object) -> timedelta:
    """Read `30m`, `8h`, `2d` or `1h30m`.

    Raises:
        PydanticCustomError: if it is something else, nothing, or more than a year.
    """
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise _wrong(f"{_shown(value)} is not a duration", "write it like 30m, 8h, 2d or 1h30m")
    names = ("days", "hours", "minutes", "seconds")
    length = timedelta(**{n: int(v or 0) for n, v in zip(names, found.groups(), strict=True)})
    if not timedelta(0) < length <= _YEAR:
        raise _wrong(f"{value} is not between a second and a year", "write it like 30m or 8h")
    return length


def _share(value: object) -> int:
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    share = int(Decimal(found[1]) * 100) if found else -1
    if not 0 <= share <= WHOLE:
        raise _wrong(f"{_shown(value)} is not a share of the cases", "write it like 25% or 0.5%")
    return share


def _limit(value: object) -> tuple[Decimal, timedelta]:
    found = _LIMIT.fullmatch(" ".join(value.split())) if isinstance(value, str) else None
    if found is None:
        fix = "write it like 2000 per day (minute, hour, day or week), the currency as a comment"
        raise _wrong(f"{_shown(value)} is not a limit", fix)
    return Decimal(found[1]), WINDOWS[found[2]]


def _person(value: object) -> str:
    if not (isinstance(value, str) and _ADDRESS.fullmatch(value.strip())):
        raise _wrong(f"{_shown(value)} is not an address", "write it like ana@example.com")
    return value.strip()


def _reason(value: object) -> str:
    if not (isinstance(value, str) and len(value.split()) >= _WORDS_AT_LEAST):
        fix = "say in words why this may run without a human"
        raise _wrong(f"{_shown(value)} is no reason", fix)
    return value


Duration = Annotated[timedelta, BeforeValidator(duration)]
Person = Annotated[str, BeforeValidator(_person)]
Reason = Annotated[str, BeforeValidator(_reason)]
Share = Annotated[int, BeforeValidator(_share)]
Cap = Annotated[tuple[Decimal, timedelta], BeforeValidator(_limit)]
Text = Annotated[str, Field(min_length=1, max_length=2_000)]


class _Doc(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RefuseDoc(_Doc):
    """A rule that refuses."""

    when: Text
    why: Text


class HoldDoc(RefuseDoc):
    """A rule that holds, and whom it asks."""

    role: str | None = Field(default=None, alias="for")


class ActionDoc(_Doc):
    """What the agent may do of one write."""

    autonomy: Literal["full", "supervised", "human_led"]
    rollout: Share | None = None
    irreversible: Reason | None = None
    role: str | None = Field(default=None, alias="for")
    refuse: tuple[RefuseDoc, ...] = ()
    hold: tuple[HoldDoc, ...] = ()
    limits: dict[str, Cap] = {}


class NotifyDoc(_Doc):
    """Whether a notification may go out."""

    allow: bool


class DeadlineDoc(_Doc):
    """How long a role has, and what happens then."""

    after: Duration
    then: Literal["escalate", "refuse"]
    to: str | None = None


class RoleDoc(_Doc):
    """Who may rule, how many of them it takes, and until when."""

    people: Annotated[tuple[Person, ...], Field(min_length=1)]
    quorum: Annotated[StrictInt, Field(ge=1)] = 1
    remind: Duration | None = None
    deadline: DeadlineDoc


class FileDoc(_Doc):
    """A whole policy file."""

    agent: Text
    version: Annotated[StrictInt, Field(ge=1)]
    owner: Person
    proof: Literal["required", "unproven"] = "unproven"
    role: str | None = Field(default=None, alias="for")
    actions: dict[str, ActionDoc]
    notify: dict[str, NotifyDoc] = {}
    roles: Annotated[dict[str, RoleDoc], Field(min_length=1)]


# What stands in for a value that does not fit, until the other faults are found.
_ROLE: dict[str, Any] = {"people": ["a@b"], "deadline": {"after": "1h", "then": "refuse"}}
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
    "autonomy": "add autonomy: full, supervised or human_led",
    "deadline": "add deadline: {after: 8h, then: refuse}",
    "owner": "add owner: and the address of who answers for this agent",
    "people": "add people: [ana@example.com]",
    "roles": "add roles: with the people who may be asked",
    "then": "add then: refuse, or then: escalate with to: and a role",
    "version": "add version: 1, and count up with each change",
    "when": "add when: and a condition, such as action.amount > 200",
    "why": "add why: and the reason in words",
}
_EXPECTED = {
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "dict_type": "write keys below it",
    "greater_than_equal": "write 1 or more",
    "int_type": "write a whole number",
    "model_type": "write keys below it",
    "string_too_long": "write less",
    "string_too_short": "write something",
    "string_type": "write text, in quotes if it is a number",
    "too_short": "name at least one",
    "tuple_type": "write a list, such as [a, b]",
}


def same_person(address: str) -> str:
    """The form under which two addresses of one person are equal."""
    return address.strip().casefold()


def read(text: str, faults: Faults) -> FileDoc | None:
    """The file as a model. Usable only if `faults` stays empty; None if it cannot be read."""
    data = plain(text, faults)
    doc = _validated(data, faults) if data is not None else None
    if doc is not None:
        _judge_roles(doc, faults)
    return doc


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
    *above, last = error["loc"]
    for key in above:
        data = data[key]
    stand_in = _stand_in(error["loc"])
    if error["type"] == "extra_forbidden" or stand_in is None:
        data.pop(last, None)
    else:
        data[last] = stand_in


def _stand_in(loc: Loc) -> Any:
    match loc:
        case (*_, "people", int() as position):
            return f"a{position}@b"
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
        return f"{last} is missing{' in ' + _dotted(above) if above else ''}", _NEEDS[str(last)]
    if kind == "policy":
        return f"{_dotted(error['loc'])}: {context['what']}", str(context["fix"])
    if kind == "literal_error":
        choices = re.findall(r"'(\w+)'", str(context["expected"]))
        return f"{_shown(given)} is not a value of {_dotted(error['loc'])}", nearest(
            str(given), choices
        )
    what = f"{_dotted(error['loc'])}: {_shown(given)} does not belong here"
    return what, _EXPECTED.get(kind, "correct it")


def _dotted(loc: Loc | list[str | int]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in loc).lstrip(".")


def _keys(above: list[str | int]) -> list[str]:
    """The keys that may stand at a place."""
    model: type[BaseModel] = FileDoc
    match above:
        case ["actions", _]:
            model = ActionDoc
        case ["actions", _, "refuse", _]:
            model = RefuseDoc
        case ["actions", _, "hold", _]:
            model = HoldDoc
        case ["notify", _]:
            model = NotifyDoc
        case ["roles", _]:
            model = RoleDoc
        case ["roles", _, "deadline"]:
            model = DeadlineDoc
        case _:
            pass
    return [field.alias or name for name, field in model.model_fields.items()]


def _judge_roles(doc: FileDoc, faults: Faults) -> None:
    known_role(("for",), doc.role, doc, faults)
    for name, role in doc.roles.items():
        _judge_people(("roles", name), role, faults)
        _judge_deadline(("roles", name), role, doc, faults)
    _judge_chains(doc, faults)


def known_role(loc: Loc, name: str | None, doc: FileDoc, faults: Faults) -> None:
    """Report a role that does not exist."""
    if name and name not in doc.roles and ("roles",) not in faults.broken:
        faults.add(loc, f"there is no role {name}", nearest(name, doc.roles))


def _judge_people(at: Loc, role: RoleDoc, faults: Faults) -> None:
    people = [same_person(person) for person in role.people]
    for position, person in enumerate(people):
        if person in people[:position]:
            what = f"{role.people[position]} stands twice in {at[-1]}"
            faults.add((*at, "people", position), what, "a person counts once: remove one")
    if role.quorum > len(set(people)):
        what = f"{at[-1]} needs {role.quorum} approvals but has {len(set(people))} people"
        faults.add((*at, "quorum"), what, "lower quorum, or add people")


def _judge_deadline(at: Loc, role: RoleDoc, doc: FileDoc, faults: Faults) -> None:
    deadline, to, name = role.deadline, (*at, "deadline", "to"), at[-1]
    if role.remind and role.remind >= deadline.after:
        what = f"{name} is not reminded before its deadline"
        faults.add((*at, "remind"), what, "make remind shorter than after")
    if deadline.then == "escalate" and not deadline.to:
        what = f"{name} escalates to nobody"
        faults.add((*at, "deadline", "then"), what, "add to: and a role, or then: refuse")
    if deadline.then == "refuse" and deadline.to:
        what = f"{name} refuses, and yet names {deadline.to}"
        faults.add(to, what, "write then: escalate, or remove to:")
    known_role(to, deadline.to, doc, faults)


def _judge_chains(doc: FileDoc, faults: Faults) -> None:
    seen: set[str] = set()
    for start in doc.roles:
        chain: list[str] = []
        name: str | None = start
        while name in doc.roles and name not in seen and name not in chain:
            chain.append(name)
            name = doc.roles[name].deadline.to
        if name in chain:
            what = f"the escalation goes in a circle: {' to '.join([*chain, name])}"
            loc = ("roles", chain[-1], "deadline", "to")
            faults.add(loc, what, "let the last role refuse: then: refuse")
        seen.update(chain)
