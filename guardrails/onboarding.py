"""Data checks of the onboarding agent: fresh looks at the file, right before a write."""

from activities.onboarding import AttachApplication, OpenCustomer, alike
from activities.onboarding_match import compare
from handrail import check


@check
async def nobody_came_meanwhile(action: OpenCustomer) -> str | None:
    """Nobody on file is the applicant by now, or may be."""
    others = {action.application, *action.apart_from}
    match = compare(action.person, [c for c in await alike(action.person) if c.code not in others])
    if match.verdict == "new":
        return None
    return f"{match.customer} is {match.likeness:.2f} alike by now"


@check
async def customer_is_somebody(action: AttachApplication) -> str | None:
    """An application is never noted at a customer that it has opened itself."""
    own = action.customer == action.application
    return f"{action.customer} was opened for this very application" if own else None
