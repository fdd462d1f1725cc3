"""The policy: what it answers, whom it asks, and how it follows its file."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail.actions import Basis, Finding, Kind
from handrail.exceptions import PolicyError
from handrail.policy import Limit, PolicyFile, load, share_of
from tests.agents.policies import CHEAP, GOOD, PATH, SHAPE, Delay, Release, facts, policy

# What it answers


def test_the_label_names_agent_version_and_file() -> None:
    assert policy().label == "shipments v3 " + policy().label[-8:]
    assert policy().label != policy(("version: 3", "version:  3")).label
    assert policy().proof is None


def test_an_action_that_no_rule_touches_runs_alone() -> None:
    assert policy().refusals(facts(action=CHEAP)) == []
    assert policy().holds(facts(action=CHEAP)) == []


def test_a_refuse_rule_says_why_with_values() -> None:
    (found,) = policy().refusals(facts(evidence=Delay(status="delivered")))
    assert found == Finding(
        check='rule: evidence.status == "delivered"',
        kind=Kind.REFUSE,
        why='it has already arrived: evidence.status == "delivered"',
    )


def test_a_hold_rule_says_why_with_values_and_whom_it_asks() -> None:
    (found,) = policy().holds(facts())
    assert found.why == "costs more than 200 EUR extra: extra_cost 240.00 > 200"
    assert found.role == "lead"


@pytest.mark.parametrize(
    ("others", "rule"),
    [
        ({"evidence": None}, 'evidence.status == "delivered"'),
        ({"basis": None}, "confidence < 0.5"),
        ({"basis": Basis()}, "confidence < 0.5"),
    ],
)
def test_a_rule_that_cannot_be_judged_holds_and_never_refuses_or_passes(
    others: dict[str, Any], rule: str
) -> None:
    asked = facts(action=CHEAP, **others)
    assert policy().refusals(asked) == []
    (found,) = policy().holds(asked)
    assert (found.kind, found.role, found.check) == (Kind.HOLD, "lead", f"rule: {rule}")
    assert "could not be judged" in found.why


@pytest.mark.parametrize("autonomy", ["supervised", "human_led"])
def test_less_autonomy_holds_every_write(autonomy: str) -> None:
    (found,) = policy(("autonomy: full", f"autonomy: {autonomy}")).holds(facts(action=CHEAP))
    assert (found.check, found.role) == ("autonomy", "lead")
    assert autonomy in found.why


def test_a_write_that_is_not_listed_is_held_and_noted() -> None:
    (found,) = policy().holds(facts("release", Release()))
    assert (found.check, found.kind, found.role) == ("listed", Kind.HOLD, "lead")
    assert policy().notes == (f"{PATH}: release is not listed: every one is held",)
    assert policy().refusals(facts("release", Release())) == []


def test_an_undo_that_is_not_listed_may_run_and_its_own_entry_counts_when_it_is() -> None:
    asked = facts("cancel", Release())
    assert policy().holds(asked) == []
    listed = policy(("actions:\n", "actions:\n  cancel: {autonomy: supervised}\n"))
    assert [found.check for found in listed.holds(asked)] == ["autonomy"]


def test_a_rollout_holds_the_rest_of_the_cases_and_the_same_ones_each_time() -> None:
    part = policy(("    autonomy: full\n", "    autonomy: full\n    rollout: 25%\n"))
    cases = [f"shipments:AWB-{n}" for n in range(2_000)]
    alone = [c for c in cases if not part.holds(facts(action=CHEAP, case=c))]
    assert 400 < len(alone) < 600
    assert alone == [c for c in cases if share_of("shipments", "rebook", c) < 2_500]
    held = next(c for c in cases if c not in alone)
    (found,) = part.holds(facts(action=CHEAP, case=held))
    assert found.why == "only 25% of the cases run alone, this one does not"


def test_the_share_of_a_case_is_a_promise() -> None:
    # Written down once: another value would move open cases between alone and held.
    assert share_of("shipments", "rebook", "shipments:AWB-1042") == 9542


@pytest.mark.parametrize(("share", "held"), [("0%", True), ("100%", False)])
def test_a_rollout_of_none_and_of_all(share: str, held: bool) -> None:  # noqa: FBT001  # a table
    part = policy(("    autonomy: full\n", f"    autonomy: full\n    rollout: {share}\n"))
    for n in range(200):
        assert bool(part.holds(facts(action=CHEAP, case=f"shipments:{n}"))) is held


def test_limits_are_exact_and_readable() -> None:
    assert policy().limits("rebook") == (
        Limit("extra_cost", Decimal(2000), timedelta(days=1), "extra_cost: at most 2000 per day"),
        Limit(None, Decimal(40), timedelta(hours=1), "count: at most 40 per hour"),
    )
    assert policy().limits("release") == ()


def test_notifications_may_go_out_unless_the_file_says_no() -> None:
    silent = policy(("roles:\n", "notify: {tell_customer: {allow: false}}\nroles:\n"))
    assert policy().may_notify("tell_customer") is None
    for found in (silent.may_notify("tell_customer"), policy().may_notify("tell_world")):
        assert found is not None
        assert found.kind is Kind.REFUSE


# Whom it asks


def test_each_role_is_asked_once_with_its_escalations() -> None:
    sound = policy(("        why: unsure\n", "        why: unsure\n        for: operations\n"))
    found = sound.holds(facts(basis=Basis(confidence=0.1)))
    lead, operations = sound.asks([*found, *found], "rebook")
    assert [stage.role for stage in lead.stages] == ["lead", "operations"]
    assert [stage.role for stage in operations.stages] == ["operations"]
    first = lead.stages[0]
    assert first.people == ("ana@example.com", "bo@example.com")
    assert (first.remind, first.after) == (timedelta(minutes=30), timedelta(hours=8))


def test_only_what_holds_asks_and_a_hold_without_a_role_asks_the_step_s() -> None:
    refused = Finding(check="x", kind=Kind.REFUSE, why="no", role="operations")
    unnamed = Finding(check="stock", kind=Kind.HOLD, why="unknown")
    assert policy().asks([refused], "rebook") == ()
    assert policy().asks([unnamed], "rebook") == policy().default_asks("rebook")


@pytest.mark.parametrize(
    ("edits", "role"),
    [
        ((), "lead"),
        ((("actions:\n", "for: operations\nactions:\n"),), "operations"),
        ((("    autonomy: full\n", "    autonomy: full\n    for: operations\n"),), "operations"),
    ],
)
def test_the_action_names_whom_it_asks_else_the_file_else_who_escalates_first(
    edits: tuple[tuple[str, str], ...], role: str
) -> None:
    sound = policy(*edits)
    for step in ("rebook", "cancel"):  # an undo asks whom its write asks
        (ask,) = sound.default_asks(step)
        assert ask.stages[0].role == role


def test_an_irreversible_action_may_run_alone_when_the_file_says_why() -> None:
    reason = "{autonomy: full, irreversible: a released hold can be set again by hand}"
    sound = policy(("actions:\n", f"actions:\n  release: {reason}\n"))
    assert sound.holds(facts("release", Release())) == []
    assert sound.notes == ()


def test_a_write_that_is_not_listed_needs_somebody_to_ask() -> None:
    with pytest.raises(PolicyError, match="asked about release, which is not listed"):
        policy(
            ("then: escalate, to: operations}", "then: refuse}"),
            ("    autonomy: full\n", "    autonomy: full\n    for: lead\n"),
        )


# The file on disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "shipments.yaml"
    file.write_text(GOOD)
    return file


def age(file: Path) -> None:
    """Make a file old enough to be trusted by its stamp."""
    os.utime(file, (1_700_000_000, 1_700_000_000))


def test_a_policy_is_loaded_from_its_file(path: Path) -> None:
    assert load(path, SHAPE).label == policy().label


def test_a_file_that_did_not_change_is_not_judged_again(path: Path) -> None:
    watched = PolicyFile(path, SHAPE)
    first = watched.current()
    assert watched.current() is first
    age(path)
    assert watched.current() is first
    assert watched.current() is first


@pytest.mark.parametrize("settled", [True, False])
def test_a_change_takes_effect_at_once(path: Path, settled: bool) -> None:  # noqa: FBT001  # a table
    if settled:
        age(path)
    watched = PolicyFile(path, SHAPE)
    assert watched.current().version == 3
    path.write_text(GOOD.replace("version: 3", "version: 4"))  # of the same size
    assert watched.current().version == 4


def test_a_broken_file_raises_each_time_until_it_is_whole_again(path: Path) -> None:
    watched = PolicyFile(path, SHAPE)
    watched.current()
    for damage in (lambda: path.write_text(GOOD[:300]), path.unlink):
        damage()
        for _ in range(2):
            with pytest.raises(PolicyError):
                watched.current()
    path.write_text(GOOD)
    assert watched.current().version == 3


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"a: \xff\n", r":1: it is not UTF-8"),
        (b"#" * 300_000, "it is too large"),
    ],
)
def test_a_file_that_is_no_text_is_refused(path: Path, content: bytes, what: str) -> None:
    path.write_bytes(content)
    with pytest.raises(PolicyError, match=what):
        load(path, SHAPE)


def test_a_file_that_is_not_there_is_a_fault_with_a_fix(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read: No such file") as caught:
        load(tmp_path / "none.yaml", SHAPE)
    assert "fix: " in str(caught.value)
