"""What the door does after a write: it is read back, drawn for a look, and counted."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import Action, Effect, Ledger, Receipt, write
from handrail.actions import Basis, Level, Undoes, digest_of, undo_key
from handrail.evidence import measure_track_record
from handrail.guardrails import audit
from handrail.guardrails import data_checks as read_back
from handrail.guardrails.data_checks import Unseen
from handrail.guardrails.door import Door
from handrail.ledger import ReviewRow
from handrail.oversight import is_drawn
from handrail.policy import AgentShape, PolicyFile, WriteShape
from handrail.testing import UNPROVEN, Outside
from handrail.wire import Attempt, WriteResult, WriteResultKind
from tests.agents.activity import activity_of

pytestmark = pytest.mark.usefixtures("outside")

BANK = "bank"


class Pay(Action):
    """Pay somebody."""

    account: str
    amount: Decimal


async def booked(action: Pay, effect: Effect, result: str) -> str | None:
    """Ask the bank what it booked."""
    found = await Outside.current().find(BANK, effect.key)
    if found is None:
        return "the bank has booked nothing"
    calls = Outside.current().calls(BANK)
    (body,) = [call.body for call in calls if call.new and call.key == effect.key]
    return None if body == str(action.amount) else f"the bank booked {body}, not {action.amount}"


@write(idempotent=True)
async def pay_back(action: Pay, effect: Effect) -> None:
    """Take it back."""
    await Outside.current().put("back", effect.key, str(action.amount))


@write(idempotent=True, undo=pay_back, verify=booked)
async def pay(action: Pay, effect: Effect) -> str:
    """Pay. The bank books what it likes where the account is odd."""
    amount = action.amount + 1 if action.account == "odd" else action.amount
    if action.account == "lost":
        return "lost"
    return await Outside.current().put(BANK, effect.key, str(amount))


SHAPE = AgentShape(
    agent="payers",
    writes={
        "pay": WriteShape("pay", Pay, undo="pay_back"),
        "pay_back": WriteShape("pay_back", Pay, undoes=frozenset({"pay"})),
    },
)
POLICY = """\
agent: payers
version: 1
owner: boss@example.com
actions:
  pay:
    autonomy: full
    hold: [{{when: action.amount > 10000, why: it is a large amount}}]
    normal: {{learn: 30, watch: [amount]}}
    review: {review}
    mismatch: {mismatch}
breakers: [{{after: 1 incidents per day, then: supervised}}]
roles:
  lead: {{people: [ana@example.com], deadline: {{after: 1h, then: refuse}}}}
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_back, "PAUSES", (timedelta(milliseconds=1),) * 2)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncGenerator[Ledger]:
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


def door(
    tmp_path: Path,
    ledger: Ledger,
    review: str = "100%",
    mismatch: str = "incident",
) -> Door:
    path = tmp_path / "payers.yaml"
    path.write_text(POLICY.format(review=review, mismatch=mismatch))
    file = PolicyFile(path, SHAPE)
    return Door("payers", SHAPE, [pay, pay_back], file, ledger, trust=UNPROVEN)


async def paid(
    door: Door, number: int = 1, account: str = "1", amount: Any = "10", at: datetime | None = None
) -> WriteResult:
    """Try to pay; `at`: when the server says that it is tried."""
    action = Pay(account=account, amount=Decimal(amount))
    digest = digest_of("pay", action.model_dump(mode="json"))
    attempt = Attempt(
        case=f"payers:{number}",
        key=f"payers:{number}/pay/1",
        digest=digest,
        basis=Basis(rationale="It is due.", confidence=0.9),
        requester="bo@example.com",
    )
    sent = {} if at is None else {"current_attempt_scheduled_time": at}
    return await activity_of(attempt.case, **sent).run(door.write, pay, action, attempt)


# Reading back


async def test_a_write_that_is_as_it_should_be_is_no_incident(
    tmp_path: Path, ledger: Ledger
) -> None:
    answer = await paid(door(tmp_path, ledger))
    assert (answer.kind, answer.incident, answer.roll_back) == (WriteResultKind.WRITTEN, "", False)
    assert await ledger.incidents() == []


@pytest.mark.parametrize(
    ("account", "what"),
    [("odd", "the bank booked 11, not 10"), ("lost", "the bank has booked nothing")],
)
@pytest.mark.parametrize("mismatch", ["incident", "roll back"])
async def test_one_that_is_not_is_an_incident_once_and_stays_written(
    tmp_path: Path, ledger: Ledger, account: str, what: str, mismatch: str
) -> None:
    payers = door(tmp_path, ledger, mismatch=mismatch)
    for _ in range(2):
        answer = await paid(payers, account=account)
        assert (answer.kind, answer.incident) == (WriteResultKind.WRITTEN, what)
        assert answer.roll_back == (mismatch == "roll back")
    (incident,) = await ledger.incidents()
    assert (incident.what, incident.kind, incident.key) == (what, "mismatch", "payers:1/pay/1")
    assert (incident.agent, incident.step, incident.case) == ("payers", "pay", "payers:1")
    found = await measure_track_record(ledger, "payers", "pay")
    assert (found.written, found.incidents, found.open_incidents) == (1, 1, 1)


async def test_a_bank_that_is_away_is_none_and_the_write_is_not_made_again(
    tmp_path: Path, ledger: Ledger, outside: Outside
) -> None:
    """It is looked at again as an attempt of the same write, as other steps are."""
    payers = door(tmp_path, ledger, mismatch="roll back")
    outside.break_down("find", times=6, says="the bank is away")
    for _ in range(2):
        with pytest.raises(Unseen, match="not seen yet: the bank is away; it is read again"):
            await paid(payers)
    answer = await paid(payers)
    assert (answer.kind, answer.incident, answer.roll_back) == (WriteResultKind.WRITTEN, "", False)
    assert await ledger.incidents() == []
    assert [call.key for call in outside.calls(BANK)] == ["payers:1/pay/1"]
    assert len(await ledger.reviews()) == 1


async def test_a_bank_that_stays_away_is_an_incident_and_no_mismatch(
    tmp_path: Path, ledger: Ledger, outside: Outside
) -> None:
    """After as long as a step that fails is stuck; nobody knows that anything is wrong."""
    payers = door(tmp_path, ledger, mismatch="roll back")
    outside.break_down("find", times=6, says="the bank is away")
    now = datetime.now(UTC)
    with pytest.raises(Unseen):
        await paid(payers, at=now + timedelta(minutes=9))
    answer = await paid(payers, at=now + timedelta(minutes=11))
    assert (answer.kind, answer.roll_back) == (WriteResultKind.WRITTEN, False)
    assert answer.incident == "could not be read back within 0:10:00: the bank is away"
    (incident,) = await ledger.incidents()
    assert (incident.kind, incident.what) == ("unread", answer.incident)
    assert await ledger.orders("payers") == []
    await paid(payers, number=2, account="odd", at=now)  # what was read and differs counts
    assert [order.level for order in await ledger.orders("payers")] == [Level.SUPERVISED]


async def test_a_bank_that_answers_at_the_third_try_is_none(
    tmp_path: Path, ledger: Ledger, outside: Outside
) -> None:
    outside.break_down("find", times=2)
    assert (await paid(door(tmp_path, ledger))).incident == ""


# Reviews


async def test_what_ran_alone_is_put_before_the_role_of_the_step(
    tmp_path: Path, ledger: Ledger
) -> None:
    payers = door(tmp_path, ledger)
    await paid(payers)
    await paid(payers)
    (row,) = await ledger.reviews()
    assert (row.key, row.case, row.step, row.agent) == (
        "payers:1/pay/1",
        "payers:1",
        "pay",
        "payers",
    )
    assert (row.role, row.people, row.requester) == ("lead", ("ana@example.com",), "bo@example.com")
    assert (row.share, row.answer) == (1.0, None)
    assert row.why == "it was drawn at random, as 100 % of such writes are"


async def test_the_share_of_the_policy_is_drawn_and_known_of_those_not_drawn_too(
    tmp_path: Path, ledger: Ledger
) -> None:
    payers = door(tmp_path, ledger, review="20%")
    for number in range(60):
        await paid(payers, number)
    keys = [f"payers:{number}/pay/1" for number in range(60)]
    drawn = [key for key in keys if is_drawn("payers", "pay", key, 0.2)]
    assert 5 <= len(drawn) <= 20
    assert sorted(row.key for row in await ledger.reviews()) == sorted(drawn)
    found = await measure_track_record(ledger, "payers", "pay")
    assert (found.alone, found.covered, found.drawn) == (60, 60, len(drawn))


async def test_while_only_a_share_runs_alone_more_of_it_is_drawn(
    tmp_path: Path, ledger: Ledger
) -> None:
    share = "{random: 0.01%, ramp: 100%}"
    some = door(tmp_path, ledger, review=f"{share}\n    rollout: 50%")
    kinds = {n: (await paid(some, n)).kind for n in range(30)}
    alone = {f"payers:{n}/pay/1" for n, kind in kinds.items() if kind is WriteResultKind.WRITTEN}
    assert 5 < len(alone) < 25
    rows = await ledger.reviews()
    assert {row.key for row in rows} == alone
    assert {(row.share, row.why[:23]) for row in rows} == {(1.0, "it was drawn at random,")}
    every = door(tmp_path, ledger, review=share)
    for number in range(30, 60):
        assert (await paid(every, number)).kind is WriteResultKind.WRITTEN
    assert len(await ledger.reviews()) == len(alone), "all run alone: as many as ever are drawn"
    made = dict(await ledger.alone_by_share("payers", "pay"))
    assert made == {1.0: len(alone), 0.0001: 30}


async def test_what_is_at_the_edge_of_what_is_normal_is_drawn_more_often(
    tmp_path: Path, ledger: Ledger
) -> None:
    payers = door(tmp_path, ledger, review="{random: 0.01%, unusual: 100%}")
    for number in range(40):
        await paid(payers, number, amount=100 + number * 7 % 40)
    assert await ledger.reviews() == []
    # Another worker, which has read nothing before: what is normal is read once in a minute.
    again = door(tmp_path, ledger, review="{random: 0.01%, unusual: 100%}")
    assert (await paid(again, 50, amount=120)).kind is WriteResultKind.WRITTEN
    assert (await paid(again, 51, amount=142)).kind is WriteResultKind.WRITTEN
    (row,) = await ledger.reviews()
    assert (row.key, row.share) == ("payers:51/pay/1", 1.0)
    assert row.why.startswith("something about it was unusual")


async def test_what_people_let_pass_is_not_looked_at_again(tmp_path: Path, ledger: Ledger) -> None:
    answer = await paid(door(tmp_path, ledger), amount=20_000)
    assert answer.kind is WriteResultKind.HELD
    assert await ledger.reviews() == []
    assert (await measure_track_record(ledger, "payers", "pay")).alone == 0


async def test_an_undo_is_not_looked_at_and_counts_as_one(tmp_path: Path, ledger: Ledger) -> None:
    payers = door(tmp_path, ledger)
    written = await paid(payers)
    action = Pay(account="1", amount=Decimal(10))
    attempt = Attempt(
        case="payers:1",
        key=undo_key("payers:1/pay/1"),
        digest=digest_of("pay_back", action.model_dump(mode="json")),
        undoes=Undoes(key="payers:1/pay/1", receipt=written.receipt),
    )
    undone = await activity_of("payers:1").run(payers.write, pay_back, action, attempt)
    assert undone.kind is WriteResultKind.WRITTEN, undone
    assert [row.key for row in await ledger.reviews()] == ["payers:1/pay/1"]
    found = await measure_track_record(ledger, "payers", "pay")
    assert (found.written, found.alone, found.rolled_back) == (1, 1, 1)


async def test_a_worker_that_dies_before_the_draw_draws_the_same_afterwards(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its policy says another share by then, and nobody knows any more what was unusual."""

    async def dies(row: ReviewRow) -> bool:
        raise RuntimeError(f"dead before {row.key} was put before anybody")

    first = door(tmp_path, ledger)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "review", dies)
        with pytest.raises(RuntimeError, match="dead before"):
            await paid(first)
    effect = await ledger.effect("payers:1/pay/1")
    assert effect is not None
    assert isinstance(effect.receipt, Receipt)
    assert (await measure_track_record(ledger, "payers", "pay")).waiting == 1
    again = door(tmp_path, ledger, review="0.01%")
    assert (await paid(again)).kind is WriteResultKind.WRITTEN
    assert [row.share for row in await ledger.reviews()] == [1.0]


async def test_what_went_wrong_and_what_is_drawn_is_said_in_the_log_once(
    tmp_path: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    payers = door(tmp_path, ledger)
    with caplog.at_level(logging.INFO, audit.LOGGER):
        for _ in range(2):
            await paid(payers, account="odd")
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    said = [line for line in lines if line["event"] in {"incident", "review"}]
    assert [(line["event"], line["key"]) for line in said] == [
        ("review", "payers:1/pay/1"),
        ("incident", "payers:1/pay/1"),
    ]
    assert said[0]["share"] == 1.0
    assert said[1]["why"] == "the bank booked 11, not 10"
