"""What the declarations of commands share: their groups, options, and how they are run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from cyclopts import Group, Parameter

from handrail.cli.output import Output

WORK = Group("Cases", sort_key=1)
RULE = Group("Rulings", sort_key=2)
RUN = Group("Processes", sort_key=3)
LOOK = Group("Setup", sort_key=4)


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """What every command takes."""

    json: Annotated[bool, Parameter(negative=(), help="Print JSON on stdout.")] = False

    def out(self) -> Output:
        """Where the command's output goes."""
        return Output(self.json)


@Parameter(name="*")
@dataclass(frozen=True)
class Waiting:
    """Waiting for what comes of it."""

    wait: Annotated[
        bool,
        Parameter(negative=(), help="Wait until the case ends, or waits for a human (exit 4)."),
    ] = False
    timeout: Annotated[
        timedelta | None, Parameter(help="With --wait: at most so long, such as 30s or 5m.")
    ] = None


PLAIN = Common()
AT_ONCE = Waiting()

By = Annotated[str, Parameter(help="Who says so: your address, as the policy knows it.")]
SomeBody = Annotated[str | None, Parameter(help="Who says so.")]
Why = Annotated[str, Parameter(help="The reason, for the record.")]
Digest = Annotated[
    str | None,
    Parameter(help="The action you mean: `handrail inbox` shows it. Another one is not ruled on."),
]
Gate = Annotated[
    str, Parameter(help="The gate's id, its beginning, or the case if it has one gate only.")
]
Cases = Annotated[tuple[str, ...], Parameter(help="Ids of cases, such as shipments:AWB-1042.")]


def do(common: Common, action: Callable[[Output], Any]) -> int:
    """Run what a command does, and return its exit code."""
    from handrail.cli.context import perform  # noqa: PLC0415  # imports Temporal

    return perform(common.out(), action)
