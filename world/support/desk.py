"""The desk's tracker, a real Roundup: ``python -m world.support.desk --dir PATH --port 8511``.

Tickets and follow-ups are its issues, what is known of a customer its class ``note``. Each has
a field ``effect`` that is unique: the same key twice is refused with 409.
"""

import argparse
import os
import shutil
import signal
import socketserver
import sys
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from typing_extensions import override

HOST = "127.0.0.1"
PORT = 8511
AGENT = "agent"
PASSWORD = "DESK_PASSWORD"  # noqa: S105 - the variable, not the password

_ISSUE = 'status=Link("status"))'
_OURS = """status=Link("status"),
                customer=String(), queue=String(), message=String(), about=String(),
                due=Date(), effect=String())
issue.setkey("effect")

note = Class(db, "note",
                customer=String(), queue=String(), message=String(), about=String(),
                title=String(), effect=String())
note.setkey("effect")
note.setlabelprop("title")
for may in ("View", "Create", "Edit"):
    db.security.addPermission(name=may, klass="note")
    db.security.addPermissionToRole("User", may, "note")
"""
_USER = """
db.getclass("user").create(username="agent", password=adminpw, address="agent@example.com",
                           roles="User")
"""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class _Quiet(WSGIRequestHandler):
    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the demonstration reads the first line alone."""


def template() -> Path:
    """Where Roundup's classic tracker lies.

    Raises:
        FileNotFoundError: if the package brought none.
    """
    for root in (Path(sys.prefix), Path(sys.base_prefix), Path("/usr/local")):
        found = root / "share/roundup/templates/classic"
        if found.is_dir():
            return found
    raise FileNotFoundError("roundup's classic template is not there; fix: install roundup again")


def prepare(home: Path, url: str, password: str) -> None:
    """Make the tracker, if it is not there yet; whole, or not at all."""
    if (home / "config.ini").exists():
        return
    new = home.with_name(f"{home.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.parent.mkdir(parents=True, exist_ok=True)
    from roundup import init  # noqa: PLC0415 - only where it is needed: it is slow to import

    # The template is written into, and belongs to everybody.
    source = new.with_name(f"{home.name}.template")
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(template(), source)
    settings = {
        "rdbms_backend": "sqlite",
        "tracker_web": url,
        "mail_domain": "example.com",
        "mail_host": HOST,
        "password_pbkdf2_default_rounds": "1000",  # a demonstration: 7 ms a call, not 160
        "web_http_auth_header": "",
    }
    init.install(str(new), str(source), settings=settings)  # pyright: ignore[reportUnknownMemberType]
    shutil.rmtree(source)
    schema = new / "schema.py"
    text = schema.read_text("utf-8")
    assert _ISSUE in text, "another roundup: its classic schema has changed"  # noqa: S101
    schema.write_text(text.replace(_ISSUE, _OURS), "utf-8")
    with (new / "initial_data.py").open("a", encoding="utf-8") as data:
        data.write(_USER)
    from roundup import instance  # noqa: PLC0415
    from roundup import password as words  # noqa: PLC0415

    tracker: Any = instance.open(str(new))  # pyright: ignore[reportUnknownMemberType]
    tracker.init(words.Password(password, config=tracker.config))
    new.rename(home)


def _nothing(environ: dict[str, Any], start: Any) -> list[bytes]:
    """Answer nobody: the tracker is not made yet."""
    del environ
    start("503 Service Unavailable", [])
    return []


def _end(number: int, frame: object) -> None:
    del number, frame
    os._exit(0)  # its threads are daemons, and the database has what was committed


def main() -> None:
    """Serve the tracker until a signal ends it."""
    parser = argparse.ArgumentParser(description="The support desk's tracker.")
    parser.add_argument("--dir", type=Path, required=True, help="its home, made if missing")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=PORT, help="0: any free one; it is printed")
    options = parser.parse_args()
    server: Any = make_server(options.host, options.port, _nothing, _Server, _Quiet)
    url = f"http://{options.host}:{server.server_port}/"
    prepare(options.dir, url, os.environ.get(PASSWORD) or PASSWORD.lower())
    from roundup.cgi.wsgi_handler import RequestDispatcher  # noqa: PLC0415

    server.set_app(RequestDispatcher(str(options.dir)))
    signal.signal(signal.SIGTERM, _end)
    print(f"desk listens on {url.rstrip('/')}", flush=True)  # noqa: T201 - for whoever started it
    server.serve_forever()


if __name__ == "__main__":
    main()
