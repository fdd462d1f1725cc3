"""What a tool loop costs: history and CPU, beside pydantic-ai's own Temporal integration.

`python -m benchmarks.tool_loop`: the same scripted model, the same tool (1 kB a call), the same
server, in turn, so that what else the machine does falls on both. CPU is that of the worker's
process, in which nothing else runs; the server is another one. Handrail's ledger, its durable
budgets and its store of conversations are within it. Neither runs in a sandbox.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pydantic_ai import Agent as PlainAgent
from pydantic_ai.durable_exec.temporal import PydanticAIPlugin, TemporalDurability
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from typing_extensions import override

from handrail import Action, Agent, AgentWorkflow, Event, Fleet, NoEvidence, Outcome, Prompt, read
from handrail.integrations.models import Model, converse
from handrail.testing import running, server

ROUNDS = (5, 10, 20, 40)
CASES = 5
PAGE = "All work and no play makes Jack a dull boy. " * 23


def _rounds(messages: list[ModelMessage]) -> int:
    return sum(isinstance(message, ModelResponse) for message in messages)


def _script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Look as often as the prompt says, and then come to an end."""
    done, text = _rounds(messages), str(messages[0])
    wanted = int(text.partition("rounds=")[2].partition(";")[0])
    if done < wanted:
        return ModelResponse(parts=[ToolCallPart("look", {"page": done})])
    if info.allow_text_output:
        return ModelResponse(parts=[TextPart("done")])
    return ModelResponse(parts=[ToolCallPart("nothing_to_do", {"rationale": "done"})])


SCRIPTED = FunctionModel(_script)


# Handrail


class Task(Event):
    """What is to be done."""

    number: str
    rounds: int

    @property
    @override
    def key(self) -> str:
        return self.number


class Reply(Action):
    """An answer."""


@read
async def look(page: int) -> str:
    """Look at a page."""
    return f"{page}: {PAGE}"


@converse(model=Model(SCRIPTED, price=0), tools=[look], rounds=100)
async def research(task: Task) -> Prompt[Reply, NoEvidence]:
    """Look at pages."""
    words = f"Look at pages. rounds={task.rounds};"
    return Prompt("Look.", evidence=NoEvidence(), data={"task": words})


@workflow.defn
class Researcher(AgentWorkflow):
    """Looks at pages, as a model likes."""

    @workflow.run
    async def run(self, task: Task) -> Outcome:
        """Look, and say that it is done."""
        return self.done((await self.converse(research, task)).rationale)


# pydantic-ai


async def _look(page: int) -> str:
    """Look at a page."""
    return f"{page}: {PAGE}"


PLAIN = PlainAgent(SCRIPTED, name="plain", capabilities=[TemporalDurability()])
PLAIN.tool_plain(name="look")(_look)


@workflow.defn
class PlainResearcher:
    """The same by pydantic-ai's own integration."""

    __pydantic_ai_agents__ = (PLAIN,)

    @workflow.run
    async def run(self, rounds: int) -> str:
        """Look, and say that it is done."""
        return (await PLAIN.run(f"Look at pages. rounds={rounds};")).output


Begin = Callable[[int, int], Awaitable[WorkflowHandle[Any, Any]]]


async def _measure(begin: Begin, rounds: int, number: int) -> tuple[int, int, float]:
    """Bytes and events of one history, and milliseconds of CPU."""
    before = time.process_time()
    handle = await begin(rounds, number)
    await handle.result()
    cpu = (time.process_time() - before) * 1_000
    info = (await handle.describe()).raw_description.workflow_execution_info
    return info.history_size_bytes, info.history_length, cpu


async def compare(directory: Path) -> list[dict[str, Any]]:
    """Both in turn, for each number of rounds: the medians."""
    policy = directory / "researcher.json"
    roles = {"lead": {"people": ["a@example.com"], "deadline": {"after": "8h", "then": "refuse"}}}
    document = {"agent": "researcher", "version": 1, "owner": "a@example.com", "roles": roles}
    policy.write_text(json.dumps(document | {"actions": {}}))
    fleet = Fleet(Agent("researcher", Researcher, steps=[look, research], policy=policy))
    runner = UnsandboxedWorkflowRunner()
    found: list[dict[str, Any]] = []
    async with (
        server(directory / "server") as started,
        running(fleet, started, directory, workflow_runner=runner) as stage,
    ):
        client = await Client.connect(
            started.address, namespace=stage.client.namespace, plugins=[PydanticAIPlugin()]
        )

        async def handrail(rounds: int, number: int) -> WorkflowHandle[Any, Any]:
            case = await stage.start("researcher", Task(number=f"{rounds}-{number}", rounds=rounds))
            return case.handle

        async def plain(rounds: int, number: int) -> WorkflowHandle[Any, Any]:
            return await client.start_workflow(
                PlainResearcher.run, rounds, id=f"plain-{rounds}-{number}", task_queue="plain"
            )

        contenders: dict[str, Begin] = {"handrail": handrail, "pydantic-ai": plain}
        async with Worker(
            client, task_queue="plain", workflows=[PlainResearcher], workflow_runner=runner
        ):
            for begin in contenders.values():
                await _measure(begin, 2, 99)  # what is imported and made once
            for rounds in ROUNDS:
                runs: dict[str, list[tuple[int, int, float]]] = {name: [] for name in contenders}
                for number in range(CASES):
                    for name, begin in contenders.items():
                        runs[name].append(await _measure(begin, rounds, number))
                for name, made in runs.items():
                    size, events, cpu = (
                        statistics.median(part) for part in zip(*made, strict=True)
                    )
                    found.append(
                        {
                            "contender": name,
                            "rounds": rounds,
                            "bytes": int(size),
                            "events": int(events),
                            "cpu_ms": round(cpu, 1),
                        }
                    )
    return found


def main() -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory(prefix="handrail-loop-") as home:
        found = asyncio.run(compare(Path(home)))
    sys.stdout.write("| rounds | who | history, bytes | events | CPU of the worker, ms |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    for each in found:
        cells = (each[name] for name in ("rounds", "contender", "bytes", "events", "cpu_ms"))
        sys.stdout.write(f"| {' | '.join(map(str, cells))} |\n")


if __name__ == "__main__":
    main()
