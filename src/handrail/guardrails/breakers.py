"""Circuit breakers: too much goes wrong in a time, and the agent's own freedom goes down.

What is counted, and since when, is in `handrail.ledger.history`: counting and the order that
lowers the level are one transaction, so that a breaker trips once however many workers look. Its
order stands like one of a person, by `breaker`. When people then set a level of the agent, or
lift the stop, counting begins anew from that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from handrail.actions import Level
from handrail.guardrails import audit
from handrail.guardrails.alerts import alert_owner, nudge_steward
from handrail.ledger import BreakerRule
from handrail.oversight import Alert

if TYPE_CHECKING:
    from handrail.ledger import Ledger, OrderRow
    from handrail.policy import Breaker, Policy


@dataclass(frozen=True)
class BreakerTrip:
    """A breaker that has just tripped, and the order that it gave."""

    breaker: Breaker
    order: OrderRow

    @property
    def words(self) -> str:
        """What was done, and why."""
        done = "is stopped" if self.breaker.then is Level.STOP else f"is now {self.breaker.then}"
        return f"{self.order.agent} {done}: {self.order.why}"


async def look(
    ledger: Ledger, policy: Policy, agent: str, step: str, now: datetime, *, inbox: str = ""
) -> BreakerTrip | None:
    """Count for the policy's breakers, and lower the agent's level if there are enough.

    To be called after a refusal, a failure, a doubt, an undo or an incident of `step` has been
    written to the ledger. Of several that trip at once the gravest is returned. Its owner is
    told, where there is an `inbox` (its address).

    Raises:
        LedgerUnavailable: if it cannot be counted; nothing was changed.
    """
    tripped: list[BreakerTrip] = []
    for breaker in policy.breakers:
        fuse = BreakerRule(breaker.what, breaker.count, breaker.window, breaker.then, breaker.text)
        found = await ledger.trip(agent, step, fuse, now)
        if found.order is not None:
            then = breaker.then.value
            audit.breaker(agent, step, breaker=breaker.text, then=then, why=found.order.why)
            await nudge_steward(agent)
            tripped.append(BreakerTrip(breaker, found.order))
        if order := found.order or found.before:
            # Once more of one that stands: the worker that gave it may have died before.
            await alert_owner(breaker_alert(BreakerTrip(breaker, order)), inbox)
    return _gravest(tripped)


def _gravest(tripped: Sequence[BreakerTrip]) -> BreakerTrip | None:
    order = list(Level)
    return min(tripped, key=lambda each: order.index(each.breaker.then), default=None)


def breaker_alert(tripped: BreakerTrip) -> Alert:
    """What the owner is told of a breaker."""
    order, then = tripped.order, tripped.breaker.then
    if then is Level.STOP:
        undo = f"It writes nothing until somebody lifts it: handrail lift {order.agent}"
    else:
        undo = f"It stays so until somebody sets a level: handrail autonomy {order.agent}"
    return Alert(
        agent=order.agent,
        what="breaker",
        id=order.id,
        title=f"A breaker of {order.agent} has tripped",
        lines=(tripped.words, undo, f"What went wrong: handrail incidents --agent {order.agent}"),
        at=order.at,
    )
