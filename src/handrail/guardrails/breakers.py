"""Circuit breakers and budgets: too much goes wrong or is spent, and the agent may do less.

What is counted, and since when, is in `handrail.ledger.history`: counting and the order that
lowers the level are one transaction, so that a breaker trips once however many workers look. Its
order stands like one of a person, by `breaker`. When people then set a level of the agent, or
lift the stop, counting begins anew from that moment. A budget of the agent's own thinking that is
used up keeps further decisions from being made; what was begun is finished.

The owner of the policy is told at once. A worker starts one small workflow for each alert, under
an id made of the event, so that nobody is told twice. The inbox's process runs it
(`inbox.channels.alerts`), which has the credentials of mail and chat; a worker has none.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from temporalio import activity
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from handrail.actions import Level
from handrail.guardrails import audit
from handrail.ledger import BreakerRule, SpendTotal
from handrail.oversight import MESSAGE_QUEUE, OWNER_WORKFLOW, Alert, alert_id

if TYPE_CHECKING:
    from temporalio.client import Client

    from handrail.actions import Usage
    from handrail.ledger import Ledger, OrderRow
    from handrail.policy import Breaker, Budget, Policy


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
    return min(tripped, key=lambda each: list(Level).index(each.breaker.then), default=None)


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


# Budgets


NEARLY = Decimal("0.8")
"""From which share on a budget is warned of."""

Spendings = Mapping[timedelta, SpendTotal]
"""What was used up in each window of time until now."""


async def budget_spendings(
    ledger: Ledger, agent: str, budgets: Sequence[Budget], now: datetime
) -> Spendings:
    """What `agent` used up in the windows of its budgets.

    Raises:
        LedgerUnavailable: if the ledger cannot be read.
    """
    windows = dict.fromkeys(budget.window for budget in budgets)
    return {window: await ledger.spent(agent, now - window) for window in windows}


def budgets_used(budgets: Sequence[Budget], spent: Spendings) -> str | None:
    """Which budgets are used up, in words; None if none is."""
    found = [_budget_in_words(each, spent) for each in budgets if _used(each, spent) >= each.cap]
    return "; ".join(found) or None


def budgets_nearly_used(budgets: Sequence[Budget], spent: Spendings) -> str | None:
    """Which budgets are used to four fifths or more, and not yet up; None if none is."""
    found = [
        _budget_in_words(each, spent)
        for each in budgets
        if each.cap * NEARLY <= _used(each, spent) < each.cap
    ]
    return "; ".join(found) or None


def budgets_short(budgets: Sequence[Budget], spent: Spendings, estimate: Usage) -> str | None:
    """Which budgets have no room for what one request may cost, in words; None if all have."""
    tokens = estimate.input_tokens + estimate.output_tokens
    asked = SpendTotal(tokens, {estimate.currency: estimate.cost})
    found = [
        f"{_budget_in_words(each, spent)}, and one request may take {needed:f}"
        for each in budgets
        if (needed := _used(each, {each.window: asked})) and _used(each, spent) + needed > each.cap
    ]
    return "; ".join(found) or None


def _used(budget: Budget, spent: Spendings) -> Decimal:
    return spent.get(budget.window, SpendTotal()).of(budget.kind, budget.unit)


def _budget_in_words(budget: Budget, spent: Spendings) -> str:
    used = _used(budget, spent)
    share = int(used / budget.cap * 100) if budget.cap else 100
    return f"budget of {budget.kind}: {used:f} of {budget.text} is used ({share}%)"


# Telling the owner


log = logging.getLogger("handrail.telling")

# What this process had told already: the server need not be asked again with every decision.
_TOLD: Final = set[tuple[str, str]]()
_MOST: Final = 1_000


async def alert_owner(news: Alert, inbox: str, client: Client | None = None) -> bool:
    """Have the owner of an agent told, once for each event. False if it was not begun.

    `inbox`: its address, as the worker's settings have it; where it is empty nobody would send
    anything, and nothing is done. Without a `client` it must be called in an activity. It never
    raises: what happened stands in the ledger, whether somebody could be told of it or not.
    """
    if not inbox or (client is None and not activity.in_activity()):
        return False
    try:
        client = client or activity.client()
        known = (client.namespace, alert_id(news))
        if known not in _TOLD:
            with contextlib.suppress(WorkflowAlreadyStartedError):
                await client.start_workflow(
                    OWNER_WORKFLOW,
                    news,
                    id=alert_id(news),
                    task_queue=MESSAGE_QUEUE,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    static_summary=f"tell the owner of {news.agent}: {news.what}",
                )
    except (RPCError, RuntimeError):  # RuntimeError: the activity runs where there is no client
        log.exception("the owner of %s could not be told of %s", news.agent, news.id)
        return False
    if len(_TOLD) >= _MOST:
        _TOLD.clear()
    _TOLD.add(known)
    return True


async def nudge_steward(agent: str) -> None:
    """Have the agent's steward look at what is in force, and show it. It never raises."""
    if not activity.in_activity():
        return
    try:
        await activity.client().get_workflow_handle(f"autonomy:{agent}").signal("look")
    except (RPCError, RuntimeError):  # it looks by itself before long
        log.info("the steward of %s could not be told", agent, exc_info=True)


def budget_alert(agent: str, budget: str, window: timedelta, said: str, now: datetime) -> Alert:
    """That a budget nears its end, or is at it; told once of each in its `window`.

    `budget`: as the policy has it. `said`: how much of it is used.
    """
    return Alert(
        agent=agent,
        what="budget",
        id=f"{budget} #{int(now.timestamp() // window.total_seconds())}",
        title=f"A budget of {agent} nears its end",
        lines=(said, f"Look at it: handrail policy show {agent}"),
        at=now,
    )


def stuck_alert(agent: str, case: str, incident: str, what: str, at: datetime) -> Alert:
    """That a step goes on failing. `incident`: the id of its row."""
    return Alert(
        agent=agent,
        what="incident",
        id=incident,
        title=f"A case of {agent} is stuck",
        lines=(
            f"{case}: {what}",
            f"Look at it: handrail show {case}",
            "All: handrail cases --stuck",
        ),
        at=at,
    )


def incident_alert(agent: str, case: str, incident: str, what: str, at: datetime) -> Alert:
    """That something was found wrong after a write. `incident`: the id of its row."""
    return Alert(
        agent=agent,
        what="incident",
        id=incident,
        title=f"Something is wrong with a write of {agent}",
        lines=(f"{case}: {what}", f"Look at it: handrail show {case}", "All: handrail incidents"),
        at=at,
    )
