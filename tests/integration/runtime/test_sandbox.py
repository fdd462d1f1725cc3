"""The sandbox is entered to run a workflow, and not for every payload that passes by."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from temporalio.converter import WithSerializationContext

from benchmarks.contender import HANDRAIL, LEAN, PASSING, Contender
from handrail import Agent, AgentWorkflow, ConfigurationError, Fleet
from handrail.runtime import Settings, connect, serve_fleet
from handrail.runtime.temporal_server import EmbeddedServer
from tests.agents.careless_steps import Ask, choose, pay
from tests.agents.opening_flow import OpeningAgent
from tests.agents.placed_flow import PlacedAgent

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


POLICY = """\
agent: placed
version: 1
owner: boss@example.com
actions:
  pay: {autonomy: full, irreversible: nothing is paid here, for: boss}
roles:
  boss: {people: [boss@example.com], deadline: {after: 1h, then: refuse}}
"""


def fleet(flow: type[AgentWorkflow], folder: Path) -> Fleet:
    policy = folder / "placed.yaml"
    policy.write_text(POLICY)
    return Fleet(Agent("placed", flow, steps=[choose, pay], policy=policy))


@pytest.mark.parametrize(("said", "place"), [({}, "in"), ({"HANDRAIL_SANDBOX": "off"}, "outside")])
async def test_a_worker_runs_cases_where_its_settings_say(
    tmp_path: Path, unused_tcp_port_factory: Callable[[], int], said: dict[str, str], place: str
) -> None:
    port, ui_port = unused_tcp_port_factory(), unused_tcp_port_factory()
    given = {"HANDRAIL_HOME": str(tmp_path), "HANDRAIL_TEMPORAL_PORT": str(port), **said}
    settings, agents = Settings.from_environment(given), fleet(PlacedAgent, tmp_path)
    ready, stop = asyncio.Event(), asyncio.Event()
    async with EmbeddedServer(tmp_path / "server", port=port, ui_port=ui_port):
        serving = serve_fleet(settings, agents, stop=stop, ready=ready.set)
        worker = asyncio.create_task(serving)
        await asyncio.wait(
            [worker, ready_soon := asyncio.create_task(ready.wait())], return_when="FIRST_COMPLETED"
        )
        assert ready_soon.done(), worker.exception()
        client = await connect(settings, plugins=[agents.plugin(settings.payload_dir)])
        case = await agents.start(client, "placed", Ask(number="1", what="it is"))
        result: Any = await client.get_workflow_handle(case.case).result()
        stop.set()
        await worker
    assert result["why"].startswith(f"it is {place}")


async def test_what_does_not_load_in_the_sandbox_does_not_run_outside_of_it(tmp_path: Path) -> None:
    given = {"HANDRAIL_HOME": str(tmp_path), "HANDRAIL_SANDBOX": "off"}
    with pytest.raises(ConfigurationError, match="OpeningAgent cannot be loaded in Temporal's"):
        await serve_fleet(
            Settings.from_environment(given), fleet(OpeningAgent, tmp_path), stop=asyncio.Event()
        )
