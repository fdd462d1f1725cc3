"""The JSON Schema of policy files, for editors: of all, or of one agent with its own steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from handrail.policy.file import FileDoc

if TYPE_CHECKING:
    from pydantic import BaseModel

    from handrail.policy.parts import AgentShape, WriteShape

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ACTION = {"$ref": "#/$defs/ActionDoc"}


def policy_schema(shape: AgentShape | None = None) -> dict[str, Any]:
    """The schema of a policy file. It finds what stands at a wrong place or is missing.

    What it does not say (rules, roles that nobody has) `handrail check` does.
    """
    made = FileDoc.model_json_schema(by_alias=True)
    _without_stand_ins(made)
    if shape is not None:
        known = made["properties"]
        known["agent"]["const"] = shape.agent
        writes = {name: _of_write(write) for name, write in shape.writes.items()}
        known["actions"] |= {"properties": writes, "additionalProperties": False}
        told = {name: {"$ref": "#/$defs/NotifyDoc"} for name in sorted(shape.notifies)}
        known["notify"] |= {"properties": told, "additionalProperties": False}
    return {"$schema": DIALECT, "title": "A policy of Handrail", **made}


def _of_write(write: WriteShape) -> dict[str, Any]:
    """One write: what rules may name, and which fields limits may be of."""
    facts = ["confidence", "case.requester", *_facts("action", write.action)]
    facts += _facts("evidence", write.evidence) if write.evidence else []
    words = (write.action.__doc__ or "").strip().partition("\n")[0]
    fields = "|".join(["count", *write.action.model_fields])
    limits = {"propertyNames": {"pattern": rf"^({fields})(\..+)?$"}}
    text = f"{words} Rules may name {', '.join(facts)}.".strip()
    return {"allOf": [_ACTION, {"properties": {"limits": limits}}], "description": text}


def _facts(name: str, model: type[BaseModel]) -> Iterator[str]:
    return (f"{name}.{field}" for field in model.model_fields)


def _without_stand_ins(part: Any) -> None:
    """Leave out what only stands in for a fault while others are looked for."""
    if isinstance(part, dict):
        found = cast("dict[str, Any]", part)
        if "description" in found and isinstance(found.get("examples"), list):
            del found["examples"]
        parts = list(found.values())
    else:
        parts = cast("list[Any]", part) if isinstance(part, list) else []
    for each in parts:
        _without_stand_ins(each)
