"""Alerts to the owner of an agent's policy: of a breaker, a budget, an incident.

A worker starts one small workflow for each event, under an id made of the event, so that nobody
is told twice. The inbox's process runs it (`inbox.channels.alerts`), which has the credentials of
mail and chat; a worker has none.
"""

from __future__ import annotations

import contextlib
import logging
from datetime import datetime, timedelta
from typing import Final

from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from handrail.oversight import MESSAGE_QUEUE, OWNER_WORKFLOW, Alert, alert_id

log = logging.getLogger("handrail.telling")

# What this process had told already: the server need not be asked again with every decision.
_TOLD: Final = set[tuple[str, str]]()
_MOST: Final = 1_000


async def alert_owner(news: Alert, inbox: str) -> bool:
    """Have the owner of an agent told, once for each event. False if it was not begun.

    `inbox`: its address, as the worker's settings have it; where it is empty nobody would send
    anything, and nothing is done. Must be called in an activity. It never raises: what happened
    stands in the ledger, whether somebody could be told of it or not.
    """
    if not inbox or not activity.in_activity():
        return False
    try:
        await _begin(activity.client(), news)
    except (RPCError, RuntimeError):  # RuntimeError: the activity runs where there is no client
        log.exception("the owner of %s could not be told of %s", news.agent, news.id)
        return False
    return True


async def _begin(client: Client, news: Alert) -> None:
    known = (client.namespace, alert_id(news))
    if known in _TOLD:
        return
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
    if len(_TOLD) >= _MOST:
        _TOLD.clear()
    _TOLD.add(known)


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
