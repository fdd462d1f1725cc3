"""What a workflow says of rulings, and what the door believes: only what it can prove itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from handrail import Action, Effect, Ledger, write
from handrail.actions import Kind, Ruling, RulingRecord, digest_of
from handrail.guardrails.context import WriteContext
from handrail.guardrails.door import Door
from handrail.oversight import (
    MANDATE_STATEMENT,
    GateKind,
    Keyring,
    SigningKey,
    Trust,
    mandate_row,
    new_delegation,
    sign_ruling,
)
from handrail.policy import AgentShape, Facts, PolicyFile, WriteShape
from handrail.wire import Attempt, ProofRequest


class Pay(Action):
    """Pay somebody."""

    amount: int = 5


@write(idempotent=True)
async def pay(action: Pay, effect: Effect) -> None:
    """Pay."""


POLICY = """\
agent: payers
version: 1
owner: boss@example.com
actions: {pay: {autonomy: supervised}}
roles:
  lead:
    people: [ana@example.com, bo@example.com]
    deputies: [cy@example.com]
    deadline: {after: 1h, then: refuse}
"""
SHAPE = AgentShape(agent="payers", writes={"pay": WriteShape("pay", Pay)})
ACTION = Pay().model_dump(mode="json")
DIGEST = digest_of("pay", ACTION)
CASE, KEY = "payers:1", "payers:1/pay/1"
ANA, BO, CY = "ana@example.com", "bo@example.com", "cy@example.com"


class Bench:
    """A door whose people have keys, and what they signed and a case had proven."""

    def __init__(self, directory: Path, ledger: Ledger) -> None:
        (directory / "payers.yaml").write_text(POLICY)
        self.keyring = Keyring(directory / "trusted.json")
        self.now = datetime.now(UTC) - timedelta(minutes=5)
        self.keys = {who: SigningKey.new(who, self.now) for who in (ANA, BO, CY)}
        for key in self.keys.values():
            self.keyring.trust(key.public())
        self.door = Door(
            agent="payers",
            shape=SHAPE,
            steps=[pay],
            policy=PolicyFile(directory / "payers.yaml", SHAPE),
            ledger=ledger,
            trust=Trust(keyring=self.keyring),
        )

    def signed(self, verb: str, by: str, *, gate: str = "g1", **more: Any) -> RulingRecord:
        """What a case keeps of a ruling that it took. Each is signed a minute after the last."""
        self.now += timedelta(minutes=1)
        said = Ruling(gate=gate, digest=DIGEST, by=by, **more)
        ruling = sign_ruling(said, verb, CASE, self.keys[by], self.now)
        return RulingRecord(
            verb=verb,
            gate=gate,
            by=by,
            at=self.now,
            accepted=True,
            note="accepted",
            digest=DIGEST,
            proven=True,
            ruling=ruling,
        )

    async def proven(self, *rulings: RulingRecord, planted: bool = False) -> None:
        """Have them proven, as a case does, so that the ledger has them."""
        said = tuple((r.verb, r.ruling) for r in rulings if r.ruling is not None)
        proving = ProofRequest(
            case=CASE,
            gate="g1",
            step="pay",
            action=ACTION,
            digest=DIGEST,
            kind=GateKind.WRITE,
            planted=planted,
            roles=("lead",),
            rulings=said,
        )
        policy = self.door.policy.current()
        proofs = await self.door.entitlement.prove(policy, None, proving)
        assert all(proof.proven for proof in proofs), proofs

    async def verdict(self, *rulings: RulingRecord) -> Kind:
        facts = Facts(
            step="pay", action=Pay(), basis=None, evidence=None, case=CASE, requester=None
        )
        attempt = Attempt(case=CASE, key=KEY, digest=DIGEST, rulings=rulings)
        judged = await self.door.pipeline.judge(
            WriteContext(self.door.agent, self.door.policy.current(), facts, attempt)
        )
        return judged.verdict.kind


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        yield Bench(tmp_path, ledger)


async def test_a_ruling_that_was_proven_counts(bench: Bench) -> None:
    approval = bench.signed("approve", ANA)
    await bench.proven(approval)
    assert await bench.verdict(approval) is Kind.PASS


async def test_a_good_signature_that_no_case_had_proven_does_not_count(bench: Bench) -> None:
    assert await bench.verdict(bench.signed("approve", ANA)) is Kind.HOLD


async def test_a_deputy_counts_as_long_as_the_delegation_does(bench: Bench) -> None:
    given = bench.signed("delegate", ANA, to=CY)
    approval = bench.signed("approve", CY)
    await bench.proven(given, approval)
    assert await bench.verdict(approval) is Kind.HOLD
    assert await bench.verdict(given, approval) is Kind.PASS
    await bench.proven(bench.signed("revoke", ANA))
    assert await bench.verdict(given, approval) is Kind.HOLD


@pytest.mark.parametrize("proof", ["required", "unproven"])
async def test_who_stands_in_for_a_time_counts_whether_or_not_proof_is_required(
    bench: Bench, proof: Literal["required", "unproven"]
) -> None:
    bench.door = replace(bench.door, trust=replace(bench.door.trust, proof=proof))
    approval = bench.signed("approve", CY)
    await bench.proven(approval)
    assert await bench.verdict(approval) is Kind.HOLD
    ends = bench.now + timedelta(hours=1)
    away = new_delegation(agent="payers", by=ANA, to=CY, begins=bench.now, ends=ends)
    signed = MANDATE_STATEMENT.sign(away, bench.keys[ANA], bench.now)
    await bench.door.ledger.add_mandate(mandate_row(away, signed))
    assert await bench.verdict(approval) is Kind.PASS
    await bench.door.ledger.revoke_mandate(away.id, ANA, bench.now)
    assert await bench.verdict(approval) is Kind.HOLD


async def test_a_delegation_of_another_gate_gives_no_place_at_this_one(bench: Bench) -> None:
    given = bench.signed("delegate", ANA, gate="g0", to=CY)
    approval = bench.signed("approve", CY)
    await bench.proven(given, approval)
    forged = given.model_copy(update={"gate": "g1"})
    assert await bench.verdict(forged, approval) is Kind.HOLD


async def test_yes_to_a_planted_proposal_lets_nothing_happen(bench: Bench) -> None:
    approval = bench.signed("approve", ANA)
    await bench.proven(approval, planted=True)
    assert await bench.verdict(approval) is Kind.HOLD


async def test_a_revocation_takes_back_what_was_said_before_it_only(bench: Bench) -> None:
    before = bench.signed("approve", ANA)
    await bench.proven(before, bench.signed("revoke", ANA))
    after = bench.signed("approve", ANA)
    await bench.proven(after)
    assert await bench.verdict(before) is Kind.HOLD
    assert await bench.verdict(before, after) is Kind.PASS


async def test_in_the_second_of_a_revocation_only_its_own_gate_is_meant(bench: Bench) -> None:
    await bench.proven(bench.signed("revoke", ANA, gate="g0"))
    bench.now -= timedelta(minutes=1)
    same_second = bench.signed("approve", ANA)
    await bench.proven(same_second)
    assert await bench.verdict(same_second) is Kind.PASS
    bench.now -= timedelta(minutes=1)
    await bench.proven(bench.signed("revoke", ANA))
    assert await bench.verdict(same_second) is Kind.HOLD


async def test_what_somebody_rejected_at_the_same_gate_is_not_let_happen_by_others(
    bench: Bench,
) -> None:
    approval = bench.signed("approve", ANA)
    stranger = bench.signed("reject", CY)
    await bench.proven(approval, stranger)
    assert await bench.verdict(approval) is Kind.PASS
    await bench.proven(bench.signed("reject", BO))
    assert await bench.verdict(approval) is Kind.HOLD
    again = bench.signed("approve", ANA, gate="g2")
    await bench.proven(again)
    assert await bench.verdict(approval, again) is Kind.PASS
