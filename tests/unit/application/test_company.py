"""What the company's demonstration has of each agent's, and how it spreads their events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from handrail import ConfigurationError
from workers.demos import company
from workers.fleets.company import fleet


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {"HANDRAIL_HOME": str(tmp_path), "PATH": ""})
    monkeypatch.setattr("workers.tryton.subprocess.run", _made)


def _made(argv: Sequence[str], **_: object) -> None:
    """Tryton's database is made by another process; here nobody looks into it."""
    assert argv[-1] == "world.tryton.database"


def test_every_agent_of_the_fleet_is_shown_once() -> None:
    assert sorted(each.agent for each in company.shown()) == sorted(fleet.agents)


def test_two_systems_of_one_name_are_one_system() -> None:
    every = [system for each in company.shown() for system in each.systems]
    assert len(set(every)) == len({each.name for each in every}) < len(every)


async def test_a_number_of_minutes_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPANY_MINUTES", "an hour")
    with pytest.raises(ConfigurationError, match="COMPANY_MINUTES is 'an hour'; write a number"):
        await company.demo(cast("Any", None), once=True)
