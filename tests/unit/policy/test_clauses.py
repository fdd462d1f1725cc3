"""The keys of a policy file that guard and watch writes: what they mean, and their faults."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.actions import Action, Finding, Kind, Level
from handrail.exceptions import PolicyError
from handrail.policy import AgentShape, Setting, WriteShape, parse_policy, share_of
from handrail.policy.parts import Breaker, Budget, Control, Normal, Review
from handrail.wire import Duplicates, Limit
from tests.agents.payments import GOOD, PATH, SHAPE, Pay, Weigh, facts, policy
from tests.agents.policies import holds

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def case_in(share: int, *, inside: bool) -> str:
    cases = (f"payments:{n}" for n in range(10_000))
    return next(c for c in cases if (share_of("payments", "pay", c) < share) is inside)


# What they mean


def test_a_write_out_of_scope_is_refused_leaf_by_leaf() -> None:
    assert policy().scope(facts()) == []
    (found,) = policy().scope(facts(action=Pay(entity="US")))
    assert found == Finding(
        check='only: action.entity == "EU"',
        kind=Kind.REFUSE,
        why='only accounts of the EU entity: entity "US" != "EU"',
    )


def test_a_scope_that_cannot_be_judged_holds() -> None:
    edit = ('action.entity == "EU"', "evidence.score < 1")
    (found,) = policy(edit).scope(facts(evidence=None))
    assert (found.kind, found.role) == (Kind.HOLD, "lead")
    assert "there is no evidence here" in found.why


def test_limits_name_currency_field_and_window() -> None:
    text = "amount: at most 500 EUR per hour per customer"
    amounts = policy().of("pay").limits
    assert amounts == (
        Limit("amount", Decimal(500), HOUR, text, per="action.customer", unit="EUR"),
        Limit("amount", Decimal(9000), DAY, "amount: at most 9000 EUR per day", unit="EUR"),
        Limit(
            "amount",
            Decimal(100),
            timedelta(minutes=15),
            "amount: at most 100 USD per 15m",
            unit="USD",
        ),
        Limit(
            None,
            Decimal(40),
            HOUR,
            "count: at most 40 per hour per evidence.account.id",
            per="evidence.account.id",
        ),
        Limit(
            None,
            Decimal(100),
            HOUR,
            "count: at most 100 per hour, over all its writes",
            whole=True,
        ),
    )
    assert [limit.whole for limit in policy().of("weigh").limits] == [False, True]
    assert policy().of("unpay").limits == ()


def test_no_rate_of_the_agent_keeps_an_undo_from_running() -> None:
    listed = "  unpay: {autonomy: supervised, limits: {count: 5 per day}}\n  pay:\n"
    (only,) = policy(("  pay:\n", listed)).of("unpay").limits
    assert (only.cap, only.whole) == (5, False)


def test_amounts_of_mixed_currencies_are_noted() -> None:
    caps = "[500 EUR per hour per customer, 9000 EUR per day, 100 USD per 15m]"
    found = policy((caps, "[500 per hour per customer, 9000 per day]"))
    assert found.notes[-1] == f"{PATH}: the limit of pay.amount adds amounts in every currency"
    assert "every currency" not in " ".join(policy().notes)


class Paid(Action):
    """Pay."""

    customer: str
    amount: Decimal


@pytest.mark.parametrize(
    ("rule", "noted"),
    [
        ("only: [{when: action.customer =~ 'c[0-9]+', why: ours}]", True),
        ("only: [{when: action.customer =~ 'c[0-9]+$', why: ours}]", False),
        (r"only: [{when: action.customer =~ 'c[0-9]+\\$', why: ours}]", True),
        ("only: [{when: action.customer =~~ 'c[0-9]+$', why: ours}]", True),
        ("only: [{when: action.customer =~~ '^c[0-9]+$', why: ours}]", False),
        ("only: [{when: action.customer !~ 'x', why: ours}]", False),
        ("only: [{when: not (action.customer !~ 'x'), why: ours}]", True),
        ("hold: [{when: action.customer !~ 'c[0-9]+', why: not ours}]", True),
        ("hold: [{when: not (action.customer =~ 'c'), why: not ours}]", True),
        ("refuse: [{when: action.amount > 1 or action.customer !~ 'c', why: not ours}]", True),
        ("hold: [{when: action.customer =~ 'evil', why: not ours}]", False),
    ],
)
def test_a_pattern_that_lets_pass_more_than_it_says_is_noted(
    rule: str,
    noted: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    clause, _, rest = rule.partition(": [{when: ")
    condition, _, why = rest.rpartition(", why: ")
    text = f"""
agent: payments
version: 1
owner: ana@example.com
for: lead
actions:
  pay:
    autonomy: full
    irreversible: for the test of it
    {clause}:
      - when: {condition}
        why: {why.removesuffix("}]")}
roles:
  lead: {{people: [ana@example.com], deadline: {{after: 8h, then: refuse}}}}
"""
    shape = AgentShape("payments", {"pay": WriteShape("pay", Paid)})
    found = " ".join(parse_policy(text, "a.yaml", shape).notes)
    assert ("lets pass what is more than" in found) is noted


def test_without_a_field_for_it_a_currency_is_a_word() -> None:
    (kilos, _) = policy(("100 per week", "100 kg per week")).of("weigh").limits
    assert (kilos.unit, kilos.text) == (None, "kilos: at most 100 kg per week")


def test_what_else_it_says() -> None:
    found = policy()
    same = Duplicates(
        ("action.customer", "action.amount"), timedelta(days=7), frozenset({"action.amount"})
    )
    assert found.of("pay").duplicates == same
    assert found.of("pay").normal == Normal(
        learn=20,
        z=Decimal("4.5"),
        amounts=("action.amount", "evidence.score"),
        targets=("action.customer",),
        confidence=True,
        hour=True,
    )
    assert found.of("pay").review == Review(500, 5000, "lead")
    assert found.of("weigh").review == Review(50, 0, "lead")
    assert (found.of("pay").mismatch, found.of("weigh").mismatch) == ("roll back", "incident")
    assert found.breakers == (
        Breaker("refusals", 5, HOUR, Level.SUPERVISED, "5 refusals per hour"),
        Breaker("in doubt", 2, DAY, Level.STOP, "2 in doubt per day"),
    )
    assert [str(each.unit) for each in found.budgets] == ["None", "EUR", "EUR"]
    assert found.budgets[0] == Budget("tokens", Decimal(2000000), DAY, None, "2000000 per day")
    both = ("boss@example.com", "cy@example.com")
    assert found.control == Control(both, frozenset({Level.FULL}))
    assert found.text.startswith("agent: payments")
    assert found.label.endswith(found.sha[:8])


def test_an_unlisted_write_has_none_of_it() -> None:
    found = policy()
    entry = found.of("x")
    assert (entry.duplicates, entry.normal, entry.review) == (None, None, None)
    assert found.scope(facts("unpay")) == []
    assert entry.mentions == frozenset()


def test_the_owner_alone_may_turn_it_where_nobody_is_named() -> None:
    line = "control: {people: [boss@example.com, cy@example.com], two: [full]}\n"
    assert policy((line, "")).control == Control(("boss@example.com",))


def test_it_knows_what_decides_about_a_write() -> None:
    found = parse_policy(GOOD, PATH, SHAPE).of("pay").mentions
    assert found == {
        "action.entity",
        "action.amount",
        "action.customer",
        "action.currency",
        "evidence.account",
        "evidence.account.vip",
        "evidence.account.id",
        "confidence",
    }


# How much it does by itself


@pytest.mark.parametrize("level", list(Level))
def test_a_setting_counts_before_the_file(level: Level) -> None:
    setting = Setting(level, 10_000, "ana on Monday")
    found = policy()
    assert found.setting(facts(setting=setting)) is setting
    findings = holds(found, facts(setting=setting))
    held = level in {Level.SUPERVISED, Level.HUMAN_LED}
    assert [f.check for f in findings] == (["autonomy"] if held else [])
    assert not held or findings[0].why.endswith("(ana on Monday)")


def test_a_rollout_that_was_set_counts_before_that_of_the_file() -> None:
    outside = case_in(5_000, inside=False)
    (found,) = holds(policy(), facts(case=outside))
    assert found.why == "only 50% of the cases run alone, this one does not"
    everything = Setting(Level.FULL, 10_000, "ana on Monday")
    assert holds(policy(), facts(case=outside, setting=everything)) == []
    inside = case_in(100, inside=False)
    (found,) = holds(policy(), facts(case=inside, setting=Setting(Level.FULL, 100, "ana")))
    assert found.why == "only 1% of the cases run alone, this one does not (ana)"


@pytest.mark.parametrize(
    ("risk", "most"), [("high", Level.SUPERVISED), ("critical", Level.HUMAN_LED)]
)
def test_no_setting_exceeds_the_cap_of_its_risk(risk: str, most: Level) -> None:
    found = policy(("risk: medium", f"risk: {risk}"))
    assert found.of("pay").risk == risk
    for given_ in (None, Setting(Level.FULL, 10_000, "ana")):
        setting = found.setting(facts(setting=given_))
        assert (setting.level, setting.rollout) == (most, 10_000)
        assert f"{most.value} instead of full: its risk is {risk}" in setting.label
        (held,) = holds(found, facts(setting=given_))
        assert setting.label in held.why
    for level in Level:
        capped = found.of("pay").capped(level)
        assert not capped.exceeds(most)
        assert capped == (most if level.exceeds(most) else level)
    assert f"pay is {most.value}, not full: its risk is {risk}" in found.notes[0]


def test_what_cannot_be_undone_is_never_full_without_a_word_for_it() -> None:
    edit = ("autonomy: full\n    irreversible: a weight harms nobody", "autonomy: supervised")
    found = policy(edit, ("caps: {high: supervised", "caps: {high: full"))
    full = Setting(Level.FULL, 10_000, "ana")
    setting = found.setting(facts("weigh", Weigh(), setting=full))
    assert setting.level is Level.SUPERVISED
    assert "cannot be undone, and the policy has no irreversible:" in setting.label
    assert found.of("weigh").capped(Level.FULL) is Level.SUPERVISED
    assert found.of("weigh").risk == "high"


def test_what_takes_back_runs_whatever_is_set_and_what_is_not_listed_is_never_full() -> None:
    stop = Setting(Level.STOP, 10_000, "ana")
    assert policy().setting(facts("unpay", setting=stop)).level is Level.FULL
    text = GOOD[: GOOD.index("  weigh:")] + GOOD[GOOD.index("roles:") :]
    found = parse_policy(text, PATH, SHAPE)
    for level in Level:
        setting = found.setting(facts("weigh", Weigh(), setting=Setting(level)))
        assert not setting.level.exceeds(Level.SUPERVISED)
    assert found.setting(facts("weigh", setting=stop)) is stop


def test_a_setting_in_words() -> None:
    assert str(Setting(Level.FULL)) == "full"
    assert str(Setting(Level.FULL, 250)) == "full 2.5%"
    assert str(Setting(Level.PILOT, 250)) == "pilot"


# What is wrong with them: what stands there, what is put, the fault, its fix

BAD: list[tuple[str, str, str, str]] = [
    ("caps: {high:", "caps: {hihg:", "hihg is not a key of caps", "did you mean high?"),
    ("supervised, critical", "superb, critical", "superb is not a value", "supervised"),
    ("caps: {high: supervised, critical: human_led}", "caps: 5", "caps: 5 does not", "keys below"),
    ("two: [full]", "two: [ful]", "ful is not a value of control.two[0]", "did you mean full?"),
    (", cy@example.com]", "]", "full needs two different people", "name two or more"),
    ("[boss@example.com, cy@", "[boss, cy@", "boss is not an address", "ana@example.com"),
    ("control: {people:", "control: {pepole:", "pepole is not a key", "people?"),
    ("limits: {count: 100 per hour}", "limits: {amount: 1 per day}", "counted, not", "write count"),
    (
        "{count: 100 per hour}",
        "{count: 100 per hour per customer}",
        "in common",
        "below the action",
    ),
    ("{count: 100 per hour}", "{count: 100 EUR per hour}", "has no currency EUR", "write 100"),
    ("tokens: 2000000 per day", "tokens: 2 EUR per day", "no currency EUR", "write 2"),
    ("50 EUR per day", "50 per day", "in which currency?", "50 EUR per day"),
    ("50 EUR per day", "50 EUR per day per step", "the agent's alone", "second per"),
    ("tokens: 2", "tokes: 2", "tokes is not a key of budgets", "did you mean tokens?"),
    ("5 refusals per", "5 refusal per", "nothing that trips a breaker", "refusals, failures"),
    ("5 refusals per", "0 refusals per", "nothing that trips a breaker", "5 refusals per hour"),
    ("then: stop", "then: full", "full is the highest", "supervised, human_led or stop"),
    ("then: stop", "then: halt", "halt is not a value of breakers[1].then", "stop"),
    (", then: stop}", "}", "then is missing in breakers[1]", "add then: supervised"),
    ("{after: 2 in doubt per day, then", "{then", "after is missing", "5 refusals per hour"),
    ("risk: medium", "risk: middling", "middling is not a value of actions.pay.risk", "medium"),
    ("action.entity ==", "action.entiti ==", "entiti is not a field of Pay", "mean entity?"),
    ("        why: only accounts of the EU entity\n", "", "why is missing", "in words"),
    (
        "        why: only accounts of the EU entity",
        "        why: a\n        wy: b",
        "wy is not",
        "why?",
    ),
    ("500 EUR per hour per customer", "500 EUR per hour per custmer", "no field", "customer?"),
    ("per hour per customer", "per hour per memo", "memo is no field that is always", "use one"),
    ("100 USD per 15m", "100 CHF per 15m", "currency is never CHF", "use one of: EUR, USD"),
    ("100 USD per 15m", "100 per 15m", "names a currency, and another none", "of each"),
    ("9000 EUR per day", "9000 EUR per hour per customer", "limit the same", "the lower one"),
    ("100 USD per 15m", "100 USD per 0m", "between a second and a year", "30m"),
    ("100 USD per 15m", "100 USD per 15", "15 is not a duration", "30m"),
    ("{kilos: 100 per week}", "{kilos: [1 kg per day, 2 lb per week]}", "tells kilos", "one curr"),
    ("{kilos: 100 per week}", "{kilos: []}", "no limit is named", "remove it"),
    ("same: [customer, amount]", "same: [customer, amout]", "amout is no field", "amount?"),
    ("same: [customer, amount]", "same: []", "names no field", "[customer, amount]"),
    ("same: [customer, amount]", "same: [amount, amount]", "stands twice", "remove one"),
    ("within: 7d", "within: soon", "soon is not a duration", "8h, 2d"),
    (", within: 7d", "", "within is missing in actions.pay.duplicates", "such as 7d"),
    ("learn: 20", "learn: 1", "learn: 1 does not belong here", "write 2 or more"),
    ("z: 4.5", "z: -1", "-1 is no positive number", "or 3.5"),
    (
        "[amount, evidence.score",
        "[amount, evidence.account.id",
        "is not a number",
        "evidence.score?",
    ),
    ("target: customer", "target: memo", "memo is no field that is always", "use one of"),
    ("target: customer", "taget: customer", "cannot be watched", "target: and a field"),
    ("hour, target", "hour, hour, target", "hour stands twice", "remove one"),
    ("random: 5%", "random: 500%", "500% is not a share", "25%"),
    ("review: 0.5%", "review: 5", "5 is not a share", "25%"),
    ("for: lead}", "for: laed}", "there is no role laed", "did you mean lead?"),
    ("mismatch: roll back", "mismatch: rollback", "is not a value of", "roll back"),
    ("    review: 0.5%", "    mismatch: roll back", "cannot be undone", "mismatch: incident"),
]


@pytest.mark.parametrize(("old", "new", "what", "fix"), BAD, ids=[b[1][:40] for b in BAD])
def test_a_fault_names_its_line_and_its_fix(old: str, new: str, what: str, fix: str) -> None:
    assert GOOD.count(old) == 1, old
    with pytest.raises(PolicyError) as caught:
        parse_policy(GOOD.replace(old, new), PATH, SHAPE)
    (fault,) = caught.value.faults
    said, _, mending = fault.partition("\n  fix: ")
    assert what in said
    assert fix in mending
    line = int(fault.split(":")[1])
    around = GOOD.replace(old, new).splitlines()[line - 1]
    near = GOOD[: GOOD.index(old)].count("\n") + 1
    assert abs(line - near) <= 2, around


def test_all_faults_are_said_at_once() -> None:
    text = GOOD
    for old, new, _, _ in [BAD[0], BAD[10], BAD[14], BAD[20], BAD[35], BAD[38]]:
        text = text.replace(old, new)
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, PATH, SHAPE)
    assert len(caught.value.faults) == 6


KEYS = ["caps", "control", "limits", "budgets", "breakers"]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab :{}[]%", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.sampled_from([*KEYS, "only", "duplicates", "normal", "review", "risk"]), JUNK)
def test_junk_is_a_fault_and_never_a_crash(key: str, junk: Any) -> None:
    line = f"{key}: {json.dumps(junk)}\n"
    top = key in KEYS
    lines = [each for each in GOOD.splitlines(keepends=True) if not each.startswith(f"{key}:")]
    text = "".join(lines)
    if key == "breakers":
        text = text.replace("  - {after: 5 refusals per hour, then: supervised}\n", "")
        text = text.replace("  - {after: 2 in doubt per day, then: stop}\n", "")
    at = "actions:\n" if top else "  weigh:\n    autonomy: full\n"
    put = f"{line}{at}" if top else f"{at}    {line}"
    text = text.replace("    review: 0.5%\n", "") if key == "review" else text
    for fault in _faults(text.replace(at, put)):
        assert "\n  fix: " in fault


def _faults(text: str) -> tuple[str, ...]:
    try:
        parse_policy(text, PATH, SHAPE)
    except PolicyError as error:
        return error.faults
    return ()
