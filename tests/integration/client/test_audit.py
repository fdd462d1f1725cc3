"""An audit is what happened: whoever changes it, or the ledger under it, is found out."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from handrail import Agent, Fleet
from handrail.client import Operator
from handrail.evidence import chained
from handrail.exceptions import CaseError, InvalidRequest
from handrail.ledger import IncidentRow, ReviewRow
from handrail.oversight import Keyring, SigningKey, Trust, new_opinion, signed_answer
from handrail.testing import Outside, Stage, eventually
from handrail.testing.fixtures import RunFleet
from tests.agents import refunds_flow, refunds_steps
from tests.agents.fleets import put_policy
from tests.agents.refunds_steps import Complaint
from tests.agents.situations import ANA, BOSS, CY, POLICY

pytestmark = pytest.mark.integration

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
KEY, BOSS_KEY, CY_KEY = (SigningKey.new(who, LONG_AGO) for who in (ANA, BOSS, CY))

MET = IncidentRow("i1", "refunds", "refund", "refunds:R-1", "k", "mismatch", "other", LONG_AGO)

Entry = dict[str, Any]


@dataclass
class Audited:
    """A refund that Ana approved and Cy reviewed, then a stop that is lifted, and its audit."""

    stage: Stage
    ana: Operator
    boss: Operator
    text: str
    since: datetime
    until: datetime

    @property
    def entries(self) -> list[Entry]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
async def audited(run_fleet: RunFleet, tmp_path: Path, outside: Outside) -> AsyncGenerator[Audited]:
    path = put_policy(tmp_path, POLICY)
    agent = Agent("refunds", refunds_flow.RefundAgent, steps=refunds_steps, policy=path)
    keyring = Keyring(tmp_path / "trusted.json")
    for key in (KEY, BOSS_KEY, CY_KEY):
        keyring.trust(key.public())
    async with run_fleet(Fleet(agent), trust=Trust(keyring=keyring, proof="required")) as stage:
        since = datetime.now(UTC) - timedelta(hours=1)
        ana = Operator(stage.client, stage.ledger, KEY, keyring=keyring)
        case = await stage.start("refunds", Complaint(number="R-1"))
        await ana.approve(await case.gate(), "two photos")
        await case.outcome()
        await ana.stop("refunds", "refund", why="enough for today")
        boss = Operator(stage.client, stage.ledger, BOSS_KEY, keyring=keyring)
        await boss.lift("refunds", "looked at")
        await reviewed(stage, f"{case.id}/refund/1")
        await stage.ledger.incident(replace(MET, at=datetime.now(UTC)))
        await stage.ledger.close_incident("i1", ANA, datetime.now(UTC), "the books are right")
        until = datetime.now(UTC)
        made = await ana.audit("refunds", since, until, seal=True)
        text = "\n".join(each.model_dump_json() for each in made.entries)
        yield Audited(stage, ana, boss, text, since, until)


async def reviewed(stage: Stage, key: str) -> None:
    """Have Cy look at what was written, who says that it is wrong."""
    now, case = datetime.now(UTC), key.partition("/")[0]
    await stage.ledger.review(
        ReviewRow(key, "refunds", "refund", case, now, "drawn", 1.0, "operations", (CY,))
    )
    written = await stage.ledger.written(key)
    assert written is not None
    said = new_opinion(written, "wrong", CY, "twice the price", now)
    assert await stage.ledger.answer_review(signed_answer(said, CY_KEY, now))


def _text(entries: list[Entry]) -> str:
    return "\n".join(json.dumps(each) for each in entries)


def _chained_again(entries: list[Entry]) -> list[Entry]:
    """As somebody does who knows how: every hash is right again."""
    items = [(e["kind"], datetime.fromisoformat(e["at"]), e["body"]) for e in entries]
    return [json.loads(each.model_dump_json()) for each in chained(items)]


async def test_what_happened_is_in_it_and_nothing_contradicts_it(audited: Audited) -> None:
    kinds = [each["kind"] for each in audited.entries]
    assert (kinds[0], sorted(kinds[1:])) == (
        "period",
        ["effect", "incident", "order", "policy", "review", "ruling"],
    )
    found = await audited.ana.check_audit(audited.text)
    assert (found.faults, found.unseen, found.sealed, found.cases) == ((), (), ANA, 1)
    assert found.head == audited.entries[-1]["hash"]
    # Nobody makes it one of a shorter time, of which no head was put into Temporal.
    shorter = audited.entries
    shorter[0]["body"]["until"] = (audited.since + timedelta(minutes=1)).isoformat()
    found = await audited.ana.check_audit(_text(_chained_again(shorter)))
    assert sum("of a time after the period" in each for each in found.faults) == len(shorter) - 1


def _of(entries: list[Entry], kind: str) -> Entry:
    return next(each for each in entries if each["kind"] == kind)


def _amount(entries: list[Entry]) -> None:
    _of(entries, "effect")["body"]["receipt"]["result"] = "another"


def _ruling(entries: list[Entry]) -> None:
    body = _of(entries, "ruling")["body"]
    ruling = json.loads(body["text"]) | {"why": "no photo at all"}
    body["text"] = json.dumps(ruling)


def _order(entries: list[Entry]) -> None:
    _of(entries, "order")["body"]["by"] = "bo@example.com"


def _other_answer(entries: list[Entry]) -> None:
    _of(entries, "review")["body"]["answer"] = "right"


def _other_reviewer(entries: list[Entry]) -> None:
    _of(entries, "review")["body"]["by"] = ANA


def _other_note(entries: list[Entry]) -> None:
    _of(entries, "review")["body"]["note"] = "half the price"


def _unsigned_answer(entries: list[Entry]) -> None:
    _of(entries, "review")["body"]["proof"] = None


def _unsigned_order(entries: list[Entry]) -> None:
    _of(entries, "order")["body"]["proofs"] = []


def _narrower_order(entries: list[Entry]) -> None:
    _of(entries, "order")["body"] |= {"proofs": [], "why": "for an hour"}


def _other_lift(entries: list[Entry]) -> None:
    _of(entries, "order")["body"]["ended_by"] = ANA


def _unsigned_lift(entries: list[Entry]) -> None:
    _of(entries, "order")["body"]["ended_proofs"] = []


def _other_digest(entries: list[Entry]) -> None:
    _of(entries, "ruling")["body"]["digest"] = "0" * 64


def _other_time(entries: list[Entry]) -> None:
    body = _of(entries, "ruling")["body"]
    body["at"] = (datetime.fromisoformat(body["at"]) + timedelta(minutes=5)).isoformat()


def _other_use(entries: list[Entry]) -> None:
    _of(entries, "ruling")["body"]["effect"] = "refunds:R-2/refund/1"


def _other_receipt(entries: list[Entry]) -> None:
    _of(entries, "effect")["body"]["digest"] = "0" * 64


def _not_done(entries: list[Entry]) -> None:
    _of(entries, "effect")["body"]["state"] = "not_done"


def _left_out(entries: list[Entry]) -> None:
    entries.remove(_of(entries, "effect"))


def _moved(entries: list[Entry]) -> None:
    entries[2], entries[3] = entries[3], entries[2]


def _order_left_out(entries: list[Entry]) -> None:
    entries.remove(_of(entries, "order"))


def _other_gate(entries: list[Entry]) -> None:
    _of(entries, "ruling")["body"]["gate"] = "another"


def _other_policy(entries: list[Entry]) -> None:
    _of(entries, "policy")["body"]["sha"] = "0" * 64


def _spliced(entries: list[Entry]) -> None:
    """The effect of another agent's audit stands in this one."""
    theirs = json.loads(json.dumps(_of(entries, "effect")))
    theirs["body"] |= {"case": "leads:1", "key": "leads:1/refund/1"}
    entries.append(theirs | {"number": len(entries)})


def _cut(entries: list[Entry]) -> None:
    del entries[-2:]


def _closing(entries: list[Entry]) -> None:
    _of(entries, "incident")["body"]["closed_why"] = "was nothing"


TAMPERED: Mapping[str, tuple[Callable[[list[Entry]], None], str]] = {
    "a result": (_amount, "Temporal has no such receipt"),
    "a ruling's reason": (_ruling, "was changed after it was signed"),
    "who gave an order": (_order, "is not shown to have given it"),
    "an effect left out": (_left_out, "a receipt that is missing here"),
    "the order of entries": (_moved, "another head"),
    "an order left out": (_order_left_out, "another head"),
    "a ruling moved to another gate": (_other_gate, "and stands at another of"),
    "a policy's digest": (_other_policy, "is not the one of its digest"),
    "another agent's entries": (_spliced, "it is of leads, and not of refunds"),
    "how an incident was closed": (_closing, "another head"),
    "what a reviewer said": (_other_answer, "another answer was signed"),
    "who reviewed it": (_other_reviewer, "another answer was signed"),
    "why a reviewer said so": (_other_note, "is not what was signed"),
    "an answer that nobody signed": (_unsigned_answer, "(review): "),
    "an order's signature": (_unsigned_order, f"Temporal has it signed by {ANA}"),
    "an order, with its signature": (_narrower_order, "Temporal has another stop there"),
    "who lifted a stop": (_other_lift, "is not shown to have ended it"),
    "the signature of a lift": (_unsigned_lift, f"Temporal has it signed by {BOSS}"),
    "what a ruling is of": (_other_digest, "beside it is not what was signed"),
    "when somebody ruled": (_other_time, "beside it is not what was signed"),
    "which write a ruling allowed": (_other_use, "which is of another case"),
    "what a receipt is of": (_other_receipt, "and not its own"),
    "what became of a write": (_not_done, "its receipt does not say so"),
}


async def test_whoever_changes_it_is_found_out_twice(audited: Audited) -> None:
    for what, (change, said) in TAMPERED.items():
        changed = audited.entries
        change(changed)
        plain = await audited.ana.check_audit(_text(changed))
        assert any("was changed" in each or "is missing" in each for each in plain.faults), what
        # Also where all hashes are made anew: the head in Temporal, and what they are of, tell.
        again = await audited.ana.check_audit(_text(_chained_again(changed)))
        assert any("another head was put into Temporal" in each for each in again.faults), what
        assert any(said in each for each in again.faults), (what, again.faults)
        assert again.sealed is None, what


async def test_a_tail_that_was_cut_off_is_missed(audited: Audited) -> None:
    """What is left is a sound chain: only the head in Temporal knows how long it was."""
    left = audited.entries
    _cut(left)
    found = await audited.ana.check_audit(_text(left))
    said = f"of {len(left) + 2} entries, here are {len(left)}"
    assert any(said in each for each in found.faults), found.faults
    assert found.sealed is None


async def test_an_order_that_left_the_ledger_is_missed_by_the_steward(audited: Audited) -> None:
    """Nothing of it is in the audit, which was made afterwards, and no head says otherwise."""
    with sqlite3.connect(audited.stage.directory / "ledger.db") as connection:
        connection.execute("delete from handrail_orders")
    made = await audited.ana.audit("refunds", audited.since, datetime.now(UTC))
    found = await audited.ana.check_audit("\n".join(e.model_dump_json() for e in made.entries))
    assert [each.partition(" at ")[0] for each in found.faults] == [
        f"Temporal has an order that is missing here: stop by {ANA}"
    ]


def _rows(stage: Stage) -> dict[str, str]:
    """Every row of the ledger as text, by table."""
    with sqlite3.connect(stage.directory / "ledger.db") as connection:
        names = connection.execute("select name from sqlite_master where type = 'table'")
        return {
            name: repr(connection.execute(f"select * from {name}").fetchall())  # noqa: S608
            for (name,) in names.fetchall()
        }


async def test_what_is_erased_is_gone_and_audits_stay_sound(audited: Audited) -> None:
    stage, case = audited.stage, "refunds:R-1"
    before = _rows(stage)
    assert [t for t, text in before.items() if "two photos" in text] == ["handrail_rulings"]
    (receipt,) = [e.receipt for e in await stage.ledger.effects(case) if e.receipt]
    assert len(str(receipt.result)) > 3  # long enough to be looked for
    assert "Ida Berg" in before["handrail_effects"]
    # A forged erasure, of a case that Temporal still has, is found.
    forged = audited.entries
    _of(forged, "effect").update(erased=True, body={**_of(forged, "effect")["body"], "action": {}})
    faults = (await audited.ana.check_audit(_text(forged))).faults
    assert any("is erased, and Temporal still has its case" in each for each in faults)
    gone = await audited.ana.erase(case, "the customer asked for it")
    assert (gone.rows, gone.histories) == (4, 1)
    after = _rows(stage)
    for said in ("two photos", "Ida Berg", str(receipt.result)):
        assert not [table for table, text in after.items() if said in text], said
    (effect,) = await stage.ledger.effects(case)
    assert effect.receipt is not None
    assert effect.state == "done"
    assert (effect.receipt.result, effect.receipt.digest) == (None, receipt.digest)
    (ruling,) = await stage.ledger.rulings(case=case)
    assert (ruling.by, ruling.ruling.proof, ruling.ruling.why) == (ANA, None, "")
    record = (await stage.ledger.case_records([case])).get(case)
    assert record is None or (record.case.requester, record.case.why) == (None, "")

    # The same period again comes to the head that was sealed before; the export of then, too.
    async def forgotten() -> bool:
        return (await audited.ana.check_audit(audited.text)).unseen == (case,)

    await eventually(forgotten)
    again = await audited.ana.audit("refunds", audited.since, audited.until)
    assert again.head == audited.entries[-1]["hash"]
    text = "\n".join(each.model_dump_json() for each in again.entries)
    found = await audited.ana.check_audit(text)
    assert (found.faults, found.unseen, found.sealed, found.erased) == ((), (case,), ANA, 4)
    assert (await audited.ana.check_audit(audited.text)).faults == ()
    # What stays, and that it was erased, is in the chain as before: nobody changes it unseen.
    changed = [json.loads(line) for line in text.splitlines()]
    _order(changed)
    assert (await audited.ana.check_audit(_text(changed))).faults
    (order,) = await stage.ledger.orders("refunds", kind="erase")
    assert (order.case, order.by, order.why) == (case, ANA, "the customer asked for it")
    assert (await audited.ana.erase(case, "again")).histories == 0
    # Who asks for it hears what there still is.
    with pytest.raises(CaseError, match=f"erased at .* by {ANA}: the customer .*refund is done"):
        await audited.ana.case(case)
    with pytest.raises(CaseError, match="there is no case refunds:R-77"):
        await audited.ana.case("refunds:R-77")


async def test_a_ledger_that_somebody_altered_is_no_witness(audited: Audited) -> None:
    engine = sa.create_engine(f"sqlite:///{audited.stage.directory}/ledger.db")
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM handrail_effects"))
    engine.dispose()
    made = await audited.ana.audit("refunds", audited.since, audited.until)
    found = await audited.ana.check_audit("\n".join(e.model_dump_json() for e in made.entries))
    assert any("a receipt that is missing here" in each for each in found.faults)
    assert any("another head" in each for each in found.faults)


async def test_the_next_one_begins_where_this_one_ended(audited: Audited) -> None:
    later = audited.until + timedelta(milliseconds=1)
    made = await audited.ana.audit("refunds", audited.until, later)
    assert made.entries[0].body["before"] == audited.entries[-1]["hash"]
    # Whoever makes one that begins anew hides the one before it.
    entries = [json.loads(each.model_dump_json()) for each in made.entries]
    assert (await audited.ana.check_audit(_text(entries))).faults == ()
    entries[0]["body"]["before"] = ""
    found = await audited.ana.check_audit(_text(_chained_again(entries)))
    assert any("does not go on from the audit before it" in each for each in found.faults)


async def test_the_same_time_comes_to_the_same_head_whatever_came_later(audited: Audited) -> None:
    ledger, boss = audited.stage.ledger, audited.boss
    again = await audited.ana.audit("refunds", audited.since, audited.until)
    assert again.head == audited.entries[-1]["hash"]
    (policy,) = await ledger.policies("refunds")
    await audited.ana.stop("refunds", why="once more")
    await ledger.incident(replace(MET, id="i2", at=datetime.now(UTC)))
    case = await audited.stage.start("refunds", Complaint(number="R-2"))
    until = datetime.now(UTC)
    first = await audited.ana.audit("refunds", audited.since, until, seal=True)
    # A worker starts, the stop is lifted, and the incident closed: in December.
    await ledger.loaded("refunds", policy.version, policy.sha, policy.label, policy.text)
    assert (await ledger.policies("refunds"))[0].loaded > policy.loaded
    await boss.lift("refunds", "over")
    await ledger.close_incident("i2", ANA, datetime.now(UTC), "booked")
    await asyncio.sleep(1)  # a ruling is of a whole second
    await audited.ana.approve(await case.gate(), "photos")
    await case.outcome()
    later = await audited.ana.audit("refunds", audited.since, until)
    assert later.head == first.head
    text = "\n".join(each.model_dump_json() for each in later.entries)
    found = await audited.ana.check_audit(text)
    assert (found.faults, found.sealed) == ((), ANA)


async def test_a_write_that_began_before_midnight_is_of_the_day_it_ended_too(
    audited: Audited,
) -> None:
    effect = await audited.stage.ledger.effect("refunds:R-1/refund/1")
    assert effect is not None
    assert effect.receipt is not None
    since = effect.begun + timedelta(microseconds=1)
    assert since < effect.receipt.at
    made = await audited.ana.audit("refunds", since, audited.until)
    assert "effect" in [each.kind for each in made.entries]
    text = "\n".join(each.model_dump_json() for each in made.entries)
    assert (await audited.ana.check_audit(text)).faults == ()


@pytest.mark.parametrize(
    ("text", "said"), [("", "no entry in it"), ("{}", "line 1 is no entry"), ("x", "line 1")]
)
async def test_what_is_no_audit_is_said_to_be_none(audited: Audited, text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        await audited.ana.check_audit(text)


async def test_a_period_that_is_not_over_has_no_audit(audited: Audited) -> None:
    with pytest.raises(InvalidRequest, match="a time that is over"):
        await audited.ana.audit("refunds", audited.since, audited.until + timedelta(days=1))
