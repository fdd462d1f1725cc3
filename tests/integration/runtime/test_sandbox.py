"""The sandbox is entered to run a workflow, and not for every payload that passes by."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from temporalio.converter import WithSerializationContext

from benchmarks.contender import HANDRAIL, LEAN, PASSING, Contender
from handrail.runtime.temporal_server import EmbeddedServer

pytestmark = pytest.mark.integration
QUESTIONS = ("get_serialization_context", "get_external_store_context")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every question for which the sandbox was entered."""
    found: list[str] = []
    entered = import_module("temporalio.worker.workflow_sandbox._runner")._Instance

    def watch(name: str) -> None:
        ask: Callable[..., Any] = getattr(entered, name)

        def asking(*args: Any) -> Any:
            found.append(name)
            return ask(*args)

        monkeypatch.setattr(entered, name, asking)

    for name in QUESTIONS:
        watch(name)
    return found


@pytest.mark.parametrize(("contender", "enters"), [(HANDRAIL, False), (LEAN, True)])
async def test_only_temporals_own_runner_enters_it_for_payloads(
    tmp_path: Path,
    unused_tcp_port_factory: Callable[[], int],
    asked: list[str],
    contender: Contender,
    enters: bool,  # noqa: FBT001
) -> None:
    ports = unused_tcp_port_factory(), unused_tcp_port_factory()
    async with EmbeddedServer(tmp_path / "server", port=ports[0], ui_port=ports[1]) as server:
        client = await contender.connect(server.address, tmp_path)
        async with contender.working(client, tmp_path):
            handle = await contender.start(client, "sandboxed", PASSING)
            assert (await handle.result())["status"] == "done"
    assert bool(asked) is enters


async def test_handrails_converter_has_no_use_for_a_context(
    tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    ports = unused_tcp_port_factory(), unused_tcp_port_factory()
    async with EmbeddedServer(tmp_path / "server", port=ports[0], ui_port=ports[1]) as server:
        client = await HANDRAIL.connect(server.address, tmp_path)
        converter = client.data_converter
        assert converter.payload_codec is not None
        assert not isinstance(converter.payload_codec, WithSerializationContext)
        assert converter.external_storage is None
