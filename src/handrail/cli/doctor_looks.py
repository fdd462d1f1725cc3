"""What `handrail doctor` finds, how it looks, and its looks at the clock and at messages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    PollActivityTaskQueueRequest,
)
from temporalio.service import RPCError

from handrail.agent import executions
from handrail.cli.output import plain
from handrail.client import stuck_cases
from handrail.exceptions import HandrailError
from handrail.oversight import MESSAGE_QUEUE
from handrail.policy import written

if TYPE_CHECKING:
    from temporalio.api.taskqueue.v1 import PollerInfo
    from temporalio.client import Client

_SHOWN: Final = 3
_NEWEST: Final = 50
"""Of so many messages it is looked what fails: where a channel is away, the newest have met it."""

_TOLERANCE: Final = timedelta(minutes=1)
"""By how much the clocks may differ: at more a worker writes nothing."""

_CLOCK_QUEUE: Final = "handrail-doctor"
_POLL: Final = timedelta(seconds=10)
_ANSWER: Final = timedelta(seconds=5)
_NOTED: Final = timedelta(milliseconds=50)


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was looked at. `ok` is None where it could not be, or does not matter."""

    name: str
    ok: bool | None
    what: str
    fix: str = ""


Look = tuple[str, Callable[[], Awaitable[Diagnosis]]]


async def looked(looks: Iterable[Look]) -> list[Diagnosis]:
    """What came of each look; one that fails keeps no other from being made."""
    found: list[Diagnosis] = []
    for name, look in looks:
        try:
            found.append(await look())
        except RPCError as error:
            found.append(Diagnosis(name, None, f"may not be looked at: {error}"))
        except HandrailError as error:
            found.append(Diagnosis(name, False, f"cannot be looked at: {error}"))
        except Exception as error:  # noqa: BLE001  # what others put into Temporal raises anything
            found.append(Diagnosis(name, False, f"cannot be looked at: {error!r}"))
    return found


async def pollers(connected: Client, queue: str, *, activities: bool = False) -> list[PollerInfo]:
    """Who has asked for the work of a task queue in the last minutes."""
    kind = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY if activities else _WORKFLOWS
    request = DescribeTaskQueueRequest(
        namespace=connected.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
    )
    answer = await connected.workflow_service.describe_task_queue(request)
    return list(answer.pollers)


_WORKFLOWS: Final = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW


async def clock_diagnosed(connected: Client) -> Diagnosis:
    """The clock of this machine against the server's, which notes when somebody asks for work.

    No answer of the server says what time it has, and there is never work in that queue.
    """
    me, here = f"doctor-{uuid4().hex}", datetime.now(UTC)
    request = PollActivityTaskQueueRequest(
        namespace=connected.namespace, task_queue=TaskQueue(name=_CLOCK_QUEUE), identity=me
    )
    polling = asyncio.ensure_future(
        connected.workflow_service.poll_activity_task_queue(request, timeout=_POLL)
    )
    try:
        async with asyncio.timeout(_POLL.total_seconds()):  # a poll may end early, and unnoted
            ahead = here - await _noted(connected, me, polling)
    finally:
        polling.cancel()
        with contextlib.suppress(asyncio.CancelledError, RPCError):
            await polling
    much = timedelta(seconds=round(abs(ahead).total_seconds()))
    if abs(ahead) <= _TOLERANCE:
        return Diagnosis("clock", ok=True, what=f"within {written(_TOLERANCE)} of the server's")
    early = ahead > timedelta(0)
    signed = ", what is signed here does not count" if early else ""
    what = (
        f"that of this machine is {much} {'ahead of' if early else 'behind'} the server's: times "
        f"ago and left are shown wrongly here{signed}, and a worker here writes nothing"
    )
    fix = "set the clock that is wrong (`timedatectl` says whether one is synchronised)"
    return Diagnosis("clock", False, what, fix)


async def _noted(connected: Client, me: str, polling: asyncio.Future[Any]) -> datetime:
    """When the server had the poll of `me`, by its own clock.

    Raises:
        RPCError: if it does not take it.
    """
    while True:
        for each in await pollers(connected, _CLOCK_QUEUE, activities=True):
            if each.identity == me:
                return each.last_access_time.ToDatetime(tzinfo=UTC)
        if polling.done():
            await polling
        await asyncio.sleep(_NOTED.total_seconds())


async def messages_diagnosed(connected: Client) -> Diagnosis:
    """Whether people can be told: messages that reached nobody, and those that fail just now."""
    open_ones = f"TaskQueue = '{MESSAGE_QUEUE}' AND ExecutionStatus = 'Running'"
    newest = [each.id async for each in executions(connected, open_ones, limit=_NEWEST)]
    if newest and not await pollers(connected, MESSAGE_QUEUE):
        what = f"nobody sends them, and {len(newest)}{_more(newest)} are open"
        return Diagnosis("messages", False, what, "start `handrail inbox serve`")
    lost = f"{open_ones} AND HandrailProblem = 'undelivered'"
    unreached = [each.id async for each in executions(connected, lost, limit=_NEWEST)]
    fails = await stuck_cases(connected, open_ones, timedelta(0), limit=_NEWEST)
    if not fails and not unreached:
        return Diagnosis("messages", ok=True, what="none that fails")
    named = [
        f"{each.id}: attempt {one.attempt}: {plain(one.error)[:200]}"
        for each, (one, *_) in fails[:_SHOWN]
    ]
    whys = await asyncio.gather(*(_unreached(connected, each) for each in unreached[:_SHOWN]))
    said = [f"{len(unreached)}{_more(unreached)} reached not all: {'; '.join(whys)}"] * bool(whys)
    said += [f"{len(fails)}{_more(fails)} fail: {'; '.join(named)}"] if fails else []
    fix = (
        "mend the channel (HANDRAIL_SMTP_URL, Slack, HANDRAIL_WEBHOOK_URL) or the address: they go "
        "out within ten minutes, each once; `handrail inbox` has the questions meanwhile"
    )
    return Diagnosis("messages", False, "; ".join(said), fix)


async def _unreached(connected: Client, message: str) -> str:
    """Whom a message did not reach, and why, as its delivery log says."""
    from handrail.inbox.channels.delivery import DeliveryLog  # it takes half a second

    handle = connected.get_workflow_handle(message)
    try:
        log = await handle.query("told", result_type=DeliveryLog, rpc_timeout=_ANSWER)
    except RPCError:  # nobody answers for it, and that is said
        return message
    whys = (
        f"{e.due.person}: {plain(e.tries[-1].why)}" for e in log.letters if e.lacking and e.tries
    )
    return f"{message} ({next(whys, ', '.join(log.unreached()))})"


def _more(found: Sequence[object]) -> str:
    return " or more" if len(found) >= _NEWEST else ""
