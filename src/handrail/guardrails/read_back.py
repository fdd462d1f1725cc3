"""After a write: the outside system is read back, and what it says compared with what was meant.

A receipt says that the outside system took a request. What it made of it is only seen by
reading it. Outside systems show some writes late, so a mismatch is looked at again too, and
what cannot be read is no less an incident than what is wrong: nobody knows that it is right.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from handrail.guardrails.effects import effect_as_current

if TYPE_CHECKING:
    from handrail.actions import Action, Effect, Receipt
    from handrail.agent import Write

PAUSES = (timedelta(milliseconds=300), timedelta(seconds=1))
"""Between the tries, of which there is one more."""

TRY = timedelta(seconds=4)
"""How long one try may take."""

LIMIT = timedelta(seconds=10)
"""How long all of them may take, with the pauses."""

LONGEST = 1_000
"""Characters of what is said about a mismatch."""


async def verify(step: Write[Any, Any], action: Action, effect: Effect, receipt: Receipt) -> str:
    """Read a write back. Empty where it is as it was meant, or nobody says how to read it.

    Three tries, with short pauses, within ten seconds; then what was wrong at the last one, or
    that it could not be read back, and why. Raises nothing for what the step's `verify` does.
    """
    if step.verify is None:
        return ""
    try:
        result = step.adapter.validate_json(json.dumps(receipt.result))
    except ValidationError:
        return f"could not be read back: its receipt ({receipt.how}) has not what it returns"
    found = ""
    clock = asyncio.get_running_loop().time
    until = clock() + LIMIT.total_seconds()
    for pause in (timedelta(0), *PAUSES):
        await asyncio.sleep(pause.total_seconds())
        left = min(TRY.total_seconds(), until - clock())
        if left <= 0:
            break
        said = await _try(step, action, effect, result, left)
        if said is None:
            return ""
        found = said
    return found[:LONGEST]


async def _try(
    step: Write[Any, Any], action: Action, effect: Effect, result: Any, seconds: float
) -> str | None:
    assert step.verify is not None  # noqa: S101  # the caller has looked
    try:
        with effect_as_current(effect):
            async with asyncio.timeout(seconds):
                said: Any = await step.verify(action, effect, result)
    except TimeoutError:
        return f"could not be read back: no answer within {seconds:.0f} s"
    # The agent's own code and the outside system's: whatever it raises, the write has happened.
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001
        return f"could not be read back: {str(error) or type(error).__name__}"
    if said is None:
        return None
    return str(said) or "it is not as it should be (its `verify` does not say why)"
