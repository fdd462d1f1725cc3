"""Discovery: what is worth an agent, and what is not, in logs whose truth is known."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from handrail.evidence import (
    END,
    Candidate,
    Discovery,
    EventLog,
    LoggedEvent,
    discover,
    discovery,
    read_csv_log,
)
from handrail.evidence.decision_tree import facts_of, grow, predict, rules
from handrail.exceptions import InvalidRequest

DATA = Path(__file__).parents[4] / "shared" / "data"
BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)


def log_of(
    choose: Callable[[random.Random, dict[str, str]], str], cases: int = 600, name: str = "made"
) -> EventLog:
    """Cases that are checked, and then go on as somebody chooses by what stands with the check."""
    chance = random.Random(name)  # noqa: S311  # a simulation
    log = EventLog(name)
    for number in range(cases):
        at = BEGIN + timedelta(hours=number)
        facts = {"amount": str(chance.randrange(1, 1_000)), "kind": chance.choice("abc")}
        then = at + timedelta(hours=chance.randrange(20, 60))
        log.events += [
            LoggedEvent(f"c{number}", "check", at, who="ana", facts=facts),
            LoggedEvent(f"c{number}", choose(chance, facts), then, who="bo"),
        ]
    return log


def after(found: Discovery, activity: str | None) -> Candidate:
    return next(each for each in found.candidates if each.after == activity)


def by_rule(_: random.Random, facts: dict[str, str]) -> str:
    return "refuse" if facts["kind"] == "a" and float(facts["amount"]) >= 500 else "pay"


def test_a_fact_that_bears_the_name_of_what_was_done_is_no_fact_to_decide_by() -> None:
    """An export often has the result of a case beside each of its rows."""
    log = log_of(lambda chance, _: chance.choice(["refuse", "pay out"]))
    for at in range(0, len(log.events), 2):
        check, then = log.events[at : at + 2]
        result = "Refused" if then.activity == "refuse" else "PAY-OUT (3)"
        log.events[at] = replace(check, facts={**check.facts, "result": result})
    found = after(discover([log, log_of(by_rule, name="other")]), "check")
    assert found.log == "other"  # the honest one comes first
    told = after(discover([log]), "check")
    assert told.predicted is not None
    assert (told.predicted.right.share, told.predicted.named) == (1.0, ("result",))
    assert any("may have been written after it" in each for each in told.against)
    left = after(discover([log], without={"result"}), "check")
    assert left.predicted is not None
    assert "result" not in left.predicted.facts
    assert any("they know something" in each for each in left.against)
    with pytest.raises(InvalidRequest, match="no row has reslt beside it; there are: amount, kind"):
        discover([log], without={"reslt"})


def test_a_decision_by_few_facts_is_a_good_target_and_the_facts_are_named() -> None:
    found = after(discover([log_of(by_rule)]), "check")
    assert found.predicted is not None
    assert found.predicted.facts == ("amount", "kind")
    assert (found.predicted.right.share or 0) > 0.97
    assert found.predicted.skill > 0.9
    assert found.against == ()
    assert found.feasibility > 0.9
    assert set(found.choices) == {"pay", "refuse"}
    assert any("amount, kind say what people did in" in each for each in found.why)


def test_what_people_toss_a_coin_for_is_a_bad_target() -> None:
    found = after(discover([log_of(lambda chance, _: chance.choice(["pay", "refuse"]))]), "check")
    assert found.predicted is not None
    assert (found.predicted.right.share or 0) < 0.65
    assert "they know something that is not in it" in found.against[0]
    assert found.feasibility < 0.75


def test_what_is_seldom_otherwise_and_without_a_sign_is_a_bad_target() -> None:
    def seldom(chance: random.Random, _: dict[str, str]) -> str:
        return "refuse" if chance.random() < 0.08 else "pay"

    found = after(discover([log_of(seldom)]), "check")
    assert "little more than always the most common" in found.against[0]


def test_a_routine_is_no_decision() -> None:
    def routine(chance: random.Random, _: dict[str, str]) -> str:
        return "refuse" if chance.random() < 0.012 else "pay"

    found = after(discover([log_of(routine, 2_000)]), "check")
    assert "a routine, not a decision" in found.against[0]


def test_a_fixed_sequence_has_nothing_to_decide_and_is_said_so() -> None:
    found = discover([log_of(lambda _chance, _facts: "pay")])
    assert [each.kind for each in found.candidates] == ["workflow"]
    assert "nothing in it is decided" in found.candidates[0].against[0]


def test_what_nobody_is_named_for_and_what_is_seldom_is_said() -> None:
    log = log_of(by_rule, 110)
    log.events = [
        LoggedEvent(e.case, e.activity, BEGIN + (e.at - BEGIN) * 200, facts=e.facts)
        for e in log.events
    ]
    against = " ".join(after(discover([log]), "check").against)
    assert "a month are few" in against
    assert "done by a machine already" in against


def test_too_few_are_not_judged() -> None:
    found = discover([log_of(by_rule, 90)])
    assert [each.kind for each in found.candidates] == ["workflow"]
    assert found.too_few == 3


def test_the_good_come_first_and_the_whole_is_as_good_as_its_worst_decision() -> None:
    coin = log_of(lambda chance, _: chance.choice(["pay", "refuse"]), name="coin")
    found = discover([coin, log_of(by_rule)])
    assert not found.candidates[0].against
    assert found.candidates[0].log == "made"
    whole = next(each for each in found.candidates if each.name == "coin: all of it")
    assert any(each.startswith("after check: what the log has says") for each in whole.against)


def test_what_comes_later_is_not_among_the_facts() -> None:
    """How long it took, and what stands with the next activity, is known when it is decided."""

    def slow(chance: random.Random, _: dict[str, str]) -> str:
        return chance.choice(["pay", "refuse"])

    log = log_of(slow)
    log.events = [
        e
        if e.activity == "check"
        else LoggedEvent(
            e.case,
            e.activity,
            e.at + timedelta(days=5 * (e.activity == "pay")),
            who=f"who does {e.activity}",
            facts={"told": e.activity},
        )
        for e in log.events
    ]
    found = after(discover([log]), "check")
    assert found.predicted is not None
    assert (found.predicted.right.share or 0) < 0.65


def test_of_a_large_log_all_is_counted_and_a_part_is_learned_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovery, "_MOST", 200)
    found = after(discover([log_of(by_rule)]), "check")
    assert sum(found.choices.values()) == 600
    assert found.predicted is not None
    assert 25 < found.predicted.right.n < 75
    assert (found.predicted.right.share or 0) > 0.9


def test_the_end_of_a_case_is_a_choice_too() -> None:
    log = log_of(by_rule)
    log.events = [e for e in log.events if e.activity != "refuse"]
    assert after(discover([log]), "check").choices.keys() == {"pay", END}


def test_of_nothing_nothing_is_found() -> None:
    assert discover([]) == discover([]) == Discovery((), (), 0)
    assert discover([EventLog("empty")]).candidates == ()


# The tree


def test_the_tree_finds_what_is_one_value_a_number_and_not_known() -> None:
    chance = random.Random("tree")  # noqa: S311  # a simulation
    rows: list[dict[str, str | float | None]] = [
        {
            "amount": chance.choice([None, float(chance.randrange(100))]),
            "kind": chance.choice("abc"),
        }
        for _ in range(2_000)
    ]
    said = [
        "ask" if row["amount"] is None else "yes" if row["kind"] == "b" else "no" for row in rows
    ]
    tree = grow(rows, said)
    assert facts_of(tree) == {"amount", "kind"}
    assert [predict(tree, row) for row in rows] == said
    assert sum(each.leaf.n for each in rules(tree)) == len(rows)
    assert all(each.leaf.right == each.leaf.n for each in rules(tree))


def test_a_tree_is_not_grown_into_noise() -> None:
    chance = random.Random("noise")  # noqa: S311  # a simulation
    rows: list[dict[str, str | float | None]] = [{"id": f"n{number}"} for number in range(200)]
    tree = grow(rows, [chance.choice("xy") for _ in rows])
    assert facts_of(tree) == frozenset()
    with pytest.raises(ValueError, match="a row"):
        grow([], [])


# Real logs


@pytest.mark.parametrize(
    ("folder", "good", "bad"),
    [
        ("log_hospital_billing", "NEW", "BILLED"),
        ("log_traffic_fines", None, "Create Fine"),
    ],
)
def test_real_logs(folder: str, good: str | None, bad: str) -> None:
    path = DATA / folder / "events.csv.gz"
    if not path.exists():
        pytest.skip(f"there is no {path}: it is not in the repository")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        log = read_csv_log(islice(lines, 15_000), folder)
    assert log.bad == []
    found = discover([log])
    assert after(found, bad).against
    if good is not None:
        best = after(found, good)
        assert not best.against
        assert best.predicted is not None
        assert best.predicted.right.low > 0.9
        assert best.predicted.usual < 0.5
