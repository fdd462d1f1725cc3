"""Who may approve what, what is missing, and why an approval did not count."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.actions import Ask
from handrail.policy import Approval, Facts, Policy, parse_policy
from tests.agents.policies import GOOD, PATH, SHAPE, Rebook, facts, holds, policy

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
ANA, BO, CY, DAN, ELI = (f"{name}@example.com" for name in ("ana", "bo", "cy", "dan", "eli"))
LEAD = "[ana@example.com, bo@example.com]"
TWO = policy(("quorum: 1", "quorum: 2"))
# Two roles are asked; both escalate to operations, and share a person and a deputy.
BOTH_TEXT = (
    GOOD.replace("for: lead", "for: [lead, audit]")
    .replace("    quorum: 1\n", "    quorum: 2\n    deputies: [dan@example.com, cy@example.com]\n")
    .replace(
        "  operations:",
        "  audit:\n"
        "    people: [ana@example.com, eli@example.com]\n"
        "    deputies: [dan@example.com]\n"
        "    lasts: 1d\n"
        "    accept: [inbox, key]\n"
        "    deadline: {after: 8h, then: escalate, to: operations}\n"
        "  operations:",
    )
    .replace("actions:\n", "for: lead\nactions:\n")
)
BOTH = parse_policy(BOTH_TEXT, PATH, SHAPE)


def approval(
    by: str, stands_for: str | None = None, via: str = "key", age: timedelta = timedelta(hours=1)
) -> Approval:
    return Approval(by=by, at=NOW - age, via=via, stands_for=stands_for)


def asked(sound: Policy, about: Facts | None = None) -> tuple[Ask, ...]:
    """What the hold-rule of the policy asks, about an action that anybody may approve."""
    about = about or facts()
    return sound.asks(holds(sound, about), about, NOW)


def lacking(
    sound: Policy, *given: Approval, about: Facts | None = None, barred: Sequence[str] = ()
) -> list[str]:
    return sound.unsatisfied(asked(sound), given, about or facts(), NOW, barred)


@pytest.mark.parametrize("by", [ANA, " ANA@example.com ", CY])
def test_an_entitled_approval_suffices(by: str) -> None:
    assert lacking(policy(), approval(by)) == []


@pytest.mark.parametrize("by", ["eve@example.com", "ana@example.com.evil.org", "ana"])
def test_anybody_else_s_does_not(by: str) -> None:
    (found,) = lacking(policy(), approval(by))
    none = "lead gave 0 of 1 approvals or operations gave 0 of 1 approvals"
    assert found == f"{none} ({by} no longer belongs to either)"


def test_a_quorum_counts_distinct_people_and_those_above_complete_it() -> None:
    assert lacking(TWO, approval(ANA), approval("ANA@example.com"))
    assert lacking(TWO, approval(ANA), approval(BO)) == []
    assert lacking(TWO, approval(ANA), approval(CY)) == []
    # Below never fills above: one of two leads is not the one of operations.
    assert lacking(TWO, approval(ANA)) == [
        "lead gave 1 of 2 approvals or operations gave 0 of 1 approvals"
    ]


def test_nothing_is_missing_where_nobody_is_asked() -> None:
    assert policy().unsatisfied((), (), facts(), NOW, ()) == []


def test_the_policy_in_force_judges_approvals_given_under_an_older_one() -> None:
    asks = asked(policy())
    for edit in ((LEAD, "[bo@example.com]"), ("quorum: 1", "quorum: 2")):
        assert policy(edit).unsatisfied(asks, [approval(ANA)], facts(), NOW, ())
    renamed = parse_policy(GOOD.replace("lead", "chief"), PATH, SHAPE)
    (found,) = renamed.unsatisfied(asks, [approval(ANA)], facts(), NOW, ())
    gone = "lead is no role any more or operations gave 0 of 1 approvals"
    assert found == f"{gone} (ana@example.com: chief is not asked)"


# Why an approval did not count, in words


def words(sound: Policy, *given: Approval, about: Facts | None = None, barred: str = "") -> str:
    (found,) = lacking(sound, *given, about=about, barred=[barred] if barred else [])
    return found.partition(" (")[2].rstrip(")")


def test_who_left_is_named() -> None:
    alone = policy(
        (LEAD, "[bo@example.com, eli@example.com]"),
        ("then: escalate, to: operations}", "then: refuse}"),
        ("actions:\n", "for: lead\nactions:\n"),
    )
    assert words(alone, approval(ANA)) == "ana@example.com no longer belongs to it"


def test_who_asked_for_it_or_wrote_it_may_not_approve_it_nor_their_deputy() -> None:
    own = facts(requester="Ana@Example.com")
    assert words(TWO, approval(ANA), about=own) == "ana@example.com asked for it"
    assert words(TWO, approval(ANA), barred="ANA@example.com") == "ana@example.com wrote it"
    deputies = policy(("quorum: 1", "deputies: [dan@example.com]"))
    stands_in = approval(DAN, ANA)
    assert lacking(deputies, stands_in) == []
    assert words(deputies, stands_in, about=own) == "ana@example.com asked for it"
    assert words(deputies, stands_in, barred=DAN) == "dan@example.com wrote it"


def test_an_approval_grows_old() -> None:
    weekly = policy()
    assert lacking(weekly, approval(ANA, age=timedelta(days=7))) == []
    old = approval(ANA, age=timedelta(days=7, seconds=1))
    assert words(weekly, old) == "the approval of ana@example.com is older than 7d"
    hourly = policy(("quorum: 1", "lasts: 1h30m"))
    assert words(hourly, approval(ANA, age=timedelta(hours=2))).endswith("is older than 1h30m")
    # Given again, it is new.
    assert lacking(weekly, old, approval(ANA)) == []


def test_a_role_accepts_what_comes_by_its_channels() -> None:
    picky = policy(("quorum: 1", "accept: [inbox, key]"))
    assert lacking(picky, approval(ANA, via="inbox")) == []
    assert words(picky, approval(ANA, via="slack")) == (
        "ana@example.com: lead accepts approvals by inbox or key, not by slack"
    )
    assert words(picky, approval(ANA, via="")).endswith("not by any other way")
    # Operations accepts all.
    assert lacking(picky, approval(CY, via="slack")) == []


def test_only_a_deputy_stands_in_and_only_for_somebody_who_belongs() -> None:
    deputies = policy(("quorum: 1", "deputies: [dan@example.com]"))
    assert lacking(deputies, approval(DAN, ANA)) == []
    assert words(deputies, approval(DAN)) == "dan@example.com no longer belongs to either"
    assert words(deputies, approval(ELI, ANA)) == (
        "eli@example.com may not stand in for ana@example.com"
    )
    assert words(deputies, approval(DAN, CY)) == (
        "dan@example.com may not stand in for cy@example.com"
    )


def test_a_seat_counts_once_and_so_does_who_sits_in_two() -> None:
    two = parse_policy(
        GOOD.replace("quorum: 1", "quorum: 2\n    deputies: [dan@example.com]"), PATH, SHAPE
    )
    assert lacking(two, approval(ANA), approval(DAN, ANA))
    assert lacking(two, approval(DAN, BO), approval(DAN, ANA))
    assert lacking(two, approval(ANA), approval(DAN, BO)) == []
    assert lacking(two, approval(ANA), approval(DAN, ANA), approval(DAN, BO)) == []


# Release costs nothing, so it asks the role that has no limit.
RELEASE = ("actions:\n", "actions:\n  release: {autonomy: supervised, for: operations}\n")
BOUND = policy(RELEASE, ("quorum: 1", "up to: action.extra_cost <= 500"))


def test_a_role_approves_up_to_its_limit() -> None:
    asks = asked(policy())  # from before there was a limit
    for cost, missing in (("500", False), ("500.01", True)):
        about = facts(action=Rebook(extra_cost=Decimal(cost)))
        assert bool(BOUND.unsatisfied(asks, [approval(ANA)], about, NOW, ())) is missing
        assert BOUND.unsatisfied(asks, [approval(CY)], about, NOW, ()) == []


def test_the_words_say_the_limit() -> None:
    dear = facts(action=Rebook(extra_cost=Decimal(600)))
    limit = "lead may approve only where `action.extra_cost <= 500`"
    assert BOUND.unsatisfied(asked(policy()), [approval(ANA)], dear, NOW, ()) == [
        f"{limit} or operations gave 0 of 1 approvals ({limit})"
    ]
    assert BOUND.unsatisfied(asked(BOUND, dear), [approval(ANA)], dear, NOW, ()) == [
        f"operations gave 0 of 1 approvals (ana@example.com: {limit})"
    ]


def test_a_limit_that_cannot_be_judged_allows_nothing() -> None:
    sure = policy(("quorum: 1", "up to: confidence > 0.5"))
    assert sure.unsatisfied(asked(sure), [approval(ANA)], facts(), NOW, ()) == []
    (found,) = sure.unsatisfied(asked(sure), [approval(ANA)], facts(basis=None), NOW, ())
    assert "could not be judged" in found


# Two roles are asked


def test_nobody_counts_for_two_roles() -> None:
    # Ana and cy belong to both, or stand above both.
    one = parse_policy(BOTH_TEXT.replace("quorum: 2", "quorum: 1"), PATH, SHAPE)
    (found,) = lacking(one, approval(ANA))
    assert found.startswith("lead and audit must be approved by different people, each for one")
    assert found.endswith("(ana@example.com did)")
    assert lacking(one, approval(ANA), approval(CY)) == []
    assert lacking(one, approval(ANA), approval(BO)) == []
    assert lacking(one, approval(BO)) == [
        "audit gave 0 of 1 approvals or operations gave 0 of 1 approvals"
    ]
    # Ana's seat is one, whoever sits in it.
    assert lacking(one, approval(ANA), approval(DAN, ANA))


PEOPLE = [ANA, BO, CY, DAN, ELI]
APPROVALS = st.builds(
    approval,
    st.sampled_from([*PEOPLE, "BO@example.com "]),
    st.none() | st.sampled_from(PEOPLE),
    st.sampled_from(["key", "slack"]),
    st.sampled_from([timedelta(hours=1), timedelta(days=3), timedelta(days=8)]),
)
GIVEN = st.lists(APPROVALS, max_size=5)
BARRED = st.lists(st.sampled_from(PEOPLE), max_size=1)
# What the text of the policy says, once more and by hand.
ROLES: dict[str, tuple[set[str], set[str], timedelta, set[str]]] = {
    "lead": ({ANA, BO}, {DAN, CY}, timedelta(days=7), {"key", "slack"}),
    "audit": ({ANA, ELI}, {DAN}, timedelta(days=1), {"key"}),
    "operations": ({CY}, set(), timedelta(days=7), {"key", "slack"}),
}
CHAINS = [[("lead", 2), ("operations", 1)], [("audit", 1), ("operations", 1)]]


def counts(given: Approval, roles: set[str], barred: set[str]) -> bool:
    by, seat = given.by.strip().lower(), given.stands_for or given.by.strip().lower()
    return not barred & {by, seat} and any(
        seat in people
        and (given.stands_for is None or by in deputies)
        and NOW - given.at <= lasts
        and given.via in accepted
        for people, deputies, lasts, accepted in (ROLES[role] for role in roles)
    )


def by_force(needs: list[tuple[set[str], int]], given: list[Approval], barred: set[str]) -> bool:
    """Whether the approvals, shared out in some way, fill the needs."""
    if all(count == 0 for _, count in needs):
        return True
    if not given:
        return False
    first, *others = given
    if by_force(needs, others, barred):
        return True
    by, seat = first.by.strip().lower(), first.stands_for or first.by.strip().lower()
    left = [
        each
        for each in others
        if each.by.strip().lower() != by and (each.stands_for or each.by.strip().lower()) != seat
    ]
    return any(
        by_force([*needs[:n], (roles, count - 1), *needs[n + 1 :]], left, barred)
        for n, (roles, count) in enumerate(needs)
        if count and counts(first, roles, barred)
    )


@given(GIVEN, BARRED)
@settings(max_examples=400, deadline=None)
def test_it_is_enough_exactly_where_it_can_be_shared_out(
    given: list[Approval], barred: list[str]
) -> None:
    ways = [
        [({role for role, _ in chain[n:]}, quorum) for n, (_, quorum) in enumerate(chain)]
        for chain in CHAINS
    ]
    enough = any(by_force(list(needs), given, set(barred)) for needs in product(*ways))
    assert (lacking(BOTH, *given, barred=barred) == []) is enough


@given(GIVEN, APPROVALS, BARRED)
def test_one_more_approval_never_takes_any_away(
    given: list[Approval], more: Approval, barred: list[str]
) -> None:
    if not lacking(BOTH, *given, barred=barred):
        assert lacking(BOTH, *given, more, barred=barred) == []


@given(GIVEN, BARRED)
def test_who_is_barred_never_counts(given: list[Approval], barred: list[str]) -> None:
    others = [a for a in given if not {a.who, a.seat} & set(barred)]
    met = lacking(BOTH, *given, barred=barred) == []
    assert met is (lacking(BOTH, *others) == [])
    own = facts(requester=barred[0] if barred else None)
    assert met is (lacking(BOTH, *given, about=own) == [])


@given(GIVEN)
def test_fewer_people_than_the_quorum_are_never_enough(given: list[Approval]) -> None:
    if lacking(TWO, *given) == []:
        people = {a.who for a in given}
        assert len(people & {ANA, BO, CY}) >= 2 or CY in people
    if lacking(BOTH, *given) == []:
        assert len({a.who for a in given}) >= 2
        assert len({a.seat for a in given}) >= 2


@given(st.lists(APPROVALS, min_size=1, max_size=5))
def test_every_approval_that_helps_nobody_is_explained(given: list[Approval]) -> None:
    found = " ".join(lacking(TWO, *given))
    for each in given:
        if found and lacking(policy(), each):
            assert each.who in found or each.seat in found, found


# Who may at all


@pytest.mark.parametrize(
    ("by", "stands_for", "why"),
    [
        (ANA, None, None),
        ("CY@example.com", None, None),
        (DAN, ANA, None),
        ("eve@example.com", None, "eve@example.com belongs to no role that may approve rebook"),
        (DAN, None, "dan@example.com belongs to no role that may approve rebook"),
        (DAN, CY, "dan@example.com may not stand in for cy@example.com"),
        (ELI, BO, "eli@example.com may not stand in for bo@example.com"),
    ],
)
def test_who_may_not_approve_is_told_why(by: str, stands_for: str | None, why: str | None) -> None:
    deputies = policy(("quorum: 1", "deputies: [dan@example.com]"))
    assert deputies.cannot(by, facts(), stands_for) == why


def test_the_requester_the_drafter_and_who_is_over_the_limit_are_told_why() -> None:
    dear = facts(action=Rebook(extra_cost=Decimal(600)), requester=BO)
    assert BOUND.cannot(BO, dear) == "bo@example.com asked for it and may not approve it"
    wrote = "cy@example.com wrote it and may not approve it"
    assert BOUND.cannot(CY, dear, barred=[CY]) == wrote
    assert BOUND.cannot(ANA, dear) == "lead may approve only where `action.extra_cost <= 500`"
    assert BOUND.cannot(CY, dear) is None
    picky = policy(("quorum: 1", "accept: [inbox, key]"))
    assert picky.cannot(ANA, facts(), via="slack") == (
        "lead accepts approvals by inbox or key, not by slack"
    )


def test_somebody_of_another_role_may_not_approve() -> None:
    night = "  night: {people: [eli@example.com], deadline: {after: 8h, then: refuse}}\n"
    apart = parse_policy(GOOD.replace("actions:\n", "for: lead\nactions:\n") + night, PATH, SHAPE)
    assert (
        apart.cannot(ELI, facts()) == "eli@example.com belongs to no role that may approve rebook"
    )
    assert apart.cannot_answer(ELI, "night") is None
    assert apart.cannot_answer(ANA, "night") == "ana@example.com does not belong to night"


def test_a_question_is_answered_by_the_role_and_by_those_above_it() -> None:
    deputies = policy(("quorum: 1", "deputies: [dan@example.com]\n    accept: [inbox]"))
    assert deputies.cannot_answer(CY, "lead") is None
    assert deputies.cannot_answer(DAN, "lead", ANA, "inbox") is None
    assert (
        deputies.cannot_answer(ANA, "operations") == "ana@example.com does not belong to operations"
    )
    assert deputies.cannot_answer(ELI, "lead", ANA, "inbox") == (
        "eli@example.com may not stand in for ana@example.com"
    )
    assert deputies.cannot_answer(ANA, "lead", via="mail") == (
        "lead accepts approvals by inbox, not by mail"
    )


def test_only_deputies_can_be_delegated_to() -> None:
    deputies = policy(("quorum: 1", "deputies: [dan@example.com]"))
    assert deputies.deputy("ANA@example.com", "Dan@example.com") is None
    assert deputies.deputy(ANA, BO) == "bo@example.com is not among the deputies of lead"
    assert deputies.deputy(CY, DAN) == "dan@example.com is not among the deputies of operations"
    assert deputies.deputy(ELI, DAN) == (
        "eli@example.com belongs to no role, so nobody can stand in for them"
    )
