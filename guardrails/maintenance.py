"""Data checks of the maintenance agent: the calendar and the shelf, right before a write."""

from datetime import timedelta

from activities.maintenance import CREWS, BookWindow, Purchase, Reserve, shelf, windows
from handrail import check


@check
async def crew_is_free(action: BookWindow) -> str | None:
    """The machine has no work within three days of it, and a crew is free."""
    booked = await windows()
    near = [w for w in booked if abs(w.start - action.start) < timedelta(days=3)]
    for window in near:
        if window.machine == action.machine:
            at = f"{window.start:%Y-%m-%d %H:%M}"
            return f"machine {window.machine} has work on its {window.part} at {at}"
    if sum(window.start == action.start for window in near) >= CREWS:
        return f"no crew is free at {action.start:%Y-%m-%d %H:%M}"
    return None


@check
async def on_the_shelf(action: Reserve) -> str | None:
    """The spare is still free."""
    return None if (await shelf(action.part)).free else f"no {action.part} is free any more"


@check
async def price_stands(action: Purchase) -> str | None:
    """It costs what was decided, and nobody has ordered meanwhile."""
    has = await shelf(action.part)
    if has.ordered:
        return f"{has.ordered} {action.part}s are on their way already"
    cost = has.price * action.quantity
    return None if cost == action.cost else f"it costs {cost} EUR now, not {action.cost}"
