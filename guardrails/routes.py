"""Data checks of the routes agent: a fresh look at the road, right before a plan goes out."""

from activities.routes import Dispatch, situation
from handrail import check


@check
async def made_of_the_plan_of_now(action: Dispatch) -> str | None:
    """No other plan came in meanwhile, and every stop is still to be driven."""
    known = await situation(action.day)
    if known is None:
        return f"{action.day} is not on the road any more"
    if known.version != action.based_on:
        return f"the plan is version {known.version} by now, not {action.based_on}"
    ready = {order.id for order in known.orders}
    gone = {stop for stops in action.routes.values() for stop in stops} - ready
    return f"{sorted(gone)} are driven or cancelled by now" if gone else None
