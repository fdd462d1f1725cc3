"""Deploys of changed models under waiting cases, in the short form of `make deploys`."""

import json
import subprocess
import sys

import pytest

CHANGES = ("a field with a default", "a field less", "a rule that it keeps")
CASES = 5


@pytest.mark.integration
@pytest.mark.slow
def test_a_killed_worker_is_replaced_by_one_with_other_models() -> None:
    command = [sys.executable, "-m", "tests.deploys", "--together", "--json", "--cases", str(CASES)]
    for change in CHANGES:
        command += ["--change", change]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)
    assert [row["change"] for row in rows if row["clean"]] == list(CHANGES), done.stderr
    kinds = [(row["approved"], row["asked"], row["amended"]) for row in rows]
    assert kinds == [(0, CASES, 0), (0, 0, CASES), (CASES, 0, 0)]
