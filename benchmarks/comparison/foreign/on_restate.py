# ruff: noqa: INP001  # a contender's program
"""Restate: a workflow of four durable steps and a promise, served to its server over HTTP/2.

The key of the write is `ctx.uuid()`, which stays the same when the step is run again.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from datetime import timedelta
from decimal import Decimal

import httpx2
import restate
from drive import main
from hypercorn.asyncio import serve
from hypercorn.config import Config
from work import (
    DEADLINE,
    HELD_ABOVE,
    SERVER,
    Alert,
    booked,
    chosen,
    looked_up,
    told,
)

INGRESS, ADMIN = (SERVER + " ").split(" ")[:2]
PORT = os.environ.get("COMPARISON_PORT", "9080")

freight = restate.Workflow("Freight")


@freight.main()
async def run(ctx: restate.WorkflowContext, alert: Alert) -> str:
    """Rebook freight that runs late, and tell the shipper."""
    consignment = await ctx.run_typed("look", looked_up, consignment=alert.consignment)
    decision = await ctx.run_typed("choose", chosen, alert=alert, consignment=consignment)
    if decision.extra_cost > HELD_ABOVE:
        first, _ = await restate.select(
            approval=ctx.promise("approval", type_hint=str).value(),
            deadline=ctx.sleep(timedelta(seconds=DEADLINE)),
        )
        if first == "deadline":
            return "expired"
    booking = await ctx.run_typed(
        "rebook",
        booked,
        consignment=decision.consignment,
        flight=decision.flight,
        key=str(ctx.uuid()),
    )
    await ctx.run_typed("tell", told, shipper=consignment.shipper, booking=booking)
    return "done"


@freight.handler()
async def approve(ctx: restate.WorkflowSharedContext, by: str) -> None:
    """Take an approval."""
    await ctx.promise("approval", type_hint=str).resolve(by)


class Cases:
    """Its workflows, through the server's ingress."""

    def __init__(self, ingress: httpx2.AsyncClient, admin: httpx2.AsyncClient) -> None:
        self._ingress = ingress
        self._admin = admin

    async def _post(self, path: str, said: object) -> None:
        answer = await self._ingress.post(path, json=said)
        answer.raise_for_status()

    async def start(self, key: str, cost: Decimal) -> None:
        """Begin."""
        alert = Alert(consignment=key, extra_cost=cost)
        await self._post(f"/Freight/{key}/run/send", alert.model_dump(mode="json"))

    async def result(self, key: str) -> str:
        """What it returned."""
        answer = await self._ingress.get(f"/restate/workflow/Freight/{key}/attach")
        return answer.json()

    async def approve(self, key: str) -> None:
        """Hand the server the message; it delivers it."""
        await self._post(f"/Freight/{key}/approve/send", "ana@example.com")

    forge = approve

    async def resume(self, key: str) -> None:
        """The server does it by itself."""

    async def asked(self, key: str) -> bool:
        """It asks nobody."""
        del key
        return False

    async def history(self, key: str) -> int:
        """Entries of the journal."""
        query = (
            "select i.target_service_key as key from sys_journal j "
            "join sys_invocation i on i.id = j.id where i.target_handler_name = 'run'"
        )
        answer = await self._admin.post(
            "/query", json={"query": query}, headers={"accept": "application/json"}
        )
        answer.raise_for_status()
        return sum(row["key"] == key for row in answer.json()["rows"])


@contextlib.asynccontextmanager
async def opened(works: bool) -> AsyncGenerator[Cases]:  # noqa: FBT001  # drive's
    """The service behind its server; or only a client of the server."""
    async with (
        httpx2.AsyncClient(base_url=INGRESS, timeout=120) as ingress,
        httpx2.AsyncClient(base_url=ADMIN, timeout=60) as admin,
    ):
        if not works:
            yield Cases(ingress, admin)
            return
        config = Config.from_mapping(
            bind=[f"127.0.0.1:{PORT}"],
            h2_max_concurrent_streams=2147483647,
            keep_alive_max_requests=2147483647,
            keep_alive_timeout=2147483647,
        )
        serving = asyncio.create_task(serve(restate.app([freight]), config))
        await asyncio.sleep(0.5)
        answer = await admin.post(
            "/deployments", json={"uri": f"http://127.0.0.1:{PORT}", "force": True}
        )
        answer.raise_for_status()
        yield Cases(ingress, admin)
        serving.cancel()


if __name__ == "__main__":
    main(opened)
