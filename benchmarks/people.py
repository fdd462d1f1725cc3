"""`python -m benchmarks.people [--cases N]`: how long people wait, and cases wait for people.

From the gate's opening to the message that the mail server has taken; and from the ruling to
the write, as a bare update, as one that is signed, and as a button pressed in the inbox. One
case at a time, everything real: the server, the worker, the inbox over HTTP, the mail over
SMTP. The three ways take turns, so that their ratios hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx2
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from benchmarks.contender import alert, project
from handrail import Fleet, Keyring, Trust
from handrail.actions import Ruling
from handrail.client import gates
from handrail.inbox.channels.worker import running as messages
from handrail.inbox.web.server import opened, serving
from handrail.inbox.web.site import Site
from handrail.oversight import GateView, sign_ruling
from handrail.runtime import Settings
from handrail.testing import Stage, running, server

ANA = "ana@example.com"
SECRET = "of a benchmark, of thirty-two letters"  # noqa: S105  # nobody else meets it


@dataclass
class Mail:
    """A mail server that keeps when it took each mail, by what its subject and text name."""

    taken: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])

    async def handle_DATA(  # noqa: N802  # the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a mail."""
        del server, session
        self.taken.append((time.time(), bytes(cast("bytes", envelope.content))))
        return "250 OK"


@dataclass(frozen=True)
class Scene:
    """Everything that runs, and the browser of somebody who is signed in."""

    stage: Stage
    site: Site
    mail: Mail
    browser: httpx2.AsyncClient


@asynccontextmanager
async def scene(home: Path) -> AsyncGenerator[Scene]:
    """The server, a worker, an inbox, a mail server, and somebody who has signed in."""
    mail, loop = Mail(), asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: SMTP(mail, hostname="bench"), "127.0.0.1", 0)
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://localhost:{listener.getsockname()[1]}"
    settings = Settings.model_validate(
        {
            "home": home,
            "inbox_url": base,
            "inbox_dev": True,
            "inbox_secret": SecretStr(SECRET),
            "inbox_policies": Path(project("guarded_fleet").POLICY).parent,
            "smtp_url": f"smtp://127.0.0.1:{smtp.sockets[0].getsockname()[1]}",
            "mail_from": "handrail@example.com",
        }
    )
    fleet = cast("Fleet", project("guarded_fleet").fleet)
    trust = Trust(Keyring(settings.keyring), "unproven", base)
    async with (
        smtp,
        server(home / "server") as started,
        running(fleet, started, home, trust=trust) as stage,
        opened(settings, stage.client, stage.ledger) as site,
        serving(site, listener),
        messages(stage.client, settings, links=site.links, secret=SECRET),
        httpx2.AsyncClient(base_url=base, headers={"origin": base}) as browser,
    ):
        page = (await browser.get("/sign-in")).text
        await browser.post("/sign-in/dev", data={"token": _token(page), "address": ANA})
        yield Scene(stage, site, mail, browser)


def _token(page: str) -> str:
    return re.findall(r'name="token" value="([^"]+)"', page)[-1]


# The three ways of ruling. Each returns when it was sent: `time.monotonic()`.


async def bare(on: Scene, gate: GateView) -> float:
    """An update that nothing proves."""
    sent = time.monotonic()
    await gates.send(on.stage.client, gate, "approve", _ruling(gate))
    return sent


async def signed(on: Scene, gate: GateView) -> float:
    """An update with a proof."""
    ruling = sign_ruling(
        _ruling(gate, via="inbox"), "approve", gate.case, on.site.key, datetime.now(UTC)
    )
    sent = time.monotonic()
    await gates.send(on.stage.client, gate, "approve", ruling)
    return sent


async def pressed(on: Scene, gate: GateView) -> float:
    """The button of a page, which is open already."""
    url = f"/gates/{gate.case}/{gate.gate}"
    page = (await on.browser.get(url)).text
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    sent = time.monotonic()
    given = form | {"token": _token(page), "verb": "approve"}
    answer = await on.browser.post(url, data=given, follow_redirects=True)
    answer.raise_for_status()
    return sent


def _ruling(gate: GateView, **more: Any) -> Ruling:
    return Ruling(gate=gate.gate, digest=gate.digest, by=ANA, **more)


WAYS: dict[str, Callable[[Scene, GateView], Awaitable[float]]] = {
    "bare update": bare,
    "signed update": signed,
    "button in the inbox": pressed,
}


async def one(on: Scene, way: str, key: str) -> tuple[float, float]:
    """One case: milliseconds from ruling to write, and from the gate's opening to the mail."""
    case = await on.stage.start("guarded", alert(key, Decimal(500)))
    gate = await case.gate()
    while not (at := [t for t, text in on.mail.taken if gate.gate.encode() in text]):  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    mailed = at[0] - gate.opened.timestamp()
    sent = await WAYS[way](on, gate)
    await case.outcome()
    began = project("freight").entered[key] / 1e9
    return (began - sent) * 1e3, mailed * 1e3


async def measure(home: Path, cases: int) -> dict[str, list[float]]:
    """The milliseconds of all cases, by what they are of."""
    found: dict[str, list[float]] = {name: [] for name in (*WAYS, "gate to mail")}
    async with scene(home) as on:
        for number in range(cases):
            for way in WAYS:
                key = f"{way.split()[0]}-{number}"
                ruled, mailed = await one(on, way, key)
                if number:  # the first of each warms up
                    found[way].append(ruled)
                    found["gate to mail"].append(mailed)
            print(f"people: {number + 1} of {cases}", file=sys.stderr, flush=True)
    return found


def table(found: dict[str, list[float]]) -> str:
    """The figures as Markdown."""
    base = statistics.median(found["bare update"])
    lines = ["| from | p50 ms | p95 ms | x bare |", "|---|---|---|---|"]
    for name, times in found.items():
        p95 = statistics.quantiles(times, n=20)[-1]
        ratio = "" if name == "gate to mail" else f"{statistics.median(times) / base:.2f}"
        lines.append(f"| {name} | {statistics.median(times):.1f} | {p95:.1f} | {ratio} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.people", description=__doc__)
    parser.add_argument("--cases", type=int, default=30, metavar="N", help="of each way")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="handrail-people-") as home:
        print(table(asyncio.run(measure(Path(home), max(given.cases, 3)))))
    sys.stdout.flush()
    # The SDK's threads may abort the process while the interpreter ends.
    os._exit(0)


if __name__ == "__main__":
    main()
