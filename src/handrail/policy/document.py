"""What every part of a policy file is: a model without keys that nobody knows."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Doc(BaseModel):
    """A part of a policy file: frozen, without keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def needed(stand_in: Any, fix: str, **rest: Any) -> Any:
    """A key that must be there, and the fix where it is not.

    `stand_in`: what stands in for a value that does not fit, until the other faults are found.
    """
    return Field(examples=[stand_in], description=fix, **rest)
