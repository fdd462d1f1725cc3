"""Every way in which a policy file is wrong, each with its line and its fix."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from handrail.exceptions import PolicyError
from handrail.policy import parse_policy
from handrail.policy.file import HoursDoc
from handrail.policy.values import duration, written
from tests.agents.policies import GOOD, PATH, SHAPE, policy

NOW = datetime(2026, 11, 16, tzinfo=UTC)


# What is wrong with a file

# What stands in the good file, what is put there, the line it is on, the fault and its fix.
BAD: list[tuple[str, str, str, str, str]] = [
    ("version: 3", "versoin: 3", "versoin", "versoin is not a key of a policy", "mean version?"),
    ("version: 3\n", "", "agent:", "version is missing", "add version: 1"),
    ("version: 3", "version: 0", "version", "version: 0 does not belong here", "1 or more"),
    ("version: 3", "version: 20261122221000", "version", "does not belong", "a smaller number"),
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
    (
        "autonomy: full",
        "autonomy: full\n    pilot: {class: shipmnt}",
        "shipmnt",
        "is no field of Rebook",
        "shipment?",
    ),
    (
        "autonomy: full",
        "autonomy: full\n    pilot: {match: {extra_cost: 5 EUR}}",
        "5 EUR",
        "5 EUR is no tolerance",
        "5% or 0.01",
    ),
    (
        "autonomy: full",
        "autonomy: full\n    pilot: {match: {extra_cst: 5%}}",
        "extra_cst",
        "is no field of Rebook",
        "extra_cost?",
    ),
    (
        "autonomy: full",
        "autonomy: full\n    pilot: {match: {shipment: 5%}}",
        "5%",
        "is not a number",
        "ignore",
    ),
    (
        "autonomy: full",
        "autonomy: full\n    promote: {shares: [50%, 5%]}",
        "50%",
        "a ramp goes up",
        "in their order",
    ),
    (
        "autonomy: full",
        "autonomy: full\n    promote: {watch: [confidence, extra_cst]}",
        "extra_cst",
        "no field that is always there",
        "extra_cost?",
    ),
    (
        "autonomy: full",
        "autonomy: full\n    promote:",
        "promote",
        "says nothing",
        "promote: {}",
    ),
    (
        "autonomy: full",
        "autonomy: full\n    promote: {agreement: 95}",
        "95",
        "95 is not a share",
        "25%",
    ),
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
    ("2000 per day", "2000 € per day", "limits", "is not a limit", "2000 per day"),
    ("2000 per day", "2000 per moon", "limits", "moon is no window of time", "week, month"),
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
    # Limits, hours, deputies, channels
    ("owner:", "drafter: yes\nowner:", "drafter", "is not a value of drafter", "may approve"),
    ("owner:", "drafter: may aprove\nowner:", "drafter", "is not a value", "mean may approve?"),
    ("owner:", "planted: 2\nowner:", "planted", "2 is not a share of the cases", "like 25%"),
    ("quorum: 1", "upto: 5", "upto", "upto is not a key of roles.lead", "did you mean up to?"),
    ("quorum: 1", "up to: ''", "up to", "nothing does not belong here", "write something"),
    ("quorum: 1", "up to: action.extra_csot < 5", "up to", "extra_csot is not a field", "a_cost?"),
    ("quorum: 1", "up to: action.extra_cost", "up to", "a number, not a condition", "compare it"),
    (
        "quorum: 1",
        "up to: action.extra_cost < 5",
        "up to",
        "lead is asked about release: action.extra_cost is not a field of Release",
        "let another role be asked about release",
    ),
    (
        "{people: [cy@example.com],",
        "{people: [cy@example.com], up to: action.extra_cost < 5,",
        "up to",
        "operations is asked about release",
        "use one of: shipment",
    ),
    (
        "roles:\n",
        "roles:\n  night: {people: [di@example.com], deadline: {after: 1h, then: refuse}}\n",
        "  rebook:",
        "nobody is named to be asked about rebook",
        "add for: and one of night, lead, operations",
    ),
    ("quorum: 1", "deputies: [dan]", "deputies", "dan is not an address", "ana@example.com"),
    (
        "quorum: 1",
        "deputies: [Bo@example.com]",
        "deputies",
        "Bo@example.com is to stand in for people of lead, and belongs to it",
        "remove one of the two",
    ),
    (
        "quorum: 1",
        "deputies:\n      - di@example.com\n      - DI@example.com",
        "- DI@",
        "DI@example.com stands twice among the deputies of lead",
        "remove one",
    ),
    ("quorum: 1", "lasts: forever", "lasts", "forever is not a duration", "30m, 8h, 2d"),
    ("quorum: 1", "accept: [phone]", "accept", "phone is not a value of roles.lead.acc", "inbox"),
    ("quorum: 1", "accept: []", "accept", "does not belong here", "name at least one"),
    ("quorum: 1", "accept: inbox", "accept", "inbox does not belong here", "write a list"),
    ("quorum: 1", "clock: stopped", "clock", "stopped is not a value of", "did you mean stops?"),
    ("quorum: 1", "hours: 9-17", "hours", "9-17 does not belong here", "write keys below it"),
    ("for: lead", "for: [lead, laed]", "for: [lead", "there is no role laed", "mean lead?"),
    ("for: lead", "for: [lead, lead]", "for: [lead", "lead stands twice", "remove one"),
    ("for: lead", "for: []", "for: []", "[] names no role", "a list such as [a, b]"),
    ("for: lead", "for: [lead, 5]", "for: [lead", "names no role", "a list such as [a, b]"),
]


def test_one_wrong_name_is_one_fault() -> None:
    with pytest.raises(PolicyError) as caught:
        policy(("[ana@example.com, bo@example.com]", "[bo]"))
    assert len(caught.value.faults) == 1, caught.value


HOURS = 'hours: {zone: Europe/Berlin, days: mon-fri, from: "09:00", to: "17:00"}'
# What stands in HOURS, what is put there, the fault and its fix.
BAD_HOURS: list[tuple[str, str, str, str]] = [
    ("Europe/Berlin", "Europe/Berln", "Europe/Berln is no time zone", "mean Europe/Berlin?"),
    ("Europe/Berlin", "europe/berlin", "is no time zone", "did you mean Europe/Berlin?"),
    ("Europe/Berlin", "Berlin", "Berlin is no time zone", "did you mean Europe/Berlin?"),
    ("Europe/Berlin", "localtime", "is no time zone", "in the IANA database"),
    ("Europe/Berlin", "right/Europe/Berlin", "is no time zone", "Europe/Berlin"),
    ("Europe/Berlin", "../../etc/passwd", "is no time zone", "in the IANA database"),
    ("Europe/Berlin", "Europe", "Europe is no time zone", "in the IANA database"),
    ("Europe/Berlin", "1", "1 is no time zone", "in the IANA database"),
    ("zone: Europe/Berlin, ", "", "zone is missing in roles.lead.hours", "such as Europe/Berlin"),
    ("zone:", "zoen:", "zoen is not a key of roles.lead.hours", "did you mean zone?"),
    ("mon-fri", "mon-fry", "mon-fry is no day of the week", "the days are mon, tue, wed, thu"),
    ("mon-fri", "monday", "monday is no day of the week", 'like mon-fri or "mon, wed, fri"'),
    ("mon-fri", "[mon, 5]", "5 is no day of the week", 'like mon-fri or "mon, wed, fri"'),
    ("mon-fri", "[]", "no day is named", "mon-fri"),
    ("mon-fri", "mon,wed", "wed is not a key of roles.lead.hours", "use one of: days, from"),
    ("09:00", "9", "9 is no time of the day", 'write it like "09:00"'),
    ("09:00", "25:00", "25:00 is no time of the day", 'write it like "09:00"'),
    ("09:00", "24:01", "24:01 is no time of the day", 'write it like "09:00"'),
    ('from: "09:00", ', "", "from is missing in roles.lead.hours", 'such as "09:00"'),
    (', to: "17:00"', "", "to is missing in roles.lead.hours", 'such as "17:00"'),
    ("17:00", "09:00", "the hours of lead end before they begin", "do not go over midnight"),
    ("09:00", "22:00", "the hours of lead end before they begin", "end them by 24:00"),
    ("17:00", "09:01", "lead has more than 400 days of its hours", "after counts the hours"),
    ("17:00", '17:00", holidays: [25.12.2026], clock: "', "25.12.2026 is no date", "2026-12-25"),
    ("17:00", '17:00", holidays: [2026-02-29], clock: "', "2026-02-29 is no date", "2026-12-25"),
]


@pytest.mark.parametrize(("old", "new", "what", "fix"), BAD_HOURS, ids=lambda text: text[:30])
def test_bad_hours_are_refused_with_line_and_fix(old: str, new: str, what: str, fix: str) -> None:
    assert HOURS.count(old) == 1
    with pytest.raises(PolicyError) as caught:
        policy(("quorum: 1", HOURS.replace(old, new)))
    (fault,) = [fault for fault in caught.value.faults if what in fault]
    line = 22 if "400 days" in what else 20
    assert fault.startswith(f"{PATH}:{line}: "), fault
    assert fix in fault.split("\n  fix: ")[1]


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
        parse_policy(text, PATH, SHAPE)
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


def test_roles_that_must_both_agree_need_different_people() -> None:
    both = "for: [lead, operations]"
    one = ("[ana@example.com, bo@example.com]", "[cy@example.com]")
    asks_both = (("for: lead", both), ("actions:\n", "for: lead\nactions:\n"))
    assert policy(*asks_both).notes
    with pytest.raises(PolicyError, match="lead and operations do not have enough different peo"):
        policy(*asks_both, one)


def test_a_limit_of_a_role_that_nobody_asks_is_a_fault() -> None:
    people = "people: [di@example.com], up to: action.shipment == 'x'"
    night = f"  night: {{{people}, deadline: {{after: 1h, then: refuse}}}}\n"
    with pytest.raises(PolicyError, match="night is asked about no write") as caught:
        parse_policy(GOOD.replace("actions:\n", "for: lead\nactions:\n") + night, PATH, SHAPE)
    assert str(caught.value).endswith("fix: remove up to")


def test_what_is_above_the_last_limit_is_noted() -> None:
    bounded = policy(
        ("actions:\n", "actions:\n  release: {autonomy: supervised, for: lead}\n"),
        ("{people: [cy@example.com],", "{people: [cy@example.com], up to: action.shipment != 'x',"),
    )
    last = "operations is the last to be asked and may approve only where"
    above = "anything else nobody may approve, and it is refused"
    assert bounded.notes == (f"{PATH}: {last} `action.shipment != 'x'`: {above}",)


def test_channels_that_anybody_can_claim_are_noted() -> None:
    picky = (
        ("actions:\n", "actions:\n  release: {autonomy: supervised}\n"),
        ("quorum: 1", "accept: [inbox, mail]"),
    )
    assert policy(*picky).notes == ()
    only = "lead accepts approvals by inbox or mail only"
    but = "but without proof anybody can say by which way theirs came"
    unproven = policy(*picky, ("owner:", "proof: unproven\nowner:"))
    assert unproven.notes == (f"{PATH}: {only}, {but}",)


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
        parse_policy(text, PATH, SHAPE)


@given(st.text(max_size=300))
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(text, PATH, SHAPE)


@given(st.integers(0, len(GOOD)), st.text("\n\t {}[]:-&*!%\"'#>|a1", max_size=4))
def test_a_damaged_file_is_refused_or_sound(cut: int, junk: str) -> None:
    text = GOOD[:cut] + junk + GOOD[cut:]
    refused: list[PolicyError] = []
    try:
        parse_policy(text, PATH, SHAPE).default_asks("rebook", NOW)
    except PolicyError as error:
        refused.append(error)
    assert all(error.faults and "\n  fix: " in error.faults[0] for error in refused)


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


@given(PARTS.filter(any))
def test_a_duration_is_written_so_that_it_is_read_again(parts: tuple[int, int, int, int]) -> None:
    days, hours, minutes, seconds = parts
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    assert duration(written(length)) == length


# Days of the week


@pytest.mark.parametrize(
    ("days", "found"),
    [
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("Mon - Fri", {0, 1, 2, 3, 4}),
        ("mon,wed, fri", {0, 2, 4}),
        (["mon", "wed", "fri"], {0, 2, 4}),
        (["mon-thu", "sat"], {0, 1, 2, 3, 5}),
        ("sun-thu", {6, 0, 1, 2, 3}),
        ("sat", {5}),
        ("mon-sun", set(range(7))),
    ],
)
def test_days_are_read_as_people_write_them(days: object, found: set[int]) -> None:
    given = {"zone": "UTC", "from": "9:00", "to": "24:00", "days": days}
    read = HoursDoc.model_validate(given)
    assert read.days == found
    assert (read.begins, read.ends) == (540, 1440)
