"""Data checks of the maintenance agent: the calendar, right before a write."""

from datetime import timedelta

from activities.maintenance import CREWS, BookWindow, windows
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
