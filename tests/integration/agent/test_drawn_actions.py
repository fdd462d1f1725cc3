"""An action of any class that `check` lets be is shown, amended, written and undone exactly.

`HANDRAIL_DRAWN=300 pytest tests/integration/agent/test_drawn_actions.py` draws so many classes,
`HANDRAIL_SEED` the same ones again.
"""

from __future__ import annotations

import asyncio
import os
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from handrail import Action, Agent, Fleet, State
from handrail.actions import as_json, digest_of
from handrail.agent.round_trip import difference
from handrail.oversight import Keyring, SigningKey, Trust
from handrail.testing import CaseHandle, Human, Stage
from handrail.testing.fixtures import RunFleet
from handrail.wire import fit
from tests.agents import drawn
from tests.agents.drawing import models
from tests.agents.fleets import LEAD, put_policy

pytestmark = pytest.mark.integration

MANY = int(os.environ.get("HANDRAIL_DRAWN", "12"))
SEED = int(os.environ.get("HANDRAIL_SEED", str(random.SystemRandom().randrange(10**9))))
AT_ONCE = 6


def draw(many: int) -> list[tuple[Action, Action]]:
    """Of so many classes, what is proposed, and what it is amended to."""
    found: list[tuple[Action, Action]] = []

    @seed(SEED)
    @settings(
        max_examples=2 * many,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(models(base=Action), st.data())
    def collect(made: tuple[Any, Any], data: st.DataObject) -> None:
        kind, values = made
        del kind
        # Without the character 0, as a step's result is made fit before it is looked at.
        found.append((fit(data.draw(values)), fit(data.draw(values))))

    collect()
    # The first ones of hypothesis are the simplest.
    return found[-many:]


def fleet(directory: Path, proposed: list[Action]) -> Fleet:
    actions = {f"do_{number}": {"autonomy": "supervised"} for number in range(len(proposed))}
    document: dict[str, Any] = {"agent": "drawn", "version": 1, "owner": "boss@example.com"}
    document |= {"for": "lead", "drafter": "may approve", "roles": {"lead": LEAD}}
    policy = put_policy(directory, document | {"actions": actions})
    agent = Agent("drawn", drawn.DrawnAgent, steps=drawn.steps(proposed), policy=policy)
    return Fleet(agent, passthrough=[drawn.__name__])


async def test_a_drawn_action_is_the_same_from_its_proposal_to_its_undo(
    run_fleet: RunFleet, tmp_path: Path
) -> None:
    drawn.DONE.clear()
    pairs = draw(MANY)
    agents = fleet(tmp_path, [proposed for proposed, _ in pairs])
    assert agents.agents["drawn"].faults() == []
    keyring = Keyring(tmp_path / "trusted.json")
    people = [Human("ana@example.com"), _signing("bo@example.com", keyring)]
    many = asyncio.Semaphore(AT_ONCE)

    async def one(stage: Stage, number: int) -> str:
        async with many:
            proposed, amended = pairs[number]
            human = people[number % 2]
            other = amended if number % 4 > 1 and as_json(amended) != as_json(proposed) else None
            try:
                case = await stage.start("drawn", drawn.Drawn(number=number))
                return await _through(case, human, proposed, other)
            except Exception as error:  # noqa: BLE001  # which one, and what was drawn, is said
                return f"{type(error).__name__}: {error}"

    async with run_fleet(agents, trust=Trust(keyring, "unproven")) as stage:
        became = await asyncio.gather(*(one(stage, number) for number in range(len(pairs))))
    wrong = {repr(pairs[n])[:2_000]: why for n, why in enumerate(became) if why}
    assert wrong == {}, f"HANDRAIL_SEED={SEED} HANDRAIL_DRAWN={MANY}"


def _signing(address: str, keyring: Keyring) -> Human:
    key = SigningKey.new(address, datetime.now(UTC))
    keyring.trust(key.public())
    return Human(address, key)


async def _through(case: CaseHandle, human: Human, proposed: Action, amended: Action | None) -> str:
    """What is not as it should be on the way of one action; empty if nothing is."""
    seen = await case.gate()
    step = f"do_{case.id.partition(':')[2]}"
    if seen.action != as_json(proposed) or seen.digest != digest_of(step, as_json(proposed)):
        return f"shown: {seen.action}"
    if amended is None:
        ruled = await human.approve(case, seen)
    else:
        ruled = await human.amend(case, {}, seen, action=as_json(amended))
    if not ruled.accepted or ruled.proven != (human.key is not None):
        return f"ruled: {ruled}"
    await case.until(lambda view: view.state is State.SETTLING)
    await case.send("roll_back", {"by": human.address})
    outcome = await case.outcome()
    if outcome.status is not State.ROLLED_BACK:
        return f"ended: {outcome}"
    meant = amended or proposed
    did = [(what, action) for of, what, action in drawn.DONE if of == case.id]
    if [what for what, _ in did] != ["do", "undo"]:
        return f"did: {did}"
    found = [difference(meant, action, what) for what, action in did]
    return "".join(f"written: {each}" for each in found if each is not None)
