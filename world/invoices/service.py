"""The payables service over HTTP: ``python -m world.invoices.service --db PATH --port 8520``.

Suppliers and orders are read, payments written. ``POST /payments`` needs a header Idempotency-Key:
the same key again is the same payment (200, not 201), and another body under it is refused (409).
A payment is scheduled until midnight; ``DELETE /payments/{id}`` cancels it until then.
"""

from __future__ import annotations

import argparse
import socket
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from world.invoices.generate import SEED, orders, suppliers

HOST = "127.0.0.1"
PORT = 8520
ORDERS = 200

_TABLES = """
pragma journal_mode=wal;
create table if not exists suppliers (id text primary key, name text, vat text, iban text);
create table if not exists orders (number text primary key, supplier text, total text);
create table if not exists payments (
    id integer primary key, key text unique not null, body text not null, status text not null,
    supplier text, "order" text, iban text, amount text, document text
);
create table if not exists refunds (
    id integer primary key, key text unique not null, body text not null, status text not null
);
create table if not exists calls (id integer primary key, method text, key text, status integer);
"""


class PaymentOrder(BaseModel, extra="forbid"):
    """What is to be paid, in EUR."""

    supplier: str
    order: str
    iban: str = Field(pattern=r"^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$")
    amount: Decimal = Field(gt=0, max_digits=12, decimal_places=2)
    document: str


class RefundOrder(BaseModel, extra="forbid"):
    """What a customer gets back, in EUR."""

    order: str
    customer: str
    amount: Decimal = Field(gt=0, max_digits=12, decimal_places=2)


class Payables:
    """Suppliers, orders and payments in a database."""

    def __init__(self, path: Path, seed: int, count: int) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self.db.row_factory = sqlite3.Row
        self.db.executescript(_TABLES)
        known = suppliers(seed=seed)
        rows = [(s.id, s.name, s.vat, s.iban) for s in known]
        self.db.executemany("insert or ignore into suppliers values (?, ?, ?, ?)", rows)
        made = [(o.number, o.supplier.id, str(o.total)) for o in orders(known, count, seed)]
        self.db.executemany("insert or ignore into orders values (?, ?, ?)", made)

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """What a query finds."""
        return [dict(row) for row in self.db.execute(query, values)]

    def pay(self, key: str, order: PaymentOrder) -> tuple[int, dict[str, Any]]:
        """Schedule a payment, once under its key."""
        body = order.model_dump_json()
        values = (key, body, order.supplier, order.order, order.iban, str(order.amount))
        try:
            self.db.execute(
                'insert into payments (key, body, status, supplier, "order", iban, amount,'
                " document) values (?, ?, 'scheduled', ?, ?, ?, ?, ?)",
                (*values, order.document),
            )
            status = 201
        except sqlite3.IntegrityError:
            status = 200
        [row] = self.rows("select * from payments where key = ?", key)
        if row["body"] != body:
            return 409, {"detail": f"the key {key} stands for another payment"}
        return status, row

    def give_back(self, key: str, order: RefundOrder) -> tuple[int, dict[str, Any]]:
        """Schedule a refund, once under its key."""
        body, status = order.model_dump_json(), 201
        try:
            query = "insert into refunds (key, body, status) values (?, ?, 'scheduled')"
            self.db.execute(query, (key, body))
        except sqlite3.IntegrityError:
            status = 200
        [row] = self.rows("select * from refunds where key = ?", key)
        if row["body"] != body:
            return 409, {"detail": f"the key {key} stands for another refund"}
        return status, row

    async def refund(self, request: Request) -> JSONResponse:
        """Take a refund order."""
        key = request.headers.get("idempotency-key", "")
        try:
            order = RefundOrder.model_validate_json(await request.body())
        except ValidationError as error:
            return JSONResponse({"detail": str(error)}, 422)
        status, row = self.give_back(key, order) if key else (400, {"detail": "send a key"})
        self._called("POST", key, status)
        return JSONResponse(row, status)

    async def refunds(self, request: Request) -> JSONResponse:
        """The refunds under a key, or all."""
        key = request.query_params.get("key", "")
        return JSONResponse(self.rows("select * from refunds where ? in ('', key)", key))

    async def cancel_refund(self, request: Request) -> JSONResponse:
        """Cancel the refund under a key, if it is scheduled."""
        key = request.query_params.get("key", "")
        self.db.execute("update refunds set status = 'cancelled' where key = ?", (key,))
        self._called("DELETE", key, 200)
        return JSONResponse(self.rows("select * from refunds where key = ?", key))

    async def supplier(self, request: Request) -> JSONResponse:
        """Who has a VAT id: nobody or one."""
        vat = request.query_params.get("vat", "")
        return JSONResponse(self.rows("select * from suppliers where vat = ?", vat))

    async def order(self, request: Request) -> JSONResponse:
        """An order, and what is paid of it: none or one."""
        number = request.query_params.get("number", "")
        found = self.rows("select * from orders where number = ?", number)
        query = "select amount from payments where \"order\" = ? and status != 'cancelled'"
        for row in found:
            paid = sum((Decimal(each["amount"]) for each in self.rows(query, number)), Decimal(0))
            row["paid"] = str(paid)
        return JSONResponse(found)

    async def payments(self, request: Request) -> JSONResponse:
        """The payments under a key, or all."""
        key = request.query_params.get("key")
        where = ("where key = ?", key) if key else ("where ? = ''", "")
        return JSONResponse(self.rows(f"select * from payments {where[0]} order by id", where[1]))  # noqa: S608

    async def pay_now(self, request: Request) -> JSONResponse:
        """Take a payment order."""
        key = request.headers.get("idempotency-key", "")
        if not key:
            return JSONResponse({"detail": "send a header Idempotency-Key"}, 400)
        try:
            order = PaymentOrder.model_validate_json(await request.body())
        except ValidationError as error:
            return JSONResponse({"detail": str(error)}, 422)
        status, row = self.pay(key, order)
        self._called("POST", key, status)
        return JSONResponse(row, status)

    async def cancel(self, request: Request) -> JSONResponse:
        """Cancel a payment that is scheduled."""
        number = request.path_params["id"]
        self.db.execute("update payments set status = 'cancelled' where id = ?", (number,))
        found = self.rows("select * from payments where id = ?", number)
        self._called("DELETE", found[0]["key"] if found else "", 200 if found else 404)
        return JSONResponse(
            found[0] if found else {"detail": "no such payment"}, 200 if found else 404
        )

    def _called(self, method: str, key: str, status: int) -> None:
        self.db.execute(
            "insert into calls (method, key, status) values (?, ?, ?)", (method, key, status)
        )

    async def calls(self, _request: Request) -> JSONResponse:
        """Every write that arrived."""
        return JSONResponse(self.rows("select * from calls order by id"))


def app(payables: Payables) -> Starlette:
    """Its HTTP face."""
    return Starlette(
        routes=[
            Route("/suppliers", payables.supplier),
            Route("/orders", payables.order),
            Route("/payments", payables.payments),
            Route("/payments", payables.pay_now, methods=["POST"]),
            Route("/payments/{id:int}", payables.cancel, methods=["DELETE"]),
            Route("/refunds", payables.refunds),
            Route("/refunds", payables.refund, methods=["POST"]),
            Route("/refunds", payables.cancel_refund, methods=["DELETE"]),
            Route("/calls", payables.calls),
        ]
    )


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="The payables service.")
    parser.add_argument("--db", type=Path, required=True, help="SQLite file, made if missing")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=PORT, help="0: any free one; it is printed")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--orders", type=int, default=ORDERS)
    given = parser.parse_args()
    listening = socket.create_server((given.host, given.port), backlog=512)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    host, port = listening.getsockname()[:2]
    serving = app(Payables(given.db, given.seed, given.orders))
    server = uvicorn.Server(
        uvicorn.Config(serving, log_level="warning", timeout_graceful_shutdown=3)
    )
    print(f"payables listens on http://{host}:{port}", flush=True)  # noqa: T201
    server.run(sockets=[listening])


if __name__ == "__main__":
    main()
