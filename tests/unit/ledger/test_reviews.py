"""Reviews, incidents and the figures made of them, as both kinds of database keep them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handrail import Ledger, Receipt
from handrail.actions import Ruling, undo_key
from handrail.evidence import ErrorShare, TrackRecord, measure_track_record
from handrail.evidence.track_record import OVERDUE
from handrail.ledger import AlreadyReviewed, AnswerRow, IncidentRow, Intent, ReviewRow, RulingRow
from handrail.oversight import SigningKey, is_drawn, new_opinion, signed_answer
from tests.unit.ledger.intents import intent

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ANA = SigningKey.new("ana@example.com", NOW)


def review(key: str = "a:1/pay/1", **more: Any) -> ReviewRow:
    given: dict[str, Any] = {
        "agent": "a",
        "step": "pay",
        "case": key.partition("/")[0],
        "at": NOW,
        "why": "it was drawn at random",
        "share": 0.05,
        "role": "lead",
        "people": ("ana@example.com", "bö@example.com"),
    }
    return ReviewRow(key=key, **given | more)


def answer(key: str = "a:1/pay/1", **more: Any) -> AnswerRow:
    given: dict[str, Any] = {
        "answer": "wrong",
        "by": "ana@example.com",
        "at": NOW + MINUTE,
        "note": "ä'; drop table handrail_reviews; --",
        "proof": "x.y.z",
    }
    return AnswerRow(key=key, **given | more)


def incident(key: str = "a:1/pay/1", **more: Any) -> IncidentRow:
    given: dict[str, Any] = {
        "id": f"{key}!mismatch",
        "agent": "a",
        "step": "pay",
        "case": key.partition("/")[0],
        "key": key,
        "kind": "mismatch",
        "what": "the account has 3, not 5",
        "at": NOW,
    }
    return IncidentRow(**given | more)


# Reviews


async def test_a_review_comes_back_as_it_was_put(ledger: Ledger) -> None:
    row = review(requester="cy@example.com")
    assert await ledger.review(row)
    assert not await ledger.review(replace(row, why="again"))
    assert await ledger.reviews() == [row]
    assert await ledger.review_of(row.key) == row
    assert await ledger.review_of("a:2/pay/1") is None


async def test_reviews_are_found_and_those_that_wait_longest_come_first(ledger: Ledger) -> None:
    rows = [
        review("a:1/pay/1", at=NOW + MINUTE),
        review("a:2/ship/1", step="ship"),
        review("b:1/pay/1", agent="b", at=NOW - MINUTE),
    ]
    for row in rows:
        await ledger.review(row)
    await ledger.answer_review(answer("a:2/ship/1"))

    async def found(*args: Any, **by: Any) -> list[str]:
        return [each.key for each in await ledger.reviews(*args, **by)]

    assert await found() == ["b:1/pay/1", "a:2/ship/1", "a:1/pay/1"]
    assert await found(open_only=True) == ["b:1/pay/1", "a:1/pay/1"]
    assert await found("a") == ["a:2/ship/1", "a:1/pay/1"]
    assert await found("a", step="pay") == ["a:1/pay/1"]
    assert await found(case="a:2") == ["a:2/ship/1"]
    assert await found(limit=1) == ["b:1/pay/1"]
    assert await found(newest=True, limit=2) == ["a:1/pay/1", "a:2/ship/1"]
    assert await found(begins="a:1/") == ["a:1/pay/1"]
    assert await found(begins="a%") == []


async def test_a_later_answer_of_the_same_person_counts_and_both_are_kept(ledger: Ledger) -> None:
    await ledger.review(review())
    first, second = answer(), answer(answer="harmless", at=NOW + 2 * MINUTE, proof="u.v.w")
    assert await ledger.answer_review(first)
    assert await ledger.answer_review(second)
    found = await ledger.review_of("a:1/pay/1")
    assert found == review(
        answer="harmless",
        by="ana@example.com",
        answered=NOW + 2 * MINUTE,
        note=second.note,
        proof="u.v.w",
    )
    assert await ledger.review_answers("a:1/pay/1") == [first, second]


async def test_nobody_answers_over_somebody_else(ledger: Ledger) -> None:
    await ledger.review(review())
    await ledger.answer_review(answer())
    with pytest.raises(AlreadyReviewed, match="has answered"):
        await ledger.answer_review(answer(by="bo@example.com", answer="right"))
    assert await ledger.review_answers("a:1/pay/1") == [answer()]


async def test_of_two_at_once_one_has_answered(ledger: Ledger) -> None:
    keys = [f"a:{number}/pay/1" for number in range(8)]
    for key in keys:
        await ledger.review(review(key))
    both = [answer(key, by=by) for key in keys for by in ("ana@example.com", "bo@example.com")]
    done = await asyncio.gather(*map(ledger.answer_review, both), return_exceptions=True)
    assert done.count(True) == len(keys)
    assert sum(isinstance(each, AlreadyReviewed) for each in done) == len(keys)
    for key in keys:
        (kept,) = await ledger.review_answers(key)
        found = await ledger.review_of(key)
        assert found is not None
        assert found.by == kept.by


async def test_what_is_not_reviewed_cannot_be_answered(ledger: Ledger) -> None:
    assert not await ledger.answer_review(answer())
    assert await ledger.review_answers("a:1/pay/1") == []


# Incidents


async def test_an_incident_that_is_met_again_is_the_same(ledger: Ledger) -> None:
    assert await ledger.incident(incident())
    assert not await ledger.incident(incident(what="something else"))
    assert await ledger.incidents() == [incident()]


async def test_incidents_are_found_the_newest_first_and_closed_once(ledger: Ledger) -> None:
    await ledger.incident(incident())
    await ledger.incident(incident("a:2/pay/1", at=NOW + MINUTE))
    await ledger.incident(incident("b:1/ship/1", agent="b", step="ship", at=NOW + 2 * MINUTE))

    async def found(*args: Any, **by: Any) -> list[str]:
        return [each.key for each in await ledger.incidents(*args, **by)]

    assert await found() == ["b:1/ship/1", "a:2/pay/1", "a:1/pay/1"]
    assert await found("a", limit=1) == ["a:2/pay/1"]
    assert await found(agents=["b"]) == ["b:1/ship/1"]
    assert await found(agents=[]) == []
    assert await found(case="a:1", step="pay") == ["a:1/pay/1"]
    assert await found(since=NOW + MINUTE) == ["b:1/ship/1", "a:2/pay/1"]
    assert await ledger.close_incident("a:1/pay/1!mismatch", "bo@example.com", NOW, "paid back")
    assert not await ledger.close_incident("a:1/pay/1!mismatch", "cy@example.com", NOW, "again")
    assert not await ledger.close_incident("none", "cy@example.com", NOW, "none")
    assert await found(open_only=True) == ["b:1/ship/1", "a:2/pay/1"]
    (closed,) = await ledger.incidents(case="a:1")
    assert (closed.closed, closed.closed_by, closed.closed_why) == (
        NOW,
        "bo@example.com",
        "paid back",
    )


# Figures


def alone(key: str, **more: Any) -> Intent:
    given: dict[str, Any] = {
        "evidence": {"vip": True}, "confidence": 0.75, "alone": True, "share": 1.0,
    }  # fmt: skip
    return intent(key, **given | more)


async def wrote(ledger: Ledger, key: str, **more: Any) -> None:
    """A write that was made, and put before a human if it falls so."""
    made = alone(key, **more)
    await ledger.begin(made)
    await ledger.finish(Receipt(key=key, step=made.step, digest=made.digest, at=NOW, result="ok"))
    if made.alone and made.share and is_drawn("a", made.step, key, made.share):
        await ledger.review(review(key, step=made.step, share=made.share))


async def said(ledger: Ledger, key: str, what: str) -> None:
    written = await ledger.written(key)
    assert written is not None
    await ledger.answer_review(
        signed_answer(new_opinion(written, what, ANA.person or "", "so", NOW), ANA, NOW)
    )


async def test_what_was_written_is_shown_whole(ledger: Ledger) -> None:
    assert await ledger.written("a:1/pay/1") is None
    await wrote(ledger, "a:1/pay/1")
    found = await ledger.written("a:1/pay/1")
    assert found is not None
    assert (found.action, found.evidence, found.confidence) == (
        {"amount": "10"},
        {"vip": True},
        0.75,
    )
    assert found.receipt is not None
    assert (found.receipt.result, found.undone) == ("ok", None)
    await wrote(ledger, undo_key("a:1/pay/1"), step="back", alone=None, share=None)
    again = await ledger.written("a:1/pay/1")
    assert again is not None
    assert again.undone is not None


async def test_the_figures_of_nothing(ledger: Ledger) -> None:
    found = await measure_track_record(ledger, "a", "pay")
    assert (found.written, found.alone, found.reviewed, found.wrong) == (0, 0, 0, None)


async def test_the_figures_count_what_ran_alone_and_what_was_said_of_it(ledger: Ledger) -> None:
    for number in range(6):
        await wrote(ledger, f"a:{number}/pay/1")
    await wrote(ledger, "a:6/pay/1", alone=False)
    await wrote(ledger, "a:7/pay/1", share=None)
    await wrote(ledger, "a:8/ship/1", step="ship")
    await wrote(ledger, undo_key("a:0/pay/1"), step="back", alone=None, share=None)
    for number, what in enumerate(["wrong", "right", "harmless", "right"]):
        await said(ledger, f"a:{number}/pay/1", what)
    await ledger.incident(incident())
    await ledger.incident(incident("a:2/pay/1"))
    await ledger.close_incident("a:2/pay/1!mismatch", "bo@example.com", NOW, "done")
    planted = [("reject", True), ("approve", True), ("amend", True), ("reject", False)]
    await ledger.record_rulings([_ruling(n, *each) for n, each in enumerate(planted)])
    found = await measure_track_record(
        ledger, "a", "pay", keys={ANA.kid: ANA.public()}, now=datetime.now(UTC)
    )
    assert found.until is not None
    assert replace(found, wrong=None, faulty=None, until=None) == TrackRecord(
        agent="a",
        step="pay",
        written=8,
        alone=7,
        covered=6,
        settled=4,
        until=None,
        drawn=6,
        reviewed=4,
        waiting=2,
        overdue=0,
        unproven=0,
        right=2,
        harmless=1,
        found_wrong=1,
        wrong=None,
        faulty=None,
        incidents=2,
        open_incidents=1,
        rolled_back=1,
        planted=3,
        caught=1,
        missed=1,
    )
    assert found.wrong == ErrorShare(0.25, 0.0, 1.0)
    assert found.faulty == ErrorShare(0.5, 0.0, 1.0)
    whole = await measure_track_record(ledger, "a")
    assert (whole.step, whole.written, whole.covered) == (None, 9, 7)


def _ruling(number: int, verb: str, planted: bool) -> RulingRow:  # noqa: FBT001  # a row of a table
    given: dict[str, Any] = {"gate": "g1", "digest": "d" * 64, "by": "Ana@example.com"}
    more: dict[str, Any] = {"case": "a:1", "step": "pay", "digest": "d" * 64, "kid": "k1"}
    sent = Ruling.model_validate(given)
    return RulingRow.of(
        sent,
        verb=verb,
        jti=str(number),
        by="ana@example.com",
        at=NOW,
        planted=planted,
        **more,
    )


async def test_what_waits_is_not_passed_over(ledger: Ledger) -> None:
    """Nobody makes the figures better by answering only what is right."""
    for number in range(5):
        await wrote(ledger, f"a:{number}/pay/1")
    for number in (0, 2, 3, 4):
        await said(ledger, f"a:{number}/pay/1", "right")
    found = await measure_track_record(ledger, "a", "pay")
    assert (found.reviewed, found.waiting, found.settled) == (4, 1, 1)
    await said(ledger, "a:1/pay/1", "wrong")
    found = await measure_track_record(ledger, "a", "pay")
    assert (found.settled, found.until) == (5, None)
    assert found.wrong is not None
    assert found.wrong.guess == 0.2


async def test_what_an_earlier_build_did_counts_no_more_and_what_waits_of_it_is_told(
    ledger: Ledger,
) -> None:
    for number in range(4):
        await wrote(ledger, f"a:{number}/pay/1")
    for number in (0, 2):
        await said(ledger, f"a:{number}/pay/1", "wrong")
    since = datetime.now(UTC)
    for number in range(4, 7):
        await wrote(ledger, f"a:{number}/pay/1")
        await said(ledger, f"a:{number}/pay/1", "right")
    found = await measure_track_record(ledger, "a", "pay", since=since)
    assert (found.settled, found.drawn, found.waiting) == (3, 7, 2)
    assert found.wrong is not None
    assert found.wrong.guess == 0
    whole = await measure_track_record(ledger, "a", "pay")
    assert whole.wrong is not None
    assert (whole.settled, whole.wrong.guess) == (1, 1)


async def test_what_waits_too_long_counts_as_wrong_above_only(ledger: Ledger) -> None:
    """Nobody makes the figures better by not answering."""
    for number in range(40):
        await wrote(ledger, f"a:{number}/pay/1")
        if number != 7:
            await said(ledger, f"a:{number}/pay/1", "right")
    later = datetime.now(UTC) + OVERDUE
    before = await measure_track_record(ledger, "a", "pay", now=later - MINUTE)
    after = await measure_track_record(ledger, "a", "pay", now=later + MINUTE)
    assert (before.settled, before.overdue) == (7, 0)
    assert (after.settled, after.overdue, after.waiting) == (40, 1, 1)
    await said(ledger, "a:7/pay/1", "wrong")
    told = await measure_track_record(ledger, "a", "pay", now=later + MINUTE)
    assert after.wrong is not None
    assert told.wrong is not None
    assert (after.wrong.guess, after.wrong.low) == (0, 0)
    assert after.wrong.high == told.wrong.high


async def test_an_answer_that_does_not_prove_itself_is_none(ledger: Ledger) -> None:
    await wrote(ledger, "a:1/pay/1")
    await ledger.answer_review(answer(answer="right"))
    taken = await measure_track_record(ledger, "a", "pay")
    assert (taken.reviewed, taken.unproven) == (1, 0)
    found = await measure_track_record(ledger, "a", "pay", keys={ANA.kid: ANA.public()})
    assert (found.reviewed, found.unproven, found.waiting, found.settled) == (0, 1, 1, 0)


async def test_a_review_that_was_lost_waits_all_the_same(ledger: Ledger) -> None:
    """Of a worker that died between the receipt and its review, say: its key says it was drawn."""
    key = "a:1/pay/1"
    await ledger.begin(alone(key))
    await ledger.finish(Receipt(key=key, step="pay", digest="d" * 64, at=NOW))
    found = await measure_track_record(ledger, "a", "pay")
    assert (found.drawn, found.waiting, found.settled) == (1, 1, 0)


async def test_those_drawn_stand_for_those_that_were_not(ledger: Ledger) -> None:
    """Of 400 writes every tenth is drawn more often; the wrong are all among those."""
    keys = {f"a:{n}/pay/1": 0.5 if n % 10 == 0 else 0.1 for n in range(400)}
    for key, chance in keys.items():
        await wrote(ledger, key, share=chance)
        if is_drawn("a", "pay", key, chance):
            await said(ledger, key, "wrong" if chance == 0.5 else "right")
    found = await measure_track_record(ledger, "a", "pay")
    assert found.wrong is not None
    assert found.found_wrong / found.reviewed > 0.25
    assert found.wrong.guess == found.found_wrong * 2 / 400
    assert found.wrong.low <= 0.1 <= found.wrong.high
