"""The crash laboratory in its short form: every boundary once, and a small storm."""

import json
import subprocess
import sys
from typing import Any

import pytest

SEED = 20130
# On a busy machine nothing is prompt; the full form on a quiet one asks for 5 s.
LIMIT_S = 20


@pytest.fixture(scope="module")
def ran() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.chaos", "--short", "--json"]
    command += ["--seed", str(SEED), "--limit", str(LIMIT_S)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.integration
@pytest.mark.chaos
@pytest.mark.slow
def test_nothing_is_lost_doubled_or_wedged_at_any_boundary(ran: dict[str, Any]) -> None:
    assert ran["violations"] == []
    rows = ran["rows"]["aimed"]
    assert len({row["target"] for row in rows}) > 30
    assert sum(row["fired"] for row in rows) == sum(row["planned"] for row in rows) > 30
    assert sum(row["asked"] for row in rows) > 0
    # What the ledger keeps of them is what their histories say; a row that is gone is noticed.
    kept = ran["evidence"]
    assert sum(each["cases"] for each in kept) > 50
    assert [each["differing"] for each in kept] == [[]] * len(kept)
    assert {each["blind"] for each in kept} == {None, False}


@pytest.mark.integration
@pytest.mark.chaos
@pytest.mark.slow
def test_the_laboratory_sees_the_doubles_of_a_write_without_a_door(ran: dict[str, Any]) -> None:
    doubled = {row["target"]: row["doubled"] for row in ran["rows"]["control"]}
    assert doubled["write:before-effect"] == doubled["client:sending"] == 0
    assert doubled["write:after-effect"] == doubled["client:answered"] == 1
