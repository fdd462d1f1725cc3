"""A write that was begun is finished without being judged again: that write, and no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from handrail import Action, Effect, Ledger, NotDone, check, write
from handrail.actions import Level, as_json, digest_of
from handrail.agent import Heartbeats
from handrail.guardrails import effects, predecessor
from handrail.guardrails.door import Door
from handrail.ledger import Intent, OrderRow, Outdated, Stopped
from handrail.policy import AgentShape, PolicyFile, WriteShape
from handrail.wire import Attempt, WriteResultKind
from tests.agents.activity import activity_of

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
        run = activity_of("payers:1").run
        door = Door("payers", SHAPE, [pay], policy, ledger)
        with pytest.raises(RuntimeError, match="no answer"):
            await run(door.write, pay, Pay(amount=5), attempt)
        answer = await run(door.write, pay, Pay(amount=1_000_000), attempt)
        assert answer.kind is WriteResultKind.REFUSED
        assert "not the one that was decided" in answer.verdict.why()
        assert PAID == [5]
        answer = await run(door.write, pay, Pay(amount=5), attempt)
        assert answer.kind is WriteResultKind.WRITTEN
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
        run = activity_of("payers:1").run
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
            env = activity_of("payers:1", attempt=2)
            with pytest.raises(NotDone, match="judged anew"):
                await env.run(door.write, pay, Pay(amount=50), attempt)
        answer = await run(door.write, pay, Pay(amount=50), attempt)
    assert answer.kind is WriteResultKind.REFUSED
    assert PAID == [50]


@pytest.mark.parametrize("tried", [1, 2])
@pytest.mark.parametrize("level", [Level.STOP, Level.PILOT])
async def test_a_level_that_is_lowered_while_a_check_runs_is_in_force_for_that_write(
    tmp_path: Path, level: Level, tried: int
) -> None:
    PAID.clear()
    (tmp_path / "payers.yaml").write_text(POLICY)
    digest = digest_of("pay", Pay(amount=5).model_dump(mode="json"))
    attempt = Attempt(case="payers:1", key="payers:1/pay/1", digest=digest)
    order = OrderRow("o" * 32, "level", "payers", "boss@example.com", datetime.now(UTC))
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:

        @check
        async def slow(action: Pay) -> str | None:
            await ledger.order(replace(order, level=level))
            return None

        file = PolicyFile(tmp_path / "payers.yaml", SHAPE)
        door = Door("payers", SHAPE, [pay], file, ledger, [slow])
        env = activity_of("payers:1", attempt=tried)
        if tried > 1:
            with pytest.raises(Outdated, match="judged anew"):
                await env.run(door.write, pay, Pay(amount=5), attempt)
        answer = await env.run(door.write, pay, Pay(amount=5), attempt)
    wanted = WriteResultKind.STOPPED if level is Level.STOP else WriteResultKind.PILOT
    assert (answer.kind, PAID) == (wanted, [])


async def test_an_undo_that_people_ordered_is_stopped_by_a_stop_of_its_own_only(
    tmp_path: Path,
) -> None:
    """Also where another stop was there before."""
    now = datetime.now(UTC)
    intent = Intent("k/undo", "payers:1", "payers", "undo", "d", {}, "v1", "one", now)
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        await ledger.order(OrderRow("a" * 32, "stop", "payers", "boss@example.com", now))
        own = OrderRow("b" * 32, "stop", "payers", "boss@example.com", now, step="undo")
        await ledger.order(own)
        with pytest.raises(Stopped) as found:
            await ledger.begin(intent, ordered=True)
        assert found.value.order.id == own.id
        await ledger.end_order(own.id, "boss@example.com", now)
        assert (await ledger.begin(intent, ordered=True)).before is None


@write(timeout=timedelta(seconds=0.1))
async def wire(action: Pay, effect: Effect) -> None:
    """Pay where nobody could tell afterwards."""
    PAID.append(action.amount)


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("kind", ["hold", "refuse"])
@pytest.mark.parametrize(
    ("attempt", "said", "doubted"),
    [(1, {}, False), (2, {}, False), (2, {"sent": 1}, True), (3, {"sent": 1}, True)],
)
async def test_what_is_held_and_may_have_been_sent_before_the_ledger_forgot_it_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    attempt: int,
    said: dict[str, int],
    *,
    doubted: bool,
) -> None:
    PAID.clear()
    shape = AgentShape(agent="payers", writes={"wire": WriteShape("wire", Pay)})
    policy = POLICY.replace("pay:", "wire:").replace("refuse: [", f"{kind}: [")
    (tmp_path / "payers.yaml").write_text(
        policy.replace("why: much", "why: much, for: lead" if kind == "hold" else "why: much")
    )
    action = Pay(amount=500)
    given = Attempt(
        case="payers:1", key="payers:1/wire/1", digest=digest_of("wire", as_json(action))
    )
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        door = Door("payers", shape, [wire], PolicyFile(tmp_path / "payers.yaml", shape), ledger)
        beats = Heartbeats(attempt, datetime.now(UTC), dict(said))
        monkeypatch.setattr(predecessor, "current_heartbeats", lambda: beats)
        answer = await activity_of("payers:1", attempt=attempt).run(door.write, wire, action, given)
        assert answer.kind == ("held" if kind == "hold" else "refused")
        why = answer.verdict.why()
        assert ("may have been sent already" in why) is doubted
        assert (answer.sent is not None) is doubted
        assert "much" in why
        if not doubted:
            assert PAID == []
            return
        # It is let pass, and whoever words the next activity leaves out what this one has heard.
        beats = Heartbeats(1, datetime.now(UTC))
        monkeypatch.setattr(effects, "current_heartbeats", lambda: beats)
        later = policy.replace("amount > 100", "amount > 1000").replace("version: 1", "version: 2")
        (tmp_path / "payers.yaml").write_text(later.replace(f"{kind}: [", "refuse: ["))
        door = replace(door, policy=PolicyFile(tmp_path / "payers.yaml", shape))
        again = await activity_of("payers:1").run(door.write, wire, action, given)
        assert again.kind == "in_doubt"
        # Of another case nothing is noted.
        stranger = given.model_copy(update={"case": "payers:2", "sent": datetime.now(UTC)})
        await activity_of("payers:2").run(door.write, wire, action, stranger)
        assert len(await ledger.effects("payers:2")) == 0
    assert PAID == []
