"""Data checks of the inspection agent: the controller, right before a write."""

from activities.inspection import Settle, StopLine, charted
from activities.inspection_systems import call
from handrail import check


@check
async def is_held(action: Settle) -> str | None:
    """Nobody has settled it at the line meanwhile."""
    path = f"/lines/{action.line}/verdicts"
    found = (await call("GET", path, params={"serial": action.serial})).json()
    last = found[-1]["verdict"] if found else None
    return None if last == "hold" else f"part {action.serial} is {last} by now"


@check
async def line_runs(action: StopLine) -> str | None:
    """The line still runs: a second stop would begin its restart anew."""
    return None if (await charted(action.line)).runs else f"line {action.line} is stopped already"
