"""The books and the bank's tray: ``python -m world.reconciliation.service --db PATH``.

SQL behind HTTP. ``POST /postings`` inserts into a table with ``unique (statement, line)``: the
database refuses a line twice. Under the key of the first it is the same posting (200, not 201),
under another it is declined (409), as is what is more than is open of an item (422). A report is
put once under its name: again with the same text it is the same (200), with another it is 409.
"""

from __future__ import annotations

import argparse
import socket
import sqlite3
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from world.reconciliation import month

HOST, PORT = "127.0.0.1", 8596
INVOICES, DAYS = 60, 5

_TABLES = """
pragma journal_mode=wal;
pragma synchronous=full;
create table if not exists played (last text not null);
create table if not exists accounts (number text primary key, opening text not null);
create table if not exists files (name text primary key, arrived text not null, text text not null);
create table if not exists items (
    id text primary key, customer text not null, name text not null, account text not null,
    amount text not null, due text not null
);
create table if not exists postings (
    id integer primary key, key text unique not null, statement text not null,
    line integer not null, kind text not null, invoice text not null, amount text not null,
    fee text not null, at text not null, unique (statement, line)
);
create table if not exists aside (
    file text, part integer, lines integer, fault text, primary key (file, part)
);
create table if not exists reports (name text primary key, text text not null);
create table if not exists calls (id integer primary key, method text, key text, status integer);
"""


class Posting(BaseModel, extra="forbid"):
    """What is to be posted, in EUR."""

    key: str = Field(min_length=1)
    statement: str
    line: int
    kind: str
    invoice: str = ""
    amount: Decimal
    fee: Decimal = Field(default=Decimal(0), ge=0)


class Books:
    """Items, postings, the bank's files and reports in a database."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self.db.row_factory = sqlite3.Row
        self.db.executescript(_TABLES)

    def play(self, seed: int, invoices: int, days: int, last: date) -> None:
        """Fill them with a month that ends on a day, unless they have one: it is kept."""
        if self.rows("select last from played"):
            return
        made = month.made(seed, invoices, days, last)
        self.db.execute("begin immediate")
        self.db.execute("insert into accounts values (?, ?)", (month.OURS, str(month.OPENING)))
        files = [(each.name, str(each.arrived), each.text) for each in made.files]
        self.db.executemany("insert into files values (?, ?, ?)", files)
        owed = [
            (e.id, e.customer.id, e.customer.name, e.customer.account, str(e.amount), str(e.due))
            for e in made.invoices
        ]
        self.db.executemany("insert into items values (?, ?, ?, ?, ?, ?)", owed)
        self.db.execute("insert into played values (?)", (str(last),))
        self.db.execute("commit")

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """What a query finds."""
        return [dict(row) for row in self.db.execute(query, values)]

    def open_of(self, invoice: str | None = None) -> list[dict[str, Any]]:
        """The items, or one, with what is open of each."""
        paid: dict[str, Decimal] = {}
        for row in self.rows("select invoice, amount, fee from postings where invoice != ''"):
            posted = Decimal(row["amount"]) + Decimal(row["fee"])
            paid[row["invoice"]] = paid.get(row["invoice"], Decimal(0)) + posted
        found = self.rows("select * from items where ? in ('', id) order by id", invoice or "")
        for row in found:
            row["open"] = str(Decimal(row["amount"]) - paid.get(row["id"], Decimal(0)))
        return found

    def post(self, said: Posting) -> tuple[int, dict[str, Any]]:
        """Post a line, once."""
        self.db.execute("begin immediate")
        try:
            if said.invoice and not self._known(said):
                found = self.open_of(said.invoice)
                if not found or said.amount + said.fee > Decimal(found[0]["open"]):
                    return 422, {"detail": f"so much is not open of {said.invoice}"}
            try:
                self.db.execute(
                    "insert into postings (key, statement, line, kind, invoice, amount, fee, at)"
                    " values (?, ?, ?, ?, ?, ?, ?, ?)",
                    (*_values(said), datetime.now(UTC).isoformat()),
                )
                status = 201
            except sqlite3.IntegrityError:
                status = 200
            row = self._known(said)
            if row is None or row["key"] != said.key:
                return 409, {"detail": f"line {said.line} of {said.statement} is posted already"}
            return status, row
        finally:
            self.db.execute("commit")

    def _known(self, said: Posting) -> dict[str, Any] | None:
        query = "select * from postings where statement = ? and line = ?"
        return next(iter(self.rows(query, said.statement, said.line)), None)

    def called(self, method: str, key: str, status: int) -> None:
        """Keep that a write arrived, and how it was answered."""
        query = "insert into calls (method, key, status) values (?, ?, ?)"
        self.db.execute(query, (method, key, status))


def _values(said: Posting) -> tuple[Any, ...]:
    amounts = (str(said.amount), str(said.fee))
    return (said.key, said.statement, said.line, said.kind, said.invoice, *amounts)


class Face:
    """Their HTTP face."""

    def __init__(self, books: Books) -> None:
        self.books = books

    def listed(self, query: str) -> Any:
        """What answers with all that a query finds."""

        async def answer(_request: Request) -> JSONResponse:
            return JSONResponse(self.books.rows(query))

        return answer

    async def files(self, request: Request) -> JSONResponse:
        """The files that the bank has delivered until a day."""
        until = request.query_params.get("until", "9999")
        query = "select * from files where arrived <= ? order by arrived, name"
        return JSONResponse(self.books.rows(query, until))

    async def items(self, request: Request) -> JSONResponse:
        """The items, or the one of a number."""
        return JSONResponse(self.books.open_of(request.query_params.get("id")))

    async def postings(self, request: Request) -> JSONResponse:
        """The postings, or those of a line."""
        query = (
            "select * from postings where (? = '' or statement = ?) and (? = '' or line = ?)"
            " order by id"
        )
        of, line = (request.query_params.get(name, "") for name in ("statement", "line"))
        return JSONResponse(self.books.rows(query, of, of, line, line))

    async def post(self, request: Request) -> JSONResponse:
        """Take a posting."""
        try:
            said = Posting.model_validate_json(await request.body())
        except ValidationError as error:
            return JSONResponse({"detail": str(error)}, 422)
        status, row = self.books.post(said)
        self.books.called("POST", said.key, status)
        return JSONResponse(row, status)

    async def take_back(self, request: Request) -> JSONResponse:
        """Delete the posting under a key, if there is one."""
        key = request.query_params.get("key", "")
        self.books.db.execute("delete from postings where key = ?", (key,))
        self.books.called("DELETE", key, 200)
        return JSONResponse({})

    async def set_aside(self, request: Request) -> JSONResponse:
        """Note that a statement is set aside."""
        said = await request.json()
        values = [said[name] for name in ("file", "part", "lines", "fault")]
        self.books.db.execute("insert or ignore into aside values (?, ?, ?, ?)", values)
        return JSONResponse({})

    async def put_report(self, request: Request) -> JSONResponse:
        """Keep a report, once under its name."""
        name, text = request.path_params["name"], (await request.json())["text"]
        query = "insert or ignore into reports values (?, ?)"
        status = 201 if self.books.db.execute(query, (name, text)).rowcount else 200
        [row] = self.books.rows("select * from reports where name = ?", name)
        if row["text"] != text:
            status, row = 409, {"detail": f"the report {name} is there, with another text"}
        self.books.called("PUT", name, status)
        return JSONResponse(row, status)


def app(books: Books) -> Starlette:
    """What answers."""
    face = Face(books)
    return Starlette(
        routes=[
            Route("/played", face.listed("select * from played")),
            Route("/accounts", face.listed("select * from accounts")),
            Route("/files", face.files),
            Route("/items", face.items),
            Route("/postings", face.postings),
            Route("/postings", face.post, methods=["POST"]),
            Route("/postings", face.take_back, methods=["DELETE"]),
            Route("/aside", face.listed("select * from aside")),
            Route("/aside", face.set_aside, methods=["PUT"]),
            Route("/reports", face.listed("select * from reports")),
            Route("/reports/{name}", face.put_report, methods=["PUT"]),
            Route("/calls", face.listed("select * from calls order by id")),
        ]
    )


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="The books, and the bank's tray.")
    parser.add_argument("--db", type=Path, required=True, help="SQLite file, made if missing")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=PORT, help="0: any free one; it is printed")
    parser.add_argument("--seed", type=int, default=month.SEED)
    parser.add_argument("--invoices", type=int, default=INVOICES)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--last", type=date.fromisoformat, default=datetime.now(UTC).date())
    given = parser.parse_args()
    books = Books(given.db)
    books.play(given.seed, given.invoices, given.days, given.last)
    listening = socket.create_server((given.host, given.port), backlog=512)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    host, port = listening.getsockname()[:2]
    print(f"books listen on http://{host}:{port}", flush=True)  # noqa: T201 - for whoever started it
    config = uvicorn.Config(app(books), log_level="warning", timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
