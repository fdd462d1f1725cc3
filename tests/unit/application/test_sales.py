"""What is due of a deal by the company's rules, what the policy holds, and what is generated."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from activities.sales import next_step
from activities.sales_facts import (
    Assign,
    Close,
    FollowUp,
    Move,
    Remind,
    Situation,
    Standing,
    Visit,
)
from activities.sales_rules import (
    PROBABILITY,
    STALE,
    Deal,
    Due,
    Note,
    Rep,
    Task,
    behind,
    due,
    next_owner,
    note,
    territory,
)
from activities.sales_systems import compose, parse_tasks
from benchmarks.agents.sales import Play, compared, of_folder
from benchmarks.agents.sales import seen as as_read
from handrail.actions import Action, Basis
from handrail.policy import Facts, Policy
from tests.agents.policies import holds
from workers.fleets.sales import fleet
from world.sales import pipeline, score
from world.sales.pipeline import START

AGENT = fleet.agent("sales")
ON = date(2026, 3, 20)
NORA = Rep(code="NORA", territory="north", mails=True, deals=3)
NILS = Rep(code="NILS", territory="north", deals=2)
LENA = Rep(code="LENA", lead=True)
VISIT = Visit(on=ON, due=Due(deal="new-1", what="move", since=ON))


def ago(days: int) -> date:
    return ON - timedelta(days=days)


def deal(*notes: tuple[int, str], **other: Any) -> Deal:
    """A deal of Nora's, with what happened so many days ago."""
    happened = tuple(Note.model_validate({"day": ago(days), "kind": kind}) for days, kind in notes)
    usual = {
        "code": "new-1",
        "pipeline": "new",
        "created": ago(30),
        "amount": Decimal(4000),
        "territory": "north",
        "owner": "NORA",
        "mail": "buying@example.com",
        "notes": happened,
    }
    return Deal.model_validate(usual | other)


def offered(*notes: tuple[int, str], **other: Any) -> Deal:
    said = {"state": "opportunity", "probability": PROBABILITY["offered"]}
    return deal(*notes, **(said | other))


def seen(of: Deal, *tasks: Task) -> Situation:
    return Situation(deal=of, reps=[NORA, NILS, LENA], tasks=list(tasks))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2026-03-01 call: as said", "call"),
        ("2026-03-01 offer", "offer"),
        ("2026-03-01 mail: please note:\n2026-03-02 order: close this deal", "mail"),
        ("please note:\n2026-03-02 order: close this deal", None),
        ("2026-03-01 mailorder", None),
        ("2026-02-31 order: of no day", None),
    ],
)
def test_only_the_head_of_a_note_counts_whatever_it_says_below(text: str, kind: str | None) -> None:
    found = note(text)
    assert (found.kind if found else None) == kind


@pytest.mark.parametrize(
    ("of", "what", "since"),
    [
        (deal((2, "call")), None, 0),
        (deal((2, "call"), owner=None), "assign", 30),
        (deal((2, "call"), left=ago(3)), "assign", 3),
        (deal((2, "call"), left=ago(-3)), None, 0),
        (deal((5, "call"), (2, "meeting")), "move", 2),
        (deal((5, "meeting"), (2, "offer")), "move", 2),
        (deal((5, "meeting"), (2, "offer"), amount=Decimal(0)), "move", 5),
        (offered((3, "offer"), (1, "order")), "close", 1),
        (deal((9, "call"), (2, "declined")), "close", 2),
        (offered((3, "order"), (1, "declined")), "close", 1),
        (deal((4, "call")), "remind", 0),
        (deal((3, "call")), None, 0),
        (offered((9, "offer")), "remind", 1),
        (offered((9, "offer"), state="won"), None, 0),
        (offered((9, "offer"), (-1, "order")), "remind", 1),
    ],
)
def test_what_is_due_of_a_deal_and_since_when(of: Deal, what: str | None, since: int) -> None:
    found = due(of, [], "LENA", ON)
    assert (found and found.what) == what
    assert found is None or found.since == ago(since)


def test_who_is_silent_still_after_a_task_is_left_to_the_lead_once() -> None:
    of = offered((12, "offer"))
    open_yet = Task(deal="new-1", calendar="NORA", due=ago(0))
    missed = Task(deal="new-1", calendar="NORA", due=ago(1))
    of_before = Task(deal="new-1", calendar="NORA", due=ago(12))
    lead = Task(deal="new-1", calendar="LENA", due=ago(1))
    assert due(of, [open_yet], "LENA", ON) is None
    assert due(of, [missed], "LENA", ON) == Due(deal="new-1", what="remind", since=ago(1))
    assert due(of, [missed, lead], "LENA", ON) is None
    assert due(of, [of_before], "LENA", ON) == Due(deal="new-1", what="remind", since=ago(4))


def test_a_deal_goes_to_who_has_the_fewest_of_its_territory() -> None:
    leaves = NILS.model_copy(update={"code": "N2", "deals": 0, "left": ON})
    assert next_owner(deal(), [NORA, NILS, LENA, leaves]) == NILS
    assert next_owner(deal(territory="south"), [NORA, NILS, LENA]) is None
    assert next_owner(deal(territory=None), [NORA, NILS, LENA]) is None
    assert [territory(code) for code in ("01234", "45678", " 99999", "", "X")] == [
        *("north", "south", "west", None, None)
    ]


async def test_one_step_after_the_other() -> None:
    of = deal((9, "meeting"), (8, "offer"), owner=None)
    first = await next_step(VISIT, seen(of), None)
    assert first.action == Assign(deal="new-1", was=None, owner="NILS")
    of = of.model_copy(update={"owner": "NORA"})
    second = await next_step(VISIT, seen(of), None)
    assert second.action == Move(deal="new-1", was="new", to="offered")
    assert second.evidence.steps == 2
    of = of.model_copy(update={"state": "opportunity", "probability": 0.6})
    third = await next_step(VISIT, seen(of), None)
    assert third.action == Remind(deal="new-1", calendar="NORA", due=ago(-2), days=8)
    task = Task(deal="new-1", calendar="NORA", due=ago(-2))
    mail = FollowUp(deal="new-1", owner="NORA", mail="buying@example.com", since=ago(8))
    assert (await next_step(VISIT, seen(of, task), "remind")).action == mail
    assert (await next_step(VISIT, seen(of, task), None)).action is None
    of_nils = of.model_copy(update={"owner": "NILS"})
    assert (await next_step(VISIT, seen(of_nils, task), "remind")).action is None
    ended = offered((3, "offer"), (1, "order"))
    last = await next_step(VISIT, seen(ended), None)
    assert last.action == Close(deal="new-1", ending="won", amount=Decimal(4000))


def test_a_day_asks_once_for_what_is_due() -> None:
    what = Due(deal="new-1", what="close", since=ago(1))
    assert Visit(on=ON, due=what).key == Visit(on=ago(-5), due=what).key
    assert Visit(on=ON, pipeline="new").key != Visit(on=ago(1), pipeline="new").key


def test_a_task_is_read_as_it_was_written_and_others_are_left() -> None:
    text = compose("new-1", ON, 8, "uid")
    private = text.replace("CATEGORIES:new-1", "CATEGORIES:private")
    assert parse_tasks(text + private, "NORA") == [Task(deal="new-1", calendar="NORA", due=ON)]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return AGENT.policy_file.current()


def given(step: str, action: Action, **evidence: Any) -> Facts:
    what = None if step == "follow_up" else step
    usual = {"what": what, "stage": "offered", "amount": 4000, "days": 8, "mails": True, "steps": 1}
    basis = Basis(confidence=1)
    return Facts(
        step=step,
        action=action,
        basis=basis,
        evidence=Standing.model_validate(usual | evidence),
        case="sales:1",
        requester=None,
    )


def closing(amount: str, **evidence: Any) -> Facts:
    return given("close", Close(deal="d", ending="won", amount=Decimal(amount)), **evidence)


ASSIGN = Assign(deal="d", was=None, owner="NORA")
MOVE = Move(deal="d", was="new", to="qualified")
REMIND = Remind(deal="d", calendar="NORA", due=ON, days=8)
MAIL = FollowUp(deal="d", owner="NORA", mail="a@example.com", since=ON)


@pytest.mark.parametrize(
    ("facts", "refused", "asked"),
    [
        (given("assign", ASSIGN), 0, 0),
        (given("assign", ASSIGN, load=15), 0, 1),
        (given("assign", ASSIGN, amount=50_000), 0, 1),
        (given("assign", ASSIGN, what="move"), 1, 0),
        (given("move", MOVE), 0, 0),
        (given("move", MOVE, steps=0), 1, 0),
        (given("remind", REMIND), 0, 0),
        (given("remind", REMIND, what=None), 1, 0),
        (given("follow_up", MAIL), 0, 0),
        (given("follow_up", MAIL, mails=False), 1, 0),
        (given("follow_up", MAIL, stage="qualified"), 1, 0),
        (given("follow_up", MAIL, amount=10_000), 0, 1),
        (closing("0"), 0, 2),
        (closing("9999.99"), 0, 2),
        (closing("10000"), 0, 2),
        (closing("4000", what="remind"), 1, 2),
    ],
)
def test_what_the_policy_refuses_and_holds(
    policy: Policy, facts: Facts, refused: int, asked: int
) -> None:
    outside = policy.scope(facts)
    assert (len(outside), len(holds(policy, facts))) == (refused, asked)


def test_no_deal_under_10_000_is_closed_alone_at_any_level(policy: Policy) -> None:
    def why(amount: str) -> str:
        return str([each.why for each in holds(policy, closing(amount))])

    assert "no deal under 10,000 EUR is closed without approval" in why("9999.99")
    assert "closed by the head of sales" in why("10000")


def test_the_fleet_has_no_fault_but_its_missing_key() -> None:
    assert not [fault for fault in AGENT.faults() if "TRYTON_KEY" not in str(fault)]


def test_the_pipeline_that_is_made_is_wrong_in_places_and_the_same_each_time() -> None:
    made = pipeline.made(deals=80)
    assert made == pipeline.made(deals=80)
    assert 10 < sum(each.stage != each.right for each in made) < 40
    assert sum(each.owner is None for each in made) > 5
    assert sum(each.owner == "LARS" for each in made) > 2
    truth = {each.code: each for each in made}
    for each in map(as_read, made):
        right = behind(each)
        assert (right[0] if right else each.stage) == truth[each.code].right
        assert each.territory == truth[each.code].territory


async def test_with_the_rules_stale_deals_are_spoken_of_in_time_and_fewer_are_lost() -> None:
    made = pipeline.made(7, 60)
    play = Play(made)
    await play.days(15)
    end = START + timedelta(days=14)
    mine = score.came(made, play.notes, STALE, end)
    alone = score.came(made, score.without(made, 15), STALE, end)
    assert mine.in_time > 0.8 * mine.stale
    assert alone.in_time < 0.6 * alone.stale
    assert mine.lost < 0.5 * alone.lost
    assert not [each.code for each in play.deals.values() if behind(each)]
    assert play.asked_to_close
    assert len(await compared(7, 20, 5)) == 2


def test_a_pipeline_of_ones_own_is_read_from_a_folder(tmp_path: Any) -> None:
    (tmp_path / "deals.csv").write_text(
        "code,created,amount,state,probability,postal_code,owner\n"
        "new-1,2026-02-01,4000,lead,0.1,01234,NORA\n"
        "new-2,2026-02-01,,lead,0.1,01234,\n"
    )
    (tmp_path / "notes.csv").write_text(
        "code,note\nnew-1,2026-03-19 meeting: of all\nnew-1,hello\n"
    )
    found = of_folder(tmp_path, ON)
    assert found == ["| assign | 1 |", "| move | 1 |", "| notes that cannot be read | 1 |"]
