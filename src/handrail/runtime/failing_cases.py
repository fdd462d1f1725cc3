"""Cases whose code fails again and again: each is an incident, of which the owner is told once.

A step that fails is seen by the worker that runs it. Code that cannot go on reaches no step: only
the server knows of it, and each worker looks there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio.service import RPCError

from handrail.agent import OPEN_QUERY
from handrail.client import FAILING_TASK, stuck_cases
from handrail.exceptions import LedgerUnavailable, PolicyError
from handrail.guardrails import alert_owner, stuck_alert
from handrail.ledger import STUCK, IncidentRow
from handrail.policy import STUCK_AFTER
from handrail.text import moment_in_words

if TYPE_CHECKING:
    from temporalio.client import Client

    from handrail.ledger import Ledger
    from handrail.runtime.agent import Agent

LOOK = timedelta(minutes=1)
"""How often a worker looks for such cases."""

REPORTED = "TemporalReportedProblems IS NOT NULL"
"""Of which cases the server says that their workflow task has failed several times."""


async def report_failing_cases(
    client: Client, agents: Iterable[Agent], ledger: Ledger, inbox: str
) -> None:
    """Look for them until it is cancelled."""
    while True:
        for agent in agents:
            # What is away is seen by whoever needs it, and here the next time.
            with contextlib.suppress(RPCError, LedgerUnavailable):
                await look_for_failing(client, agent, ledger, inbox)
        await asyncio.sleep(LOOK.total_seconds())


async def look_for_failing(client: Client, agent: Agent, ledger: Ledger, inbox: str) -> None:
    """Keep those that fail for as long as the policy calls stuck, and tell the owner.

    Raises:
        RPCError: if the server does not answer.
        LedgerUnavailable: if the ledger cannot be written.
    """
    query = f"HandrailAgent = '{agent.name}' AND {REPORTED} AND {OPEN_QUERY}"
    after, now = STUCK_AFTER, datetime.now(UTC)
    with contextlib.suppress(PolicyError):  # said elsewhere
        after = agent.policy_file.current().doc.stuck.after
    for case, steps in await stuck_cases(client, query, after):
        for each in (step for step in steps if step.step == FAILING_TASK):
            since = moment_in_words(each.since)
            what = f"its code fails again and again since {since}; last: {each.error}"
            known = f"{case.id}/{case.run_id}/{each.since.isoformat()}!{STUCK}"
            row = IncidentRow(known, agent.name, "", case.id, "", STUCK, what, now)
            await ledger.incident(row)
            await alert_owner(stuck_alert(agent.name, case.id, row.id, what, now), inbox, client)
