"""`handrail stop`, `lift`, `stops` and `autonomy`: their options and help.

What they do is in `cli/stop.py` and `cli/autonomy.py`.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from handrail.cli.common import AT_ONCE, PLAIN, By, Common, SomeBody, Waiting, Why, do

Whats = Annotated[
    tuple[str, ...],
    Parameter(help="fleet, an agent, agent/write, or cases (shipments:AWB-1042)."),
]


def stop(
    whats: Whats,
    /,
    *,
    by: SomeBody = None,
    why: Why = "",
    waiting: Waiting = AT_ONCE,
    common: Common = PLAIN,
) -> int:
    """Stop the fleet, an agent or one of its writes until it is lifted; or end cases.

    No write of it begins any more, whatever was approved. What is written stays.
    """
    from handrail.cli import stop as does  # noqa: PLC0415

    return do(common, lambda out: does.stop(out, whats, by, why, waiting))


def lift(
    what: Annotated[str, Parameter(help="The id of a stop or a level, or what it is for.")],
    /,
    *,
    by: By,
    why: Why = "",
    common: Common = PLAIN,
) -> int:
    """Say that a stop, or a level that was set, is over. The policy says who may."""
    from handrail.cli import stop as does  # noqa: PLC0415

    return do(common, lambda out: does.lift(out, what, by, why))


def stops(
    *,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Those that were lifted, too.")
    ] = False,
    cases: Annotated[bool, Parameter(negative=(), help="Those of single cases, too.")] = False,
    common: Common = PLAIN,
) -> int:
    """List what is stopped: by whom, since when and why."""
    from handrail.cli import stop as does  # noqa: PLC0415

    return do(common, lambda out: does.listing(out, every=all_, of_cases=cases))


def autonomy(
    said: Annotated[
        tuple[str, ...],
        Parameter(help="An agent, one of its writes, and a level, if it shall be set."),
    ] = (),
    /,
    *,
    rollout: Annotated[
        str | None, Parameter(help="With full: in so many of its cases, such as 25%.")
    ] = None,
    second: Annotated[
        str | None, Parameter(help="Say so as the second person, of the order of this id.")
    ] = None,
    by: SomeBody = None,
    why: Why = "",
    common: Common = PLAIN,
) -> int:
    """Show how much agents do by themselves; or set it: stop, pilot, human_led, supervised, full.

    The whole agent without a write. Less counts at once; more takes those whom the policy names.
    """
    from handrail.cli import autonomy as does  # noqa: PLC0415
    from handrail.cli.output import UsageError  # noqa: PLC0415

    if second is None:
        return do(common, lambda out: does.autonomy_(out, said, rollout=rollout, by=by, why=why))

    def seconding(out: object) -> object:
        if by is None or said:
            raise UsageError("write --second ID --by you@example.com, and no more")
        return does.second(out, second, by, why)  # pyright: ignore[reportArgumentType]

    return do(common, seconding)
