"""A pilot on the real engine: nothing outside is touched, people sign, and it steps back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from handrail import State
from handrail.actions import Kind, Level
from handrail.client import Operator
from handrail.exceptions import InvalidRequest, NotFound, NotPermitted
from handrail.ledger import ErrorRow, IncidentRow
from handrail.oversight import Keyring, OrderState, SigningKey, Trust
from handrail.testing import Outside, Stage
from handrail.testing.fixtures import RunFleet
from tests.agents.coding import OWNER, coding
from tests.agents.coding_steps import Package

pytestmark = pytest.mark.integration

OTHER = "other@example.com"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = {who: SigningKey.new(who, LONG_AGO) for who in (OWNER, OTHER)}
PROMOTE = {"agreement": "50%", "cases": 12, "days": 0}
CONTROL = {"control": {"people": [OWNER, OTHER], "two": ["full"]}}


async def piloted(stage: Stage, outside: Outside, somebody: Operator) -> None:
    """Twelve cases in pilot; people do the same in all of them. Nothing outside is touched."""
    numbers = [f"P{n}" for n in range(12)]
    cases = [
        await stage.start("coding", Package(number=number, facts=("1",)), requested_by=OTHER)
        for number in numbers
    ]
    assert {(await case.outcome()).status for case in cases} == {State.PILOTED}
    assert outside.calls() == []  # neither the books nor anybody's mail
    assert [gate for case in cases for gate in await case.gates()] == []
    # The limit is one a day, and none of it was used.
    assert {row.kind for row in await stage.ledger.verdicts("coding")} == {Kind.PASS}
    assert (await stage.ledger.tally("coding")).written == 0
    at, action = datetime.now(UTC), {"ruling": "CODE OK"}
    said = [{"case": n, "at": at, "by": OTHER, "action": action} for n in numbers]
    assert (await somebody.import_outcomes("coding", said, "books")).new == 12


async def drifts(stage: Stage, system: Operator) -> None:
    """A contract that has changed since the step up takes it back, too; one before does not."""
    (write,) = await system._writes("coding")  # pyright: ignore[reportPrivateUsage]
    (kept,) = (await stage.ledger.case_records(["coding:P2"])).values()
    now = datetime.now(UTC)
    for at, why in ((LONG_AGO, None), (now, "drift: a contract has changed: POST /rule is gone")):
        said = (
            "coding:P2",
            1,
            "coding",
            "rule",
            at,
            "contract_changed",
            None,
            "POST /rule is gone",
        )
        await stage.ledger.record_cases([replace(kept, errors=(ErrorRow(*said),))], anew=True)
        assert await system._worse(write) == why  # pyright: ignore[reportPrivateUsage]
    await stage.ledger.record_cases([kept], anew=True)


async def test_it_is_proposed_signed_by_two_and_taken_back_by_an_incident(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    keyring = Keyring(tmp_path / "trusted.json")
    for key in KEYS.values():
        keyring.trust(key.public())
    fleet = coding(tmp_path, CONTROL, promote=PROMOTE)
    async with run_fleet(fleet, trust=Trust(keyring=keyring, proof="required")) as stage:

        def as_(who: str) -> Operator:
            known: dict[str, Any] = {"keyring": keyring, "agents": fleet.agents}
            return Operator(stage.client, stage.ledger, KEYS.get(who), by=who, **known)

        owner, system = as_(OWNER), as_("handrail@example.com")
        await piloted(stage, outside, owner)
        (proposed,) = (await system.evaluate_promotions("coding")).proposed
        assert proposed.startswith("rule: pilot to full 5%: at least ")
        assert (await system.evaluate_promotions("coding")).proposed == ()  # once
        (write,) = (await owner.promotions("coding")).writes
        assert write.proposal
        assert write.expected
        assert (write.expected.cases, write.expected.minutes) == (12, None)

        became = await owner.agree_promotion(write.proposal, "looks good")
        assert became.stand is OrderState.WAITING
        # Where the agent's code is not known, as in an inbox by itself, its steward says it.
        inbox = Operator(stage.client, stage.ledger, by=OWNER, keyring=keyring)
        (asked,) = (await inbox.promotions("coding")).writes
        assert (asked.now, asked.to, asked.signed) == ("pilot", "full 5%", (OWNER,))
        assert OTHER in asked.second
        with pytest.raises(NotPermitted, match="another person"):
            await owner.agree_promotion(write.proposal)
        assert (await as_(OTHER).agree_promotion(write.proposal)).stand is OrderState.IN_FORCE
        assert (await owner.promotions("coding")).writes[0].now == "full 5%"
        assert (await system.evaluate_promotions("coding")).back == ()
        with pytest.raises(NotFound, match="no open proposal"):
            await owner.decline_promotion(write.proposal, "too late")

        await drifts(stage, system)
        await stage.ledger.incident(
            IncidentRow("i", "coding", "rule", "coding:P1", "k", "failed", "no", datetime.now(UTC))
        )
        (back,) = (await system.evaluate_promotions("coding")).back
        assert back == "rule: supervised, incident: coding:P1: no"
        (step,) = (await owner.autonomy("coding", "rule")).agents[0].picture.steps  # pyright: ignore[reportOptionalMemberAccess]  # it answers
        assert step.level is Level.SUPERVISED
        assert (await system.evaluate_promotions("coding")).back == ()  # there is no further back
        found = await owner.promotions("coding")
        assert [each.event for each in found.timeline] == [
            "step back",
            "agreed",
            "signed",
            "promotion",
        ]
        assert "incidents: 1 open" in found.writes[0].lacking
        # What was shown before it is no reason to go up again.
        assert (found.writes[0].restarted, found.writes[0].agreement.n) == ("a step back", 0)
        assert "cases: 0, 12 more needed" in found.writes[0].lacking
        await owner.set_level("coding/rule", "human_led", why="a new tariff")
        by_hand = (await owner.promotions("coding")).timeline[0]
        assert (by_hand.event, by_hand.what) == ("set", "human_led: a new tariff")


async def test_what_is_declined_is_not_proposed_again_and_says_why(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    fleet = coding(tmp_path, promote=PROMOTE)
    async with run_fleet(fleet) as stage:
        owner = Operator(stage.client, stage.ledger, by=OWNER, agents=fleet.agents)
        await piloted(stage, outside, owner)
        await owner.evaluate_promotions("coding")
        named = (await owner.promotions("coding")).writes[0].proposal or ""
        with pytest.raises(InvalidRequest, match="say why"):
            await owner.decline_promotion(named, " ")
        await owner.decline_promotion(named, "after the audit", later=True)
        assert (await owner.promotions("coding")).writes[0].proposal == named
        await owner.decline_promotion(named, "not this year")
        assert (await owner.evaluate_promotions("coding")).proposed == ()
        found = await owner.promotions("coding")
        assert found.writes[0].proposal is None
        said = [(each.event, each.what) for each in found.timeline[:2]]
        assert said == [("declined", "not this year"), ("later", "after the audit")]
