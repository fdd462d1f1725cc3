"""The stores of spares over HTTP: ``python -m world.maintenance.stores --db PATH --port 8542``.

It knows no idempotency key: what is sent twice is done twice. A reservation carries a reference and
can be searched by it; an order at a supplier carries none and cannot be taken back.
"""

from __future__ import annotations

import argparse
import sqlite3
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from world.maintenance.service import serve

PORT = 8542
SHELF = {"bearing": (8, "180.00"), "seal": (6, "95.00"), "motor": (3, "1450.00")}
"""What is on the shelf at first, and what one costs (EUR)."""
_TABLES = """
create table if not exists spares (part text primary key, on_shelf int, price text);
create table if not exists reservations (id integer primary key, part text, reference text,
    window text, state text default 'reserved');
create table if not exists orders (id integer primary key, part text, quantity int,
    state text default 'open');
"""


class Stores:
    """The shelf and its books."""

    def __init__(self, db: Path) -> None:
        self._db = sqlite3.connect(db, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_TABLES)
        new = [(part, count, price) for part, (count, price) in SHELF.items()]
        self._db.executemany("insert or ignore into spares values (?, ?, ?)", new)

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of a statement."""
        return [dict(row) for row in self._db.execute(sql, values).fetchall()]

    def spare(self, part: str) -> dict[str, Any] | None:
        """What is free of a part, what is on its way, and what it costs."""
        found = self.rows(
            "select part, price, on_shelf - (select count(*) from reservations r where "
            "r.part = s.part and state = 'reserved') as free, (select coalesce(sum(quantity), 0) "
            "from orders o where o.part = s.part and o.state = 'open') as ordered "
            "from spares s where part = ?",
            part,
        )
        return found[0] if found else None


def make_app(stores: Stores) -> Starlette:
    """The stores' routes."""
    return Starlette(routes=[*_kept(stores), *_bought(stores)])


def _kept(stores: Stores) -> list[Route]:
    """What is on the shelf, and for whom."""

    async def spare(request: Request) -> Response:
        found = stores.spare(request.path_params["part"])
        return JSONResponse(found or {"detail": "there is no such spare"}, 200 if found else 404)

    async def reserve(request: Request) -> Response:
        said = await request.json()
        found = stores.spare(said["part"])
        if not found or found["free"] < 1:
            return JSONResponse({"detail": f"no {said['part']} is free"}, 409)
        add = "insert into reservations (part, reference, window) values (?, ?, ?) returning *"
        values = (said["part"], said["reference"], said.get("window", ""))
        return JSONResponse(stores.rows(add, *values)[0], 201)

    async def reserved(request: Request) -> Response:
        by = "select * from reservations where reference = ? and state = 'reserved' order by id"
        return JSONResponse(stores.rows(by, request.query_params.get("reference", "")))

    async def release(request: Request) -> Response:
        gone = "update reservations set state = 'released' where id = ? and state = 'reserved' "
        found = stores.rows(gone + "returning *", request.path_params["id"])
        return JSONResponse(
            found[0] if found else {"detail": "not reserved"}, 200 if found else 404
        )

    async def take(request: Request) -> Response:
        said = await request.json()
        gone = "update reservations set state = 'taken' where window = ? and state = 'reserved' "
        found = stores.rows(gone + "returning *", said["window"])
        spare = stores.spare(said["part"])
        if not found and (not spare or spare["free"] < 1):
            return JSONResponse({"detail": f"no {said['part']} is on the shelf"}, 409)
        stores.rows("update spares set on_shelf = on_shelf - 1 where part = ?", said["part"])
        return JSONResponse({"reserved": bool(found)})

    return [
        Route("/spares/{part}", spare),
        Route("/reservations", reserve, methods=["POST"]),
        Route("/reservations", reserved),
        Route("/reservations/{id:int}", release, methods=["DELETE"]),
        Route("/taken", take, methods=["POST"]),
    ]


def _bought(stores: Stores) -> list[Route]:
    """What suppliers bring."""

    async def deliver(_request: Request) -> Response:
        came = stores.rows("update orders set state = 'come' where state = 'open' returning *")
        for each in came:
            more = "update spares set on_shelf = on_shelf + ? where part = ?"
            stores.rows(more, each["quantity"], each["part"])
        return JSONResponse({"came": len(came)})

    async def order(request: Request) -> Response:
        said = await request.json()
        if not stores.spare(said["part"]):
            return JSONResponse({"detail": f"no supplier has a {said['part']}"}, 404)
        add = "insert into orders (part, quantity) values (?, ?) returning *"
        return JSONResponse(stores.rows(add, said["part"], int(said["quantity"]))[0], 201)

    return [
        Route("/deliveries", deliver, methods=["POST"]),
        Route("/orders", order, methods=["POST"]),
    ]


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="Stores of spares, without idempotency keys.")
    parser.add_argument("--db", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    given = parser.parse_args()
    given.db.parent.mkdir(parents=True, exist_ok=True)
    serve(make_app(Stores(given.db)), given.host, given.port, "stores")


if __name__ == "__main__":
    main()
