"""A deploy that changes the classes of cases that wait: each is written right, or asked again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from handrail import Agent, Fleet, State
from handrail.actions import as_json
from handrail.oversight import Keyring, SigningKey, Trust
from handrail.testing import Human
from handrail.testing.fixtures import RunFleet
from tests.agents import shifting
from tests.agents.fleets import LEAD, put_policy

pytestmark = pytest.mark.integration

PEOPLE = ("ana", "bo")


def deployed(directory: Path, workflow: Any, *, after: bool) -> Fleet:
    steps = shifting.steps(after=after)
    actions: dict[str, Any] = {
        step.name: {"autonomy": "full", "irreversible": "a mark is no loss"}
        if step.name.startswith("mark")
        else {"autonomy": "supervised"}
        for step in steps
        if step.posture == "write"
    }
    document: dict[str, Any] = {
        "agent": "shifting",
        "version": 1,
        "owner": "boss@example.com",
        "for": "lead",
    }
    document["drafter"] = "may approve"
    policy = put_policy(directory, document | {"actions": actions, "roles": {"lead": LEAD}})
    agent = Agent("shifting", workflow, steps=steps, policy=policy)
    return Fleet(agent, passthrough=[shifting.__name__])


@pytest.mark.parametrize("signed", [False, True])
async def test_cases_that_wait_outlive_a_deploy_that_changes_their_classes(
    signed: bool,  # noqa: FBT001
    run_fleet: RunFleet,
    tmp_path: Path,
) -> None:
    shifting.DONE.clear()
    trust = Trust(proof="unproven")
    ana, bo = (Human(f"{who}@example.com") for who in PEOPLE)
    if signed:
        keyring = Keyring(tmp_path / "trusted.json")
        keys = [SigningKey.new(f"{who}@example.com", datetime.now(UTC)) for who in PEOPLE]
        for key in keys:
            keyring.trust(key.public())
        ana, bo = (Human(f"{who}@example.com", key) for who, key in zip(PEOPLE, keys, strict=True))
        trust = Trust(keyring=keyring)
    before = deployed(tmp_path, shifting.BeforeAgent, after=False)
    async with run_fleet(before, workers=False) as stage:
        waiting: dict[str, Any] = {}
        async with before.running(stage.client, stage.ledger, trust=trust):
            for number, what in enumerate(shifting.CHANGES):
                case = await stage.start("shifting", shifting.Came(what=what, number=str(number)))
                waiting[what] = case, await case.gate()
        after = deployed(tmp_path, shifting.AfterAgent, after=True)
        foreseen = (await after.replays(stage.client, tmp_path / "payloads"))["shifting"]
        assert foreseen.misfits == []
        asks = {
            each.case: any(w.came and w.came.changed for w in each.held) for each in foreseen.cases
        }
        assert {what: asks[case.id] for what, (case, _) in waiting.items()} == {
            what: change.becomes != "done" for what, change in shifting.CHANGES.items()
        }
        async with after.running(stage.client, stage.ledger, trust=trust):
            came = await asyncio.gather(
                *(_approved(what, case, seen, ana, bo) for what, (case, seen) in waiting.items())
            )
    assert dict(zip(waiting, came, strict=True)) == {
        what: change.becomes for what, change in shifting.CHANGES.items()
    }


async def _approved(what: str, case: Any, seen: Any, ana: Human, bo: Human) -> str:
    """Approve what was shown before the deploy, and what is asked again. What came of it."""
    assert (await ana.approve(case, seen)).accepted
    became, change = "done", shifting.CHANGES[what]
    if change.becomes != "done":
        again = await case.gate(but=seen)
        assert again.before == (seen.action if again.action != seen.action else None)
        asked = await bo.approve(case, again)
        became = "asked"
        if not asked.accepted:
            assert "cannot be done as it is" in asked.note
            new = change.after.model_validate(
                {"to": "DE1"} if "to" in change.after.model_fields else {}
            )
            assert (await bo.amend(case, {}, again, action=as_json(new))).accepted
            seen, became = again.model_copy(update={"action": as_json(new)}), "amended"
        else:
            seen = again
    assert (await case.outcome()).status is State.DONE
    written = [action for of, action in shifting.DONE if of == case.id]
    assert [(type(each), as_json(each)) for each in written] == [(change.after, seen.action)]
    return became
