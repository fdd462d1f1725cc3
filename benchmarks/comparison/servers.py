"""The servers of one contender: its own Temporal, PostgreSQL or Restate, and the outside system."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2

from benchmarks.comparison import environments
from benchmarks.comparison.contenders import Contender
from benchmarks.postgres import binaries, postgres
from handrail.runtime import EmbeddedServer
from handrail.testing import eventually, free_ports


@dataclass(frozen=True)
class Outside:
    """The outside system of one contender."""

    url: str

    async def behave(self, *, keys: bool = True, holding: bool = False) -> dict[str, int]:
        """Have it behave so; how often each consignment was booked until now."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=20) as client:
            said = {"keys": keys, "holding": holding}
            return (await client.post("/behave", json=said)).json()


@dataclass(frozen=True)
class Backend:
    """Where a contender's servers are, and which processes they are."""

    environment: dict[str, str]
    pids: tuple[int, ...]
    outside: Outside


@contextlib.asynccontextmanager
async def backend(contender: Contender, home: Path) -> AsyncGenerator[Backend]:
    """Start what the contender needs; all of it ends with this context."""
    async with contextlib.AsyncExitStack() as stack:
        server, pids, more = str(home / (contender.store or "")), list[int](), dict[str, str]()
        if contender.store is not None and contender.program.endswith("dbos.py"):
            server = f"sqlite:///{server}"
        if "postgres" in contender.servers:
            programs = binaries()
            assert programs is not None  # noqa: S101  # it was looked for
            url = stack.enter_context(postgres(programs))
            pids.append(_postmaster(url))
            server, more["COMPARISON_LEDGER"] = url.replace("+psycopg", ""), url
        if "temporal" in contender.servers:
            port, ui_port = free_ports()
            started = EmbeddedServer(home / "server", port=port, ui_port=ui_port)
            await stack.enter_async_context(started)
            assert started.pid is not None  # noqa: S101  # it was entered
            pids.append(started.pid)
            server = started.address
        if "restate" in contender.servers:
            server, pid = await stack.enter_async_context(_restate(home))
            pids.append(pid)
            more["COMPARISON_PORT"] = str(free_ports()[0])
        outside = await stack.enter_async_context(_outside(home))
        given = {"COMPARISON_SERVER": server, "COMPARISON_OUTSIDE": outside.url, **more}
        yield Backend(given, tuple(pids), outside)


def _postmaster(url: str) -> int:
    data = Path(url.partition("host=")[2]) / "data"
    return int((data / "postmaster.pid").read_text(encoding="utf-8").split()[0])


@contextlib.asynccontextmanager
async def _restate(home: Path) -> AsyncGenerator[tuple[str, int]]:
    program = environments.restate_server()
    assert program is not None  # noqa: S101  # it was looked for
    (ingress, admin), (fabric, _) = free_ports(), free_ports()
    settings = {
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{fabric}",
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_DISABLE_TELEMETRY": "true",
    }
    command = [str(program), "--base-dir", str(home / "restate"), "--no-logo"]
    async with _process(command, home / "restate.log", settings) as pid:
        base = f"http://127.0.0.1:{admin}"
        await eventually(lambda: _answers(f"{base}/health"), what="Restate's server")
        yield f"http://127.0.0.1:{ingress} {base}", pid


@contextlib.asynccontextmanager
async def _outside(home: Path) -> AsyncGenerator[Outside]:
    port, _ = free_ports()
    command = [sys.executable, "-m", "benchmarks.comparison.outside", str(port)]
    async with _process(command, home / "outside.log", {}):
        url = f"http://127.0.0.1:{port}"
        await eventually(lambda: _answers(f"{url}/consignments/1"), what="the outside system")
        yield Outside(url)


async def _answers(url: str) -> bool:
    async with httpx2.AsyncClient(timeout=2) as client:
        try:
            return (await client.get(url)).is_success
        except httpx2.HTTPError:
            return False


@contextlib.asynccontextmanager
async def _process(
    command: Sequence[str], log: Path, environment: dict[str, str]
) -> AsyncGenerator[int]:
    with log.open("ab") as lines:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
            cwd=environments.HERE.parent.parent,
            env={**os.environ, **environment},
        )
    try:
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
