"""Lines, their cameras and their controller: ``python -m world.inspection.service --db PATH``.

`PUT .../verdict` takes a verdict once under its `Idempotency-Key` (201, then 200; another body
under it is 409), and what a person settled stays. `POST .../stop` knows no key and cannot be
searched: each one that comes presses the button once more. A line that is stopped makes no parts.
"""

from __future__ import annotations

import argparse
import io
import socket
import sqlite3
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from world.inspection import boards, days

PORT, SEED = 8550, 7
ARCHIVE_SEED, ARCHIVE = 1, 200
_TABLES = """
create table if not exists parts (line int, serial int, off int, primary key (line, serial));
create table if not exists verdicts (key text primary key, line int, serial int, verdict text);
create table if not exists stops (id integer primary key, line int, serial int, reason text,
    ended int default 0);
create table if not exists seen_to (line int, serial int);
"""


class Lines:
    """The lines, and what was said to them."""

    def __init__(self, db: Path, seed: int) -> None:
        self.seed = seed
        self._db = sqlite3.connect(db, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_TABLES)

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of a statement."""
        return [dict(row) for row in self._db.execute(sql, values).fetchall()]

    def state(self, line: int) -> dict[str, Any]:
        """Whether a line runs, its latest part, and what was done to it."""
        stops = self.rows("select id, serial, reason, ended from stops where line = ?", line)
        seen = self.rows("select serial from seen_to where line = ?", line)
        last = self.rows("select coalesce(max(serial), 0) as at from parts where line = ?", line)
        return {
            "runs": all(stop["ended"] for stop in stops),
            "serial": last[0]["at"],
            "stops": stops,
            "seen_to": [each["serial"] for each in seen],
        }

    def make(self, line: int) -> dict[str, Any] | None:
        """Make the next part; none while the line is stopped."""
        state = self.state(line)
        if not state["runs"]:
            return None
        serial = state["serial"] + 1
        drifts = line == boards.OFF_LINE and serial >= boards.DRIFTS and not state["seen_to"]
        self.rows("insert into parts values (?, ?, ?)", line, serial, drifts)
        return {"line": line, "serial": serial}

    def part(self, line: int, serial: int) -> boards.Part | None:
        """A part that was made."""
        found = self.rows("select off from parts where line = ? and serial = ?", line, serial)
        return boards.part(line, serial, self.seed, off=bool(found[0]["off"])) if found else None

    def judge(self, key: str, line: int, serial: int, verdict: str) -> tuple[int, dict[str, Any]]:
        """Take a verdict, once under its key."""
        [had] = self.rows("select * from verdicts where key = ?", key) or [None]
        wanted = {"key": key, "line": line, "serial": serial, "verdict": verdict}
        if had is not None:
            return (200 if had == wanted else 409), had
        now = self.verdicts(line, serial)
        if now and now[-1]["verdict"] != "hold" and verdict != "hold":
            return 409, {"detail": f"part {serial} is {now[-1]['verdict']} already"}
        self.rows("insert into verdicts values (?, ?, ?, ?)", *wanted.values())
        return 201, wanted

    def verdicts(self, line: int, serial: int | None = None) -> list[dict[str, Any]]:
        """The verdicts of a line, or of a part of it, oldest first."""
        of = "select serial, verdict from verdicts where line = ? and ? in (serial, -1) "
        return self.rows(of + "order by rowid", line, -1 if serial is None else serial)


def _zipped(made: list[days.Came]) -> Response:
    """Boards in DeepPCB's form; without a text where nobody has looked."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as kept:
        for name, board, labelled in made:
            kept.writestr(f"{name}_temp.png", board.golden)
            kept.writestr(f"{name}_test.png", board.scan)
            if labelled:
                drawn = "\n".join(",".join(map(str, box)) for _, box in board.defects)
                kept.writestr(f"{name}.txt", drawn)
    return Response(file.getvalue(), media_type="application/zip")


def make_app(lines: Lines, changed: date = days.CHANGED) -> Starlette:
    """Their routes."""
    return Starlette(routes=[*_judged(lines), *_made(lines), *_past(lines, changed)])


def _of(request: Request) -> int:
    """The line that it is about."""
    return int(request.path_params["line"])


def _made(lines: Lines) -> list[Route]:
    """A line and its parts."""

    async def state(request: Request) -> Response:
        return JSONResponse(lines.state(_of(request)))

    async def make(request: Request) -> Response:
        made = lines.make(_of(request))
        return JSONResponse(made or {"detail": "the line is stopped"}, 201 if made else 409)

    def image(request: Request) -> Response:
        found = lines.part(_of(request), int(request.path_params["serial"]))
        if found is None:
            return JSONResponse({"detail": "there is no such part"}, 404)
        golden = request.path_params["which"] == "golden"
        return Response(found.golden if golden else found.scan, media_type="image/png")

    line = "/lines/{line:int}"
    return [
        Route(line, state),
        Route(line + "/parts", make, methods=["POST"]),
        Route(line + "/parts/{serial:int}/{which}", image),
    ]


def _judged(lines: Lines) -> list[Route]:
    """What is said of parts, and of the line."""

    async def judge(request: Request) -> Response:
        key, said = request.headers.get("idempotency-key", ""), await request.json()
        if not key or said.get("verdict") not in {"pass", "hold", "stop"}:
            return JSONResponse({"detail": "send Idempotency-Key; pass, hold or stop"}, 422)
        serial = int(request.path_params["serial"])
        status, row = lines.judge(key, _of(request), serial, said["verdict"])
        return JSONResponse(row, status)

    async def verdicts(request: Request) -> Response:
        serial = request.query_params.get("serial")
        return JSONResponse(lines.verdicts(_of(request), int(serial) if serial else None))

    async def stop(request: Request) -> Response:
        said = await request.json()
        add = "insert into stops (line, serial, reason) values (?, ?, ?) returning id"
        values = (_of(request), int(said["serial"]), str(said["reason"]))
        return JSONResponse(lines.rows(add, *values)[0], 201)

    async def see_to(request: Request) -> Response:
        line = _of(request)
        lines.rows("insert into seen_to values (?, ?)", line, lines.state(line)["serial"])
        lines.rows("update stops set ended = 1 where line = ?", line)
        return JSONResponse(lines.state(line), 201)

    line = "/lines/{line:int}"
    return [
        Route(line + "/parts/{serial:int}/verdict", judge, methods=["PUT"]),
        Route(line + "/verdicts", verdicts),
        Route(line + "/stop", stop, methods=["POST"]),
        Route(line + "/seen-to", see_to, methods=["POST"]),
    ]


def _past(lines: Lines, changed: date) -> list[Route]:
    """What people looked at, all at once and day by day."""

    def archive(_request: Request) -> Response:
        made = enumerate(boards.archive(ARCHIVE_SEED, ARCHIVE))
        return _zipped([days.Came(f"{n:05}", each, labelled=True) for n, each in made])

    def dates(_request: Request) -> Response:
        return JSONResponse([str(day) for day in days.days()])

    def of_day(request: Request) -> Response:
        day = date.fromisoformat(request.path_params["day"])
        return _zipped(days.came(day, lines.seed, changed))

    return [
        Route("/archive", archive),
        Route("/days", dates),
        Route("/days/{day}", of_day),
    ]


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="Lines that make boards, and their controller.")
    parser.add_argument("--db", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--seed", type=int, default=SEED)
    say = "the day from which on the air is not filtered"
    parser.add_argument("--changed", type=date.fromisoformat, default=days.CHANGED, help=say)
    given = parser.parse_args()
    given.db.parent.mkdir(parents=True, exist_ok=True)
    listening = socket.create_server((given.host, given.port))
    host, port = listening.getsockname()[:2]
    print(f"lines listens on http://{host}:{port}", flush=True)  # noqa: T201 - for whoever started it
    app = make_app(Lines(given.db, given.seed), given.changed)
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
