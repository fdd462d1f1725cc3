"""`handrail dev`: everything on this machine. What changes is taken up; an error is one line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from handrail.cli.context import load_fleet, logs, settings
from handrail.cli.output import PLAIN, Code, Output, plain
from handrail.cli.processes import (
    ANYWAY,
    policies_of,
    systems_of,
    url_lines,
    urls,
    warn_of_address,
)
from handrail.exceptions import InvalidRequest, fallback
from handrail.runtime import ChildFailed, Settings, running_locally, stop_on_signals

if TYPE_CHECKING:
    from handrail.runtime import LocalProcesses

_LOOKS = 1.0
"""Seconds between two looks at files and logs."""

_CUT = 200
"""Characters of an error that are shown; all of it is in the file."""


_MOST = 5
"""Faults that are shown of a change."""


async def dev(
    *,
    anyway: Annotated[
        bool, Parameter(negative=(), help="The worker starts although open cases do not replay.")
    ] = False,
    fresh: Annotated[
        bool, Parameter(negative=(), help="Begin without the cases of before, which are put aside.")
    ] = False,
    verbose: Annotated[
        bool, Parameter(negative=(), help="Show all that worker and inbox log.")
    ] = False,
    out: Output = PLAIN,
) -> int:
    """Run everything on this machine: Temporal with its Web UI, the worker, and the inbox."""
    given = settings()
    fleet = load_fleet(given.fleet)  # says what is wrong with it before anything runs
    warn_of_address(out)
    if fresh:
        _put_aside(given, out)
    if anyway:
        os.environ[ANYWAY] = "1"
    lines = logs(given)
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        systems, policies = systems_of(given.fleet), policies_of(fleet)
        running = running_locally(
            given, systems, quiet=not verbose, patient=True, policies=policies
        )
        async with running as site, _looking(site, out):
            out.row(urls(given, site.server.namespace, site.server.address))
            out.show(*url_lines(given, site.server.namespace))
            if not verbose:
                out.show(f"Logs are in {given.home}/worker.log and inbox.log.")
            out.show("Ctrl-C ends it; nothing is lost.")
            await stop.wait()
            out.say("ending: the worker finishes what it began (Ctrl-C again: at once)")
    except ChildFailed as error:
        return out.failed(str(error), "child", Code.FAILED)
    finally:
        lines.flush()
    return Code.DONE


def _put_aside(given: Settings, out: Output) -> None:
    """Keep what was, under another name.

    Raises:
        InvalidRequest: if something still runs there.
    """
    with socket.socket() as asking:
        if asking.connect_ex(("127.0.0.1", given.temporal_port)) == 0:
            raise InvalidRequest(
                f"a server answers on port {given.temporal_port}, and its files are in use; fix: "
                "end the other `handrail dev` first"
            )
    if given.home.exists():
        aside = given.home.with_name(f"{given.home.name}-{datetime.now(UTC):%Y%m%dT%H%M%S}")
        given.home.rename(aside)
        out.say(f"the cases of before are in {aside}")


@contextlib.asynccontextmanager
async def _looking(site: LocalProcesses, out: Output) -> AsyncGenerator[None]:
    looking = [asyncio.ensure_future(_reloading(site, out))]
    if site.worker.log is not None:
        looking.append(asyncio.ensure_future(_telling(site.worker.log, out)))
    try:
        yield
    finally:
        for each in looking:
            each.cancel()
        await asyncio.wait(looking)


async def _reloading(site: LocalProcesses, out: Output) -> None:
    """Replace the worker when code has changed that can run; server and inbox stay as they are."""
    before = written(Path())
    while True:
        await asyncio.sleep(_LOOKS)
        now = written(Path())
        names = changed(before, now)
        if not names:
            continue
        before = now
        wrong = await faults()
        said = plain(", ".join(names[:3]))
        if wrong:
            out.say(f"{said} has changed, and the worker goes on as it was:\n{wrong}", "red")
        elif any(name.endswith(".py") for name in names):
            if site.worker.pid is not None:
                os.kill(site.worker.pid, signal.SIGTERM)
            out.say(f"{said} has changed: a new worker takes over", "green")
        else:
            out.say(f"{said} has changed, and is in force", "green")


def written(folder: Path) -> dict[str, int]:
    """When each file of code and policy was written last."""
    found: dict[str, int] = {}
    for root, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith((".", "__"))]
        for name in files:
            if name.endswith((".py", ".yaml", ".yml")):
                with contextlib.suppress(OSError):  # gone meanwhile
                    path = Path(root) / name
                    found[str(path)] = path.stat().st_mtime_ns
    return found


def changed(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """Which files came, went or were written."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


async def faults() -> str:
    """What `check` finds, by a process of its own: this one has imported the code before."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "handrail", "check", "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, errors = await process.communicate()
    if not process.returncode:
        return ""
    none: dict[str, Any] = {}
    found = fallback(none, lambda: json.loads(said))
    if found is none:  # the code itself ended it, or was too much for it
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        return last or f"`handrail check` ended with code {process.returncode}"
    lines = [" ".join(str(each).split()) for each in found.get("faults", ())]
    more = f"\n... {len(lines) - _MOST} more: handrail check" if len(lines) > _MOST else ""
    return "\n".join(lines[:_MOST]) + more


async def _telling(log: Path, out: Output) -> None:
    """Say each error of the worker in one line."""
    at = _size(log)
    while True:
        await asyncio.sleep(_LOOKS)
        at, errors = errors_after(log, at)
        for line in errors:
            cut = f"{line[:_CUT]} ... (all of it is in {log})" if len(line) > _CUT else line
            out.say(plain(cut), "red")


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def errors_after(log: Path, at: int) -> tuple[int, list[str]]:
    """Where the whole lines of a log end, and those after a place in it that are errors."""
    if _size(log) <= at:
        return _size(log), []  # it may have been begun anew
    with log.open("rb") as file:
        file.seek(at)
        new = file.read()
    end = new.rfind(b"\n") + 1
    lines = new[:end].decode(errors="replace").splitlines()
    return at + end, [line for line in lines if "[error" in line or "[critical" in line]
