"""Tryton's server: ``TRYTON_KEY=... python -m world.tryton.service --dir DIR --port 8580``.

This process becomes Tryton's own program; a helper says when it answers, and ends.
"""

import argparse
import os
import socket
import time
from pathlib import Path

from world.tryton.database import NAME, placed, program

HOST = "127.0.0.1"
PORT = 8580
KEY = "TRYTON_KEY"
_PATIENCE_S = 55.0
_AGAIN_S = 0.1


def main() -> None:
    """Serve until a signal ends it.

    Raises:
        SystemExit: the key is not given, or the database cannot be made.
    """
    parser = argparse.ArgumentParser(description="Tryton, with parties and opportunities.")
    parser.add_argument("--dir", type=Path, required=True, help="of its database, made if missing")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=PORT)
    options = parser.parse_args()
    key = os.environ.get(KEY, "")
    if not key:
        raise SystemExit(f"set {KEY} to the key that shall open its REST interface")
    port = options.port or _free(options.host)
    configuration = placed(options.dir, listen=f"{options.host}:{port}", key=key)
    if os.fork() == 0:
        _say_when_it_answers(options.host, port)
    argv = [program("trytond"), "-c", str(configuration), "-d", NAME]
    os.execv(argv[0], argv)  # noqa: S606 - its program is ours to choose


def _say_when_it_answers(host: str, port: int) -> None:
    """In the helper: wait for the server, print its line, and end."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(_AGAIN_S)
        else:
            print(f"tryton listens on http://{host}:{port}", flush=True)  # noqa: T201
            break
    os._exit(0)


def _free(host: str) -> int:
    with socket.create_server((host, 0)) as taken:
        return taken.getsockname()[1]


if __name__ == "__main__":
    main()
