"""`handrail rollout`: a new build of the workers gets new cases while it does well."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from handrail.cli.context import SomeBody, Why, operator
from handrail.cli.output import PLAIN, Code, Output, label, moment, plain
from handrail.cli.stop import say_became
from handrail.exceptions import InvalidRequest

if TYPE_CHECKING:
    from handrail.client import BuildView, DeploymentView

_COLOURS = {"on": "green", "done": "green", "paused": "magenta", "back": "red", "left": "yellow"}


async def rollout(
    build: Annotated[
        str | None, Parameter(help="The build that gets new cases; shows all if left out.")
    ] = None,
    /,
    *,
    to: Annotated[
        list[str] | None,
        Parameter(help="Its share, such as 10%, which rises by itself; or all: 5%,20%,100%."),
    ] = None,
    back: Annotated[
        bool, Parameter(negative=(), help="Take it back: it gets no new case.")
    ] = False,
    pause: Annotated[bool, Parameter(negative=(), help="Let its share not rise.")] = False,
    resume: Annotated[bool, Parameter(negative=(), help="Let a paused one go on.")] = False,
    cases: Annotated[
        int | None, Parameter(help="So many of its cases must have ended at each share: 20.")
    ] = None,
    every: Annotated[timedelta | None, Parameter(help="How often they are looked at: 1m.")] = None,
    allowed: Annotated[
        str | None, Parameter(help="The share of bad ones, not the old build's: 5%.")
    ] = None,
    deployment: Annotated[
        str | None, Parameter(help="The worker deployment, where there are several.")
    ] = None,
    by: SomeBody = None,
    why: Why = "",
    out: Output = PLAIN,
) -> int:
    """Give a new build a share of the new cases; show all builds, their shares and their cases.

    It gets more while it does as well as the build before it, and none when it does not. Open
    cases stay on their build. The policies of all its agents say who may.
    """
    words = [n for n, said in (("back", back), ("pause", pause), ("resume", resume)) if said]
    if build is None and not words:
        return await _show(out)
    if len(words) + (build is not None) != 1:
        raise InvalidRequest("write a build, --back, --pause or --resume: one of them")
    if by is None:
        raise InvalidRequest("say who orders it: --by you@example.com")
    async with operator(out, by, signs=True, ledger="none") as somebody:
        if build is not None:
            became = await somebody.roll_out(
                build,
                to or ["10%"],
                deployment=deployment,
                cases=cases,
                every=every,
                allowed=allowed,
                why=why,
            )
        else:
            steer = "back" if back else "pause" if pause else "resume"
            became = await somebody.steer_rollout(steer, deployment, why)
    out.show(Text(plain(became.what), "bold"))
    out.data(became)
    return say_became(out, became)


async def _show(out: Output) -> int:
    """Every deployment, with its builds."""
    async with operator(out, lacking=[]) as somebody:
        found = await somebody.rollouts()
    out.data(found)
    for each in found.deployments:
        out.show(*head(each), _table(each))
    for why in found.lacking:
        out.show(Text(plain(why), "yellow"))
    if not found.deployments:
        out.show("no worker is of a deployment: set TEMPORAL_DEPLOYMENT_NAME and")
        out.show("TEMPORAL_WORKER_BUILD_ID where `handrail worker` runs")
    return Code.DONE


def head(each: DeploymentView) -> list[Text]:
    """What goes on in a deployment, above its builds."""
    lines = [Text(plain(each.deployment), "bold")]
    if each.stand:
        said = f"{plain(each.build)}: {each.stand}, by {plain(each.by)} {moment(each.begun)}"
        lines.append(label("rollout", said, _COLOURS.get(each.stand, "")))
        lines.append(label("shares", ", ".join(each.shares)))
    if each.why:
        lines.append(label("why", plain(each.why)))
    return lines


def _table(each: DeploymentView) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    columns = ("build", "share", "workers", "cases", "open", "failed", "refused", "incidents")
    for name in (*columns, "bad", "band"):
        table.add_column(name, overflow="fold")
    for row in each.builds:
        table.add_row(*cells(row))
    return table


def cells(row: BuildView) -> tuple[str, ...]:
    """One build, column by column."""
    name = f"{plain(row.build)} (current)" if row.current else plain(row.build)
    counts = (row.workers, row.cases, row.open, row.failed, row.refused, row.incidents)
    bad = "" if row.bad is None else f"{row.bad:.1%}"
    return (name, row.share, *map(str, counts), bad, plain(row.band))
