"""A pilot against what people really ruled: agreement on cases that nothing was learnt from."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from handrail.actions import Level
from handrail.evidence import PromotionEvidence, agreement_path, next_step
from handrail.policy import PromoteDoc, Setting
from tests.agents.coding import POLICY
from tests.agents.coding_steps import RuledPackage
from tests.pilots.coding_pilot import Coder, Looked, halves, piloted

LOG = Path(__file__).parents[4] / "shared" / "data" / "log_hospital_billing"
GOAL = 0.95


@pytest.fixture(scope="module")
def split() -> tuple[Coder, list[RuledPackage]]:
    if not LOG.exists():
        pytest.skip(f"there is no {LOG}: it is not in the repository")
    return halves(LOG)


def agreed(coder: Coder, measured: list[RuledPackage]) -> list[bool]:
    return [coder.rule(each.package)[0] == each.ruling for each in measured]


async def test_a_promotion_is_proposed_when_the_bound_is_met_and_not_before(
    split: tuple[Coder, list[RuledPackage]], tmp_path: Path
) -> None:
    coder, measured = split
    looked: list[Looked] = []
    async for each in piloted(coder, measured, tmp_path):
        looked.append(each)
        if len(looked) > 1 and looked[-2].done.proposed:
            break
    path = agreement_path(agreed(coder, measured))
    for each in looked:
        assert each.pilot.agreement.low == pytest.approx(path[each.pilot.agreement.n - 1].low)
    proposed = [bool(each.done.proposed) for each in looked]
    first = proposed.index(True)
    assert proposed.count(True) == 1
    assert [each.pilot.agreement.low >= GOAL for each in looked][: first + 1] == [False] * first + [
        True
    ]
    assert all("agreement" in each.write.lacking[0] for each in looked[:first])
    assert looked[first].write.proposal
    assert looked[first].done.proposed[0].startswith("rule: pilot to full 5%: at least 95.")


def test_of_every_case_it_is_due_from_the_first_at_which_the_bound_is_met(
    split: tuple[Coder, list[RuledPackage]],
) -> None:
    coder, measured = split
    rule = PromoteDoc.model_validate(POLICY["actions"]["rule"]["promote"] | {"days": 0})
    path, at = agreement_path(agreed(coder, measured)), measured[0].at
    seen = (PromotionEvidence(at, bound) for bound in path)
    due = [next_step(rule, Setting(Level.PILOT), Level.FULL, each, at).due for each in seen]
    met = next(n for n in count() if path[n].low >= GOAL and path[n].n >= rule.cases)
    assert due.index(True) == met
    days = measured[met].at - at
    assert path[-1].low > 0.97
    assert timedelta(30) < days < timedelta(90)
