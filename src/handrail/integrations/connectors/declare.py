"""Functions and names for steps that nobody has written."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from handrail.actions import Action
from handrail.exceptions import StepError

_HERE = __name__.rpartition(".")[0]


def caller() -> dict[str, Any]:
    """The globals of the module that makes a step by a connector.

    As `namedtuple` does it: the step is of that module, and imported as that is.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals["__name__"].startswith(_HERE):
        frame = frame.f_back
    return {} if frame is None else frame.f_globals


def as_function(
    fn: Callable[..., Any], name: str, doc: str, taken: Mapping[str, tuple[Any, Any]], returns: Any
) -> Any:
    """A function as if its author had written it with these parameters, in their own module."""
    made = cast("Any", fn)
    parameters = [
        inspect.Parameter(
            each,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if default is ... else default,
            annotation=kind,
        )
        for each, (kind, default) in taken.items()
    ]
    made.__code__ = made.__code__.replace(co_name=name)
    made.__name__ = made.__qualname__ = name
    made.__doc__, made.__module__ = doc, caller()["__name__"]
    made.__signature__ = inspect.Signature(parameters, return_annotation=returns)
    made.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": returns}
    return made


def require_fields(name: str, action: type[Action], *fields: str) -> None:
    """See that an action has the fields that a step takes of it.

    Raises:
        StepError: if it has not.
    """
    if not set(fields) <= set(action.model_fields):
        named = ", ".join(f"`{each}`" for each in fields)
        raise StepError(f"{name}: {action.__name__} needs the fields {named}")


def title(name: str) -> str:
    """`createPayment` as `CreatePayment`: the name of a class."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"\W+|_", name) if part)


def snake(name: str) -> str:
    """`createPayment` as `create_payment`: the name of a step."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"\W+", "_", parted, flags=re.ASCII).strip("_").lower()
