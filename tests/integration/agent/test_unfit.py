"""What steps return and raise that no wire, ledger or terminal takes is made fit, or said; once."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail import State
from handrail.testing import Outside
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import odd
from tests.agents.odd_steps import Odd
from tests.agents.tools import reported_problems

pytestmark = pytest.mark.integration


WHY = {
    "deep": "scribble returned what cannot be kept: it is nested too deep",
    "a huge number": "more than 4,000 digits",
    "keys": "two keys that differ only in what JSON does not hold",
    "final": "half \ufffd and",
    "tokens": "the ledger cannot keep a value",
    "raised": "half \ufffd of it",
    "never": "never \ufffd",
}


def unfit(what: str) -> Odd:
    return Odd(number=what, step="unfit", what=what)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_it_is_made_fit_before_anybody_sees_it(
    run_fleet: RunFleet,
    outside: Outside,
    tmp_path: Path,
    kind: str,
    request: pytest.FixtureRequest,
) -> None:
    ledger = request.getfixturevalue("postgres_url") if kind == "postgresql" else None
    async with run_fleet(odd(tmp_path), ledger=ledger) as stage:
        case = await stage.start("odd", unfit("texts"))
        outcome = await case.outcome()
        kept = await stage.ledger.verdicts("odd")
    assert (outcome.status, outcome.why) == (State.DONE, "all of it \ufffd")
    assert outcome.unsent == ()
    assert [receipt.result for receipt in outcome.receipts] == ["made \ufffd\ufffd"]
    assert {str(row.action) for row in kept} == {"{'what': 'texts \ufffd\ufffd'}"}
    assert len(outside.calls("model")) == 1
    assert outside.effects("announce") == ["\ufffd\ufffd"]


@pytest.mark.parametrize("what", WHY)
async def test_what_cannot_be_made_fit_ends_the_step_at_once(
    what: str, run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    async with run_fleet(odd(tmp_path)) as stage:
        case = await stage.start("odd", unfit(what))
        outcome = await case.outcome()
        assert await reported_problems(case) == []
    assert outcome.status is State.FAILED
    assert WHY[what] in outcome.why
    assert len(outside.calls("model")) == (what in {"tokens", "never", "raised"})
    assert len(outside.calls("scribble")) == 1
