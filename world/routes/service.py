"""The dispatch service over HTTP: ``python -m world.routes.service --db FILE --port 8560``.

A plan is taken once under its `Idempotency-Key`: 201, then 200 with the same answer; one that was
made of an older plan, or drives an order twice, gets 409 and changes nothing. Messages to drivers
and customers likewise, and orders that others bring (`POST /orders`; `POST /cancellations` of what
came under a key). `POST /clock` lets the day go on: whoever plays the day sends that.
What came in is on disk before it is answered, and a restart lives the day again from that.
"""

import argparse
import json
import sqlite3
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from world.routes import city

HOST, PORT = "127.0.0.1", 8560


class Dispatch:
    """One day, with all that was planned and said on it."""

    def __init__(self, path: str, seed: int) -> None:
        self.fleet = city.Fleet(city.day(seed))
        self.version = 0
        self.first: dict[str, list[str]] | None = None
        self._was = dict[int, dict[str, list[str]]]()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.execute(
            "create table if not exists came (id integer primary key, kind text, key text unique, "
            "body text, answer text)"
        )
        for kind, body in self._db.execute("select kind, body from came order by id").fetchall():
            self._do(kind, json.loads(body))

    def take(self, kind: str, key: str | None, body: Any) -> tuple[int, Any]:
        """Do what came, once; the status and the answer."""
        known = self._db.execute("select body, answer from came where key = ?", (key,)).fetchone()
        text = json.dumps(body, sort_keys=True)
        if known is not None:
            same = known[0] == text
            return (200, json.loads(known[1])) if same else (422, {"detail": "another body"})
        wrong = self._wrong(kind, body)
        if wrong is not None:
            return 409, {"detail": wrong}
        answer: dict[str, Any] = {"version": self.version + (kind in {"plan", "restore"})}
        if kind == "order":
            answer |= {"order": self._name(), "minute": int(self.fleet.now)}
        row = (kind, key, text, json.dumps(answer))
        self._db.execute("insert into came (kind, key, body, answer) values (?, ?, ?, ?)", row)
        self._do(kind, body)
        return 201, answer

    def find(self, key: str) -> Any:
        """What was answered under a key; None if nothing came under it."""
        known = self._db.execute("select answer from came where key = ?", (key,)).fetchone()
        return None if known is None else json.loads(known[0])

    def came(self, kind: str) -> list[Any]:
        """All of a kind that came in, oldest first."""
        rows = self._db.execute("select body from came where kind = ? order by id", (kind,))
        return [json.loads(body) for (body,) in rows.fetchall()]

    def _name(self) -> str:
        """The name of the next order that others bring."""
        return f"S{sum(each[0] == 'S' for each in self.fleet.day.orders) + 1}"

    def _wrong(self, kind: str, body: Any) -> str | None:
        if kind == "order" and body["late"] <= self.fleet.now:
            return "it is too late for that today"
        if kind not in {"plan", "restore"}:
            return None
        if body["based_on"] != self.version:
            return f"the plan is version {self.version}, not {body['based_on']}"
        if kind == "restore":
            return None if self.version - 1 in self._was else "there is no plan before"
        stops = [stop for route in body["routes"].values() for stop in route]
        ready = {order.id for order in self.fleet.open}
        if len(set(stops)) != len(stops) or not set(stops) <= ready:
            return "an order is in it twice, or is driven, cancelled or unknown by now"
        unknown = set(body["routes"]) - set(self.fleet.vans)
        return f"there are no vans {sorted(unknown)}" if unknown else None

    def _do(self, kind: str, body: Any) -> None:
        orders = self.fleet.day.orders
        if kind == "clock":
            self.fleet.advance(body["now"])
        elif kind == "order":
            name, known = self._name(), max(1, int(self.fleet.now))
            place = (float(body["at"][0]), float(body["at"][1]))
            orders[name] = city.Order(name, place, body["early"], body["late"], known, None)
        elif kind == "cancellation":
            if (had := self.find(body["of"])) is not None:
                gone = orders[had["order"]]
                orders[gone.id] = gone._replace(cancelled=int(self.fleet.now))
        elif kind in {"plan", "restore"}:
            routes = body["routes"] if kind == "plan" else self._was[self.version - 1]
            if self.first is None:
                self.first = routes
            self._was[self.version] = {n: list(v.stops) for n, v in self.fleet.vans.items()}
            self.fleet.plan(routes)
            self.version += 1

    def scores(self) -> dict[str, Any]:
        """What came of the day with the plans that came in, and with the first one kept."""
        kept = city.kept(self.fleet.day, self.first or {})
        return {"kept": kept._asdict(), "agent": city.score(self.fleet)._asdict()}


def shown(fleet: city.Fleet, version: int) -> dict[str, Any]:
    """What a dispatcher can know in this minute."""
    middle = city.SIZE / city.QUARTERS
    quarters = range(city.QUARTERS)
    pace = [
        [
            round(fleet.day.speed(((c + 0.5) * middle, (r + 0.5) * middle), fleet.now), 3)
            for r in quarters
        ]
        for c in quarters
    ]
    vans = [
        {"id": name, "at": van.at, "free": round(van.free, 1), "stops": van.stops}
        for name, van in fleet.vans.items()
    ]
    orders = [
        {"id": order.id, "at": order.at, "early": order.early, "late": order.late}
        for order in fleet.open
    ]
    return {
        "day": f"D{fleet.day.seed}",
        "now": int(fleet.now),
        "version": version,
        "depot": city.DEPOT,
        "shift": city.SHIFT,
        "service": city.SERVICE,
        "detour": city.DETOUR,
        "size": city.SIZE,
        "pace": pace,
        "vans": vans,
        "orders": orders,
    }


def make_app(dispatch: Dispatch) -> Starlette:
    """The service as an ASGI application."""

    def taking(kind: str) -> Callable[[Request], Any]:
        async def take(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            status, answer = dispatch.take(kind, key, await request.json())
            return JSONResponse(answer, status)

        return take

    async def day(_request: Request) -> Response:
        return JSONResponse(shown(dispatch.fleet, dispatch.version))

    async def score(_request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(dispatch.scores))

    async def came(request: Request) -> Response:
        return JSONResponse(dispatch.came(request.path_params["kind"]))

    posts = {"/plans": "plan", "/restores": "restore", "/messages": "message", "/clock": "clock"}
    posts |= {"/orders": "order", "/cancellations": "cancellation"}
    return Starlette(
        routes=[
            *(Route(path, taking(kind), methods=["POST"]) for path, kind in posts.items()),
            Route("/day", day),
            Route("/score", score),
            Route("/came/{kind}", came),
        ]
    )


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="The dispatch service of a city's vans.")
    parser.add_argument("--db", required=True, help="SQLite file, made if missing")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--seed", type=int, default=101, help="of the day")
    options = parser.parse_args()
    app = make_app(Dispatch(options.db, options.seed))
    config = uvicorn.Config(app, host=options.host, port=options.port, log_level="warning")
    listening = config.bind_socket()
    host, port = listening.getsockname()[:2]
    print(f"dispatch listens on http://{host}:{port}", flush=True)  # noqa: T201 - for whoever started it
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
