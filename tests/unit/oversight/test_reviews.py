"""Review afterwards: what is drawn, who may answer, and what proves an answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail import Action
from handrail.ledger import AnswerRow, ReviewedWrite, ReviewRow
from handrail.oversight.keys import SigningKey
from handrail.oversight.reviews import (
    Draw,
    NotReviewed,
    Opinion,
    ReviewAnswer,
    draw,
    is_drawn,
    new_opinion,
    require_proven_answer,
    review_chance,
    review_due,
    signed_answer,
    why_not_reviewer,
)
from handrail.oversight.signatures import MANDATE_STATEMENT, NotProven
from handrail.policy import AgentShape, Facts, Policy, PolicyFile, Review, WriteShape

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANA = SigningKey.new("ana@example.com", NOW)
BO = SigningKey.new("bo@example.com", NOW)
KEYS = {each.kid: each.public() for each in (ANA, BO)}


def sampling(random: int = 0, unusual: int = 0) -> Review:
    """Parts of 10,000."""
    return Review(random, unusual, "clerk")


def drawn_of(review: Review | None, key: str, *, unusual: bool = False) -> Draw | None:
    return draw(review, "a", "pay", key, review_chance(review, unusual=unusual))


WRITTEN = ReviewedWrite(
    key="a:1/pay/1",
    agent="a",
    step="pay",
    case="a:1",
    digest="d" * 64,
    action={"amount": "10"},
    evidence=None,
    confidence=0.9,
    policy="a v1",
    begun=NOW,
    receipt=None,
    undone=None,
)
ROW = ReviewRow(
    key="a:1/pay/1",
    agent="a",
    step="pay",
    case="a:1",
    at=NOW,
    why="it was drawn",
    share=0.05,
    role="lead",
    people=("Ana@example.com", "bo@example.com"),
    requester="bo@example.com",
)


POLICY = """\
agent: pay
version: 1
owner: boss@example.com
actions: {pay: {autonomy: supervised}}
roles:
  lead:
    people: [ana@example.com]
    up to: action.amount <= 100
    deadline: {after: 1h, then: escalate, to: head}
  head: {people: [cy@example.com], deadline: {after: 1h, then: refuse}}
"""


class Pay(Action):
    """Pay."""

    amount: Decimal


def policy_of(directory: Path) -> Policy:
    path = directory / "pay.yaml"
    path.write_text(POLICY)
    return PolicyFile(
        path, AgentShape("pay", {"pay": WriteShape("pay", Pay, undo="back")})
    ).current()


def facts_of(case: str, amount: Decimal = Decimal(10)) -> Facts:
    return Facts("pay", Pay(amount=amount), None, None, case, "bo@example.com")


# What is drawn


@pytest.mark.parametrize(
    ("review", "usual", "unusual"),
    [
        (None, None, None),
        (sampling(), None, None),
        (sampling(500), 0.05, 0.05),
        (sampling(500, 5_000), 0.05, 0.5),
        (sampling(500, 100), 0.05, 0.05),
        (sampling(0, 5_000), None, 0.5),
        (sampling(20_000), 1.0, 1.0),
    ],
)
def test_a_write_is_drawn_with_a_chance_that_is_known(
    review: Review | None, usual: float | None, unusual: float | None
) -> None:
    assert review_chance(review, unusual=False) == usual
    assert review_chance(review, unusual=True) == unusual


def test_the_share_that_is_drawn_is_the_share_that_was_said() -> None:
    keys = [f"a:{number}/pay/1" for number in range(20_000)]
    drawn = [key for key in keys if drawn_of(sampling(500), key, unusual=False)]
    assert abs(len(drawn) / len(keys) - 0.05) < 0.005
    assert drawn == [key for key in keys if is_drawn("a", "pay", key, 0.05)]


def test_what_is_drawn_at_random_is_drawn_where_it_is_unusual_too() -> None:
    review = sampling(500, 5_000)
    keys = [f"a:{number}/pay/1" for number in range(2_000)]
    usual = {key for key in keys if drawn_of(review, key, unusual=False)}
    odd = {key for key in keys if drawn_of(review, key, unusual=True)}
    assert usual < odd
    assert 900 < len(odd) < 1_100
    found = drawn_of(review, next(iter(odd - usual)), unusual=True)
    assert found is not None
    assert (found.why, found.share) == (
        "something about it was unusual, as 50 % of such writes are",
        0.5,
    )


def test_the_draw_is_the_same_for_ever() -> None:
    """A promise: figures count as drawn what was drawn by an older version."""
    assert [n for n in range(100) if is_drawn("a", "pay", f"a:{n}/pay/1", 0.05)] == [5, 79, 99]


def test_a_retry_draws_with_the_chance_with_which_the_write_began(tmp_path: Path) -> None:
    """After a crash nobody knows any more what was unusual, and the policy may be another."""
    policy, facts = policy_of(tmp_path), facts_of("pay:7")
    lower = Review(random=1, unusual=1, role="lead")
    given: dict[str, Any] = {"agent": "pay", "key": "pay:7/pay/1", "unusual": False, "now": NOW}
    assert review_due(policy, lower, facts, **given) is None
    again = review_due(policy, lower, facts, chance=1.0, **given)
    assert again is not None
    assert (again.share, again.role, again.people) == (1.0, "lead", ("ana@example.com",))
    assert (again.case, again.requester) == ("pay:7", "bo@example.com")
    assert review_due(policy, None, facts, chance=1.0, **given) is None


def test_where_the_role_may_not_approve_a_write_who_may_looks_at_it(tmp_path: Path) -> None:
    policy, facts = policy_of(tmp_path), facts_of("pay:8", amount=Decimal(900))
    every = Review(random=10_000, unusual=0, role="lead")
    found = review_due(policy, every, facts, agent="pay", key="1", unusual=False, now=NOW)
    assert found is not None
    assert found.people == ("cy@example.com",)


def test_all_are_drawn_where_all_should_be_and_none_where_none() -> None:
    assert all(is_drawn("a", "pay", str(number), 1.0) for number in range(200))
    assert drawn_of(None, "1", unusual=True) is None
    assert drawn_of(sampling(), "1", unusual=True) is None


# Who may answer


@pytest.mark.parametrize(
    ("row", "who", "why"),
    [
        (ROW, "ana@example.com", None),
        (ROW, "ANA@example.com", None),
        (ROW, "bo@example.com", "you asked for this write"),
        (ROW, "cy@example.com", "is not of the role lead"),
        (replace(ROW, by="ana@example.com"), "ana@example.com", None),
        (replace(ROW, by="dee@example.com"), "ana@example.com", "has answered it already"),
    ],
)
def test_who_may_answer(row: ReviewRow, who: str, why: str | None) -> None:
    said = why_not_reviewer(row, who)
    assert said is None if why is None else why in (said or "")


def test_who_is_of_the_role_now_may_answer_too() -> None:
    assert why_not_reviewer(ROW, "new@example.com", ["New@example.com"]) is None


# Answers


@pytest.mark.parametrize(
    ("answer", "why", "wrong"),
    [
        ("maybe", "x", "no answer"),
        ("wrong", " ", "say what is wrong"),
        ("harmless", "", "say what is wrong"),
        ("right", "x" * 4_001, "at most 4000"),
    ],
)
def test_an_answer_that_says_nothing_is_refused(answer: str, why: str, wrong: str) -> None:
    with pytest.raises(NotReviewed, match=wrong):
        new_opinion(WRITTEN, answer, "ana@example.com", why, NOW)


def given(answer: str = "wrong", by: str = "Ana@example.com") -> AnswerRow:
    said = new_opinion(WRITTEN, answer, by, "too much", NOW)
    return signed_answer(said, ANA, NOW)


def test_an_answer_proves_itself() -> None:
    row = given()
    said = require_proven_answer(row, KEYS, NOW + timedelta(days=900))
    assert said == Opinion(
        key="a:1/pay/1",
        digest="d" * 64,
        answer=ReviewAnswer.WRONG,
        by="ana@example.com",
        at=NOW,
        why="too much",
    )


@pytest.mark.parametrize(
    "change",
    [{"answer": "right"}, {"key": "a:2/pay/1"}, {"by": "bo@example.com"}],
)
def test_what_was_altered_does_not(change: dict[str, Any]) -> None:
    with pytest.raises(NotProven, match="altered"):
        require_proven_answer(replace(given(), **change), KEYS, NOW)


def test_nobody_signs_for_another() -> None:
    said = new_opinion(WRITTEN, "right", "bo@example.com", "", NOW)
    with pytest.raises(NotProven, match="cannot sign for"):
        signed_answer(said, ANA, NOW)


def test_a_signature_on_something_else_is_none_on_an_answer() -> None:
    """A mandate of the same words, signed by the same key, is of another type."""
    said = new_opinion(WRITTEN, "right", "ana@example.com", "", NOW)
    row = replace(given("right"), proof=MANDATE_STATEMENT.sign(said, ANA, NOW))
    with pytest.raises(NotProven, match="type"):
        require_proven_answer(row, KEYS, NOW)


def test_an_answer_of_a_revoked_or_unknown_key_does_not_count() -> None:
    row = given()
    with pytest.raises(NotProven, match="not in the keyring"):
        require_proven_answer(row, {BO.kid: BO.public()}, NOW)
    gone = KEYS[ANA.kid].model_copy(update={"revoked": NOW, "why": "lost"})
    with pytest.raises(NotProven, match="revoked"):
        require_proven_answer(row, {ANA.kid: gone}, NOW)


def test_a_signature_is_opened_once_and_what_it_counts_for_is_judged_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page rests on thousands of them, and is opened again and again."""
    row = given()
    assert require_proven_answer(row, KEYS, NOW).answer == "wrong"
    head, body, signature = row.proof.split(".")
    other = f"{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    for _ in range(2):
        with pytest.raises(NotProven, match="not by the key"):
            require_proven_answer(replace(row, proof=f"{head}.{body}.{other}"), KEYS, NOW)
    monkeypatch.delattr("joserfc.jws.deserialize_compact")
    assert require_proven_answer(row, KEYS, NOW).answer == "wrong"
    with pytest.raises(NotProven, match="altered"):
        require_proven_answer(replace(row, answer="right"), KEYS, NOW)
    gone = KEYS[ANA.kid].model_copy(update={"revoked": NOW, "why": "lost"})
    with pytest.raises(NotProven, match="revoked"):
        require_proven_answer(row, {ANA.kid: gone}, NOW)


def test_what_a_key_signed_in_its_time_counts_after_it() -> None:
    over = KEYS[ANA.kid].model_copy(update={"expires": NOW + timedelta(days=1)})
    assert (
        require_proven_answer(given(), {ANA.kid: over}, NOW + timedelta(days=99)).answer == "wrong"
    )
