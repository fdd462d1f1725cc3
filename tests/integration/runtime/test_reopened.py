"""A gate that opens again asks those whose approval does not count any more, and only them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from handrail import State
from handrail.oversight import Keyring, SigningKey, Trust
from handrail.testing import Human, Outside
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import LEAD, orders, policy
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration

ORDER = Order(number="1", amount=Decimal(300))
TWO = policy(roles={"lead": LEAD | {"quorum": 2}})


def with_key(keyring: Keyring, who: str) -> Human:
    key = SigningKey.new(f"{who}@example.com", datetime.now(UTC))
    keyring.trust(key.public())
    return Human(f"{who}@example.com", key)


async def test_whose_key_was_revoked_approves_again_with_a_new_one(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    keyring = Keyring(tmp_path / "trusted.json")
    ana, bo = with_key(keyring, "ana"), with_key(keyring, "bo")
    assert ana.key is not None
    async with run_fleet(orders(tmp_path, TWO), trust=Trust(keyring=keyring)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        await case.send("pause", {})
        await case.until(lambda view: view.state is State.PAUSED)
        for human in (ana, bo):
            assert (await human.approve(case, seen)).accepted
        keyring.revoke(ana.key.kid, datetime.now(UTC), "lost")
        await case.send("resume", {})
        again = await case.gate(but=seen)
        assert again.given == ("bo@example.com",)
        assert outside.effects("pay") == []
        assert "has ruled" in (await bo.approve(case, again)).note
        assert (await with_key(keyring, "ana").approve(case, again)).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("pay") == ["orders:1/pay/1"]


async def test_a_second_approval_in_the_second_of_a_revocation_is_asked_for_again(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    keyring = Keyring(tmp_path / "trusted.json")
    ana, bo = with_key(keyring, "ana"), with_key(keyring, "bo")
    async with run_fleet(orders(tmp_path, TWO), trust=Trust(keyring=keyring)) as stage:
        case = await stage.start("orders", ORDER)
        seen = await case.gate()
        for said in (ana.approve, ana.revoke, ana.approve, bo.approve):
            assert (await said(case, seen)).accepted
        view = await case.until(lambda view: view.state is State.DONE or view.gates)
        if view.gates:
            assert (await ana.approve(case, view.gates[0])).accepted
        assert (await case.outcome()).status is State.DONE
    assert outside.effects("pay") == ["orders:1/pay/1"]
