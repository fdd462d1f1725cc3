"""Data checks of the stores agent: the shelf, right before a write."""

from activities.stores import Purchase, Reserve, shelf
from handrail import check


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
