"""The shop over HTTP: ``python -m world.support.service --db PATH --port 8510``.

Refunds honour an ``Idempotency-Key``, for ever. Replacements do not, and each can be found by its
``reference``. An order is refunded or replaced, and once. What cannot be is 4xx with a ``detail``.
"""

import argparse
import functools
import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from world.support import days, goods, messages

HOST = "127.0.0.1"
PORT = 8510
_SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (id TEXT PRIMARY KEY, email TEXT UNIQUE, body TEXT) STRICT;
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, customer TEXT, body TEXT) STRICT;
CREATE TABLE IF NOT EXISTS stock (article TEXT PRIMARY KEY, pieces INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS refunds (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE, body TEXT, status TEXT) STRICT;
CREATE TABLE IF NOT EXISTS replacements (
    id INTEGER PRIMARY KEY AUTOINCREMENT, reference TEXT, body TEXT, status TEXT) STRICT;
CREATE TABLE IF NOT EXISTS messages (number TEXT PRIMARY KEY, body TEXT) STRICT;
"""


class Shop:
    """The shop's database. One thread uses it, and each change is one transaction."""

    def __init__(self, db: Path | str) -> None:
        """Open it, and fill it from the seed where it is new."""
        self._db = sqlite3.connect(db, isolation_level=None, timeout=5)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        if not self.rows("SELECT id FROM customers LIMIT 1"):
            with self._db:
                self._fill()

    def rows(self, query: str, *given: Any) -> list[tuple[Any, ...]]:
        """What a query finds."""
        return self._db.execute(query, given).fetchall()

    def bodies(self, query: str, *given: Any) -> list[dict[str, Any]]:
        """The records that a query finds."""
        return [json.loads(row[0]) for row in self.rows(query, *given)]

    def _fill(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        people = goods.customers()
        self._db.executemany(
            "INSERT INTO customers VALUES (?, ?, ?)",
            [(each["id"], each["email"], json.dumps(each)) for each in people],
        )
        self._db.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)",
            [(each["id"], each["customer"], json.dumps(each)) for each in goods.orders(people)],
        )
        self._db.executemany(
            "INSERT INTO stock VALUES (?, ?)", [(a, has) for a, (_, has) in goods.ARTICLES.items()]
        )

    def order(self, number: str) -> dict[str, Any]:
        """One order, with the pieces of its article that are in stock.

        Raises:
            HTTPException: if there is none.
        """
        found = self.bodies("SELECT body FROM orders WHERE id = ?", number)
        if not found:
            raise HTTPException(404, f"there is no order {number!r}")
        return self._with_stock(found[0])

    def orders(self, customer: str) -> list[dict[str, Any]]:
        """Those of a customer."""
        found = self.bodies("SELECT body FROM orders WHERE customer = ? ORDER BY id", customer)
        return [self._with_stock(each) for each in found]

    def _with_stock(self, order: dict[str, Any]) -> dict[str, Any]:
        has = self.rows("SELECT pieces FROM stock WHERE article = ?", order["article"])
        return order | {"stock": has[0][0] if has else 0}

    def refund(self, key: str, order: str, amount: Decimal) -> tuple[int, dict[str, Any]]:
        """Give money back, once for each key.

        Raises:
            HTTPException: if that is not possible.
        """
        body = {"order": order, "amount": str(amount)}
        before = self.refunds(key=key)
        if before:
            same = {name: before[0][name] for name in body} == body
            if not same:
                raise HTTPException(409, "this key was used for another refund")
            return 200, before[0]
        known = self.order(order)
        try:
            total = Decimal(known["total"])
        except InvalidOperation:
            raise HTTPException(422, f"the total of {order} is no amount") from None
        self._open(known)
        if not 0 < amount <= total:
            raise HTTPException(422, f"{order} cost {total} EUR")
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT INTO refunds (key, body, status) VALUES (?, ?, 'paid')",
                (key, json.dumps(body)),
            )
            self._set(order, refunded=True)
        return 201, self.refunds(key=key)[0]

    def refunds(self, **by: str) -> list[dict[str, Any]]:
        """All refunds, or those of a key."""
        return self._made("refunds", "key", by.get("key"))

    def replacements(self, **by: str) -> list[dict[str, Any]]:
        """All replacements, or those of a reference."""
        return self._made("replacements", "reference", by.get("reference"))

    def _made(self, table: str, name: str, value: str | None) -> list[dict[str, Any]]:
        query = f"SELECT id, {name}, body, status FROM {table}"  # noqa: S608 - our own names
        found = self.rows(f"{query} WHERE {name} = ?", value) if value else self.rows(query)
        return [
            {"id": f"{table[:3].upper()}{row[0]}", name: row[1], "status": row[3]}
            | json.loads(row[2])
            for row in found
        ]

    def replace(self, reference: str, order: str) -> dict[str, Any]:
        """Send an article once more: each call is a parcel.

        Raises:
            HTTPException: if none is in stock.
        """
        known = self.order(order)
        self._open(known)
        if known["stock"] <= 0:
            raise HTTPException(422, f"there is no {known['article']} in stock")
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT INTO replacements (reference, body, status) VALUES (?, ?, 'packed')",
                (reference, json.dumps({"order": order, "article": known["article"]})),
            )
            self._db.execute(
                "UPDATE stock SET pieces = pieces - 1 WHERE article = ?", (known["article"],)
            )
            self._set(order, replaced=True)
        return self.replacements(reference=reference)[-1]

    def take_back(self, made: str) -> None:
        """Cancel a refund or a replacement; once more is no more.

        Raises:
            HTTPException: if there is none.
        """
        table = {"REF": "refunds", "REP": "replacements"}.get(made[:3])
        rows = (
            self._made(table, "key" if table == "refunds" else "reference", None) if table else []
        )
        found = next((row for row in rows if row["id"] == made), None)
        if table is None or found is None:
            raise HTTPException(404, f"there is no {made!r}")
        if found["status"] == "cancelled":
            return
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            query = f"UPDATE {table} SET status = 'cancelled' WHERE id = ?"  # noqa: S608
            self._db.execute(query, (int(made[3:]),))
            if table == "refunds":
                self._set(found["order"], refunded=False)
            else:
                back = "UPDATE stock SET pieces = pieces + 1 WHERE article = ?"
                self._db.execute(back, (found["article"],))
                self._set(found["order"], replaced=False)

    def _open(self, order: Mapping[str, Any]) -> None:
        for what in ("refunded", "replaced"):
            if order[what]:
                raise HTTPException(422, f"{order['id']} was {what} already")

    def _set(self, order: str, **fields: Any) -> None:
        (known,) = self.bodies("SELECT body FROM orders WHERE id = ?", order)
        new = json.dumps(known | fields)
        self._db.execute("UPDATE orders SET body = ? WHERE id = ?", (new, order))

    def publish(self, number: str, body: Mapping[str, Any]) -> bool:
        """Keep a message for whoever has to read it; whether it is new."""
        query = "INSERT OR IGNORE INTO messages VALUES (?, ?)"
        return self._db.execute(query, (number, json.dumps(body))).rowcount == 1


def _as_came(each: days.Came) -> dict[str, Any]:
    said = each.said
    channel, text = said.channel, said.text
    about = {"number": said.number, "channel": channel, "from": said.email, "text": text}
    return {"day": str(each.day)} | about


def _as_labelled(each: days.Came) -> dict[str, Any]:
    truth = each.said.truth
    return _as_came(each) | {"intent": truth.intent, "order": truth.order, "came": truth.came}


def application(shop: Shop, changed: date = days.CHANGED) -> Starlette:
    """The shop's HTTP surface."""
    return Starlette(
        routes=[*_sold(shop), *_given_back(shop), *_written(shop), *_past(changed)],
        exception_handlers={HTTPException: _refused, sqlite3.Error: _away},
    )


def _sold(shop: Shop) -> list[Route]:
    """Customers and their orders."""

    async def customers(request: Request) -> Response:
        by = "email" if "email" in request.query_params else "id"
        query = f"SELECT body FROM customers WHERE {by} = ?"  # noqa: S608 - one of two words
        return _said(shop.bodies(query, request.query_params.get(by, "")))

    async def orders(request: Request) -> Response:
        return _said(shop.orders(request.query_params.get("customer", "")))

    async def order(request: Request) -> Response:
        return _said(shop.order(request.path_params["id"]))

    return [
        Route("/customers", customers),
        Route("/orders", orders),
        Route("/orders/{id}", order),
    ]


def _given_back(shop: Shop) -> list[Route]:
    """Refunds and replacements."""

    async def refund(request: Request) -> Response:
        key, body = request.headers.get("idempotency-key"), await _body(request, "order", "amount")
        if not key:
            raise HTTPException(400, "send the header Idempotency-Key")
        try:
            amount = Decimal(body["amount"])
        except InvalidOperation:
            raise HTTPException(422, "amount is a number, as text") from None
        status, made = shop.refund(key, body["order"], amount)
        return _said(made, status)

    async def replace(request: Request) -> Response:
        body = await _body(request, "order", "reference")
        return _said(shop.replace(body["reference"], body["order"]), 201)

    async def refunds(request: Request) -> Response:
        return _said(shop.refunds(**dict(request.query_params)))

    async def replacements(request: Request) -> Response:
        return _said(shop.replacements(**dict(request.query_params)))

    async def take_back(request: Request) -> Response:
        shop.take_back(request.path_params["id"])
        return Response(status_code=204)

    return [
        Route("/refunds", refund, methods=["POST"]),
        Route("/refunds", refunds),
        Route("/replacements", replace, methods=["POST"]),
        Route("/replacements", replacements),
        Route("/made/{id}", take_back, methods=["DELETE"]),
    ]


def _written(shop: Shop) -> list[Route]:
    """Messages that were published."""

    async def publish(request: Request) -> Response:
        body = await _body(request, "number")
        return _said({"new": shop.publish(body["number"], body)})

    async def message(request: Request) -> Response:
        number = request.path_params["number"]
        found = shop.bodies("SELECT body FROM messages WHERE number = ?", number)
        return _said(found[0]) if found else _said({"detail": f"no message {number!r}"}, 404)

    return [
        Route("/messages", publish, methods=["POST"]),
        Route("/messages/{number}", message),
    ]


def _past(changed: date) -> list[Route]:
    """What people labelled once, and what came day by day."""

    async def history(request: Request) -> Response:
        del request
        return _said([{"text": text, "intent": intent} for text, intent in messages.history()])

    @functools.cache
    def everything() -> list[days.Came]:
        people = goods.customers()
        return days.came(people, goods.orders(people), changed)

    async def came(request: Request) -> Response:
        until = request.query_params["until"]
        return _said([_as_came(e) for e in everything() if str(e.day) <= until])

    async def labelled(request: Request) -> Response:
        until = request.query_params["until"]
        read = (each for each in everything() if each.labelled and str(each.day) <= until)
        return _said([_as_labelled(each) for each in read])

    return [
        Route("/history", history),
        Route("/came", came),
        Route("/labelled", labelled),
    ]


def _said(body: Mapping[str, Any] | Sequence[Any], status: int = 200) -> Response:
    return JSONResponse(body, status)


async def _refused(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)  # noqa: S101 - it is called with nothing else
    return JSONResponse({"detail": error.detail}, error.status_code)


async def _away(request: Request, error: Exception) -> Response:
    del request
    return JSONResponse({"detail": f"the database: {error}"}, 503)


async def _body(request: Request, *fields: str) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not (isinstance(body, dict) and all(isinstance(body.get(each), str) for each in fields)):  # pyright: ignore[reportUnknownMemberType]
        raise HTTPException(422, f"send JSON with the texts {', '.join(fields)}")
    return body  # pyright: ignore[reportUnknownVariableType]


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="The shop.")
    parser.add_argument("--db", type=Path, required=True, help="SQLite file, made if missing")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=PORT, help="0: any free one; it is printed")
    say = "the day from which on customers have the app"
    parser.add_argument("--changed", type=date.fromisoformat, default=days.CHANGED, help=say)
    options = parser.parse_args()
    options.db.parent.mkdir(parents=True, exist_ok=True)
    config = uvicorn.Config(
        application(Shop(options.db), options.changed), log_level="warning", access_log=False
    )
    listening = uvicorn.Config.bind_socket(
        uvicorn.Config(config.app, host=options.host, port=options.port, log_level="warning")
    )
    port = listening.getsockname()[1]
    print(f"shop listens on http://{options.host}:{port}", flush=True)  # noqa: T201 - for whoever started it
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
