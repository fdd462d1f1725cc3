"""`handrail policy`: its commands, options and help. What they do is in `cli/policy.py`."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from handrail.cli.common import LOOK, PLAIN, Common, do

policy = App(
    name="policy", group=LOOK, help="Show what is in force, and what a new policy would change."
)

Since = Annotated[
    timedelta | datetime,
    Parameter(help="Writes not older than this: 30d, or a date such as 2026-11-01."),
]


@policy.command
def diff(
    new: Path,
    *,
    agent: Annotated[
        str | None, Parameter(help="Which agent's; the one that the file names.")
    ] = None,
    since: Since = timedelta(days=30),
    limit: Annotated[int, Parameter(help="Show at most so many writes, the newest.")] = 20,
    exit_code: Annotated[
        bool, Parameter(negative=(), help="End with 1 if anything would differ.")
    ] = False,
    common: Common = PLAIN,
) -> int:
    """Judge recent writes by a new policy: what would have been decided otherwise.

    Parameters
    ----------
    new
        The new policy file. It is compared with the one that is in force.
    """
    from handrail.cli import policy as does  # noqa: PLC0415

    return do(
        common,
        lambda out: does.diff(out, new, agent=agent, since=since, limit=limit, exit_code=exit_code),
    )


@policy.command
def show(agent: str, *, common: Common = PLAIN) -> int:
    """Show every key in force, what was set at run time, and which versions there were.

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    """
    from handrail.cli import policy as does  # noqa: PLC0415

    return do(common, lambda out: does.show(out, agent))
