"""What a decision must hold to be itself on its way: through JSON, before people, to its write.

A decision is made in one process, kept as JSON, shown, ruled on, and its action written in
another process. What JSON does not bring back as it was would be approved as one thing and
written as another. So a decide step ends here, where something of its decision would be lost.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from handrail.actions import as_json, canonical, from_json
from handrail.exceptions import StepError
from handrail.marks import FIELD
from handrail.text import first_fault, moment_of_json, one_line, same_text

if TYPE_CHECKING:
    from handrail.actions import Decision
    from handrail.agent.steps import Decide

_LONGEST = 200
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?(E[+-]?\d{1,9})?", re.ASCII | re.IGNORECASE)
_FIX = "fix: use types that JSON can hold; `handrail check` names those that it cannot"


def require_exact(step: Decide[..., Any], decision: Decision[Any, Any]) -> None:
    """See that action and evidence come back from JSON as they are, each of its declared class.

    Raises:
        StepError: if one does not, with the field and both values.
    """
    with _named(step.name):
        rest = decision.model_copy(update={"action": None})
        value = rest.model_dump(mode="json", exclude={"evidence"}, warnings=False)
        again = from_json(step.returns, value | {"evidence": as_json(decision.evidence)})
        lost = difference(rest, again, "decision")
        if lost is None and (action := decision.action) is not None:
            kind = next((k for k in step.actions if isinstance(action, k)), step.actions[0])
            value = as_json(action)
            canonical(value).encode()  # half of a character is a text, and has no bytes
            lost = difference(action, from_json(kind, value), "decision.action")
    if lost is not None:
        where, was, comes = lost
        raise StepError(
            f"{step.name}: {where} is {_shown(was)}, and comes back from JSON as {_shown(comes)}: "
            f"one thing would be approved, and another written; {_FIX}"
        )


@contextlib.contextmanager
def _named(step: str) -> Generator[None]:
    try:
        yield
    except (ValidationError, PydanticSerializationError, ValueError, TypeError) as error:
        why = first_fault(error) if isinstance(error, ValidationError) else str(error)
        raise StepError(
            f"{step}: what it decided does not come back from JSON: "
            f"{one_line(why, _LONGEST)}; {_FIX}"
        ) from None


def _shown(value: Any) -> str:
    return f"{one_line(repr(value), _LONGEST)} ({type(value).__name__})"


def difference(one: Any, other: Any, name: str) -> tuple[str, Any, Any] | None:
    """Where two values are not the same, type and all, and what each has there; None if nowhere."""
    if type(one) is not type(other):
        return name, one, other
    for where, part, its in _parts(one, other, name):
        found = difference(part, its, where)
        if found is not None:
            return found
    return None if _equal(one, other) else (name, one, other)


def rewritten(sent: Any, made: Any, name: str) -> str | None:
    """What a class makes another value of than somebody sent as JSON, in words; None if nothing.

    Another spelling of a number or a time is none, nor is the order of a list, or what nobody sees
    of a text. A field that is not sent has its default.
    """
    if isinstance(sent, Mapping) and isinstance(made, Mapping):
        given, its = cast("Mapping[str, Any]", sent), cast("Mapping[str, Any]", made)
        parts = ((f"{name}.{key}" if name else key, given[key], key) for key in given)
        found = (
            rewritten(part, its[key], where) if key in its else f"{where} is left out"
            for where, part, key in parts
        )
        return next(filter(None, found), None)
    if isinstance(sent, list) and isinstance(made, list):
        mine, theirs = cast("list[Any]", sent), cast("list[Any]", made)
        if len(mine) == len(theirs):
            both = enumerate(zip(mine, theirs, strict=True))
            whys = [rewritten(*each, f"{name}[{at}]") for at, each in both]
            anyhow = sorted(map(canonical, mine)) == sorted(map(canonical, theirs))
            return None if anyhow else next(filter(None, whys), None)
    if isinstance(made, Mapping) and [*cast("Mapping[str, Any]", made)] == [FIELD]:
        return rewritten(sent, made[FIELD], name)
    if _spelt(sent) == _spelt(made):
        return None
    return f"{name} would be {_in_json(made)}, and not {_in_json(sent)}"


def _spelt(value: Any) -> Any:
    """A value of JSON as it is compared, however it is spelt."""
    if isinstance(value, str) and (at := moment_of_json(value)) is not None:
        return at
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Decimal(repr(value))
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else same_text(value)
    return type(value), value


def _in_json(value: Any) -> str:
    return one_line(json.dumps(value, ensure_ascii=False), 60)


def _parts(one: Any, other: Any, name: str) -> list[tuple[str, Any, Any]]:
    """The parts of two values of one type."""
    if isinstance(one, BaseModel):
        return _parts(vars(one), vars(other), name)
    if isinstance(one, Mapping):
        mine, its = cast("Mapping[Any, Any]", one), cast("Mapping[Any, Any]", other)
        return [(f"{name}.{key}", mine[key], its[key]) for key in mine if key in its]
    if _is_many(one):
        return [(f"{name}[{at}]", *both) for at, both in enumerate(zip(one, other, strict=False))]
    return []


def _is_many(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are equal whose parts are."""
    if isinstance(one, (datetime, time)):
        # Of a zone its offset is kept, which is what people are shown.
        return one.isoformat() == other.isoformat()
    if isinstance(one, (Decimal, float)):
        return repr(one) == repr(other)  # 1.0 is 1.00, and they are two texts
    if isinstance(one, BaseModel):
        private = one.__pydantic_private__ == other.__pydantic_private__
        return private and one.model_extra == other.model_extra
    if isinstance(one, Mapping):
        return set(cast("Mapping[Any, Any]", one)) == set(other)
    return len(one) == len(other) if _is_many(one) else bool(one == other)
