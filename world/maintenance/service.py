"""The plant over HTTP: ``python -m world.maintenance.service --db PATH --port 8540``.

A historian (what the sensors said until now), the archive of other machines with their failures,
and a clock that whoever plays the plant moves on. What was done to the machines is kept in SQLite,
so that the same plant goes on after a kill.
"""

from __future__ import annotations

import argparse
import io
import socket
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from world.maintenance.plant import SENSORS, Plant, played

PORT, SEED, MACHINES = 8540, 7, 20
ARCHIVE_SEED, ARCHIVE_MACHINES, ARCHIVE_HOURS = 1, 60, 2880
BEFORE = 336
"""Hours that have passed when the plant is first seen."""
BAND = 4.5
"""By how many deviations of its first week a machine's day must be off for the stream to say so."""


class Site:
    """The plant, and the log of what was done to it."""

    def __init__(self, db: Path, seed: int, machines: int) -> None:
        self._log = sqlite3.connect(db, check_same_thread=False, isolation_level=None)
        self._log.execute("create table if not exists work (hour int, machine int, part text)")
        self._log.execute("create table if not exists clock (hour int)")
        self.plant = Plant(seed, machines)
        self.read: dict[int, int] = {}
        """At which hour each machine was last looked at."""
        for (until,) in self._log.execute("select max(hour) from clock").fetchall():
            self._replay(max(BEFORE, until or 0))

    def _replay(self, until: int) -> None:
        for hour in range(until):
            at = "select machine, part from work where hour = ?"
            for machine, part in self._log.execute(at, (hour,)).fetchall():
                self.plant.replace(machine, part)
            self.plant.step()

    def to(self, hour: int) -> list[int]:
        """Move the clock on; which machines the stream finds out of their usual band."""
        while self.plant.hour < hour:
            self.plant.step()
        self._log.execute("insert into clock values (?)", (self.plant.hour,))
        seen = self.plant.readings()[..., :4]
        first, now = seen[:168], np.nanmean(seen[-24:], axis=0)
        off = np.abs(now - np.nanmean(first, axis=0)) / np.nanstd(first, axis=0) * 24**0.5
        return [int(m) for m in np.flatnonzero((off > BAND).any(axis=1))]

    def work(self, machine: int, part: str) -> bool:
        """Put a new part in, now; once, however often it is said within the hour."""
        done = (self.plant.hour, machine, part)
        asked = "select 1 from work where hour = ? and machine = ? and part = ?"
        if self._log.execute(asked, done).fetchall():
            return False
        self._log.execute("insert into work values (?, ?, ?)", done)
        self.plant.replace(machine, part)
        return True


def _packed(**arrays: Any) -> Response:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return Response(file.getvalue(), media_type="application/octet-stream")


def make_app(site: Site) -> Starlette:
    """The plant's routes."""

    async def clock(_request: Request) -> Response:
        plant = site.plant
        failed = [list(each[:3]) for each in plant.failures]
        return JSONResponse(
            {"hour": plant.hour, "machines": plant.machines, "failed": failed, "read": site.read}
        )

    async def move(request: Request) -> Response:
        return JSONResponse({"off": site.to(int((await request.json())["hour"]))})

    async def readings(request: Request) -> Response:
        machine = int(request.path_params["machine"])
        if not 0 <= machine < site.plant.machines:
            return JSONResponse({"detail": f"there is no machine {machine}"}, 404)
        site.read[machine] = site.plant.hour
        seen = site.plant.readings(int(request.query_params.get("hours", "168")))
        return _packed(readings=seen[:, machine].astype(np.float32), hour=site.plant.hour)

    async def work(request: Request) -> Response:
        said = await request.json()
        new = site.work(int(said["machine"]), str(said["part"]))
        return JSONResponse({"new": new}, 201 if new else 200)

    def archive(_request: Request) -> Response:
        old = played(ARCHIVE_SEED, ARCHIVE_MACHINES, ARCHIVE_HOURS)
        failed = np.array([(f.machine, f.hour, f.sudden) for f in old.failures])
        parts = np.array([f.part for f in old.failures])
        seen = old.readings().astype(np.float32)
        return _packed(readings=seen, failed=failed, parts=parts, sensors=np.array(SENSORS))

    return Starlette(
        routes=[
            Route("/clock", clock),
            Route("/clock", move, methods=["POST"]),
            Route("/machines/{machine:int}/readings", readings),
            Route("/work", work, methods=["POST"]),
            Route("/archive", archive),
        ]
    )


def serve(app: Starlette, host: str, port: int, name: str) -> None:
    """Say where it listens, and serve until a signal ends it."""
    listening = socket.create_server((host, port))
    host, port = listening.getsockname()[:2]
    print(f"{name} listens on http://{host}:{port}", flush=True)  # noqa: T201 - for whoever started it
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listening])


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="A plant that wears.")
    parser.add_argument("--db", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--machines", type=int, default=MACHINES)
    given = parser.parse_args()
    given.db.parent.mkdir(parents=True, exist_ok=True)
    serve(make_app(Site(given.db, given.seed, given.machines)), given.host, given.port, "service")


if __name__ == "__main__":
    main()
