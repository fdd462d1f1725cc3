"""What the words of who asks say, and a call leaves out where it has a field for it.

A hostile text gains by what is not said as well: a payment without its subject, one of today in
place of the first. So a field that may be left out, and is, needs that they do not speak of it: by
its name, or by a text in quotes, a day, a figure or an address that no call has. And a list of
addresses needs all of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, cast, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from handrail.agent.provenance_values import fields, is_many, union_arms
from handrail.agent.wording import PersonWords, contacts, in_words, same, typed
from handrail.marks import FreeText
from handrail.text import one_line

_SHORTEST = 3
_MAIL = "@"
_BEFORE = (
    r"\b(?:with|using|use|add|adding|include|including|set|give|mention)\s+"
    r"(?:(?:a|an|the|this|that|these|those)\s+)?(?:(?!my|our|your|his|her|their)\w+\s+)?"
)
_AFTER = r"(?:\s*[:=]|\s+(?:is|be|(?:shall|should|must)\s+be|saying)\b)"
"""What makes the name of a field more than a word of the language ("close my account")."""


def left_out(model: BaseModel, words: PersonWords, calls: Sequence[Any]) -> Iterator[str]:
    """The fields of an action that are left out though the words speak of them, each with why.

    `calls`: the arguments of this call, and of all others that have been judged or planned.
    """
    carried, named = [*single_values(calls)], {*_names(calls)}
    texts, values = [in_words(str(each)) for each in carried], [*map(typed, carried)]
    own = {same(c) for each in carried for c in (str(each), *contacts(str(each)))}
    quoted = [each for each in words.quoted if not any(in_words(each) in t for t in texts)]
    addresses = [each for each in words.contacts if same(each) not in own]
    figures = [str(each) for each in sorted(words.figures) if each not in values]
    days = ["a day"] * (words.of_a_day and not any(isinstance(each, date) for each in values))
    for path, name, info, value in _omitted("action", model):
        kinds = {*_kinds(info)} if _is_blank(value) else set[str]()
        said = [*map(_shown, quoted)] if kinds & {"text", "words"} else []
        said += map(_shown, addresses) if "text" in kinds else []
        said += figures if "figure" in kinds else []
        said += days if "day" in kinds else []
        said += [] if name in named else _by_name(name, words, value)
        if said:
            yield f"{path}: it is left out, and who asks speaks of {said[0]}"
    if lacking := [_shown(each) for each in addresses if _MAIL in each]:
        for path, values in _lists("action", model):
            if any(_MAIL in str(each) for each in values):
                yield f"{path}: it lacks {lacking[0]}, and who asks speaks of it"


def _shown(text: str) -> str:
    return f'"{one_line(text, 80)}"'


def _omitted(path: str, value: Any) -> Iterator[tuple[str, str, FieldInfo, Any]]:
    """The fields that may be left out, and are: by path and by name, with what stands there."""
    if is_many(value):
        for part in value:
            yield from _omitted(path, part)
    elif isinstance(value, BaseModel):
        known = type(value).model_fields
        for name, part in (fields(value) or {}).items():
            info = known.get(name)
            out = _is_blank(part) or name not in value.model_fields_set
            if info is not None and out and not info.is_required():
                yield f"{path}.{name}", name, info, part
            else:
                yield from _omitted(f"{path}.{name}", part)


def _lists(path: str, value: Any) -> Iterator[tuple[str, Sequence[Any]]]:
    """The lists of single values, each by its path."""
    if is_many(value):
        parts = [part for part in value if fields(part) is not None]
        if not parts:
            yield path, [*value]
        for part in parts:
            yield from _lists(path, part)
    else:
        for name, part in (fields(value) or {}).items():
            yield from _lists(f"{path}.{name}", part)


def _is_blank(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or ((isinstance(value, Mapping) or is_many(value)) and not value)


def _by_name(name: str, words: PersonWords, value: Any) -> list[str]:
    """The name of a field where they have it, but not what stands there."""
    shown = name.strip("_").replace("_", " ").casefold()
    if len(shown) < _SHORTEST or isinstance(value, bool):
        return []
    form = re.escape(shown).replace("\\ ", r"\s+")
    has = re.search(rf"{_BEFORE}{form}(?!\w)|(?<!\w){form}{_AFTER}", words.plain, re.IGNORECASE)
    return [f"its {shown}"] if has and (_is_blank(value) or not words.says(value)) else []


def _kinds(info: FieldInfo) -> Iterator[str]:
    """What a field takes: "words" that an agent words itself, other "text", figures and days."""
    left = [*union_arms(info.annotation, tuple(info.metadata))]
    for kind, marks in left:  # grows as it goes; a type may be within itself
        within = [arm for part in get_args(kind) for arm in union_arms(part, marks)]
        left += [arm for arm in within if arm not in left]
        if not isinstance(kind, type) or issubclass(kind, (bool, Enum)):
            continue
        if issubclass(kind, str):
            free = any(each is FreeText or isinstance(each, FreeText) for each in marks)
            yield "words" if free else "text"
        elif issubclass(kind, (int, float, Decimal)):
            yield "figure"
        elif issubclass(kind, (date, datetime)):
            yield "day"


def single_values(value: Any) -> Iterator[Any]:
    """All values within some arguments, without the names of their fields."""
    if isinstance(value, Mapping):
        for part in cast("Mapping[Any, Any]", value).values():
            yield from single_values(part)
    elif is_many(value):
        for part in value:
            yield from single_values(part)
    elif value is not None:
        yield value


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, part in cast("Mapping[Any, Any]", value).items():
            if not _is_blank(part):
                yield str(name)
            yield from _names(part)
    elif is_many(value):
        for part in value:
            yield from _names(part)
