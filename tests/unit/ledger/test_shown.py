"""What an agent has shown, added up by the database: the same as of the rows one by one."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from handrail import Ledger
from handrail.actions import Basis, Kind, Receipt
from handrail.ledger import CaseRecord, CaseRow, QuestionRow, VerdictRow
from tests.unit.ledger.intents import intent

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SEEN: dict[str, Any] = {
    "agent": "a",
    "step": "pay",
    "digest": "d" * 64,
    "findings": (),
    "policy": "p",
    "autonomy": "full",
    "pilot": False,
    "basis": None,
    "requester": None,
}


def verdict(number: int, at: datetime, kind: Any, key: str | None = None) -> VerdictRow:
    case = f"a:{number}"
    named = f"{case}/pay/1" if key is None else key
    action = {"class": kind}
    return VerdictRow(case=case, key=named, at=at, kind=Kind.PASS, action=action, **SEEN)


def _all(*_: object) -> bool:
    return True


def _none(*_: object) -> bool:
    return False


async def test_of_each_write_its_last_verdict_counts_for_its_class(ledger: Ledger) -> None:
    kinds = ["gold", "b\"ra'ss", None, "ä", 7]
    for number in range(20):
        at = NOW + DAY * number
        await ledger.record_verdict(verdict(number, at, "first"))
        await ledger.record_verdict(verdict(number, at, kinds[number % 5]))
        await ledger.record_verdict(verdict(number, at, "in advance", key=""))
    then, after = await ledger.proposed_values("a", "pay", "action.class", NOW + DAY * 9)
    names = Counter(str(kinds[n % 5]) for n in range(10))
    assert then == after == names
    assert await ledger.proposed_values("a", "ship", "action.class", NOW) == ({}, {})


async def test_what_is_watched_of_the_evidence_is_counted_by_its_values(ledger: Ledger) -> None:
    for number in range(6):
        basis = Basis(confidence=0.25 + number // 3 / 4, evidence={"goods": "pharma", "kg": number})
        row = replace(verdict(number, NOW + DAY * number, "x"), basis=basis)
        await ledger.record_verdict(row)
    await ledger.record_verdict(verdict(6, NOW + DAY * 6, "x"))

    async def values(field: str) -> tuple[Counter[str], Counter[str]]:
        return await ledger.proposed_values("a", "pay", field, NOW + DAY * 2)

    assert await values("evidence.goods") == ({"pharma": 3}, {"pharma": 3, "None": 1})
    assert (await values("evidence.kg"))[0] == {"0": 1, "1": 1, "2": 1}
    assert await values("confidence") == ({"0.25": 3}, {"0.5": 3, "None": 1})


async def test_proposals_are_counted_by_their_case(ledger: Ledger) -> None:
    for number in range(4):
        await ledger.record_verdict(verdict(number, NOW + DAY * number, "x"))
        await ledger.record_verdict(verdict(number, NOW + DAY * number, "y"))
    await ledger.record_verdict(verdict(3, NOW + DAY * 4, "x", key="a:3/pay/2"))
    found = await ledger.proposed_since("a", "pay", NOW + DAY)
    assert found == {"a:1": 1, "a:2": 1, "a:3": 2}


async def test_what_ran_alone_is_counted_by_its_chance_up_to_a_write(
    ledger: Ledger, url: str
) -> None:
    chance = random.Random(3)  # noqa: S311  # a seed, no secret
    shares = [0.05, None, 0.5, 0.0, 1.0]
    engine = sa.create_engine(url)
    made: list[tuple[float, str, float]] = []
    for number in range(40):
        key, share = f"a:{number}/pay/1", shares[number % 5]
        await ledger.begin(intent(key, alone=number % 7 > 0, share=share))
        if number % 11:
            await ledger.finish(Receipt(key=key, step="pay", digest="d" * 64, at=NOW))
        # Several begin at the same time.
        begun = (NOW + DAY * chance.randrange(8)).timestamp()
        moved = sa.text("update handrail_effects set begun = :at where key = :key")
        with engine.begin() as connection:
            connection.execute(moved, {"at": begun, "key": key})
        if number % 7 and number % 11:
            made.append((begun, key, share or 0.0))
    engine.dispose()
    made.sort()
    drawn = await ledger.drawn_writes("a", "pay", _all)
    assert [each.key for each in drawn] == [key for _, key, share in made if share]
    assert await ledger.drawn_writes("a", None, _none) == []
    whole = await ledger.alone_by_share("a", None)
    assert dict(whole) == Counter(share for _, _, share in made)
    firsts = [min(at for at, _, of in made if of == share) for share, _ in whole]
    assert firsts == sorted(firsts)
    before = drawn[len(drawn) // 2]
    until = (before.begun.timestamp(), before.key)
    some = await ledger.alone_by_share("a", "pay", before)
    assert dict(some) == Counter(share for at, key, share in made if (at, key) < until)
    since = NOW + DAY * 3
    later = [at for at, _, _ in made if at >= since.timestamp()]
    first = datetime.fromtimestamp(min(later), UTC)
    assert await ledger.first_alone("a", "pay", since) == (first, len(later))
    assert await ledger.first_alone("b", "pay") == (None, 0)


async def test_rulings_are_counted_since_the_first_question(ledger: Ledger) -> None:
    how = ["approved", "rejected", "approved", "expired", "amended", "approved"]
    for number, each in enumerate(how):
        case, at = f"a:{number}", NOW + DAY * number
        asked = QuestionRow(case, "g", "a", "pay", "write", ("lead",), at, ended=at, how=each)
        row = CaseRow(
            case=case,
            run_id="r",
            agent="a",
            build="1",
            policy="p",
            trigger="event",
            event_digest="d",
            requester=None,
            parent=None,
            begun=at,
            ended=at,
            state="done",
        )
        await ledger.record_cases([CaseRecord(row, (), (asked,), ())])
    ruled = {"approved", "rejected", "amended"}
    found = await ledger.ruled("a", "pay", ruled, NOW + DAY)
    assert (found.ruled, found.approved, found.first) == (4, 2, NOW + DAY)
    none = await ledger.ruled("a", "ship", ruled)
    assert (none.ruled, none.approved, none.first) == (0, 0, None)
