"""How well defects are told from dust, and when a chart says that a line is off."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from activities import inspection
from activities.inspection import Charted, Part, Seen, Sight, Sort, Verdict, control, judge
from activities.inspection_chart import CENTRE, chart, picture
from activities.inspection_sight import (
    HOLD,
    Box,
    Judge,
    Patches,
    aligned,
    fit,
    learn,
    patches,
    read_image,
    risk_in,
)
from benchmarks.agents.inspection import boards_of, generated, judged
from handrail.actions import Basis
from handrail.policy import Facts
from tests.agents.policies import holds, refusals
from workers.fleets.inspection import fleet

DEEPPCB = Path(os.environ.get("DEEPPCB") or Path(__file__).parents[4] / "shared/data/deeppcb")
AGENT = fleet.agent("inspection")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def part(serial: int) -> Part:
    return Part(line=2, serial=serial, at=NOON)


def test_of_generated_boards_it_catches_all_and_holds_few_of_the_good_ones() -> None:
    parts = judged(generated(5, 70), generated(1, 100))
    bad, good = [p for p in parts if p.bad], [p for p in parts if not p.bad]
    assert len(bad) > 25
    assert sum(p.risk >= HOLD for p in bad) / len(bad) >= 0.99
    assert sum(p.risk >= HOLD for p in good) / len(good) <= 0.2


def test_tiles_of_real_boards_are_judged_by_the_same_code() -> None:
    if not DEEPPCB.exists():
        pytest.skip(f"there is no {DEEPPCB}: it is not in the repository")
    found = boards_of(DEEPPCB)
    parts = judged(found[1::2], found[::2])
    bad, good = [p for p in parts if p.bad], [p for p in parts if not p.bad]
    assert sum(p.risk >= HOLD for p in bad) / len(bad) >= 0.99
    assert sum(p.risk >= HOLD for p in good) / len(good) <= 0.11


def test_a_golden_board_is_moved_to_where_the_scan_has_it() -> None:
    golden = np.zeros((130, 100), dtype=bool)
    golden[30:40, 20:80] = golden[60:110, 50:58] = True
    moved = np.roll(golden, (2, -3), (0, 1))
    assert (aligned(golden, moved) ^ moved).sum() == 0
    assert not patches(golden, moved).boxes
    moved[31:43, 40:44] = False
    assert [box.touches(Box(40, 31, 44, 43)) for box in patches(golden, moved).boxes] == [True]
    with pytest.raises(ValueError, match="the scan"):
        patches(golden, moved[:-1])
    with pytest.raises(ValueError, match="no image"):
        read_image(b"none")


def test_a_defect_whose_box_reaches_into_a_part_makes_it_bad_and_one_further_off_does_not() -> None:
    found = patches(*(np.zeros((60, 60), dtype=bool) for _ in range(2)))
    assert risk_in(Box(0, 0, 10, 10), found, np.zeros(0)) == 0
    one = found._replace(boxes=[Box(23, 2, 25, 4)])
    assert risk_in(Box(0, 0, 10, 10), one, np.array([0.7])) == 0.7
    assert risk_in(Box(0, 0, 9, 9), one, np.array([0.7])) == 0


def test_it_learns_from_nothing_that_has_no_defect() -> None:
    with pytest.raises(ValueError, match="give it both kinds"):
        learn([])


class Certain:
    """A forest of one tree that says what is asked of it."""

    def __init__(self, risk: float) -> None:
        self.risk, self.estimators_ = risk, [self]

    def predict_proba(self, rows: np.ndarray, *, check_input: bool) -> np.ndarray:
        del check_input
        return np.array([[1 - self.risk, self.risk]] * len(rows))


def test_patches_are_judged_as_the_whole_forest_judges_them() -> None:
    drawn = np.random.default_rng(0)
    rows = drawn.normal(size=(300, 17))
    judge = fit(np.column_stack([rows, (rows[:, 0] > 1).astype(float)]))
    found = Patches([Box(0, 0, 1, 1)] * 40, drawn.normal(size=(40, 17)))
    assert judge.risks(found).tolist() == judge.trees.predict_proba(found.rows)[:, 1].tolist()
    assert judge.risks(Patches([], np.empty((0, 17)))).size == 0


@pytest.mark.parametrize(
    ("risk", "verdict"), [(0.05, "pass"), (0.1, "hold"), (0.94, "hold"), (0.95, "stop")]
)
async def test_two_thresholds_make_pass_hold_and_stop(
    monkeypatch: pytest.MonkeyPatch, risk: float, verdict: str
) -> None:
    monkeypatch.setattr(inspection, "learnt", lambda: Judge(Certain(risk), "x"))
    seen = Seen(rows=[[1.0]], boxes=[Box(1, 1, 3, 3)])
    decision = await judge(part(1), seen)
    assert decision.action is not None
    assert decision.action.verdict == verdict
    unread = await judge(part(1), Seen(rows=[], boxes=[], fault="it is no image"))
    assert unread.action is not None
    assert (unread.action.verdict, unread.evidence.readable) == ("hold", False)


def test_a_chart_speaks_by_each_of_its_rules_and_not_without() -> None:
    def rules(*counts: int) -> list[tuple[str, ...]]:
        faulty = [(g * 10 + n + 1, n < count) for g, count in enumerate(counts) for n in range(10)]
        return [point.rules for point in chart(faulty)]

    assert rules(1, 2, 1, 0, 2, 1) == [()] * 6
    assert rules(1, 5)[-1][0] == "beyond three sigma"
    assert rules(4, 1, 4)[-1] == ("two of three beyond two sigma",)
    assert "four of five beyond one sigma" in rules(3, 3, 1, 3, 3)[-1]
    assert "eight in a row above the centre" in rules(*[2] * 8)[-1]
    assert not rules(*[2] * 7)[-1]
    assert rules(5, 1)[-1] == ()  # one that is back in its band is back


def test_runs_begin_anew_when_somebody_saw_to_the_machine() -> None:
    faulty = [(serial, serial <= 15) for serial in range(1, 31)]
    assert chart(faulty)[0].rules
    assert [point.serial for point in chart(faulty, since=20)] == [30]
    drawn = picture("Line 2", chart(faulty), [15])
    assert drawn.count("<circle") == 3
    assert "seen to" in drawn


async def test_a_line_is_stopped_by_its_last_point_alone() -> None:
    faulty = [(serial, serial <= 10) for serial in range(1, 21)]
    off = await control(part(10), Charted(runs=True, faulty=faulty, since=0))
    assert off.action is not None
    assert (off.action.line, off.evidence.machine, off.evidence.faults) == (2, 11, 10)
    back = await control(part(20), Charted(runs=True, faulty=faulty, since=0))
    assert back.action is None
    none = await control(part(20), Charted(runs=True, faulty=[], since=0))
    assert none.action is None
    assert 0 < CENTRE < 0.5


@pytest.mark.parametrize(
    ("verdict", "risk", "refused"),
    [
        ("pass", 0.09, 0),
        ("pass", 0.1, 1),
        ("hold", 0.5, 0),
        ("stop", 0.95, 0),
        ("stop", 0.94, 1),
    ],
)
def test_the_policy_lets_no_part_pass_that_may_be_bad(
    verdict: Verdict, risk: float, refused: int
) -> None:
    policy = AGENT.policy_file.current()
    given = Facts(
        step="sort",
        action=Sort(line=1, serial=3, verdict=verdict),
        basis=Basis(confidence=0.9),
        evidence=Sight(risk=risk, patches=1, readable=True, image="", model="x"),
        case="inspection:L1-3",
        requester=None,
    )
    assert len(refusals(policy, given)) == refused
    assert holds(policy, given) == []
    assert (AGENT.faults(), AGENT.notes()) == ([], [])
