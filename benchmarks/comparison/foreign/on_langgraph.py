# ruff: noqa: INP001  # a contender's program
"""LangGraph: a graph of four nodes with an interrupt, and a checkpointer on SQLite or PostgreSQL.

What is done is on disk before the next node begins (`durability="sync"`), as with the others.
The key of the write is the thread's id and the node's name. Who approves runs the graph on.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any, Literal, TypedDict

from drive import main
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from work import (
    HELD_ABOVE,
    SERVER,
    Alert,
    Booking,
    Consignment,
    Rebooking,
    booked,
    chosen,
    looked_up,
    told,
)


class State(TypedDict, total=False):
    """What the nodes hand on."""

    alert: dict[str, Any]
    consignment: dict[str, Any]
    decision: dict[str, Any]
    booking: dict[str, Any]


async def look(state: State) -> State:
    """Look up the consignment and the flights that could carry it."""
    alert = Alert.model_validate(state["alert"])
    return {"consignment": (await looked_up(alert.consignment)).model_dump(mode="json")}


async def choose(state: State) -> State:
    """Choose a flight."""
    alert = Alert.model_validate(state["alert"])
    consignment = Consignment.model_validate(state["consignment"])
    return {"decision": chosen(alert, consignment).model_dump(mode="json")}


def next_of(state: State) -> Literal["ask", "rebook"]:
    """Whether a human is asked."""
    decision = Rebooking.model_validate(state["decision"])
    return "ask" if decision.extra_cost > HELD_ABOVE else "rebook"


async def ask(state: State) -> State:
    """Wait for an approval."""
    interrupt(state["decision"])
    return {}


async def rebook(state: State) -> State:
    """Book the flight."""
    decision = Rebooking.model_validate(state["decision"])
    booking = await booked(decision.consignment, decision.flight, f"{decision.consignment}/rebook")
    return {"booking": booking.model_dump(mode="json")}


async def tell(state: State) -> State:
    """Tell the shipper."""
    consignment = Consignment.model_validate(state["consignment"])
    await told(consignment.shipper, Booking.model_validate(state["booking"]))
    return {}


def graph(checkpointer: BaseCheckpointSaver[Any]) -> Any:
    """The graph."""
    made = StateGraph(State)
    for node in (look, choose, ask, rebook, tell):
        made.add_node(node.__name__, node)
    made.add_edge(START, "look")
    made.add_edge("look", "choose")
    made.add_conditional_edges("choose", next_of)
    made.add_edge("ask", "rebook")
    made.add_edge("rebook", "tell")
    made.add_edge("tell", END)
    return made.compile(checkpointer=checkpointer)


class Cases:
    """Its threads: each is run by whoever calls it, to its end or to the interrupt."""

    def __init__(self, compiled: Any, works: bool) -> None:  # noqa: FBT001  # drive's
        self._graph = compiled
        self._works = works
        self._runs: dict[str, asyncio.Task[Any]] = {}

    def _go(self, key: str, given: Any) -> None:
        config = {"configurable": {"thread_id": key}}
        running = self._graph.ainvoke(given, config, durability="sync")
        self._runs[key] = asyncio.create_task(running)

    async def start(self, key: str, cost: Decimal) -> None:
        """Begin."""
        alert = Alert(consignment=key, extra_cost=cost)
        self._go(key, {"alert": alert.model_dump(mode="json")})

    async def result(self, key: str) -> str:
        """Whether it came to its end. A thread that nobody runs does not go on."""
        if key not in self._runs:
            await asyncio.Event().wait()
        state = await self._runs[key]
        if "__interrupt__" in state:
            await asyncio.Event().wait()
        return "done"

    async def approve(self, key: str) -> None:
        """Run the thread on, with the answer."""
        if not self._works:
            raise RuntimeError("there is nothing to send a yes to: who approves runs the graph")
        if key in self._runs:
            await self._runs[key]
        self._go(key, Command(resume={"by": "ana@example.com"}))

    forge = approve

    async def resume(self, key: str) -> None:
        """Run the thread on from its last checkpoint."""
        self._go(key, None)

    async def asked(self, key: str) -> bool:
        """It asks nobody."""
        del key
        return False

    async def history(self, key: str) -> int:
        """Checkpoints."""
        config = {"configurable": {"thread_id": key}}
        return len([each async for each in self._graph.aget_state_history(config)])


@contextlib.asynccontextmanager
async def _checkpointer() -> AsyncGenerator[BaseCheckpointSaver[Any]]:
    if not SERVER.startswith("postgresql:"):
        async with AsyncSqliteSaver.from_conn_string(SERVER) as saver:
            yield saver
        return
    options: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(SERVER, max_size=20, kwargs=options, open=False) as pool:
        yield AsyncPostgresSaver(pool)


@contextlib.asynccontextmanager
async def opened(works: bool) -> AsyncGenerator[Cases]:  # noqa: FBT001  # drive's
    """The graph on its checkpointer."""
    async with _checkpointer() as saver:
        if works:
            await saver.setup()
        yield Cases(graph(saver), works)


if __name__ == "__main__":
    main(opened)
