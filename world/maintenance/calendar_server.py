"""The plant's calendar: ``python -m world.maintenance.calendar_server --dir PATH --port 8541``.

It becomes Radicale, a CalDAV server under the GPL, which is never imported: any calendar program
shows the same windows. A kill of this process is a kill of Radicale itself.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import time
from pathlib import Path

PORT = 8541
CALENDAR = "/plant/maintenance/"
_CONFIG = """[server]
hosts = {host}:{port}
[auth]
type = none
[storage]
filesystem_folder = {folder}
[logging]
level = warning
"""


def main() -> None:
    """Be Radicale, with a calendar in it."""
    parser = argparse.ArgumentParser(description="Radicale with the plant's calendar.")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    given = parser.parse_args()
    given.dir.mkdir(parents=True, exist_ok=True)
    config = given.dir / "radicale.conf"
    folder = (given.dir / "collections").absolute()
    config.write_text(_CONFIG.format(host=given.host, port=given.port, folder=folder))
    if os.fork() == 0:  # a helper that says when it is ready, and is nobody's child then
        if os.fork() == 0:
            _ready(given.host, given.port)
        os._exit(0)
    os.wait()
    os.execv(sys.executable, [sys.executable, "-m", "radicale", "--config", str(config)])  # noqa: S606 - our own argv


def _ready(host: str, port: int) -> None:
    made = 0
    for _ in range(300):
        time.sleep(0.1)
        try:
            made = _calendar(host, port)
            break
        except OSError:
            continue
    if made:
        print(f"calendar listens on http://{host}:{port}", flush=True)  # noqa: T201 - for whoever started it
    os._exit(0)


def _calendar(host: str, port: int) -> int:
    """Make the calendar; it may be there already (405 or 409)."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.request("MKCALENDAR", CALENDAR, headers={"Authorization": "Basic cGxhbnQ6eA=="})
    return connection.getresponse().status


if __name__ == "__main__":
    main()
