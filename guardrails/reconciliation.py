"""Data checks of the reconciliation agent: a fresh look at line and item, before a posting."""

from activities.reconciliation import Post
from activities.reconciliation_match import pays_for
from activities.reconciliation_systems import items, tray
from handrail import check

_BY_PAYER = frozenset(("mistyped", "no reference"))


@check
async def line_and_item_are_as_posted(action: Post) -> str | None:
    """The line has this amount, as much is open of the item, and who pays is who owes it."""
    lines = (await tray()).lines
    place = (action.statement, action.line)
    line = next((each for each in lines if (each.statement, each.number) == place), None)
    if line is None or line.amount != action.amount:
        return f"the bank has no line {action.line} of {action.statement} of {action.amount} EUR"
    if not action.invoice:
        return None
    found = await items(action.invoice)
    if not found or action.amount <= 0:
        return f"{action.invoice or 'it'} is no item of the books that a line pays"
    if action.amount + action.fee > found[0].open:
        return f"{found[0].open} EUR are open of {action.invoice}, not {action.amount}"
    if action.kind in _BY_PAYER and not pays_for(line, found[0]):
        return f"who pays is not the customer of {action.invoice}"
    return None
