"""Shop and directory over HTTP: ``python -m world.leads.service --port 8570``.

The directory is slow, answers few at a time (429 with Retry-After to all others), and is partly
wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import socket
import time
from datetime import date
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from world.leads import days
from world.leads.market import CUSTOMERS, SEED, Market, bought_until, made

PORT = 8570
SLOW_S, PER_SECOND = 0.15, 8


@functools.cache
def _evenings(changed: date) -> list[days.Came]:
    return days.came(changed)


def _as_came(each: days.Came) -> dict[str, Any]:
    about = {"day": str(each.day), "customer": each.customer, "orders": each.orders}
    return about | each.who._asdict()


def make_app(market: Market, changed: date = days.CHANGED) -> Starlette:
    """Its routes."""
    asked: list[float] = []

    async def customers(request: Request) -> Response:
        until = request.query_params["until"]
        found = [
            {"id": number, "name": who.name, "city": who.city, "orders": orders}
            for number, who in market.people.items()
            if (orders := bought_until(market.shop[number], until))
        ]
        return JSONResponse(found)

    async def orders(request: Request) -> Response:
        found = market.shop.get(request.path_params["number"])
        if found is None:
            return JSONResponse({"detail": "there is no such customer"}, 404)
        return JSONResponse(bought_until(found, request.query_params["until"]))

    async def directory(request: Request) -> Response:
        now = time.monotonic()
        asked[:] = [each for each in asked if each > now - 1]
        if len(asked) >= PER_SECOND:
            return JSONResponse({"detail": "too many"}, 429, {"Retry-After": "1"})
        asked.append(now)
        await asyncio.sleep(SLOW_S)
        said = market.says.get(request.query_params["who"])
        if said is None:
            return JSONResponse({"detail": "nobody of that name"}, 404)
        return JSONResponse(said._asdict())

    def came(request: Request) -> Response:
        until = request.query_params["until"]
        return JSONResponse([_as_came(e) for e in _evenings(changed) if str(e.day) <= until])

    def labelled(request: Request) -> Response:
        until = request.query_params["until"]
        said = (e for e in _evenings(changed) if e.labelled and str(e.day) <= until)
        return JSONResponse([_as_came(e) | {"worth": e.worth} for e in said])

    return Starlette(
        routes=[
            Route("/came", came),
            Route("/labelled", labelled),
            Route("/customers", customers),
            Route("/customers/{number}/orders", orders),
            Route("/directory", directory),
        ]
    )


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="A shop's customers, and a directory.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    say = "the evening from which on samples are booked"
    parser.add_argument("--changed", type=date.fromisoformat, default=days.CHANGED, help=say)
    given = parser.parse_args()
    app = make_app(made(given.seed, given.customers), given.changed)
    listening = socket.create_server((given.host, given.port))
    host, port = listening.getsockname()[:2]
    print(f"leads listens on http://{host}:{port}", flush=True)  # noqa: T201 - for whoever started it
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
