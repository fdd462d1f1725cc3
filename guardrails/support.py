"""Data checks of the support agent: fresh looks at the shop, before anything is given away."""

from activities.support import order_now
from activities.support_choice import DAYS
from activities.support_facts import Refund, Replace
from handrail import Final, check


@check
async def refund_is_due(action: Refund) -> str | None:
    """The order is delivered, not long ago, cost this much, and was not refunded."""
    return await _due(action.order, action)


@check
async def replacement_is_due(action: Replace) -> str | None:
    """The order is delivered, not long ago, and the article is in stock."""
    return await _due(action.order, action)


async def _due(number: str, action: Refund | Replace) -> str | None:
    try:
        order = await order_now(number)
    except Final as error:
        return str(error)
    if order.status != "delivered" or order.days > DAYS:
        return f"{number} is {order.status}, {order.days} days ago"
    if order.refunded or order.replaced:
        return f"{number} was {'refunded' if order.refunded else 'replaced'} already"
    if isinstance(action, Refund) and action.amount != order.total:
        return f"{number} cost {order.total} EUR, not {action.amount}"
    if isinstance(action, Replace) and order.stock <= 0:
        return f"there is no {order.article} any more"
    return None
