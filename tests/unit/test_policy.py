"""The policy: what it answers, who satisfies it, and every way in which a file is wrong."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from handrail.actions import Action, Basis, Finding, Kind, Ruled
from handrail.exceptions import PolicyError
from handrail.policy import (
    AgentShape,
    Facts,
    Limit,
    Policy,
    PolicyFile,
    WriteShape,
    load,
    parse,
    share_of,
)
from handrail.policy_values import duration

PATH = "guardrails/shipments.yaml"


class Rebook(Action):
    """Move a late shipment to another carrier."""

    shipment: str = "S1"
    extra_cost: Decimal = Decimal("240.00")
    refund: Decimal | None = None


class Release(Action):
    """Let a shipment go."""

    shipment: str = "S1"


class Delay(BaseModel):
    status: str = "late"


SHAPE = AgentShape(
    agent="shipments",
    writes={
        "rebook": WriteShape("rebook", Rebook, Delay, undo="cancel"),
        "release": WriteShape("release", Release, Delay),
        "cancel": WriteShape("cancel", Release, undoes=frozenset({"rebook"})),
    },
    notifies=frozenset({"tell_customer"}),
)

GOOD = """\
agent: shipments
version: 3
owner: logistics@example.com
actions:
  rebook:
    autonomy: full
    refuse:
      - when: evidence.status == "delivered"
        why: it has already arrived
    hold:
      - when: action.extra_cost > 200
        why: costs more than 200 EUR extra
        for: lead
      - when: confidence < 0.5
        why: unsure
    limits: {extra_cost: 2000 per day, count: 40 per hour}
roles:
  lead:
    people: [ana@example.com, bo@example.com]
    quorum: 1
    remind: 30m
    deadline: {after: 8h, then: escalate, to: operations}
  operations: {people: [cy@example.com], deadline: {after: 24h, then: refuse}}
"""


def policy(*edits: tuple[str, str], shape: AgentShape = SHAPE) -> Policy:
    text = GOOD
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return parse(text, PATH, shape)


def facts(step: str = "rebook", action: Action | None = None, **others: Any) -> Facts:
    known: dict[str, Any] = {
        "basis": Basis(confidence=0.9),
        "evidence": Delay(),
        "case": "shipments:AWB-1",
        "requester": None,
    }
    return Facts(step=step, action=action or Rebook(), **(known | others))


CHEAP = Rebook(extra_cost=Decimal(10))


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


# Who satisfies it

DIGEST = "d" * 64
AT = datetime(2026, 1, 2, tzinfo=UTC)


def ruled(by: str = "ana@example.com", **others: Any) -> Ruled:
    known: dict[str, Any] = {"verb": "approve", "accepted": True, "digest": DIGEST}
    known |= {"gate": "g", "by": by, "at": AT, "note": ""}
    return Ruled(**(known | others))


def lacking(sound: Policy, *rulings: Ruled, requester: str | None = None) -> list[str]:
    return sound.unsatisfied(sound.default_asks("rebook"), rulings, DIGEST, requester)


@pytest.mark.parametrize("by", ["ana@example.com", " ANA@example.com ", "cy@example.com"])
def test_an_entitled_approval_of_this_very_action_suffices(by: str) -> None:
    assert lacking(policy(), ruled(by)) == []
    assert lacking(policy(), ruled(by, verb="amend")) == []


@pytest.mark.parametrize(
    "ruling",
    [
        ruled("eve@example.com"),
        ruled("ana@example.com.evil.org"),
        ruled(verb="reject"),
        ruled(verb="answer"),
        ruled(accepted=False),
        ruled(digest="e" * 64),
        ruled(digest=DIGEST[:12]),
        ruled(digest=""),
    ],
)
def test_any_other_ruling_does_not_count(ruling: Ruled) -> None:
    (words,) = lacking(policy(), ruling)
    assert words.startswith("lead gave 0 of 1 approvals or operations gave 0 of 1 approvals")


def test_nothing_satisfies_an_unknown_digest() -> None:
    asks = policy().default_asks("rebook")
    assert policy().unsatisfied(asks, [ruled(digest="")], "", None)


def test_the_requester_may_not_approve() -> None:
    (words,) = lacking(policy(), ruled(), requester="Ana@Example.com")
    assert "(ana@example.com asked for it)" in words


def test_a_quorum_counts_distinct_people_and_those_above_complete_it() -> None:
    two = policy(("quorum: 1", "quorum: 2"))
    assert lacking(two, ruled(), ruled("ANA@example.com"))
    assert lacking(two, ruled(), ruled("bo@example.com")) == []
    assert lacking(two, ruled(), ruled("cy@example.com")) == []
    # Below never fills above: one of two leads is not the one of operations.
    assert lacking(two, ruled()) == [
        "lead gave 1 of 2 approvals or operations gave 0 of 1 approvals"
    ]


def test_the_policy_in_force_judges_rulings_given_under_an_older_one() -> None:
    old, asks = [ruled()], policy().default_asks("rebook")
    gone = policy(("[ana@example.com, bo@example.com]", "[bo@example.com]"))
    stricter = policy(("quorum: 1", "quorum: 2"))
    renamed = parse(GOOD.replace("lead", "chief"), PATH, SHAPE)
    for newer in (gone, stricter, renamed):
        assert newer.unsatisfied(asks, old, DIGEST, None)


def test_where_proof_is_required_an_unproven_ruling_does_not_count() -> None:
    strict = policy(("owner:", "proof: required\nowner:"))
    assert lacking(strict, ruled())
    assert lacking(strict, ruled(proven=True)) == []


PEOPLE = ["ana@example.com", "bo@example.com", "cy@example.com"]
ANYBODY = st.sampled_from([*PEOPLE, "eve@example.com", "ANA@EXAMPLE.COM", "bo@example.com "])
RULINGS = st.lists(
    st.builds(
        ruled,
        ANYBODY,
        verb=st.sampled_from(["approve", "amend", "reject", "revoke", "APPROVE", ""]),
        accepted=st.booleans(),
        digest=st.sampled_from([DIGEST, "e" * 64, DIGEST[:12], ""]),
        proven=st.booleans(),
    ),
    max_size=8,
)
TWO = policy(("quorum: 1", "quorum: 2"))


@given(RULINGS, st.none() | ANYBODY)
def test_nothing_but_enough_entitled_people_ever_satisfies(
    rulings: list[Ruled], requester: str | None
) -> None:
    counted = {
        r.by.strip().lower()
        for r in rulings
        if r.verb in {"approve", "amend"} and r.accepted and r.digest == DIGEST
    } - {(requester or "").strip().lower()}
    enough = len(counted & set(PEOPLE)) >= 2 or "cy@example.com" in counted
    assert (lacking(TWO, *rulings, requester=requester) == []) is enough


# What is wrong with a file

# What stands in the good file, what is put there, the line it is on, the fault and its fix.
BAD: list[tuple[str, str, str, str, str]] = [
    ("version: 3", "versoin: 3", "versoin", "versoin is not a key of a policy", "mean version?"),
    ("version: 3\n", "", "agent:", "version is missing", "add version: 1"),
    ("version: 3", "version: 0", "version", "version: 0 does not belong here", "1 or more"),
    ("version: 3", 'version: "3"', "version", "version: 3 does not", "a whole number"),
    ("owner: logistics@", "owner: logistics.", "owner", "is not an address", "ana@example"),
    ("agent: shipments", "agent: shipment", "agent", "is not this agent", "write shipments"),
    ("owner:", "proof: maybe\nowner:", "proof", "maybe is not a value of proof", "required"),
    ("owner:", "for: boss\nowner:", "for: boss", "there is no role boss", "use one of: lead,"),
    ("  rebook:", "  rebok:", "rebok", "no step of shipments writes rebok", "mean rebook?"),
    ("autonomy: full", "autonomy: ful", "ful\n", "ful is not a value of", "mean full?"),
    ("    autonomy: full\n", "", "  rebook:", "autonomy is missing in actions.rebook", "human_led"),
    (
        "autonomy: full",
        "autonomy: supervised\n    rollout: 5%",
        "rollout",
        "without full",
        "remove",
    ),
    ("autonomy: full", "autonomy: full\n    rollout: 25", "rollout", "25 is not a share", "25%"),
    ("autonomy: full", "autonomy: full\n    rollout: 101%", "rollout", "is not a share", "25%"),
    (
        "actions:\n",
        "actions:\n  release: {autonomy: full}\n",
        "release",
        "cannot be undone",
        "undo",
    ),
    (
        "actions:\n",
        "actions:\n  release: {autonomy: full, irreversible: yes}\n",
        "release",
        "yes is no reason",
        "say in words",
    ),
    ("action.extra_cost", "action.extra_csot", "csot", "is not a field of Rebook", "extra_cost?"),
    ("confidence < 0.5", "confidence < high", "high", "high is not a fact", "use one of: action"),
    ("confidence < 0.5", "action.shipment > 5", "shipment >", "mixes types", "is text"),
    ("confidence < 0.5", "action.refund > 5", "refund", "may be null", "?? 0"),
    ("        why: unsure\n", "", "confidence", "why is missing", "the reason in words"),
    ("for: lead", "for: laed", "laed", "there is no role laed", "did you mean lead?"),
    (
        "        why: it has",
        "        for: lead\n        why: it has",
        "for: lead",
        "for is not a key",
        "when, why",
    ),
    ("- when: confidence", "- whn: confidence", "whn", "whn is not a key", "did you mean when?"),
    ("{extra_cost:", "{extra_csot:", "limits", "extra_csot is not a number", "extra_cost?"),
    ("{extra_cost:", "{shipment:", "limits", "shipment is not a number", "use one of: count,"),
    ("{extra_cost:", "{refund:", "limits", "that is always there", "use one of: count,"),
    ("2000 per day", "2000 EUR per day", "limits", "is not a limit", "2000 per day"),
    ("2000 per day", "2000 per month", "limits", "is not a limit", "minute, hour, day or week"),
    ("2000 per day", "-5 per day", "limits", "is not a limit", "2000 per day"),
    ("40 per hour", "40.5 per hour", "limits", "40.5 is no number of writes", "whole number"),
    (
        "roles:\n",
        "notify: {tel_customer: {allow: true}}\nroles:\n",
        "notify",
        "is no notification",
        "tell_customer?",
    ),
    ("roles:\n", "notify: {tell_customer: {}}\nroles:\n", "notify", "allow is missing", "allow:"),
    ("[ana@example.com, bo@example.com]", "[]", "people", "does not belong here", "at least one"),
    ("bo@example.com]", "Ana@Example.com]", "people", "stands twice in lead", "counts once"),
    ("bo@example.com]", "bo]", "people", "bo is not an address", "ana@example.com"),
    ("quorum: 1", "quorum: 3", "quorum", "needs 3 approvals but has 2", "lower quorum"),
    ("quorum: 1", "quorum: 0", "quorum", "0 does not belong here", "1 or more"),
    ("remind: 30m", "remind: 9h", "remind", "is not reminded before", "shorter than after"),
    ("remind: 30m", "remind: 30", "remind", "30 is not a duration", "30m, 8h, 2d"),
    ("after: 8h", "after: 8000d", "after", "between a second and a year", "30m or 8h"),
    ("after: 8h", "after: 0h", "after", "between a second and a year", "30m or 8h"),
    ("then: escalate", "then: approve", "approve", "approve is not a value", "escalate"),
    (", to: operations}", "}", "escalate", "lead escalates to nobody", "add to:"),
    ("to: operations}", "to: operatons}", "to:", "no role operatons", "did you mean operations?"),
    ("then: refuse}", "then: refuse, to: lead}", "refuse", "refuses, and yet names", "remove to:"),
    (
        "then: refuse}",
        "then: escalate, to: lead}",
        "to: lead",
        "in a circle: lead to operations to lead",
        "then: refuse",
    ),
    (
        ", deadline: {after: 24h, then: refuse}}",
        "}",
        "  operations:",
        "deadline is missing in roles.operations",
        "add deadline",
    ),
    (
        "then: escalate, to: operations}",
        "then: refuse}",
        "  rebook:",
        "nobody is named to be asked about rebook",
        "add for:",
    ),
    (
        "version: 3",
        "version: 3\nversion: 4",
        "version: 4",
        "twice (first in line 2)",
        "one of them",
    ),
    ("version: 3", "version: &v 3", "version", "anchors such as &v", "write the value out"),
    ("version: 3", "version: !!python/name:os.system 3", "version", "is not allowed", "leave it"),
    ("version: 3", "version: 3\n<<: {a: 1}", "<<", "<< is not a key", "use one of: actions"),
    ("version: 3", "version: [3", "owner", "this is not YAML", "correct it"),
    ("version: 3", "\tversion: 3", "\tversion", "this is not YAML", "correct it"),
    (
        "- when: confidence < 0.5\n        why: unsure",
        "- 5",
        "- 5",
        "hold[1]: 5 does not belong here",
        "keys below it",
    ),
    ("version: 3", "version: *v", "*v", "undefined alias", "correct it"),
]


@pytest.mark.parametrize(
    ("old", "new", "at", "what", "fix"), BAD, ids=[f"{b[0][:20]}>{b[1][:30]}" for b in BAD]
)
def test_a_bad_file_is_refused_with_line_and_fix(
    old: str, new: str, at: str, what: str, fix: str
) -> None:
    assert GOOD.count(old) >= 1
    text = GOOD.replace(old, new, 1)
    start = text.index(new) if at in new else 0
    line = text.count("\n", 0, text.index(at, start)) + 1
    with pytest.raises(PolicyError) as caught:
        parse(text, PATH, SHAPE)
    faults = [fault for fault in caught.value.faults if what in fault]
    assert faults, caught.value
    assert faults[0].startswith(f"{PATH}:{line}: "), (line, faults)
    assert fix in faults[0].split("\n  fix: ")[1]


def test_the_text_of_a_fault() -> None:
    with pytest.raises(PolicyError) as caught:
        policy(("action.extra_cost", "action.extra_csot"))
    assert str(caught.value) == (
        f"{PATH}:11: action.extra_csot is not a field of Rebook\n  fix: did you mean extra_cost?"
    )


def test_all_faults_are_said_at_once_in_the_order_of_the_file() -> None:
    edits = [(old, new) for old, new, *_ in BAD if old in {"version: 3", "quorum: 1"}][:1]
    edits += [
        ("autonomy: full", "autonomy: ful"),
        ("action.extra_cost", "action.extra_csot"),
        ("why: unsure", "wy: unsure"),
        ("for: lead", "for: laed"),
        ("40 per hour", "40"),
        ("quorum: 1", "quorum: 3"),
        ("after: 24h", "after: soon"),
    ]
    with pytest.raises(PolicyError) as caught:
        policy(*edits)
    lines = [int(fault.split(":")[1]) for fault in caught.value.faults]
    assert lines == [1, 2, 6, 11, 13, 14, 15, 16, 20, 23]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "this is no policy"),
        ("- a\n- b\n", "this is no policy"),
        ("just text", "this is no policy"),
        ("[" * 60_000, "nested too deeply"),
        ("a: \x00", "this is not YAML"),
        (f"{GOOD}---\n{GOOD}", "another document"),
        ("a: &a [1, 1]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n", "anchors such as &a"),
        ("a: &a [*a]\n", "anchors such as &a"),
        ("? [a, b]\n: 1\n", "a key must be plain text"),
    ],
)
def test_what_is_no_policy_at_all_is_refused_too(text: str, what: str) -> None:
    with pytest.raises(PolicyError, match=what):
        parse(text, PATH, SHAPE)


@given(st.text(max_size=300))
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        parse(text, PATH, SHAPE)


@given(st.integers(0, len(GOOD)), st.text("\n\t {}[]:-&*!%\"'#>|a1", max_size=4))
def test_a_damaged_file_is_refused_or_sound(cut: int, junk: str) -> None:
    text = GOOD[:cut] + junk + GOOD[cut:]
    refused: list[PolicyError] = []
    try:
        parse(text, PATH, SHAPE).default_asks("rebook")
    except PolicyError as error:
        refused.append(error)
    assert all(error.faults and "\n  fix: " in error.faults[0] for error in refused)


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


# Durations

PARTS = st.tuples(st.integers(0, 100), st.integers(0, 48), st.integers(0, 90), st.integers(0, 90))


@given(PARTS.filter(any))
def test_a_duration_is_read_as_it_is_written(parts: tuple[int, int, int, int]) -> None:
    text = "".join(f"{n}{unit}" for n, unit in zip(parts, "dhms", strict=True) if n)
    days, hours, minutes, seconds = parts
    assert duration(text) == timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "8", "8 h", "h", "-8h", "1m2h", "8h8h", "٣h", "1.5h", 8, None]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(PydanticCustomError, match="is not a duration"):
        duration(text)


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
