"""The outside systems: one process with its own books, over HTTP.

`keyed` does nothing twice under one reference. `findable` does what it is told as often as
it is told, and can be asked. `plain` cannot even be asked. `told` is the channel of the
notifications, which records the reference of each message. Every call that arrives and
every effect is committed with synchronous=FULL before it is answered.
"""

import asyncio
import contextlib
import functools
import json
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx2
import standardwebhooks
import uvicorn
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.chaos.connected import Connected
from tests.chaos.listener import Listener
from tests.chaos.plan import Trial

_TABLES = """
create table if not exists calls (at real, surface text, op text, case_id text, ref text);
create table if not exists effects (
    id integer primary key, at real, surface text, op text, case_id text, ref text);
create table if not exists hooks (ref text primary key, case_id text, url text, number integer,
    called integer default 0);
create index if not exists by_case on effects (case_id);
"""
REACH_OPS = ("hook", "pass", "close", "post", "chat", "mail")
HOOK_KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_SETTLE = timedelta(milliseconds=300)
_LOOK = timedelta(milliseconds=20)
_COMMITTED = {"do": "outside:committed", "undo": "outside:undone", "tell": "outside:told"}


class Wanted(BaseModel, frozen=True, extra="forbid"):
    """What a call asks for. `of`: the reference of what an undo takes back.

    `takes`: seconds that it takes, half of them before the commit and half after it.
    """

    case: str
    ref: str
    of: str | None = None
    takes: float = 0


@dataclass(frozen=True)
class Count:
    """What the books say of one case. `tried`: how often the write itself arrived."""

    tried: int
    done: int
    undone: int
    messages: int
    message_keys: int
    calls: int
    reach: tuple[int, ...] = ()
    """Of each of the operations of the world `reach`, how often it happened."""


class Books:
    """The books of the outside systems."""

    def __init__(self, db: Path) -> None:
        self._db = sqlite3.connect(db, isolation_level=None, timeout=10)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        self._db.executescript(_TABLES)

    def called(self, surface: str, op: str, wanted: Wanted) -> None:
        """Note a call before anything else is done about it."""
        row = (time.time(), surface, op, wanted.case, wanted.ref)
        self._db.execute("insert into calls values (?, ?, ?, ?, ?)", row)

    def act(self, surface: str, op: str, wanted: Wanted) -> int:
        """Make an effect, in one transaction. Returns its number; 0 if there is none to undo."""
        self._db.execute("begin immediate")
        try:
            number = self._act(surface, op, wanted)
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")
        return number

    def _act(self, surface: str, op: str, wanted: Wanted) -> int:
        if surface == "keyed" and (found := self.find(surface, op, wanted.ref)):
            return found
        if op == "undo" and wanted.of is not None and not self.find(surface, "do", wanted.of):
            return 0
        row = (time.time(), surface, op, wanted.case, wanted.ref)
        number = self._db.execute(
            "insert into effects (at, surface, op, case_id, ref) values (?, ?, ?, ?, ?)", row
        ).lastrowid
        assert number is not None
        return number

    def find(self, surface: str, op: str, ref: str) -> int | None:
        """The number of an effect by its reference."""
        query = "select id from effects where surface = ? and op = ? and ref = ?"
        found = self._db.execute(query, (surface, op, ref)).fetchone()
        return found and found[0]

    def truth(self, case: str, op: str) -> int | None:
        """The number of a case's latest effect, whatever its surface."""
        query = "select max(id) from effects where case_id = ? and op = ?"
        return self._db.execute(query, (case, op)).fetchone()[0]

    def count(self, case: str) -> Count:
        """What happened to a case."""
        query = "select op, count(*), count(distinct ref) from effects where case_id = ? group by 1"
        by_op = {op: (n, keys) for op, n, keys in self._db.execute(query, (case,))}
        calls = "select count(*), coalesce(sum(op = 'do'), 0) from calls where case_id = ?"
        arrived, tried = self._db.execute(calls, (case,)).fetchone()
        messages, keys = by_op.get("tell", (0, 0))
        return Count(
            done=by_op.get("do", (0, 0))[0],
            undone=by_op.get("undo", (0, 0))[0],
            messages=messages,
            message_keys=keys,
            calls=arrived,
            tried=tried,
            reach=tuple(by_op.get(op, (0, 0))[0] for op in REACH_OPS),
        )

    def hooked(self, ref: str, case: str, url: str) -> None:
        """Take a webhook, once, and keep where it wants to be called back."""
        wanted = Wanted(case=case, ref=ref)
        self.called("keyed", "hook", wanted)
        number = self.act("keyed", "hook", wanted)
        row = (ref, case, url, number)
        keep = "insert or ignore into hooks (ref, case_id, url, number) values (?, ?, ?, ?)"
        self._db.execute(keep, row)

    def due(self) -> list[tuple[str, str, str, int]]:
        """Who is to be called back."""
        return list(
            self._db.execute("select ref, case_id, url, number from hooks where not called")
        )

    def of(self, op: str) -> list[tuple[int, str]]:
        """The latest effects of an operation, each with its reference, the last one first."""
        query = "select id, ref from effects where op = ? order by id desc limit 200"
        return list(self._db.execute(query, (op,)))

    def called_back(self, ref: str) -> None:
        """Somebody took a call-back."""
        self._db.execute("update hooks set called = 1 where ref = ?", (ref,))


@contextlib.contextmanager
def _counted(busy: Counter[str], case: str) -> Generator[None]:
    busy[case] += 1
    try:
        yield
    finally:
        busy[case] -= 1


@contextlib.asynccontextmanager
async def _calling(books: Books, reached: Callable[[str, str], None]) -> AsyncGenerator[None]:
    """Call back whoever waits for it, until they answer, and then once more."""

    async def call() -> None:
        async with httpx2.AsyncClient(timeout=6) as http:
            while True:
                for ref, case, url, number in books.due():
                    with contextlib.suppress(httpx2.HTTPError):
                        (await http.post(url, json={"number": number})).raise_for_status()
                        reached("outside:called", case)
                        await http.post(url, json={"number": number})
                        books.called_back(ref)
                await asyncio.sleep(10 * _LOOK.total_seconds())

    calls = asyncio.ensure_future(call())
    yield
    calls.cancel()


@contextlib.asynccontextmanager
async def _beside(
    books: Books, reached: Callable[[str, str], None], connected: Connected, mail: int
) -> AsyncGenerator[None]:
    async with _calling(books, reached), connected.mail(mail):
        yield


def _take(books: Books, reached: Callable[[str, str], None], op: str, case: str, ref: str) -> int:
    """Make an effect of a system that a connector reaches, as often as it is told to."""
    wanted = Wanted(case=case, ref=ref)
    books.called("findable", op, wanted)
    number = books.act("findable", op, wanted)
    reached(f"outside:{op}", case)
    return number


class OutsideSpec(BaseModel, frozen=True):
    """What the process of the outside systems needs."""

    room: Path
    actor: str
    db: Path
    port: int
    mail: int
    """The port of the mail server."""
    trials: tuple[Trial, ...]


def application(
    books: Books, reached: Callable[[str, str], None], trials: Iterable[Trial], mail: int
) -> Starlette:
    """The outside systems as an ASGI application. Everything runs in its one thread."""
    busy: Counter[str] = Counter()
    lags = {(trial.key, trial.lag.op): trial.lag for trial in trials if trial.lag is not None}

    async def act(request: Request) -> Response:
        surface, op = request.path_params["surface"], request.path_params["op"]
        wanted = Wanted.model_validate_json(await request.body())
        with _counted(busy, wanted.case):
            return await effect(surface, op, wanted)

    async def effect(surface: str, op: str, wanted: Wanted) -> Response:
        books.called(surface, op, wanted)
        if op == "do":
            reached("outside:received", wanted.case)
        lag = lags.pop((wanted.case.partition(":")[2], op), None)
        await asyncio.sleep(lag.commits if lag else wanted.takes / 2)
        number = books.act(surface, op, wanted)
        reached(_COMMITTED.get(op, f"outside:{op}"), wanted.case)
        await asyncio.sleep(lag.answers if lag else wanted.takes / 2)
        return JSONResponse({"number": number})

    async def find(request: Request) -> Response:
        surface, op = request.path_params["surface"], request.path_params["op"]
        if surface != "findable":
            return JSONResponse({"detail": f"{surface} cannot be asked"}, 405)
        return JSONResponse({"number": books.find(surface, op, request.query_params["ref"])})

    async def truth(request: Request) -> Response:
        asked = request.query_params
        # What has arrived, and is not committed yet, is not to be called not done.
        await asyncio.sleep(_SETTLE.total_seconds())
        while busy[asked["case"]]:  # noqa: ASYNC110  # no event tells of it
            await asyncio.sleep(_LOOK.total_seconds())
        return JSONResponse({"number": books.truth(asked["case"], asked["op"])})

    async def hook(request: Request) -> Response:
        body = await request.body()
        try:
            standardwebhooks.Webhook(HOOK_KEY).verify(body, dict(request.headers))
        except standardwebhooks.WebhookVerificationError:
            return JSONResponse({"detail": "not signed"}, 401)
        said = json.loads(body)
        case = said["key"].rpartition("/")[0].rpartition("/")[0]
        books.hooked(request.headers["webhook-id"], case, said["call_back"])
        reached("outside:hooked", case)
        return JSONResponse({}, 202)

    connected = Connected(functools.partial(_take, books, reached), books.of)

    return Starlette(
        lifespan=lambda _: _beside(books, reached, connected, mail),
        routes=[
            *connected.routes(),
            Route("/truth", truth),
            Route("/hook", hook, methods=["POST"]),
            Route("/{surface}/{op}", act, methods=["POST"]),
            Route("/{surface}/{op}", find),
        ],
    )


def main(spec: OutsideSpec) -> None:
    """Serve until killed."""
    app = application(
        Books(spec.db), Listener(spec.room, spec.actor, spec.trials), spec.trials, spec.mail
    )
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=spec.port,
        log_level="error",
        lifespan="on",
        timeout_keep_alive=600,
    )
