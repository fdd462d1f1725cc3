"""Data checks of the invoices agent: a fresh look at the order, right before a payment."""

from activities.invoices import Pay, find_order
from handrail import check


@check
async def still_open(action: Pay) -> str | None:
    """What is paid is still open of the order."""
    order = await find_order(action.order)
    if order is None:
        return f"there is no order {action.order}"
    if action.amount > order.open:
        return f"{order.open} EUR are open of {action.order}, not {action.amount}"
    return None
