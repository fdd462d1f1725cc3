"""A new build gets more of the new cases while it does well, and none when it does not."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from handrail.client import DeploymentView, Operator, why_unready
from handrail.exceptions import CaseError, InvalidRequest, NotPermitted
from handrail.oversight import OrderState, Trust
from handrail.runtime import EmbeddedServer
from handrail.testing import Human, Outside, Stage, eventually, running
from tests.agents.rolled import AGENT, built
from tests.agents.rolled_steps import Parcel

pytestmark = pytest.mark.integration

ANA, BOSS = Human("ana@example.com"), Human("boss@example.com")
TRUST = Trust(proof="unproven", inbox="https://inbox.example.com")
DEPLOYMENT = "parcels-workers"
SECOND = timedelta(seconds=1)


class Named:
    """Policies that name Ana, and let nobody control their agents."""

    def known(self) -> frozenset[str]:
        return frozenset({AGENT})

    def agents(self, who: str) -> frozenset[str]:
        return frozenset({AGENT} if who == ANA.address else ())

    def controls(self, who: str) -> frozenset[str]:
        return frozenset()

    def deputies(self, agent: str, who: str) -> frozenset[str]:
        return frozenset()

    def role(self, agent: str, name: str) -> frozenset[str]:
        return frozenset()


class Trial:
    """A deployment under trial: builds that are started, cases that come all the time."""

    def __init__(self, stage: Stage, stack: contextlib.AsyncExitStack) -> None:
        self.stage = stage
        self.stack = stack
        self.number = 0
        self.boss = Operator(stage.client, stage.ledger, by=BOSS.address)

    async def build(self, name: str, kind: str) -> None:
        """Start a worker of a build."""
        os.environ["TEMPORAL_WORKER_BUILD_ID"] = name
        fleet = built(str(self.stage.directory), kind)
        address = self.stage.client.service_client.config.target_host
        plugin = fleet.plugin(self.stage.directory / "payloads")
        client = await Client.connect(
            address, namespace=self.stage.client.namespace, plugins=[plugin]
        )
        await self.stack.enter_async_context(
            fleet.running(client, self.stage.ledger, trust=TRUST, graceful_shutdown_timeout=SECOND)
        )

        async def ready() -> bool:
            return not await why_unready(client, DEPLOYMENT, name, "")

        await eventually(ready, what=f"a worker of {name}")

    async def cases(self, count: int, *, valuable: bool = False) -> list[Any]:
        """Start so many cases, and wait for their ends if they have any by themselves."""
        first, self.number = self.number, self.number + count
        started = [
            await self.stage.start(AGENT, Parcel(number=f"{n:04}", valuable=valuable))
            for n in range(first, self.number)
        ]
        if not valuable:
            await asyncio.gather(*(each.outcome() for each in started))
        return started

    async def seen(self) -> DeploymentView:
        (found,) = (await self.boss.rollouts()).deployments
        return found

    async def until(self, *stands: str, cases: int = 8) -> DeploymentView:
        """Let cases come until the rollout has come to one of these ends."""
        async with asyncio.timeout(60):
            while (found := await self.seen()).stand not in stands:
                await self.cases(cases)
        return found


@pytest.fixture
async def trial(
    scheduling_server: EmbeddedServer,
    outside: Outside,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncGenerator[Trial]:
    monkeypatch.setenv("TEMPORAL_DEPLOYMENT_NAME", DEPLOYMENT)
    monkeypatch.setenv("TEMPORAL_WORKER_BUILD_ID", "")
    fleet = built(str(tmp_path))
    async with (
        running(fleet, scheduling_server, tmp_path, workers=False) as stage,
        contextlib.AsyncExitStack() as stack,
    ):
        yield Trial(stage, stack)


async def test_a_worse_build_is_taken_back_and_a_good_one_becomes_current(trial: Trial) -> None:
    boss = trial.boss
    await trial.build("b1", "good")
    first = await boss.roll_out("b1", every=SECOND)
    assert first.stand is OrderState.IN_FORCE
    assert (await trial.until("done")).builds[0].current
    await trial.cases(30)
    (waiting,) = await trial.cases(1, valuable=True)

    with pytest.raises(InvalidRequest, match="TEMPORAL_WORKER_BUILD_ID=b2"):
        await boss.roll_out("b2")
    await trial.build("b2", "refused")
    ana = Operator(trial.stage.client, by=ANA.address)
    with pytest.raises(NotPermitted):
        await Operator(trial.stage.client, by=ANA.address, directory=Named()).roll_out("b2")
    assert (await ana.roll_out("b2", every=SECOND)).stand is OrderState.REFUSED
    await boss.roll_out("b2", ["50%"], cases=5, every=SECOND, why="smaller boxes")
    with pytest.raises(CaseError, match="b2, at 50%, by boss@"):
        await boss.roll_out("b1", deployment=DEPLOYMENT)
    back = await trial.until("back")
    old, new = back.builds
    assert (old.build, old.current, old.share, new.share) == ("b1", True, "100%", "0%")
    assert new.refused == new.cases >= 3
    assert (old.refused, old.open) == (0, 1)  # the one that began before the rollout waits on
    assert "30 cases of b1" in new.band or "31 cases of b1" in new.band

    await trial.build("b3", "good")
    await boss.roll_out("b3", ["50%,100%"], cases=4, every=SECOND)
    rollout = trial.stage.client.get_workflow_handle(f"rollout:{DEPLOYMENT}")
    for junk in ({"order": 1}, "back", None):
        await rollout.signal("order", junk)
    await rollout.signal("other", args=[1, 2])
    assert (await boss.steer_rollout("pause")).stand is OrderState.DONE
    paused = await trial.seen()
    assert (paused.stand, paused.builds[-1].share) == ("paused", "50%")
    assert (await boss.steer_rollout("resume")).stand is OrderState.DONE
    done = await trial.until("done")
    assert {each.build: each.share for each in done.builds if each.current} == {"b3": "100%"}
    assert {each.build: each.open for each in done.builds if each.open} == {"b1": 1}
    await ANA.approve(waiting)
    await waiting.outcome()
    told = [
        each.id.partition("/rollout/")[2].split(" ")[1]
        async for each in trial.stage.client.list_workflows("WorkflowType = 'Owner'")
    ]
    assert sorted(told) == ["b1", "b2", "b3"]
    version = (await waiting.handle.describe()).typed_search_attributes
    assert "parcels-workers:b1" in {pair.value for pair in version if isinstance(pair.value, str)}
