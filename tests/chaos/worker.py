"""The worker process: a real one, with a listener at its boundaries."""

import asyncio
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import (
    HandleSignalInput,
    Interceptor,
    Worker,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)
from typing_extensions import override

from handrail import Agent, Fleet, HandsTo, Ledger, failpoints
from handrail.runtime import Settings, connect, serve_fleet
from handrail.testing import UNPROVEN
from tests.chaos import steps
from tests.chaos.cases import ChaosAgent
from tests.chaos.listener import Listener
from tests.chaos.naive import NaiveAgent, naive_write
from tests.chaos.plan import KINDS, Trial

OWNER = "owner@example.com"

POLICY = """\
agent: {agent}
version: 1
owner: {owner}
actions:
{writes}
roles:
  people: {{people: [ana@example.com], deadline: {{after: 8h, then: refuse}}}}
"""

WRITE = """\
  {name}:
    autonomy: full
    hold:
      - when: action.amount > 200
        why: it is much
"""


class WorkerSpec(BaseModel, frozen=True):
    """What a worker process needs."""

    room: Path
    actor: str
    agent: str
    address: str
    ledger: str
    outside: str
    trials: tuple[Trial, ...]
    naive: bool = False
    served: bool = False
    """Whether it is the whole worker, as `handrail worker` starts it, with its steward."""

    def where(self) -> dict[str, Any]:
        """What a process of the world `reach` is told as well."""
        told = {"room", "actor", "address", "ledger", "outside"}
        return self.model_dump(include=told) | {"lane": self.agent}


def fleet(room: Path, agent: str, trials: Iterable[Trial] = ()) -> Fleet:
    """The agent under test, with its real policy; and another one where it hands work on."""
    if not any(trial.target in failpoints.HAND_OFF for trial in trials):
        return Fleet(_agent(room, agent))
    other = f"{agent}{steps.OTHER}"
    to = [HandsTo(other, steps.Order)]
    return Fleet(_agent(room, agent, hands_to=to), _agent(room, other))


def _agent(room: Path, name: str, **more: Any) -> Agent:
    policy = room / f"{name}.yaml"
    if not policy.exists():
        writes = "".join(WRITE.format(name=f"do_{kind}") for kind in KINDS)
        policy.write_text(POLICY.format(agent=name, owner=OWNER, writes=writes), encoding="utf-8")
    return Agent(name, ChaosAgent, steps=steps, policy=policy, **more)


class _Inbound(WorkflowInboundInterceptor):
    @override
    async def handle_signal(self, input: HandleSignalInput) -> None:
        if input.signal == "approve" and not workflow.unsafe.is_replaying():
            failpoints.reached("gate:ruled", workflow.info().workflow_id)
        await super().handle_signal(input)


class Gateside(Interceptor):
    """A boundary between the acceptance of a ruling by the server and all that follows."""

    @override
    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return _Inbound


def main(spec: WorkerSpec) -> None:
    """Work until killed."""
    logging.basicConfig(filename=spec.room / "workers.log", level=logging.WARNING)
    os.environ[steps.OUTSIDE] = spec.outside
    failpoints.listen(Listener(spec.room, spec.actor, spec.trials))
    asyncio.run(_work(spec))


async def _work(spec: WorkerSpec) -> None:
    agents = fleet(spec.room, spec.agent, spec.trials)
    await steps.warm_up()
    if spec.served:
        os.environ |= {"TEMPORAL_ADDRESS": spec.address}
        environment = {"HANDRAIL_LEDGER_URL": spec.ledger, "HANDRAIL_PROOF": "unproven"}
        environment["HANDRAIL_PAYLOAD_DIR"] = str(spec.room / "payloads")
        await serve_fleet(Settings.from_environment(environment), agents, stop=asyncio.Event())
    plugin = agents.plugin(spec.room / "payloads")
    client = await connect(Settings.from_environment({}), plugins=[plugin], address=spec.address)
    if spec.naive:
        await _work_naively(client, spec.agent)
    async with (
        Ledger(spec.ledger) as ledger,
        agents.running(client, ledger, trust=UNPROVEN, interceptors=[Gateside()]),
    ):
        await asyncio.Event().wait()


async def _work_naively(client: Client, agent: str) -> None:
    worker = Worker(client, task_queue=agent, workflows=[NaiveAgent], activities=[naive_write])
    async with worker:
        await asyncio.Event().wait()


if __name__ == "__main__":
    main(WorkerSpec.model_validate_json(sys.stdin.read()))
