"""What bare access to Temporal can say in an attempt, on the real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import ActivityFailureError
from temporalio.service import RPCError

from handrail.actions import Ruling, RulingRecord, Undoes, digest_of, undo_key
from handrail.oversight import Keyring, SigningKey, Trust
from handrail.testing import Human, Outside
from handrail.testing.fixtures import RunFleet
from handrail.wire import Attempt, Notice, ProofRequest
from tests.agents.fleets import orders
from tests.agents.orders_steps import Pay
from tests.redteam.rogue import access

pytestmark = pytest.mark.integration

CASE = "orders:forged"
ACTION = Pay(order="1", amount=Decimal(50)).model_dump(mode="json")


def attempt(case: str = CASE, number: int = 1, **more: Any) -> Attempt:
    digest = digest_of("pay", more.pop("action", ACTION))
    return Attempt(case=case, key=f"{case}/pay/{number}", digest=digest, **more)


async def test_an_activity_makes_only_what_the_case_that_runs_it_asks_for(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    own = {"kind": "OrderAgent", "case": CASE}
    victim = "orders:victim"
    async with run_fleet(orders(tmp_path)) as stage, access(stage.client) as rogue:
        for more in ({}, {"case": CASE}, {"kind": "OrderAgent"}, {**own, "case": "orders:other"}):
            answer = await rogue.call("orders", "pay", ACTION, attempt(), **more)
            assert answer["kind"] == "refused", more
        lies = [
            attempt(undoes=Undoes(key=f"{CASE}/pay/1")),
            attempt(undoes=Undoes(key=f"{victim}/pay/1"), ordered=True),
            attempt().model_copy(update={"key": f"{victim}/pay/1"}),
            attempt(kind="Ship"),
        ]
        for lie in lies:
            assert (await rogue.call("orders", "pay", ACTION, lie, **own))["kind"] == "refused"
        key = undo_key(f"{victim}/pay/1")
        lie = Attempt(case=CASE, key=key, digest=digest_of("refund", ACTION))
        lie = lie.model_copy(update={"undoes": Undoes(key=f"{victim}/pay/1")})
        assert (await rogue.call("orders", "refund", ACTION, lie, **own))["kind"] == "refused"
        notice = Notice(case=victim, key=f"{victim}/tell/1")
        told = await rogue.call("orders", "tell", notice, "1", **own)
        assert (told["sent"], victim in told["why"]) == (False, True)
        assert (outside.calls(), await stage.ledger.effects(victim)) == ([], [])
        assert await stage.ledger.verdicts(case=victim) == []
        # Who runs as the agent's own workflow is the agent: see docs/security.md.
        answer = await rogue.call("orders", "pay", ACTION, attempt(number=2), **own)
        assert answer["kind"] == "written"


async def test_an_activity_without_a_workflow_is_nobodys(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    """One command of Temporal's starts it."""
    async with run_fleet(orders(tmp_path)) as stage:
        for case in (CASE, "", "orders:"):
            try:
                answer = await stage.client.execute_activity(
                    "pay",
                    args=[ACTION, attempt(case)],
                    id=f"bare-{case}",
                    task_queue="orders",
                    start_to_close_timeout=timedelta(seconds=20),
                )
            except (RPCError, ActivityFailureError) as error:
                pytest.fail(str(error))
            assert answer["kind"] == "refused", answer
            assert "no workflow at all" in answer["verdict"]["findings"][0]["why"]
        assert outside.calls() == []


@pytest.mark.parametrize("requested_by", [None, "ana@example.com"])
async def test_who_asked_for_a_case_is_who_stands_in_its_memo(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, requested_by: str | None
) -> None:
    """Left out of the attempt, their own approval would count."""
    keyring = Keyring(tmp_path / "trusted.json")
    key = SigningKey.new("ana@example.com", datetime.now(UTC))
    keyring.trust(key.public())
    ana = Human("ana@example.com", key)
    action = ACTION | {"amount": "300"}
    asked = attempt(action=action)
    said = {"gate": "f" * 16, "digest": asked.digest, "by": ana.address}
    ruling = Ruling.model_validate(ana.signed("approve", CASE, said))
    record = RulingRecord(
        verb="approve",
        gate=ruling.gate,
        by=ana.address,
        at=datetime.now(UTC),
        accepted=True,
        note="accepted",
        digest=asked.digest,
        proven=True,
        ruling=ruling,
    )
    proving = ProofRequest(
        case=CASE,
        gate=ruling.gate,
        step="pay",
        action=action,
        digest=asked.digest,
        kind="write",
        rulings=(("approve", ruling),),
    )
    own: dict[str, Any] = {"kind": "OrderAgent", "case": CASE}
    if requested_by is not None:
        own["memo"] = {"requested_by": requested_by}
    trust = Trust(keyring=keyring)
    async with run_fleet(orders(tmp_path), trust=trust) as stage, access(stage.client) as rogue:
        await rogue.call("orders", "handrail.prove", proving, **own)
        assert len(await stage.ledger.rulings(case=CASE)) == 1
        asked = asked.model_copy(update={"rulings": (record,)})
        answer = await rogue.call("orders", "pay", action, asked, **own)
    wanted = ("written", 1) if requested_by is None else ("held", 0)
    assert (answer["kind"], len(outside.effects("pay"))) == wanted
