"""A replay comes to an end, whatever is wrong with the case or with what replays it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from temporalio.worker import Replayer
from typing_extensions import override

from handrail.runtime import replays
from tests.replay.record import HISTORIES, fleet

pytestmark = pytest.mark.replay

WAITING = (HISTORIES / "waiting.json").read_text(encoding="utf-8")


class WordlessError(Exception):
    """An error that cannot say what it is."""

    @override
    def __str__(self) -> str:
        raise RuntimeError


BROKEN = {"no such step": LookupError("no such step"), "WordlessError": WordlessError()}


async def stubborn(*_: object, **_more: object) -> None:
    """A replay as the SDK has it: cancelled, it waits for its worker until that is cancelled."""
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.Event().wait()


@pytest.mark.parametrize("says", BROKEN)
async def test_a_case_of_which_nothing_can_be_told_is_of_itself_alone(
    says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What raises while Temporal puts a workflow away is called again for ever."""

    def broken(*_: object) -> NoReturn:
        raise BROKEN[says]

    with monkeypatch.context() as patch:
        patch.setattr(replays, "foreseen", broken)
        odd = await fleet(tmp_path).replayed(WAITING, tmp_path)
    assert odd.fault is not None
    assert odd.fault.startswith("what it holds cannot be told: ")
    assert says in odd.fault
    assert odd.unknown  # it does replay: no worker refuses to start over it
    assert (await fleet(tmp_path).replayed(WAITING, tmp_path)).fault is None


async def test_one_that_does_not_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "_LONGEST", timedelta(seconds=0.1))
    monkeypatch.setattr(Replayer, "replay_workflow", stubborn)
    given_up = await fleet(tmp_path).replayed(WAITING, tmp_path)
    assert given_up.unknown
    assert given_up.fault == "it does not replay within 0:00:00.100000"
