"""The order of the checks: what a write meets first, and that each is met at all."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import Action, Effect, Ledger, check, write
from handrail.actions import Basis, Level, digest_of
from handrail.guardrails import pipeline
from handrail.guardrails.door import Door
from handrail.guardrails.situation import StalePolicy
from handrail.ledger import OrderRow, Situation
from handrail.policy import AgentShape, PolicyFile, WriteShape
from handrail.testing import UNPROVEN
from handrail.wire import Attempt, WriteResult, WriteResultKind
from tests.agents.activity import activity_of

pytestmark = pytest.mark.usefixtures("clean")

PAY = "payers:1/pay/"


class Pay(Action):
    """Pay somebody."""

    account: str
    entity: str = "EU"
    amount: Decimal = Decimal(10)


paid: list[str] = []
world: dict[str, Any] = {}


@write(idempotent=True)
async def pay(action: Pay, effect: Effect) -> str:
    paid.append(effect.key)
    return "paid"


@check
async def account_exists(action: Pay) -> str | None:
    world["checked"] = world.get("checked", 0) + 1
    if "meanwhile" in world:
        await world.pop("meanwhile")()
    if "raises" in world:
        raise world["raises"]
    return world.get("says")


SHAPE = AgentShape(agent="payers", writes={"pay": WriteShape("pay", Pay)})
POLICY = """\
agent: payers
version: {version}
owner: boss@example.com
actions:
  pay:
    autonomy: {autonomy}
    irreversible: it is a test
    only: [{{when: action.entity == "EU", why: this agent pays for the EU entity only}}]
    refuse: [{{when: action.amount > 1000, why: nobody may spend that much}}]
    hold: [{{when: action.amount > 100, why: it is a large amount}}]
    limits: {{count: 3 per day}}
    duplicates: {{same: [account, amount], within: 1d}}
roles: {{lead: {{people: [ana@example.com], deadline: {{after: 1h, then: refuse}}}}}}
"""


@pytest.fixture
def clean() -> None:
    paid.clear()
    world.clear()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncGenerator[Ledger]:
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


def door(tmp_path: Path, ledger: Ledger, name: str = "payers", **policy: Any) -> Door:
    """A door under the policy above, written to a file of its own."""
    path = tmp_path / f"{name}.yaml"
    path.write_text(POLICY.format(**({"version": 1, "autonomy": "full"} | policy)))
    file = PolicyFile(path, SHAPE)
    return Door("payers", SHAPE, [pay], file, ledger, [account_exists], trust=UNPROVEN)


async def attempt(door: Door, key: str = PAY + "1", **more: Any) -> WriteResult:
    """Try to make a payment. `digest`, `basis` are the attempt's; the rest is the action's."""
    said = {name: more.pop(name) for name in ("digest", "basis", "pilot") if name in more}
    fields: dict[str, Any] = {"account": key} | more
    action = Pay(**fields)
    digest = digest_of("pay", action.model_dump(mode="json"))
    asked: dict[str, Any] = {"case": "payers:1", "key": key, "digest": digest} | said
    return await activity_of("payers:1").run(door.write, pay, action, Attempt(**asked))


def stop() -> OrderRow:
    return OrderRow("stop-no-1", "stop", "payers", "ops@example.com", datetime.now(UTC))


def checks(answer: WriteResult) -> list[str]:
    return [finding.check.partition(":")[0] for finding in answer.verdict.findings]


async def test_each_guard_is_met_when_those_before_it_have_nothing_to_say(
    tmp_path: Path, ledger: Ledger
) -> None:
    payers = door(tmp_path, ledger)
    wrong: dict[str, Any] = {"entity": "US", "amount": Decimal(2000)}
    world["says"] = "there is no such account"
    await ledger.order(stop())
    answer = await attempt(payers, **wrong)
    assert (answer.kind, world) == (WriteResultKind.STOPPED, {"says": world["says"]})
    await ledger.end_order("stop-no-1", "ops@example.com", datetime.now(UTC))
    answer = await attempt(payers, digest="0" * 64)
    assert (answer.kind, checks(answer)) == (WriteResultKind.REFUSED, ["digest"])
    answer = await attempt(payers, **wrong)
    assert (answer.kind, checks(answer)) == (
        WriteResultKind.REFUSED,
        ["only", "rule", "rule", "check"],
    )
    world.pop("says")
    unsourced = Basis(unsourced=("action.account",))
    answer = await attempt(payers, basis=unsourced)
    assert (answer.kind, checks(answer)) == (WriteResultKind.HELD, ["source"])
    assert (await attempt(payers, amount=Decimal(200))).kind is WriteResultKind.HELD
    assert paid == []
    assert (await attempt(payers)).kind is WriteResultKind.WRITTEN
    answer = await attempt(payers, key=PAY + "2", account=PAY + "1")
    assert (answer.kind, checks(answer)) == (WriteResultKind.HELD, ["duplicate"])
    assert PAY + "1" in answer.verdict.why()
    assert [(await attempt(payers, key=key)).kind for key in (PAY + "3", PAY + "4")] == [
        WriteResultKind.WRITTEN
    ] * 2
    answer = await attempt(payers, key=PAY + "5")
    assert (answer.kind, checks(answer)) == (WriteResultKind.REFUSED, ["limit"])
    assert paid == [PAY + "1", PAY + "3", PAY + "4"]


@pytest.mark.parametrize(
    "raised", [ConnectionError("away"), SystemExit(1), KeyboardInterrupt(), ValueError()]
)
async def test_a_check_that_fails_to_run_holds(
    raised: BaseException, tmp_path: Path, ledger: Ledger
) -> None:
    world["raises"] = raised
    answer = await attempt(door(tmp_path, ledger))
    assert (answer.kind, paid) == (WriteResultKind.HELD, [])
    assert "account_exists could not be checked" in answer.verdict.why()


async def test_a_worker_with_an_older_policy_writes_nothing_and_the_other_goes_on(
    tmp_path: Path, ledger: Ledger
) -> None:
    old, new = door(tmp_path, ledger, "old"), door(tmp_path, ledger, "new", version=2)
    assert (await attempt(old, PAY + "1")).kind is WriteResultKind.WRITTEN
    assert (await attempt(new, PAY + "2")).kind is WriteResultKind.WRITTEN
    with pytest.raises(StalePolicy, match=r"payers v1 .*payers v2"):
        await attempt(old, PAY + "3")
    assert (await attempt(new, PAY + "3")).kind is WriteResultKind.WRITTEN
    assert paid == [PAY + "1", PAY + "2", PAY + "3"]


async def test_a_policy_that_is_loaded_while_a_check_runs_is_in_force_for_that_write(
    tmp_path: Path, ledger: Ledger
) -> None:
    old, new = door(tmp_path, ledger, "old"), door(tmp_path, ledger, "new", version=2)

    async def another() -> None:
        assert (await attempt(new, PAY + "2")).kind is WriteResultKind.WRITTEN

    world["meanwhile"] = another
    with pytest.raises(StalePolicy):
        await attempt(old, PAY + "1")
    assert paid == [PAY + "2"]
    assert await ledger.effect(PAY + "1") is None


async def test_of_two_files_of_one_version_the_last_that_was_loaded_is_in_force(
    tmp_path: Path, ledger: Ledger
) -> None:
    one, other = door(tmp_path, ledger, "one"), door(tmp_path, ledger, "two", autonomy="supervised")
    assert (await attempt(one, PAY + "1")).kind is WriteResultKind.WRITTEN
    assert (await attempt(other, PAY + "2")).kind is WriteResultKind.HELD
    with pytest.raises(StalePolicy):
        await attempt(one, PAY + "3")


async def test_every_verdict_says_under_which_policy_and_level_it_fell(
    tmp_path: Path, ledger: Ledger
) -> None:
    payers = door(tmp_path, ledger)
    label = payers.policy.current().label
    await attempt(payers, PAY + "1")
    await ledger.order(
        OrderRow(
            "level-no-1", "level", "payers", "ops@example.com", datetime.now(UTC),
            level=Level.SUPERVISED,
        )
    )  # fmt: skip
    await attempt(payers, PAY + "2")
    rows = await ledger.verdicts("payers")
    assert [(row.key, row.kind, row.policy, row.autonomy) for row in rows] == [
        (PAY + "1", "pass", label, "full"),
        (PAY + "2", "hold", label, "supervised"),
    ]


async def test_a_case_that_was_in_pilot_stays_in_it(tmp_path: Path, ledger: Ledger) -> None:
    answer = await attempt(door(tmp_path, ledger), pilot=True)
    assert (answer.kind, paid) == (WriteResultKind.PILOT, [])
    assert [row.pilot for row in await ledger.verdicts("payers")] == [True]


# What was known a moment ago


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The keys of the writes that were looked up before they were judged; None is of none."""
    seen: list[str | None] = []
    look = Ledger.situation

    async def noted(
        self: Ledger, agent: str, case: str | None = None, key: str | None = None
    ) -> Situation:
        seen.append(key)
        return await look(self, agent, case, key)

    monkeypatch.setattr(Ledger, "situation", noted)
    # However slow the machine is, two writes come within a moment.
    monkeypatch.setattr(pipeline, "LATELY", timedelta(hours=1))
    return seen


async def test_a_new_write_that_passes_is_confirmed_by_its_intent_and_looked_up_no_more(
    tmp_path: Path, ledger: Ledger, looks: list[str | None]
) -> None:
    payers = door(tmp_path, ledger)
    for key in (PAY + "1", PAY + "2"):
        assert (await attempt(payers, key)).kind is WriteResultKind.WRITTEN
    assert looks == [None]


async def test_what_does_not_pass_is_looked_up_and_not_judged_twice(
    tmp_path: Path, ledger: Ledger, looks: list[str | None]
) -> None:
    payers = door(tmp_path, ledger)
    world["says"] = "there is no such account"
    assert (await attempt(payers)).kind is WriteResultKind.REFUSED
    assert (looks, world["checked"]) == ([None, PAY + "1"], 1)


async def test_a_stop_and_its_end_are_obeyed_whatever_was_known_a_moment_ago(
    tmp_path: Path, ledger: Ledger
) -> None:
    payers = door(tmp_path, ledger)
    assert (await attempt(payers, PAY + "1")).kind is WriteResultKind.WRITTEN
    await ledger.order(stop())
    assert (await attempt(payers, PAY + "2")).kind is WriteResultKind.STOPPED
    payers = door(tmp_path, ledger)
    assert (await attempt(payers, PAY + "2")).kind is WriteResultKind.STOPPED
    await ledger.end_order("stop-no-1", "ops@example.com", datetime.now(UTC))
    assert (await attempt(payers, PAY + "2")).kind is WriteResultKind.WRITTEN
    assert paid == [PAY + "1", PAY + "2"]


async def test_a_level_and_its_end_are_obeyed_whatever_was_known_a_moment_ago(
    tmp_path: Path, ledger: Ledger
) -> None:
    payers = door(tmp_path, ledger)
    assert (await attempt(payers, PAY + "1")).kind is WriteResultKind.WRITTEN
    lower = OrderRow(
        "level-no-1", "level", "payers", "ops@example.com", datetime.now(UTC),
        level=Level.SUPERVISED,
    )  # fmt: skip
    await ledger.order(lower)
    assert (await attempt(payers, PAY + "2")).kind is WriteResultKind.HELD
    payers = door(tmp_path, ledger)
    assert (await attempt(payers, PAY + "2")).kind is WriteResultKind.HELD
    await ledger.end_order("level-no-1", "ops@example.com", datetime.now(UTC))
    assert (await attempt(payers, PAY + "2")).kind is WriteResultKind.WRITTEN


async def test_what_had_begun_is_finished_under_its_old_verdict_by_a_first_try_too(
    tmp_path: Path, ledger: Ledger
) -> None:
    payers = door(tmp_path, ledger)
    assert (await attempt(payers)).kind is WriteResultKind.WRITTEN
    world["says"] = "it is paid already"
    again = await attempt(payers)
    assert (again.kind, paid) == (WriteResultKind.WRITTEN, [PAY + "1"])
    world.clear()
    again = await attempt(payers)
    assert (again.kind, paid) == (WriteResultKind.WRITTEN, [PAY + "1"])
    assert [row.key for row in await ledger.verdicts("payers")] == [PAY + "1"]


async def test_what_was_in_force_before_a_policy_was_loaded_holds_none_of_its_writes_up(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looked at that moment keeps what it saw, for others too."""
    payers, old = door(tmp_path, ledger), await _situation_of_another_policy(ledger)
    look = Ledger.situation
    seen = iter([old])

    async def late(self: Ledger, *given: Any) -> Situation:
        return next(seen, None) or await look(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "situation", late)
        with pytest.raises(StalePolicy):
            await payers.pipeline.lately(payers.policy.current(), "payers:1")
    assert (await attempt(payers)).kind is WriteResultKind.WRITTEN


async def _situation_of_another_policy(ledger: Ledger) -> Situation:
    return replace(await ledger.situation("payers"), label="payers v0 other", sha="0" * 64)
