"""Of which gates somebody could not be told: for the inbox's page, and for whoever is on call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError
from temporalio.client import WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError

from handrail.inbox.channels.delivery import Book, Letter
from handrail.inbox.channels.workflow import UNDELIVERED
from handrail.oversight import NOTIFY_WORKFLOW

if TYPE_CHECKING:
    from datetime import datetime

    from temporalio.client import Client

QUERY = f"WorkflowType = '{NOTIFY_WORKFLOW}' AND HandrailRisk = '{UNDELIVERED}'"
"""The same in Temporal's UI, where it can be saved as a view."""

SOON = timedelta(seconds=5)


@dataclass(frozen=True)
class Undelivered:
    """One gate of which `people` could not be told. `tries`: every way that was tried, and why not.

    `open`: it is still followed. `people` is empty when the inbox's worker does not answer.
    """

    gate: str
    case: str
    agent: str
    since: datetime
    open: bool
    people: tuple[str, ...] = ()
    tries: tuple[str, ...] = ()


async def undelivered(
    client: Client, *, open_only: bool = True, limit: int = 100
) -> list[Undelivered]:
    """The gates of which somebody could not be told, the latest first.

    Raises:
        RPCError: if the server does not answer.
    """
    query = f"{QUERY} AND ExecutionStatus = 'Running'" if open_only else QUERY
    found: list[Undelivered] = []
    async for execution in client.list_workflows(query, limit=limit):
        book = await _book(client, execution.id)
        lost = [each for each in book.letters if each.due.person in book.unreached()]
        found.append(
            Undelivered(
                gate=execution.id.partition(":")[2],
                case=book.view.case if book.view else "",
                agent=book.view.case.partition(":")[0] if book.view else "",
                since=execution.start_time,
                open=execution.close_time is None,
                people=book.unreached(),
                tries=tuple(line for each in lost for line in _tries(each)),
            )
        )
    return found


async def _book(client: Client, workflow: str) -> Book:
    """The book of one gate; an empty one when nobody answers."""
    try:
        handle = client.get_workflow_handle(workflow)
        return await handle.query("told", result_type=Book, rpc_timeout=SOON)
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError, RPCError, ValidationError):
        return Book()


def _tries(letter: Letter) -> list[str]:
    due = letter.due
    said = [f"{due.person}, {due.what}, by {t.channel}: {t.why}" for t in letter.tries if t.why]
    return said or [f"{due.person}, {due.what}: no channel"]
