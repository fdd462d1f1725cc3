"""A write that was begun is finished without being judged again: that write, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from handrail import Action, Effect, Ledger, NotDone, write
from handrail.actions import AnswerKind, Attempt, digest_of
from handrail.door import Door
from handrail.policy import AgentShape, PolicyFile, WriteShape

PAID: list[int] = []


class Pay(Action):
    """Pay somebody."""

    amount: int


@write(idempotent=True)
async def pay(action: Pay, effect: Effect) -> None:
    """Pay. The first time nobody knows whether it did."""
    PAID.append(action.amount)
    if len(PAID) == 1:
        raise RuntimeError("no answer")


SHAPE = AgentShape(agent="payers", writes={"pay": WriteShape("pay", Pay)})
POLICY = """\
agent: payers
version: 1
owner: boss@example.com
actions:
  pay: {autonomy: full, irreversible: in a test, refuse: [{when: action.amount > 100, why: much}]}
roles: {lead: {people: [ana@example.com], deadline: {after: 1h, then: refuse}}}
"""


async def test_another_action_under_the_key_and_digest_of_one_that_was_begun_is_refused(
    tmp_path: Path,
) -> None:
    PAID.clear()
    (tmp_path / "payers.yaml").write_text(POLICY)
    digest = digest_of("pay", Pay(amount=5).model_dump(mode="json"))
    attempt = Attempt(case="payers:1", key="payers:1/pay/1", digest=digest)
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        policy = PolicyFile(tmp_path / "payers.yaml", SHAPE)
        run = ActivityEnvironment().run
        door = Door("payers", SHAPE, [pay], policy, ledger)
        with pytest.raises(RuntimeError, match="no answer"):
            await run(door.write, pay, Pay(amount=5), attempt)
        answer = await run(door.write, pay, Pay(amount=1_000_000), attempt)
        assert answer.kind is AnswerKind.REFUSED
        assert "not the one that was decided" in answer.verdict.why()
        assert PAID == [5]
        answer = await run(door.write, pay, Pay(amount=5), attempt)
        assert answer.kind is AnswerKind.WRITTEN
    assert PAID == [5, 5]


async def test_what_had_begun_and_did_not_happen_after_all_is_judged_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its attempt says so between the look of the next one at it, and the intent of that."""
    PAID.clear()
    (tmp_path / "payers.yaml").write_text(POLICY)
    digest = digest_of("pay", Pay(amount=50).model_dump(mode="json"))
    attempt = Attempt(case="payers:1", key="payers:1/pay/1", digest=digest)
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        run = ActivityEnvironment().run
        door = Door("payers", SHAPE, [pay], PolicyFile(tmp_path / "payers.yaml", SHAPE), ledger)
        with pytest.raises(RuntimeError, match="no answer"):
            await run(door.write, pay, Pay(amount=50), attempt)
        stricter = POLICY.replace("version: 1", "version: 2").replace("100", "10")
        (tmp_path / "payers.yaml").write_text(stricter)
        found = Ledger.situation

        async def overtaken(self: Ledger, agent: str, case: str, key: str | None = None) -> object:
            seen = await found(self, agent, case, key)
            assert seen.effect is not None
            await ledger.abandon(attempt.key, seen.effect.owner, "it did not happen")
            return seen

        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "situation", overtaken)
            with pytest.raises(NotDone, match="judged anew"):
                await run(door.write, pay, Pay(amount=50), attempt)
        answer = await run(door.write, pay, Pay(amount=50), attempt)
    assert answer.kind is AnswerKind.REFUSED
    assert PAID == [50]
