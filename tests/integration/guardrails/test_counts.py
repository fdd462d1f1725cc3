"""How many events a case leaves in its history: exact on every machine, so asserted here.

An event is what Temporal bills, stores and replays. One more in every case is a decision,
never an accident.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowUpdateFailedError

from benchmarks.contender import (
    HANDRAIL,
    HELD,
    LEAN,
    LEAN_FINDABLE,
    LEAN_HELD,
    ORDINARY,
    PASSING,
    REFUSED,
    Contender,
    Handle,
)
from handrail.runtime import EmbeddedServer

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

CONTENDERS = (HANDRAIL, LEAN, LEAN_FINDABLE, LEAN_HELD, ORDINARY)

# What the workflow's beginning and each workflow task after the first one leave.
BEGIN = {"WORKFLOW_EXECUTION_STARTED": 1, "WORKFLOW_EXECUTION_COMPLETED": 1}
TASK = ("WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED")
WRITE = ("ACTIVITY_TASK_SCHEDULED", "ACTIVITY_TASK_STARTED", "ACTIVITY_TASK_COMPLETED")
SHOWN = "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"
MEMO = "WORKFLOW_PROPERTIES_MODIFIED"
SIGNAL = "WORKFLOW_EXECUTION_SIGNALED"


class Running(NamedTuple):
    """A server with a worker of each contender, and a client for each."""

    clients: dict[str, Client]

    async def start(self, contender: Contender, key: str, extra_cost: Decimal) -> Handle:
        return await contender.start(self.clients[contender.queue], key, extra_cost)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    tmp_path_factory: pytest.TempPathFactory, unused_tcp_port_factory: Callable[[], int]
) -> AsyncIterator[Running]:
    home: Path = tmp_path_factory.mktemp("counts")
    port, ui_port = unused_tcp_port_factory(), unused_tcp_port_factory()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            EmbeddedServer(home / "server", port=port, ui_port=ui_port)
        )
        clients: dict[str, Client] = {}
        for contender in CONTENDERS:
            client = await contender.connect(server.address, home)
            await stack.enter_async_context(contender.working(client, home))
            clients[contender.queue] = client
        yield Running(clients)


async def events(handle: Handle) -> Counter[str]:
    history = await handle.fetch_history()
    return Counter(
        EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in history.events
    )


async def ruling(contender: Contender, handle: Handle) -> dict[str, Any]:
    """What approves a case, once it waits. Seen by its timer: a query during the first
    workflow task would cut that task in two, and add its three events."""
    while not (await events(handle))["TIMER_STARTED"]:  # noqa: ASYNC110  # the server tells nobody
        await asyncio.sleep(0.02)
    return dict(await contender.approval(handle) or {})


async def update(handle: Handle, said: dict[str, Any]) -> None:
    await handle.execute_update("rule", said)  # pyright: ignore[reportUnknownMemberType]  # Temporal's own signature is


def counted(tasks: int, *, writes: int = 1, **others: int) -> Counter[str]:
    expected = Counter(BEGIN) + Counter(dict.fromkeys(TASK, tasks))
    return expected + Counter(dict.fromkeys(WRITE, writes)) + Counter(others)


async def test_a_case_that_passes_has_15_events(running: Running) -> None:
    handle = await running.start(HANDRAIL, "passes", PASSING)
    await handle.result()
    found = await events(handle)
    assert found == counted(2, MARKER_RECORDED=3, **{SHOWN: 1})
    assert found.total() == 15


async def test_a_case_that_passes_has_one_event_more_than_the_leanest(running: Running) -> None:
    lean = await running.start(LEAN, "lean", PASSING)
    ordinary = await running.start(ORDINARY, "ordinary", PASSING)
    await lean.result()
    await ordinary.result()
    assert (await events(lean)).total() == 14
    assert (await events(ordinary)).total() == 29


async def test_an_approved_case_has_24_events(running: Running) -> None:
    handle = await running.start(HANDRAIL, "approved", HELD)
    await handle.signal("approve", await ruling(HANDRAIL, handle))
    await handle.result()
    found = await events(handle)
    assert found == counted(
        3,
        MARKER_RECORDED=3,
        TIMER_STARTED=1,
        TIMER_CANCELED=1,
        **{SHOWN: 3, MEMO: 1, SIGNAL: 1},
    )
    assert found.total() == 24


async def test_an_approved_case_has_two_events_more_than_one_that_can_be_found(
    running: Running,
) -> None:
    totals: list[int] = []
    for contender in (LEAN_FINDABLE, LEAN_HELD):
        handle = await running.start(contender, "held", HELD)
        await handle.signal("approve", await ruling(contender, handle))
        await handle.result()
        totals.append((await events(handle)).total())
    assert totals == [22, 20]


async def test_a_refused_case_has_8_events(running: Running) -> None:
    handle = await running.start(HANDRAIL, "refused", REFUSED)
    assert (await handle.result())["status"] == "refused"
    found = await events(handle)
    assert found == counted(1, writes=0, MARKER_RECORDED=2, **{SHOWN: 1})
    assert found.total() == 8


async def test_a_rejected_case_has_17_events(running: Running) -> None:
    handle = await running.start(HANDRAIL, "rejected", HELD)
    await handle.signal("reject", await ruling(HANDRAIL, handle))
    assert (await handle.result())["status"] == "rejected"
    found = await events(handle)
    assert found["ACTIVITY_TASK_SCHEDULED"] == 0
    assert found.total() == 17


async def test_an_amended_case_has_three_events_more_than_an_approved_one(
    running: Running,
) -> None:
    handle = await running.start(HANDRAIL, "amended", HELD)
    action = {"consignment": "amended", "flight": "UA101", "extra_cost": "150"}
    said = await ruling(HANDRAIL, handle) | {"action": action}
    await handle.signal("amend", said)
    assert (await handle.result())["status"] == "done"
    assert (await events(handle)).total() == 27


async def test_a_ruling_by_update_saves_a_signal_and_costs_two_events(running: Running) -> None:
    handle = await running.start(HANDRAIL, "updated", HELD)
    said = await ruling(HANDRAIL, handle) | {"verb": "approve"}
    await update(handle, said)
    await handle.result()
    found = await events(handle)
    assert found[SIGNAL] == 0
    assert found.total() == 25


async def test_a_ruling_that_counts_for_nothing_costs_its_signal_and_a_task(
    running: Running,
) -> None:
    handle = await running.start(HANDRAIL, "stray", HELD)
    said = await ruling(HANDRAIL, handle)
    await handle.signal("approve", said | {"by": "mallory@example.com"})
    assert await handle.query("gates")
    await handle.signal("approve", said)
    await handle.result()
    assert (await events(handle)).total() == 24 + 1 + len(TASK)


async def test_a_refused_update_leaves_nothing(running: Running) -> None:
    handle = await running.start(HANDRAIL, "refused-update", HELD)
    said = await ruling(HANDRAIL, handle)
    before = await events(handle)
    with pytest.raises(WorkflowUpdateFailedError):
        await update(handle, said | {"verb": "approve", "by": "mallory@example.com"})
    assert await events(handle) == before
    await handle.signal("stop", {})
    assert (await handle.result())["status"] == "stopped"


async def test_a_rolled_back_case_undoes_nothing_that_was_not_written(running: Running) -> None:
    handle = await running.start(HANDRAIL, "rolled-back", HELD)
    await ruling(HANDRAIL, handle)
    await handle.signal("roll_back", {"by": "ana@example.com"})
    assert (await handle.result())["status"] == "rolled_back"
    found = await events(handle)
    assert found["ACTIVITY_TASK_SCHEDULED"] == 0
    assert found.total() == 16
