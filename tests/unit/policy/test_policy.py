"""The policy: what it answers, whom it asks, and how it follows its file."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail.actions import Ask, Basis, Finding, Kind, Terms, Verdict
from handrail.exceptions import ConfigurationError, PolicyError
from handrail.policy import (
    NobodyMayApprove,
    Policy,
    PolicyFile,
    parse_policy,
    share_of,
)
from handrail.policy.business_hours import after_working_time, working_time
from handrail.wire import Limit
from tests.agents.policies import (
    CHEAP,
    GOOD,
    PATH,
    SHAPE,
    Delay,
    Rebook,
    Release,
    facts,
    holds,
    policy,
    refusals,
)

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
NEVER = timedelta.max


# What it answers


def test_the_label_names_agent_version_and_file() -> None:
    assert policy().label == "shipments v3 " + policy().label[-8:]
    assert policy().label != policy(("version: 3", "version:  3")).label
    assert policy().proof is None


def test_an_action_that_no_rule_touches_runs_alone() -> None:
    assert refusals(policy(), facts(action=CHEAP)) == []
    assert holds(policy(), facts(action=CHEAP)) == []


def test_a_refuse_rule_says_why_with_values() -> None:
    (found,) = refusals(policy(), facts(evidence=Delay(status="delivered")))
    assert found == Finding(
        check='rule: evidence.status == "delivered"',
        kind=Kind.REFUSE,
        why='it has already arrived: evidence.status == "delivered"',
    )


def test_a_hold_rule_says_why_with_values_and_whom_it_asks() -> None:
    (found,) = holds(policy(), facts())
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
    assert refusals(policy(), asked) == []
    (found,) = holds(policy(), asked)
    assert (found.kind, found.role, found.check) == (Kind.HOLD, "lead", f"rule: {rule}")
    assert "could not be judged" in found.why


@pytest.mark.parametrize("autonomy", ["supervised", "human_led"])
def test_less_autonomy_holds_every_write(autonomy: str) -> None:
    (found,) = holds(policy(("autonomy: full", f"autonomy: {autonomy}")), facts(action=CHEAP))
    assert (found.check, found.role) == ("autonomy", "lead")
    assert autonomy in found.why


def test_a_write_that_is_not_listed_is_held_and_noted() -> None:
    (found,) = holds(policy(), facts("release", Release()))
    assert (found.check, found.kind, found.role) == ("listed", Kind.HOLD, "lead")
    assert policy().notes == (f"{PATH}: release is not listed: every one is held",)
    assert refusals(policy(), facts("release", Release())) == []


def test_an_undo_that_is_not_listed_may_run_and_its_own_entry_counts_when_it_is() -> None:
    asked = facts("cancel", Release())
    assert holds(policy(), asked) == []
    listed = policy(("actions:\n", "actions:\n  cancel: {autonomy: supervised}\n"))
    assert [found.check for found in holds(listed, asked)] == ["autonomy"]


def test_a_rollout_holds_the_rest_of_the_cases_and_the_same_ones_each_time() -> None:
    part = policy(("    autonomy: full\n", "    autonomy: full\n    rollout: 25%\n"))
    cases = [f"shipments:AWB-{n}" for n in range(2_000)]
    alone = [c for c in cases if not holds(part, facts(action=CHEAP, case=c))]
    assert 400 < len(alone) < 600
    assert alone == [c for c in cases if share_of("shipments", "rebook", c) < 2_500]
    held = next(c for c in cases if c not in alone)
    (found,) = holds(part, facts(action=CHEAP, case=held))
    assert found.why == "only 25% of the cases run alone, this one does not"


def test_the_share_of_a_case_is_a_promise() -> None:
    # Written down once: another value would move open cases between alone and held.
    assert share_of("shipments", "rebook", "shipments:AWB-1042") == 9542


@pytest.mark.parametrize(("share", "held"), [("0%", True), ("100%", False)])
def test_a_rollout_of_none_and_of_all(share: str, held: bool) -> None:  # noqa: FBT001  # a table
    part = policy(("    autonomy: full\n", f"    autonomy: full\n    rollout: {share}\n"))
    for n in range(200):
        assert bool(holds(part, facts(action=CHEAP, case=f"shipments:{n}"))) is held


def test_limits_are_exact_and_readable() -> None:
    assert policy().of("rebook").limits == (
        Limit("extra_cost", Decimal(2000), timedelta(days=1), "extra_cost: at most 2000 per day"),
        Limit(None, Decimal(40), timedelta(hours=1), "count: at most 40 per hour"),
    )
    assert policy().of("release").limits == ()


def test_notifications_may_go_out_unless_the_file_says_no() -> None:
    silent = policy(("roles:\n", "notify: {tell_customer: {allow: false}}\nroles:\n"))
    assert policy().may_notify("tell_customer") is None
    for found in (silent.may_notify("tell_customer"), policy().may_notify("tell_world")):
        assert found is not None
        assert found.kind is Kind.REFUSE


# Whom it asks


def test_each_role_is_asked_once_with_its_escalations() -> None:
    sound = policy(("        why: unsure\n", "        why: unsure\n        for: operations\n"))
    found = holds(sound, facts(basis=Basis(confidence=0.1)))
    lead, operations = sound.asks([*found, *found], facts(), NOW)
    assert [stage.role for stage in lead.stages] == ["lead", "operations"]
    assert [stage.role for stage in operations.stages] == ["operations"]
    first = lead.stages[0]
    assert first.people == ("ana@example.com", "bo@example.com")
    assert (first.remind, first.after) == (timedelta(minutes=30), timedelta(hours=8))
    assert (first.open, first.stops, first.deputies) == ((), False, ())


def test_only_what_holds_asks_and_a_hold_without_a_role_asks_the_step_s() -> None:
    refused = Finding(check="x", kind=Kind.REFUSE, why="no", role="operations")
    unnamed = Finding(check="stock", kind=Kind.HOLD, why="unknown")
    assert policy().asks([refused], facts(), NOW) == ()
    assert policy().asks([unnamed], facts(), NOW) == policy().default_asks("rebook", NOW)


def test_a_rule_may_ask_several_roles() -> None:
    both = policy(("for: lead", "for: [lead, operations]"), ("actions:\n", "for: lead\nactions:\n"))
    found = holds(both, facts())
    assert [finding.role for finding in found] == ["lead", "operations"]
    assert len({finding.why for finding in found}) == 1
    assert Verdict(kind=Kind.HOLD, findings=tuple(found)).why() == found[0].why  # said once
    asks = both.asks(found, facts(), NOW)
    assert [[stage.role for stage in ask.stages] for ask in asks] == [
        ["lead", "operations"],
        ["operations"],
    ]


def bounded(lead: str = "500", operations: str | None = None) -> Policy:
    above = f"up to: action.extra_cost <= {operations}, " if operations else ""
    return parse_policy(
        GOOD.replace("quorum: 1", f"up to: action.extra_cost <= {lead}")
        .replace("  operations: {", f"  operations: {{{above}")
        .replace("actions:\n", "actions:\n  release: {autonomy: supervised, for: clerk}\n")
        .replace("  rebook:\n", "  rebook:\n    for: lead\n")
        + "  clerk: {people: [di@example.com], deadline: {after: 1h, then: refuse}}\n",
        PATH,
        SHAPE,
    )


def roles(*asks: Ask) -> list[list[str]]:
    return [[stage.role for stage in ask.stages] for ask in asks]


@pytest.mark.parametrize(
    ("cost", "asked"),
    [("500", ["lead", "operations"]), ("500.01", ["operations"]), ("1000", ["operations"])],
)
def test_who_may_not_approve_so_much_is_not_asked(cost: str, asked: list[str]) -> None:
    sound = bounded(operations="1000")
    given = facts(action=Rebook(extra_cost=Decimal(cost)))
    assert roles(*sound.asks(holds(sound, given), given, NOW)) == [asked]
    assert roles(*sound.default_asks("rebook", NOW, given)) == [asked]
    assert roles(*sound.default_asks("rebook", NOW)) == [["lead", "operations"]]


def test_what_nobody_may_approve_is_refused_and_says_why() -> None:
    sound = bounded(operations="1000")
    given = facts(action=Rebook(extra_cost=Decimal("1000.01")))
    with pytest.raises(NobodyMayApprove) as caught:
        sound.asks(holds(sound, given), given, NOW)
    assert str(caught.value) == (
        "nobody may approve it: lead may approve only where `action.extra_cost <= 500`; "
        "operations may approve only where `action.extra_cost <= 1000`"
    )
    # A write in doubt must be asked about all the same.
    assert roles(*sound.default_asks("rebook", NOW, given)) == [["operations"]]


def test_a_question_that_too_few_people_can_answer_is_not_asked() -> None:
    alone = parse_policy(
        GOOD.replace("[ana@example.com, bo@example.com]", "[ana@example.com]")
        .replace("then: escalate, to: operations}", "then: refuse}")
        .replace("actions:\n", "for: lead\nactions:\n"),
        PATH,
        SHAPE,
    )
    own = facts(requester="Ana@example.com")
    for given, barred in ((own, []), (facts(), ["ANA@example.com"])):
        with pytest.raises(NobodyMayApprove, match="lead does not have enough different people"):
            alone.asks(holds(alone, given), given, NOW, barred=barred)
    assert roles(*alone.asks(holds(alone, facts()), facts(), NOW)) == [["lead"]]


def test_a_limit_is_no_matter_when_a_write_is_taken_back() -> None:
    tight = bounded(lead="0", operations="0")
    undo = facts("cancel", Release())
    held = [Finding(check="stock", kind=Kind.HOLD, why="unknown")]
    assert roles(*tight.asks(held, undo, NOW)) == [["lead", "operations"]]
    assert tight.cannot("ana@example.com", undo) is None


def test_an_agent_s_question_asks_a_role_and_those_above_it() -> None:
    assert policy().asks_of("lead", NOW) == policy().default_asks("rebook", NOW)
    with pytest.raises(ConfigurationError, match="has no role laed; did you mean lead"):
        policy().asks_of("laed", NOW)


STANDING = {"Ana@example.com": ["dan@example.com", "eve@example.com"], "cy@example.com": ["di@x"]}


def test_who_stands_in_is_asked_too_if_they_are_a_deputy() -> None:
    sound = policy(("quorum: 1", "deputies: [Dan@example.com, bo2@example.com]"))
    (ask,) = sound.asks(holds(sound, facts()), facts(), NOW, STANDING)
    lead, operations = ask.stages
    assert lead.people == ("ana@example.com", "dan@example.com", "bo@example.com")
    assert lead.deputies == ("Dan@example.com", "bo2@example.com")
    assert operations.people == ("cy@example.com",)


OFFICE = 'hours: {zone: Europe/Berlin, days: mon-fri, from: "09:00", to: "17:00"}'


def test_a_role_that_has_hours_is_asked_in_them() -> None:
    sound = policy(("quorum: 1", f"{OFFICE}\n    clock: stops"))
    friday = datetime(2026, 11, 20, 15, tzinfo=UTC)  # 16:00 in Berlin
    (ask,) = sound.asks(holds(sound, facts()), facts(), friday)
    lead, operations = ask.stages
    assert (lead.stops, operations.stops, operations.open) == (True, False, ())
    # 8 hours of working time later it goes to operations.
    assert after_working_time(friday, lead.after, lead.open) == datetime(
        2026, 11, 23, 15, tzinfo=UTC
    )
    assert after_working_time(friday, lead.remind or NEVER, lead.open) == friday + timedelta(
        minutes=30
    )


def test_the_hours_of_a_chain_reach_twice_as_far_as_it_takes() -> None:
    both = policy(
        ("quorum: 1", OFFICE),
        ("{people: [cy@example.com],", f"{{people: [cy@example.com], {OFFICE},"),
    )
    (ask,) = both.default_asks("rebook", NOW)
    lead, operations = ask.stages
    half = after_working_time(NOW, 2 * lead.after, lead.open)
    over = after_working_time(half, 2 * operations.after, operations.open)
    assert operations.open[0] == lead.open[0]
    assert operations.open[-1][1] >= over.timestamp()
    assert working_time(half, over, operations.open) == 2 * operations.after
    assert len(operations.open) == 9  # Monday the 16th to Thursday the 26th


@pytest.mark.parametrize(
    ("edit", "terms"),
    [
        ("", Terms(proof="required", drafter=False, apart=True)),
        ("proof: unproven\n", Terms(proof="unproven", drafter=False, apart=True)),
        ("drafter: may approve\n", Terms(proof="required", drafter=True, apart=True)),
    ],
)
def test_its_terms_for_gates(edit: str, terms: Terms) -> None:
    sound = policy(("owner:", f"{edit}owner:"))
    assert sound.terms("required") == terms
    assert sound.barred("ana@example.com", ["bo@example.com"]) == (
        ("ana@example.com",) if terms.drafter else ("ana@example.com", "bo@example.com")
    )
    assert sound.barred(None, []) == ()


def test_bad_actions_are_planted_in_a_share_of_the_cases_and_the_same_ones_each_time() -> None:
    cases = [f"shipments:{n}" for n in range(4_000)]
    some = policy(("owner:", "planted: 5%\nowner:"))
    planted = [case for case in cases if some.plants("rebook", case)]
    assert 140 < len(planted) < 260
    assert planted == [case for case in cases if some.plants("rebook", case)]
    none = policy()
    assert not any(none.plants("rebook", case) for case in cases)
    # Not those that a rollout picks.
    assert planted != [c for c in cases if share_of("shipments", "rebook", c) < 500]


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
        (ask,) = sound.default_asks(step, NOW)
        assert ask.stages[0].role == role


def test_an_irreversible_action_may_run_alone_when_the_file_says_why() -> None:
    reason = "{autonomy: full, irreversible: a released hold can be set again by hand}"
    sound = policy(("actions:\n", f"actions:\n  release: {reason}\n"))
    assert holds(sound, facts("release", Release())) == []
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
    assert PolicyFile(path, SHAPE).current().label == policy().label


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
        PolicyFile(path, SHAPE).current()


def test_a_file_that_is_not_there_is_a_fault_with_a_fix(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read: No such file") as caught:
        PolicyFile(tmp_path / "none.yaml", SHAPE).current()
    assert "fix: " in str(caught.value)
