"""How an agent's steward is begun, told and asked: by workers, commands and the inbox."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.client import WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from handrail.actions import LedgerMark
from handrail.agent import AGENT_ATTRIBUTE, OPEN_QUERY, describe_execution, executions
from handrail.oversight import (
    HELD_LEDGER,
    STEWARD_WORKFLOW,
    Change,
    OrderBook,
    OrderState,
    StewardInput,
    steward_id,
)

if TYPE_CHECKING:
    from temporalio.client import Client

    from handrail.oversight import Order

SOON = timedelta(seconds=5)
"""How long a steward's answer is waited for, which only a worker can give."""

_POLL = timedelta(milliseconds=50)
_LOOKS = timedelta(seconds=2)
_TELLING = timedelta(seconds=5)
_TASK = timedelta(seconds=4)
_RUNNING = f"WorkflowType = '{STEWARD_WORKFLOW}' AND {OPEN_QUERY}"


async def ensure_stewards(client: Client, agents: Iterable[str]) -> None:
    """See to it that these agents have a steward each, which looks at what is in force now.

    Raises:
        RPCError: if the server does not answer.
    """
    for agent in agents:
        await tell_steward(client, agent, "look")


async def tell_steward(
    client: Client, agent: str, signal: str, body: Mapping[str, Any] | None = None
) -> None:
    """Send a signal to the steward of an agent, which begins if there is none.

    Raises:
        RPCError: if the server does not answer.
    """
    await client.start_workflow(
        STEWARD_WORKFLOW,
        StewardInput(agent=agent),
        id=steward_id(agent),
        task_queue=agent,
        task_timeout=_TASK,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        # One that somebody terminated begins again: what is in force is in the ledger.
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=signal,
        start_signal_args=[] if body is None else [dict(body)],
        static_summary=f"autonomy of {agent}",
        static_details=f"How much {agent} may do by itself now, and who changed it, when and why.",
        search_attributes=TypedSearchAttributes([SearchAttributePair(AGENT_ATTRIBUTE, agent)]),
        rpc_timeout=_TELLING,
    )


def order_signal(order: Order, proof: str | None) -> dict[str, Any]:
    """An order as a signal carries it. `proof`: the order signed, or None."""
    body = order.model_dump(mode="json", exclude_defaults=True)
    return body if proof is None else body | {"proof": proof}


async def stewards(client: Client) -> list[str]:
    """The agents that have a steward: one on another queue than its agent's is none.

    Raises:
        RPCError: if the server does not answer.
    """
    found = [each async for each in executions(client, _RUNNING)]
    return sorted(e.task_queue for e in found if e.id == steward_id(e.task_queue))


async def steward_book(client: Client, agent: str) -> OrderBook | None:
    """What the steward of an agent knows; None if there is none, or no worker answers.

    Raises:
        RPCError: if the server does not answer.
    """
    handle = client.get_workflow_handle(steward_id(agent))
    try:
        return await handle.query("autonomy", result_type=OrderBook, rpc_timeout=SOON)
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
        return None
    except RPCError as error:
        if error.status in {RPCStatusCode.UNAVAILABLE, RPCStatusCode.PERMISSION_DENIED}:
            raise
        return None
    # It is paused in Temporal, whose status the SDK does not know; or no steward of ours answers.
    except Exception:  # noqa: BLE001  # decoding raises anything
        return None


async def held_ledger(client: Client, agent: str, patience: timedelta) -> LedgerMark | None:
    """The ledger that the steward of an agent holds, and how high it was; None if none.

    `patience`: how long one that holds none yet is waited for. No worker is needed.

    Raises:
        RPCError: if the server does not answer.
    """
    end = time.monotonic() + patience.total_seconds()
    while True:
        try:
            found = await describe_execution(client, steward_id(agent))
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        held = await found.memo_value(HELD_LEDGER, None, type_hint=LedgerMark)
        if held is not None or time.monotonic() > end:
            return held
        await asyncio.sleep(_POLL.total_seconds())


async def order_became(
    client: Client, agent: str, order_id: str, *, said_by: int = 1, patience: timedelta = SOON
) -> Change | None:
    """What became of an order, when it is judged; None if nobody has within `patience`.

    Of a level the steward's picture has it by then: whoever looks next sees it there.
    `said_by`: how many people's words on it are to be heard first.

    Raises:
        RPCError: if the server does not answer.
    """
    try:
        async with asyncio.timeout(patience.total_seconds()):
            while True:
                known = await steward_book(client, agent)
                change = known.change(order_id) if known is not None else None
                if change is not None and _is_judged(change, said_by):
                    break
                await asyncio.sleep(_POLL.total_seconds())
    except TimeoutError:
        return None
    # Where it cannot look, a policy being broken, say, the order is in force all the same.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LOOKS.total_seconds()):
            while known is not None and not _is_seen(known, change):
                await asyncio.sleep(_POLL.total_seconds())
                known = await steward_book(client, agent)
    return change


def _is_seen(known: OrderBook, change: Change) -> bool:
    if change.order.kind != "level" or change.stand is not OrderState.IN_FORCE:
        return True
    return known.picture is not None and known.picture.at >= change.since


def _is_judged(change: Change, said_by: int) -> bool:
    if change.stand is OrderState.WAITING:
        return change.judged >= said_by
    return change.stand is not OrderState.ASKED
