"""A stop under load, in several processes: no write begins whose intent came after it.

How long it takes is measured by `python -m benchmarks.stop`; here only the order counts.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.stop import SCOPES, trials

pytestmark = [pytest.mark.integration, pytest.mark.slow]


async def test_no_intent_is_committed_after_a_stop_was(url: str, tmp_path: Path) -> None:
    found = await trials(url, tmp_path, len(SCOPES), processes=2, writers=4)
    assert [trial.late for trial in found] == [0] * len(found)
    # There was a load, every door said why it did nothing, and the lifted ones went on.
    assert all(trial.refused for trial in found)
    assert all(trial.load for trial in found)
    # A write under way may begin its effect after the commit: at most one of each writer.
    assert all(trial.after <= 2 * 4 for trial in found)
