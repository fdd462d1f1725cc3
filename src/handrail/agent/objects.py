"""The words of who asks, and the objects, within what a model was given or has read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import BaseModel, RootModel

from handrail.actions import Action, Decision
from handrail.agent.provenance_values import fields, is_many
from handrail.marks import FIELD, Request, Untrusted

PROSE = 60
"""Characters from which on a plain text is prose, and no name of anything."""

_UNPROVEN = ("hook:", "folder:", "mail:")


@dataclass
class Record:
    """One object that was given or read: its single values, and its prose.

    `pointed`: it was looked up by what the person says. `single`: there was no other beside it.
    """

    source: str
    single: bool = True
    kind: type = object
    values: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    texts: list[str] = field(default_factory=list[str])
    pointed: bool = False


def request_in(values: Iterable[Any], by: str | None = None) -> str:
    """The words of the person who asks, within these values. `by`: if it is proven who that is."""
    found: list[str] = []
    for value in values:
        if isinstance(value, BaseModel):
            for name, part in (fields(value) or {}).items():
                known = type(value).model_fields.get(name)
                if known is None or not _is_request(known.metadata):
                    found += filter(None, [request_in([part], by)])
                elif _proven(known.metadata, by):
                    found.append(str(part))
    return "\n".join(found)


def has_request(kind: Any) -> bool:
    """Whether a model has a field with the words of the person who asks."""
    known = getattr(kind, "model_fields", {})
    return any(_is_request(each.metadata) for each in known.values())


def _is_request(marks: Sequence[Any]) -> bool:
    return any(mark is Request or isinstance(mark, Request) for mark in marks)


def _proven(marks: Sequence[Any], by: str | None) -> bool:
    """Whether who asked is somebody: a trigger proves which system sent it, and no person."""
    named = (each.triggers for each in marks if isinstance(each, Request))
    return not (by or "").startswith(_UNPROVEN) or any(by in each for each in named)


def records(source: str, value: Any, *, whole: bool = False) -> list[Record]:
    """The objects within a value: each element of a list is one of its own.

    `whole`: a list of single values belongs to the object that has it.
    """
    found = [Record(source)]
    _fill(found, found[0], source, value, whole=whole)
    return [each for each in found if each.values or each.texts]


def _fill(found: list[Record], record: Record, name: str, value: Any, *, whole: bool) -> None:
    if isinstance(value, RootModel):
        value = cast("RootModel[Any]", value).root
    if isinstance(value, (Decision, Action)) or value is None:
        return
    if isinstance(value, Untrusted):
        record.texts.append(value.text)
    elif (parts := _parts(value)) is not None:
        _fill_model(found, record, value, parts, whole=whole)
    elif is_many(value):
        for part in value:
            one = record
            plain = isinstance(part, Untrusted) or _parts(part) is None
            if not (plain and (whole or record is not found[0])):
                one = Record(record.source, record.single and len(value) == 1)
                found.append(one)
            _fill(found, one, name, part, whole=whole)
    elif isinstance(value, str) and (len(value) > PROSE or "\n" in value):
        record.texts.append(value)
    else:
        record.values.append((name, value))


def _is_table(value: Mapping[Any, Any]) -> bool:
    """Whether it is many objects, each under its name."""
    return len(value) > 1 and all(_parts(part) is not None for part in value.values())


def _fill_model(
    found: list[Record], record: Record, value: Any, parts: Mapping[Any, Any], *, whole: bool
) -> None:
    if FIELD in parts:
        record.texts.append(str(parts[FIELD]))
        return
    if value is parts and _is_table(parts):
        for key, part in parts.items():
            one = Record(record.source, single=False, values=[("key", key)])
            found.append(one)
            _fill(found, one, str(key), part, whole=whole)
        return
    if not record.values:
        record.kind = value.__class__
    known = type(value).model_fields if isinstance(value, BaseModel) else {}
    for key, part in parts.items():
        if not (key in known and _is_request(known[key].metadata)):
            _fill(found, record, str(key), part, whole=whole)


def _parts(value: Any) -> Mapping[Any, Any] | None:
    return cast("Mapping[Any, Any]", value) if isinstance(value, Mapping) else fields(value)
