"""The calls that a task needs, as they were planned before anything from outside was read.

A plan may leave out what is not known yet, and of an object within an argument say a part: a call
fits one that has all of it, and what the plan says of it is fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any, cast, get_args
from uuid import UUID

from pydantic import BaseModel, Field, JsonValue
from pydantic.fields import FieldInfo

from handrail.actions import Action, Wire, as_json, digest_of
from handrail.agent.provenance_values import is_many
from handrail.agent.wording import typed
from handrail.text import one_line


class PlannedCall(Wire):
    """One call that a task needs: of which tool, and the arguments that are known by now.

    Leave out each argument that is only known once something was read. `times`: how often.
    """

    tool: str
    args: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    times: int = 1


class ToolPlan(Action):
    """The calls that the task needs: each write, and each read that finds its object."""

    calls: tuple[PlannedCall, ...]

    def fitting(
        self, tool: str, args: Mapping[str, Any], within: Callable[[], bool] = lambda: True
    ) -> int | None:
        """Which of its calls that are still to come this is, if any: one that says all, or a part.

        `within`: whether it may say a part of an object; asked where that decides.
        """
        left = [(n, c) for n, c in enumerate(self.calls) if c.times > 0 and c.tool == tool]
        if (whole := next((n for n, c in left if fits(c, tool, args)), None)) is not None:
            return whole
        part = next((n for n, c in left if _has_within(args, c.args)), None)
        return part if part is not None and within() else None

    def without(self, at: int) -> ToolPlan:
        """The plan when this call was made, once."""
        left = [
            c.model_copy(update={"times": c.times - (n == at)}) for n, c in enumerate(self.calls)
        ]
        return ToolPlan(calls=tuple(left))


def by_field_names(
    call: PlannedCall,
    action: type[BaseModel] | None,
    within: Callable[[], bool] = lambda: True,
) -> PlannedCall:
    """A call as it is made: a model that reads a schema knows fields by their aliases.

    `within`: whether those of the objects within are known; asked where there are some.
    """
    args = _by_names(action, call.args, deep=True)
    if args != (flat := _by_names(action, call.args, deep=False)) and not within():
        args = flat
    return call.model_copy(update={"args": args})


def _by_names(kind: Any, value: Any, *, deep: bool) -> Any:
    if isinstance(value, list):
        return [_by_names(kind, each, deep=deep) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    known: Mapping[str, FieldInfo] = getattr(_model_in(kind), "model_fields", {})
    names = {each.alias: name for name, each in known.items() if each.alias is not None}
    made = {names.get(name, name): part for name, part in cast("dict[str, Any]", value).items()}
    if not deep:
        return made
    kinds = {name: each.annotation for name, each in known.items()}
    return {name: _by_names(kinds.get(name), part, deep=True) for name, part in made.items()}


def _model_in(kind: Any) -> type[BaseModel] | None:
    """The model that a type is, or is a list of."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next(filter(None, map(_model_in, get_args(kind))), None)


def fixed_paths(planned: Mapping[str, Any], args: Mapping[str, Any]) -> frozenset[str]:
    """The fields that a plan has fixed of a call that fits it, those of objects within by path."""
    return frozenset(
        path
        for name, value in planned.items()
        for path in (
            [name] if comparable(value) == comparable(args.get(name)) else _said(name, value)
        )
    )


def _said(path: str, planned: Any) -> set[str]:
    """The fields that a part of a plan says; of several objects, those that it says of each."""
    if isinstance(planned, Mapping):
        parts = cast("Mapping[str, Any]", planned).items()
        return set[str]().union(*(_said(f"{path}.{name}", part) for name, part in parts))
    if is_many(planned) and planned:
        return set[str].intersection(*(_said(path, part) for part in planned))
    return {path}


def is_fixed(path: str, fixed: Collection[str]) -> bool:
    """Whether a plan has fixed a field: `observations.name` where it has `observations`."""
    return any(path == each or path.startswith(f"{each}.") for each in fixed)


def fits(call: PlannedCall, tool: str, args: Mapping[str, Any]) -> bool:
    """Whether a call is one of the plan: all that the plan has fixed is as it was fixed."""
    return call.tool == tool and all(
        name in args and comparable(value) == comparable(args[name])
        for name, value in call.args.items()
    )


def _has_within(value: Any, planned: Any) -> bool:
    """Whether all that a plan says of a value is so; of an object within it may say a part."""
    if isinstance(planned, Mapping) and isinstance(value, Mapping):
        has = cast("Mapping[str, Any]", value)
        parts = cast("Mapping[str, Any]", planned).items()
        return all(name in has and _has_within(has[name], part) for name, part in parts)
    if is_many(planned) and is_many(value):
        said, given = cast("Sequence[Any]", planned), cast("Sequence[Any]", value)
        return len(given) == len(said) and all(map(_has_within, given, said))
    return bool(comparable(value) == comparable(planned))


def comparable(value: Any) -> Any:
    """A value as it is compared: without the name of its field, and without its spelling."""
    if isinstance(value, Mapping):
        return {k: comparable(v) for k, v in cast("Mapping[Any, Any]", value).items()}
    if is_many(value):
        return [comparable(each) for each in value]
    made = typed(value)
    if isinstance(made, datetime):
        return made.replace(tzinfo=None)
    return str(made) if isinstance(made, (UUID, PurePath)) else made


def plan_in_words(step: str, plan: ToolPlan) -> str:
    """A plan as the log of the case has it."""
    calls, digest = calls_in_words(plan.calls), digest_of(step, as_json(plan))[:12]
    return one_line(f"{step}: plan {digest}, before anything was read: {calls or 'none'}", 1_000)


def calls_in_words(calls: Iterable[PlannedCall]) -> str:
    """Calls that are planned, in words."""
    return "; ".join(f"{c.tool}({c.args})" + f" x{c.times}" * (c.times > 1) for c in calls)
