"""Data checks of the sales agent: fresh looks at the pipeline, right before a write."""

from activities.sales import deal_now, people_now
from activities.sales_facts import Assign, Close, Move, Remind
from activities.sales_rules import OPEN, WITHIN, behind, ending, touched
from activities.sales_systems import tasks_in
from handrail import check

ABREAST = 1
"""How many deals more than the fewest its new owner may have: others are given at the same time."""


@check
async def owner_is_next(action: Assign) -> str | None:
    """The new owner is of the deal's territory, is here, and has as few deals as any by now."""
    deal, people = await deal_now(action.deal), await people_now()
    near = [rep for rep in people if not rep.lead and rep.territory == deal.territory]
    rep = next((each for each in near if each.code == action.owner), None)
    if rep is None or deal.territory is None:
        return f"{action.owner} is not of {deal.territory}"
    if rep.left is not None:
        return f"{action.owner} leaves on {rep.left}"
    fewest = min(each.deals for each in near if each.left is None)
    own = rep.deals - (deal.owner == rep.code)
    return f"{rep.code} has {own} open deals by now" if own > fewest + ABREAST else None


@check
async def stage_is_what_happened(action: Move) -> str | None:
    """What happened with the customer gives the deal this very stage."""
    right = behind(await deal_now(action.deal))
    return None if right and right[0] == action.to else f"{action.deal} is not {action.to} by now"


@check
async def nobody_was_quicker(action: Remind) -> str | None:
    """Nobody has had a word with the customer, and the calendar has no such task."""
    deal = await deal_now(action.deal)
    tasks = [task for task in await tasks_in([action.calendar]) if task.deal == action.deal]
    if any(task.due > touched(deal) for task in tasks):
        return f"{action.calendar} has a task for {action.deal} by now"
    had = (action.due - WITHIN - touched(deal)).days < action.days
    return f"somebody had a word on {touched(deal)}" if had else None


@check
async def customer_said_so(action: Close) -> str | None:
    """The deal is open, its amount is what people were shown, and the customer's word stands."""
    deal = await deal_now(action.deal)
    if deal.state not in OPEN:
        return f"{action.deal} is {deal.state} by now"
    if deal.amount != action.amount:
        return f"{action.deal} is worth {deal.amount} EUR by now, not {action.amount}"
    end = ending(deal)
    return None if end and end[0] == action.ending else f"the customer has not said {action.ending}"
