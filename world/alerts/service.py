"""Alertmanager's API and the plant's register: ``python -m world.alerts.service --db PATH``.

`POST /api/v2/alerts` takes alarms as Prometheus sends them, `GET` says which ring: what is known
survives a kill. `GET /register/SITE` says what feeds what.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from world.alerts import plant

HOST = "127.0.0.1"
PORT = 8590
_SCHEMA = "CREATE TABLE IF NOT EXISTS alerts (fingerprint TEXT PRIMARY KEY, body TEXT) STRICT"


class Alerts:
    """The alarms that ring. One thread uses it, and each change is one transaction."""

    def __init__(self, db: Path | str) -> None:
        """Open it, or make it."""
        self._db = sqlite3.connect(db, isolation_level=None, timeout=5)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(_SCHEMA)

    def take(self, alerts: list[dict[str, Any]]) -> None:
        """Take alarms that ring, and let go of those that do not any more."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for each in alerts:
                if each["status"] == "resolved":
                    query = "DELETE FROM alerts WHERE fingerprint = ?"
                    self._db.execute(query, (each["fingerprint"],))
                else:
                    query = "INSERT OR REPLACE INTO alerts VALUES (?, ?)"
                    self._db.execute(query, (each["fingerprint"], json.dumps(each)))

    def ringing(self, site: str) -> list[dict[str, Any]]:
        """Those of a site that ring."""
        rows = self._db.execute("SELECT body FROM alerts ORDER BY fingerprint")
        found = [json.loads(row[0]) for row in rows]
        return [
            each | {"status": {"state": "active", "silencedBy": [], "inhibitedBy": []}}
            for each in found
            if each["labels"]["site"] == site
        ]


def application(alerts: Alerts) -> Starlette:
    """Its routes."""

    async def take(request: Request) -> Response:
        alerts.take(await request.json())
        return JSONResponse({})

    async def ringing(request: Request) -> Response:
        _, _, site = request.query_params["filter"].partition("=")
        return JSONResponse(alerts.ringing(site.strip('"')))

    async def register(request: Request) -> Response:
        known = request.path_params["site"] in plant.SITES
        return JSONResponse(
            plant.register() if known else {"detail": "no such site"}, 200 if known else 404
        )

    return Starlette(
        routes=[
            Route("/api/v2/alerts", take, methods=["POST"]),
            Route("/api/v2/alerts", ringing),
            Route("/register/{site}", register),
        ]
    )


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="The plant's Alertmanager and register.")
    parser.add_argument("--db", type=Path, required=True, help="SQLite file, made if missing")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=PORT, help="0: any free one; it is printed")
    options = parser.parse_args()
    options.db.parent.mkdir(parents=True, exist_ok=True)
    app = application(Alerts(options.db))
    config = uvicorn.Config(app, host=options.host, port=options.port, log_level="warning")
    listening = config.bind_socket()
    port = listening.getsockname()[1]
    print(f"alerts listens on http://{options.host}:{port}", flush=True)  # noqa: T201 - for whoever started it
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
