"""Data checks of retraining: a fresh look at the shelf, right before a version is used."""

import asyncio

from activities.retraining import the_shelf
from activities.retraining_facts import PutIntoUse
from handrail import check


@check
async def it_was_judged_beside_the_one_in_use(action: PutIntoUse) -> str | None:
    """The version in use is still the one that it was held against."""
    use = await asyncio.to_thread(the_shelf().use, action.agent)
    if use is not None and use.version in {action.replaces, action.version}:
        return None
    return f"{use.version if use else 'nothing'} is in use by now, and was not judged beside it"
