"""A till: takes payments over HTTP, one for each key, and writes them to a file.

Some amounts take long, the first time, after they are written down and before it is answered.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from typing_extensions import override

BOOK = Path(sys.argv[1])
LOCK = Lock()
SECONDS = {"13": 4, "14": 18}


class Till(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with LOCK:
            known = BOOK.read_text().splitlines()
            line = f"{self.path} {body['key']}"
            with BOOK.open("a") as calls:
                if line not in known:
                    calls.write(f"{line}\n")
            with BOOK.with_suffix(".calls").open("a") as calls:
                calls.write(f"{line}\n")
        if line not in known:
            time.sleep(SECONDS.get(str(body.get("amount")), 0))
        answer = json.dumps(f"done {body['key']}").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    @override
    def log_message(self, format: str, *args: Any) -> None:  # its own name
        del format, args


if __name__ == "__main__":
    BOOK.touch()
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["TILL_PORT"])), Till)
    sys.stdout.write("till is open\n")
    sys.stdout.flush()
    server.serve_forever()
