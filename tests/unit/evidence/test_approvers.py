"""Who rules without looking, by the definitions of `handrail.evidence.approvers`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handrail.actions import Ruling
from handrail.evidence.approvers import ApproverAttention, approver_attention, inattentive
from handrail.ledger import RulingRow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def row(number: int, verb: str = "approve", by: str = "ana@example.com", **more: Any) -> RulingRow:
    return RulingRow.of(
        Ruling(gate="g", digest="d" * 64, by=by, looked=more.pop("looked", None)),
        verb=verb,
        case="a:1",
        step="pay",
        digest="d" * 64,
        by=by,
        jti=f"{by}{number:04}",
        kid="k",
        at=NOW + timedelta(minutes=number),
        **more,
    )


def ana(rows: list[RulingRow]) -> ApproverAttention:
    (found,) = approver_attention(rows)
    return found


@pytest.mark.parametrize(
    ("yes", "no", "flags"),
    [
        (50, 0, ("said yes to 100% of the last 50",)),
        (48, 2, ("said yes to 96% of the last 50",)),
        (47, 3, ()),  # 94 %
        (49, 0, ()),  # too few to say
        (19, 1, ()),
    ],
)
def test_yes_to_more_than_95_percent_of_50_is_a_flag(yes: int, no: int, flags: Any) -> None:
    found = ana([row(n) for n in range(yes)] + [row(99 + n, "reject") for n in range(no)])
    assert found.flags == flags


def test_only_the_last_50_count_in_whatever_order_they_come() -> None:
    old = [row(n, "reject") for n in range(60)]
    new = [row(100 + n) for n in range(50)]
    found = ana([*new, *old])
    assert (found.decisions, found.counted, found.yes) == (110, 50, 1.0)
    assert found.last == NOW + timedelta(minutes=149)
    assert ana([*[row(n) for n in range(60)], *[row(99 + n, "reject") for n in range(3)]]).yes == (
        47 / 50
    )


def test_who_changes_something_has_read_it() -> None:
    found = ana([row(n) for n in range(45)] + [row(99 + n, "amend") for n in range(5)])
    assert (found.yes, found.flags) == (0.9, ())


def test_what_decides_nothing_is_not_counted() -> None:
    verbs = ("ask", "delegate", "revoke", "answer")
    assert approver_attention([row(n, verb, looked=0.1) for n, verb in enumerate(verbs)]) == []
    found = ana([row(1, "reject"), *(row(9 + n, verb) for n, verb in enumerate(verbs))])
    assert (found.decisions, found.yes, found.last) == (1, 0.0, NOW + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("looks", "flags"),
    [
        ([4.9] * 10, ("looked for 4.9 s in the median of 10",)),
        ([4.9] * 9, ()),
        ([5.0] * 10, ()),
        ([1.0] * 5 + [8.9] * 5, ("looked for 4.95 s in the median of 10",)),
        ([1.0] * 5 + [9.0] * 5, ()),
        ([0.0] * 6 + [3600.0] * 5, ("looked for 0 s in the median of 11",)),
    ],
)
def test_a_median_look_under_5_seconds_is_a_flag(looks: list[float], flags: Any) -> None:
    measured = [row(n, "reject", looked=looked) for n, looked in enumerate(looks)]
    unmeasured = [row(99 + n, "reject") for n in range(20)]
    found = ana([*measured, *unmeasured])
    assert (found.measured, found.flags) == (len(looks), flags)


def test_without_a_measured_look_there_is_no_median() -> None:
    assert ana([row(1, "reject")]).looked is None


def test_a_planted_proposal_that_was_approved_is_a_flag_however_long_ago() -> None:
    planted = [
        row(1, planted=True),
        row(2, "reject", planted=True),
        row(3, "amend", planted=True),
        row(4, planted=False),
    ]
    found = ana([*planted, *(row(9 + n, "reject") for n in range(60))])
    assert (found.planted, found.caught, found.missed) == (3, 1, 1)
    assert found.flags == ("approved 1 of 3 planted bad proposals",)
    assert ana(planted[1:]).flags == ()


def test_each_person_by_themselves_those_with_flags_first() -> None:
    rows = [
        row(1, "reject", "ana@example.com", stands_for="cy@example.com"),
        row(2, by="bo@example.com", planted=True),
    ]
    assert [each.person for each in approver_attention(rows)] == [
        "bo@example.com",
        "ana@example.com",
    ]
    assert inattentive(rows) == {"bo@example.com": ("approved 1 of 1 planted bad proposals",)}
