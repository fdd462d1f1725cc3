"""What is kept of models, when one is learnt anew, and what the policy leaves to its owner."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from activities import inspection_sight as sight
from activities import models
from activities.leads_score import CDNOW, LEAST, fit, packed, weights
from activities.models import USES, Declined, Shelf, Use, chosen, shelf, trying
from activities.retraining import (
    decline,
    declined,
    forget,
    learner_of,
    put_back,
    put_into_use,
    whether_to_learn,
    whether_to_use,
)
from activities.retraining_facts import Judged, Moved, PutIntoUse, Retraining
from activities.support_learning import SUPPORT
from guardrails.retraining import it_was_judged_beside_the_one_in_use
from handrail import Final
from handrail.actions import Basis, Undoes
from handrail.evidence import ChosenAction
from handrail.policy import Facts
from handrail.testing import call_write
from tests.agents.policies import refusals
from workers.fleets.retraining import fleet
from world.inspection import days as inspection_days
from world.inspection.boards import archive
from world.leads import days as leads_days
from world.support import days, goods

AGENT = fleet.agent("retraining")
ON = date(2026, 3, 20)
DUE = Retraining(agent="support", on=ON)


@pytest.fixture
def has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("AGENT_MODELS", f"sqlite:///{tmp_path / 'models.db'}")
    found = shelf()
    assert found is not None
    return found


def using(has: Shelf) -> tuple[str, str]:
    """Two versions, the first of which is in use."""
    old, new = has.keep("support", b"old"), has.keep("support", b"new")
    assert has.put("support", old, ON, "first", before=None)
    return old, new


def test_a_version_is_kept_once_and_is_what_its_digest_says(has: Shelf) -> None:
    version = has.keep("support", b"model")
    assert has.keep("support", b"model") == version
    assert has.body("support", version) == b"model"
    with has.engine.begin() as db:
        db.execute(models.VERSIONS.update().values(body=b"another"))
    with pytest.raises(Final, match="that is what it was"):
        has.body("support", version)


def test_one_that_was_in_use_is_never_discarded(has: Shelf) -> None:
    old, new = using(has)
    for each in (old, new):
        has.discard("support", each)
    assert has.versions("support") == [old]


async def test_put_into_use_is_once_for_a_key_and_its_undo_exact(has: Shelf) -> None:
    old, new = using(has)
    action = PutIntoUse(agent="support", version=new, replaces=old, on=ON)
    assert [await call_write(put_into_use, action, key="k") for _ in range(2)] == [new, new]
    assert has.use("support") == Use(new, ON, 1)
    for _ in range(2):
        await call_write(put_back, action, key="k/undo", undoes=Undoes(key="k"))
    assert has.use("support") == Use(old, ON, 2)
    # Its key was used: it does not come back by being sent once more.
    await call_write(put_into_use, action, key="k")
    assert has.use("support") == Use(old, ON, 2)
    with has.engine.connect() as db:
        assert len(db.execute(USES.select()).all()) == 3


async def test_what_is_in_use_by_now_is_not_replaced_unseen(has: Shelf) -> None:
    old, new = using(has)
    third = has.keep("support", b"third")
    action = PutIntoUse(agent="support", version=third, replaces=old, on=ON)
    assert await it_was_judged_beside_the_one_in_use(action) is None
    assert has.put("support", new, ON, "another", before=old)
    assert new in str(await it_was_judged_beside_the_one_in_use(action))
    with pytest.raises(Final, match="any more"):
        await call_write(put_into_use, action)
    await call_write(put_back, action, key="u", undoes=Undoes(key="k"))
    assert has.use("support") == Use(new, ON, 1)


def test_an_agent_decides_by_what_is_in_use_or_tried(has: Shelf) -> None:
    learnt: list[int] = []

    def learn() -> bytes:
        learnt.append(1)
        return b"first"

    first = chosen("support", learn)
    assert first is not None
    new = has.keep("support", b"new")
    with trying("support", new):
        assert chosen("support", learn) == (new, b"new")
    assert chosen("support", learn) == first == (first[0], b"first")
    assert has.put("support", new, ON, "k", before=first[0])
    assert chosen("support", learn) == (new, b"new")
    assert learnt == [1]


def moved(**other: Any) -> Moved:
    usual = {"in_use": "a", "since": ON, "moved": ("confidence 0.4",), "index": 0.4}
    return Moved.model_validate(usual | {"seen": 600, "labelled": 90} | other)


def judged(**other: Any) -> Judged:
    counts = (name for name, field in Judged.model_fields.items() if field.is_required())
    usual: dict[str, Any] = dict.fromkeys(counts, 0) | {"differ": ()}
    return Judged.model_validate(usual | {"decisions": 90, "as_people_now": 85} | other)


async def test_nothing_is_learnt_where_nothing_moved_or_people_have_said_little() -> None:
    assert (await whether_to_learn(DUE, moved())).action is not None
    assert (await whether_to_learn(DUE, moved(moved=()))).action is None
    assert (await whether_to_learn(DUE, moved(labelled=10))).action is None


async def test_a_version_that_is_no_better_is_not_proposed() -> None:
    for worse in ({"as_people_before": 85}, {"wrong_now": 1}):
        assert (await whether_to_use(DUE, "b", "a", judged(**worse))).action is None
    assert (await whether_to_use(DUE, "b", "a", judged())).action is not None


async def test_what_people_declined_is_proposed_again_when_more_speaks_for_it(has: Shelf) -> None:
    action = PutIntoUse(agent="support", version="b", replaces="a", on=ON)
    no = declined(action, judged(as_people_before=80, wrong_now=1, wrong_before=1))
    for _ in range(2):
        await call_write(decline, no, key="k/decline/3")
    kept = has.declined("support", "a")
    assert kept == Declined("b", "a", ON, 5, 1)
    assert has.declined("support", "another that is in use") is None

    async def proposes(**other: int) -> bool:
        said = {"declined": "b", "lead_declined": no.lead, "wrong_declined": no.wrong}
        found = judged(wrong_before=1, as_people_before=80, **said, **other)
        return (await whether_to_use(DUE, "c", "a", found)).action is not None

    assert not await proposes(as_people_now=89, wrong_now=1)
    assert await proposes(as_people_now=90, wrong_now=1)
    assert await proposes(as_people_now=82, wrong_now=0)
    await call_write(forget, no, key="u", undoes=Undoes(key="k/decline/3"))
    assert has.declined("support", "a") is None


async def test_an_answer_counts_as_an_act_and_is_right_where_it_is_to_the_same_wish() -> None:
    given = {"kind": None, "action": None}
    answers = ({"handling": "answer", "intent": "status"}, {"handling": "people", "intent": "x"})
    found = [ChosenAction.model_validate(given | {"answers": each}) for each in answers]
    assert [SUPPORT.acts(each) for each in found] == [True, False]


@pytest.mark.parametrize(
    ("evidence", "refused"),
    [({}, 0), ({"wrong_now": 1}, 1), ({"as_people_before": 86}, 1)],
)
def test_a_version_that_is_worse_is_refused_whoever_wants_it(
    evidence: dict[str, Any], refused: int
) -> None:
    policy = AGENT.policy_file.current()
    action = PutIntoUse(agent="support", version="b", replaces="a", on=ON)
    facts = Facts(
        step="put_into_use",
        action=action,
        basis=Basis(confidence=1),
        evidence=judged(**evidence),
        case="retraining:1",
        requester=None,
    )
    assert len(refusals(policy, facts)) == refused
    assert AGENT.faults() == []


def test_who_is_not_retrained_is_named() -> None:
    with pytest.raises(Final, match="there are: inspection, leads, support"):
        learner_of("nobody")


def test_the_days_are_the_same_each_time_and_change_on_their_day() -> None:
    people = goods.customers()
    orders = goods.orders(people)
    first, never = days.came(people, orders), days.came(people, orders, date.max)
    assert first == days.came(people, orders)
    other = [a.day for a, b in zip(first, never, strict=True) if a.said.text != b.said.text]
    assert min(other) == days.CHANGED
    assert [each.said.truth for each in first] == [each.said.truth for each in never]


def test_leads_are_scored_by_the_weights_in_use(has: Shelf) -> None:
    assert weights()[1:] == CDNOW[1:]
    other = CDNOW._replace(base=0.0, qualified=0.8)
    with trying("leads", has.keep("leads", packed(other))):
        assert weights()[1:] == other[1:]
        assert weights().version != CDNOW.version


def test_weights_are_learnt_of_who_did_and_who_did_not() -> None:
    rows = [[float(n % 2), *[0.0] * 8] for n in range(40)]
    found = fit(rows, [n % 2 == 1 for n in range(40)])
    assert found.weights[0] > 1
    assert found.qualified >= LEAST
    with pytest.raises(ValueError, match="give it both kinds"):
        fit(rows, [True] * 40)


def test_an_eye_is_kept_as_what_it_learnt_and_is_the_same_again() -> None:
    boards = boards_of_an_archive()
    known = sight.unpacked(sight.packed(sight.labelled(boards)))
    one, two = sight.fit(known), sight.learn(boards)
    assert one.name == two.name
    found = boards[0][0]
    assert one.risks(found).tolist() == two.risks(found).tolist()


def boards_of_an_archive() -> list[tuple[sight.Patches, list[sight.Box]]]:
    return [
        (
            sight.patches(sight.read_image(each.golden), sight.read_image(each.scan)),
            [sight.Box(*box) for _, box in each.defects],
        )
        for each in archive(1, 30)
    ]


def test_the_evenings_of_leads_are_the_same_and_the_truth_does_not_change() -> None:
    first, never = leads_days.came(), leads_days.came(date.max)
    assert first == leads_days.came()
    other = [a.day for a, b in zip(first, never, strict=True) if a.orders != b.orders]
    assert set(other) == {each.day for each in first if each.day >= leads_days.CHANGED}
    assert [each.worth for each in first] == [each.worth for each in never]


def test_dust_on_boards_is_no_defect() -> None:
    day = inspection_days.CHANGED
    dusty, clean = (inspection_days.came(day, 7, changed) for changed in (day, date.max))
    assert [each.made.defects for each in dusty] == [each.made.defects for each in clean]
    assert any(a.made.scan != b.made.scan for a, b in zip(dusty, clean, strict=True))
