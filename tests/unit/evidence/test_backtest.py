"""What another policy would have said of writes that were decided before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handrail import Ledger
from handrail.actions import Basis, Finding, Kind, Level, digest_of
from handrail.evidence.backtest import ReplayedWrite, proposals, replay_policies, verdict_changes
from handrail.ledger import Duplicate, Intent, OverLimit, VerdictRow
from handrail.policy import Policy, Setting, parse_policy
from tests.agents.payments import GOOD, PATH, SHAPE, Known, Pay, policy

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
FULL = ("    rollout: 50%\n", "")


def row(number: int, kind: str = "pass", key: str = "", **more: Any) -> VerdictRow:
    action = Pay(
        amount=more.pop("amount", Decimal(10)),
        customer=more.pop("customer", f"C{number}"),
        currency=more.pop("currency", "EUR"),
        entity=more.pop("entity", "EU"),
    ).model_dump(mode="json")
    known: dict[str, Any] = {
        "at": NOW + timedelta(minutes=number),
        "findings": (),
        "basis": Basis(confidence=0.9, evidence=Known().model_dump(mode="json")),
        "pilot": False,
    }
    return VerdictRow(
        case=f"payments:{number}",
        agent="payments",
        step="pay",
        key=key,
        digest=digest_of("pay", action),
        kind=Kind(kind),
        policy="payments v1",
        autonomy="full",
        action=action,
        requester=None,
        **(known | more),
    )


def judge(
    rows: list[VerdictRow], after: Policy, before: Policy | None = None
) -> list[ReplayedWrite]:
    found, unreadable = replay_policies(
        proposals(rows), SHAPE, (before or policy(FULL), after), ({}, {})
    )
    assert unreadable == []
    return found


def kinds(found: list[ReplayedWrite]) -> list[tuple[str, str]]:
    return [(each.before.kind, each.after.kind) for each in found]


def test_the_same_policy_says_the_same() -> None:
    found = judge([row(1), row(2, entity="US"), row(3, amount=Decimal(600))], policy(FULL))
    assert kinds(found) == [("pass", "pass"), ("refuse", "refuse"), ("refuse", "refuse")]
    assert all(each.before.same(each.after) for each in found)


def test_a_rule_more_holds_and_says_why_leaf_by_leaf() -> None:
    rule = "      - when: action.amount >= 10\n        why: it is dear\n"
    after = policy(FULL, ("    limits:\n", f"{rule}    limits:\n"))
    (found,) = judge([row(1)], after)
    assert kinds([found]) == [("pass", "hold")]
    assert found.after.reasons == ("it is dear: amount 10 >= 10",)
    assert found.changed


def test_scope_autonomy_and_rollout() -> None:
    wider = policy(FULL, ('action.entity == "EU"', 'action.entity in ["EU", "US"]'))
    assert kinds(judge([row(1, entity="US")], wider)) == [("refuse", "pass")]
    held = policy(FULL, ("    autonomy: full\n    risk", "    autonomy: supervised\n    risk"))
    assert kinds(judge([row(1)], held)) == [("pass", "hold")]
    half = judge([row(n) for n in range(50)], policy())
    assert 10 < sum(each.changed for each in half) < 40


def test_what_was_set_at_run_time_counts_for_both() -> None:
    set_ = {"pay": Setting(Level.SUPERVISED, label="ana")}
    both = (policy(FULL), policy(FULL, ("risk: medium", "risk: critical")))
    found, _ = replay_policies(proposals([row(1)]), SHAPE, both, (set_, set_))
    assert kinds(found) == [("hold", "hold")]
    for level, kind in ((Level.PILOT, "pilot"), (Level.STOP, "stop")):
        other = {"pay": Setting(level, label="ana")}
        found, _ = replay_policies(proposals([row(1)]), SHAPE, both, ({}, other))
        assert kinds(found) == [("pass", kind)]


def test_limits_are_counted_over_what_would_have_been_written() -> None:
    rows = [row(n, customer="C7", amount=Decimal(100) + n) for n in range(8)]
    smaller = policy(FULL, ("500 EUR per hour per", "205 EUR per hour per"))
    found = judge(rows, smaller)
    assert [k for k, _ in kinds(found)] == ["pass"] * 4 + ["refuse"] * 4
    assert [k for _, k in kinds(found)] == ["pass"] * 2 + ["refuse"] * 6
    why = 'amount 102 + 201 before of customer "C7" > 205'
    assert found[2].after.reasons[0].endswith(why)


def test_a_window_that_is_over_makes_room() -> None:
    rows = [row(n * 61, customer="C7", amount=Decimal(500)) for n in range(3)]
    longer = policy(
        FULL, ("500 EUR per hour per", "500 EUR per day per"), ("within: 7d", "within: 1h")
    )
    assert kinds(judge(rows, longer, policy(FULL, ("within: 7d", "within: 1h")))) == [
        ("pass", "pass"),
        ("pass", "refuse"),
        ("pass", "refuse"),
    ]


def test_what_held_counts_only_if_it_was_written_then() -> None:
    vip = Known.model_validate({"account": {"vip": True}}).model_dump(mode="json")
    basis = Basis(confidence=0.9, evidence=vip)
    held = row(1, "hold", customer="C7", amount=Decimal(400), basis=basis)
    passed = row(1, "pass", "k1", customer="C7", amount=Decimal(400), basis=basis)
    later = row(2, customer="C7", amount=Decimal(200))
    assert kinds(judge([held, later], policy(FULL))) == [("hold", "hold"), ("pass", "pass")]
    found = judge([held, passed, later], policy(FULL))
    assert kinds(found) == [("hold", "hold"), ("refuse", "refuse")]


def test_duplicates_are_held() -> None:
    rows = [row(1, customer="C7"), row(2, customer="C7"), row(3, customer="C7", amount=Decimal(11))]
    without = policy(FULL, ("    duplicates: {same: [customer, amount], within: 7d}\n", ""))
    found = judge(rows, policy(FULL), without)
    assert kinds(found) == [("pass", "pass"), ("pass", "hold"), ("pass", "pass")]
    assert found[1].after.reasons[0].startswith("the same as in payments:1 at 2026-11-01 12:01")


def test_what_a_policy_cannot_know_is_carried_over() -> None:
    check = Finding(check="check: stock", kind=Kind.REFUSE, why="none is left")
    odd = Finding(check="normal: amount", kind=Kind.HOLD, why="4 times as much as usual")
    rows = [row(1, "refuse", findings=(check,)), row(2, "hold", findings=(odd,))]
    text = GOOD[: GOOD.index("    normal: {")] + GOOD[GOOD.index("    review: {random") :]
    text = text.replace(*FULL).replace("    up to: (confidence ?? 1) > 0.2\n", "")
    found = judge(rows, parse_policy(text, PATH, SHAPE))
    assert kinds(found) == [("refuse", "refuse"), ("hold", "pass")]


def test_text_from_outside_holds_where_the_policy_looks_at_it() -> None:
    basis = Basis(
        confidence=0.9, evidence=Known().model_dump(mode="json"), unsourced=("action.entity",)
    )
    blind = policy(FULL, ('action.entity == "EU"', 'action.customer != ""'))
    found = judge([row(1, basis=basis)], policy(FULL), blind)
    assert kinds(found)[0][1] == "hold"
    assert any(each.check.startswith("source") for each in found[0].after.findings)


def test_one_write_is_one_however_often_it_was_judged() -> None:
    foreseen, first = row(1, "hold"), row(1, "hold", "k1")
    amended = row(1, "pass", "k1", amount=Decimal(5))
    other = row(1, "pass", "k2")  # the case writes the like again
    found = proposals([foreseen, first, amended, other])
    assert [each.key for each in found] == ["k1", "k2"]
    assert found[0].written == amended
    assert found[0].first == foreseen


def test_what_todays_code_cannot_read_is_left_out_and_said() -> None:
    gone = row(1)
    gone.action["amount"] = "a lot"
    found, unreadable = replay_policies(
        proposals([gone, row(2)]), SHAPE, (policy(FULL), policy(FULL)), ({}, {})
    )
    assert (len(found), len(unreadable)) == (1, 1)


def test_a_write_that_nobody_may_approve_any_more_is_refused() -> None:
    after = policy(FULL, ("deadline: {", "up to: confidence > 0.99\n    deadline: {"))
    basis = Basis(confidence=0.9, evidence={"account": {"id": "A1", "vip": True}, "score": 1.0})
    (found,) = judge([row(1, basis=basis)], after)
    assert kinds([found]) == [("hold", "refuse")]
    assert "nobody may approve it" in found.after.reasons[-1]


def test_the_matrix_sums_what_moves_in_each_currency() -> None:
    rows = [row(1), row(2, currency="USD"), row(3, amount=Decimal("0.50"))]
    held = policy(FULL, ("    autonomy: full\n    risk", "    autonomy: supervised\n    risk"))
    (moved,) = verdict_changes(judge(rows, held), lambda _: ["amount"])
    assert (moved.before, moved.after, moved.writes) == ("pass", "hold", 3)
    assert moved.amounts == {"amount EUR": Decimal("10.50"), "amount USD": Decimal(10)}


# The replay counts as the ledger does

WRITES = st.lists(
    st.tuples(
        st.sampled_from(["C1", "C2"]),
        st.decimals("-5", "300", places=2),
        st.sampled_from(["EUR", "USD"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(WRITES)
def test_limits_and_duplicates_come_out_as_in_the_ledger(
    tmp_path: Path, writes: list[tuple[str, Decimal, Any]]
) -> None:
    under = policy(FULL)
    rows = [
        row(n, customer=customer, amount=amount, currency=currency)
        for n, (customer, amount, currency) in enumerate(writes)
    ]
    for position, each in enumerate(rows):
        object.__setattr__(each, "at", NOW + timedelta(seconds=position))
    found = judge(rows, under)
    assert [each.after.kind for each in found] == asyncio.run(_in_ledger(tmp_path, under, rows))


async def _in_ledger(home: Path, under: Policy, rows: list[VerdictRow]) -> list[str]:
    (home / "l.db").unlink(missing_ok=True)
    (home / "l.db-wal").unlink(missing_ok=True)
    found: list[str] = []
    async with Ledger(f"sqlite:///{home}/l.db") as ledger:
        for each in rows:
            evidence = each.basis.evidence if each.basis else None
            intent = Intent(
                key=each.case,
                case=each.case,
                agent="payments",
                step="pay",
                digest=each.digest,
                action=each.action,
                policy="",
                owner="one",
                deadline=NOW,
                evidence=evidence,
            )
            try:
                entry = under.of("pay")
                await ledger.begin(intent, entry.limits, entry.duplicates)
                found.append("pass")
            except OverLimit:
                found.append("refuse")
            except Duplicate:
                found.append("hold")
    return found


@pytest.mark.parametrize("kind", ["pass", "hold"])
def test_a_pilot_is_never_taken_for_written(kind: str) -> None:
    (found,) = proposals([row(1, kind, "k1", pilot=True)])
    assert found.written is None
