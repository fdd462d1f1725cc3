"""A data check is somebody else's code: whatever it does, it holds, and harms nobody else."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import timedelta
from typing import Any

import pytest
from typing_extensions import override

from handrail import Action, check
from handrail.actions import Kind
from handrail.agent import LoopEnded, StepLoop, steps_on
from handrail.guardrails.data_checks import look

SOON = timedelta(milliseconds=50)


class Pay(Action):
    """Pay."""

    order: str = "1"


class WordlessError(Exception):
    """An error that cannot say what it is."""

    @override
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (None, None, ""),
        ("none in stock", Kind.REFUSE, "none in stock"),
        ("", Kind.REFUSE, "on_shelf says no, and not why"),
        ("half \ud800", Kind.REFUSE, "half \\ud800"),
        (True, Kind.HOLD, "neither None nor a text, but bool"),
        (0, Kind.HOLD, "neither None nor a text, but int"),
        ("x" * 10_000, Kind.REFUSE, "xxx"),
    ],
)
async def test_what_a_check_says_is_taken_only_as_what_it_may_say(
    said: Any, kind: Kind | None, words: str
) -> None:
    @check
    async def on_shelf(action: Pay) -> str | None:
        del action
        return said

    found = await look(on_shelf, Pay())
    assert (found and found.kind) == kind
    assert words in (found.why if found else "")
    assert found is None or found.model_dump_json()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("unseen"), "unseen"),
        (ValueError(), "ValueError"),
        (SystemExit(3), "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (asyncio.CancelledError(), "CancelledError"),
        (GeneratorExit(), "GeneratorExit"),
        (WordlessError(), "WordlessError"),
        (ExceptionGroup("several", [ValueError("one")]), "several"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_check_that_raises_holds(error: BaseException, words: str) -> None:
    @check
    async def on_shelf(action: Pay) -> str | None:
        del action
        raise error

    found = await look(on_shelf, Pay())
    assert found is not None
    assert found.kind is Kind.HOLD
    assert f"on_shelf could not be checked: {words}" in found.why


@pytest.mark.parametrize("ignores", [False, True])
async def test_a_check_that_never_answers_holds_in_its_time(*, ignores: bool) -> None:
    let_go = asyncio.Event()

    @check(timeout=SOON)
    async def on_shelf(action: Pay) -> str | None:
        del action
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                if not ignores:
                    raise
        return None

    began = time.perf_counter()
    found = await look(on_shelf, Pay())
    assert time.perf_counter() - began < 60  # the check itself would take for ever
    assert found is not None
    assert found.kind is Kind.HOLD
    assert "no answer within 0.05 s" in found.why
    let_go.set()
    await asyncio.sleep(0)


async def test_who_gives_up_waiting_ends_the_check_too() -> None:
    ended = asyncio.Event()

    @check
    async def on_shelf(action: Pay) -> str | None:
        del action
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.set()
        return None

    looking = asyncio.ensure_future(look(on_shelf, Pay()))
    await asyncio.sleep(0.01)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    await asyncio.wait_for(ended.wait(), 5)


def test_a_check_that_is_cut_off_with_its_worker_holds_nothing() -> None:
    found = list[LoopEnded]()

    @check
    async def on_shelf(action: Pay) -> str | None:
        del action
        asyncio.get_running_loop().call_soon(sys.exit)
        await asyncio.sleep(10)
        return None

    def engine(place: StepLoop) -> None:
        async def asks() -> None:
            with steps_on(place):
                await look(on_shelf, Pay())

        try:
            asyncio.run(asks())
        except LoopEnded as error:
            found.append(error)

    async def worker() -> None:
        await asyncio.get_running_loop().run_in_executor(None, engine, StepLoop())

    with pytest.raises(SystemExit):
        asyncio.run(worker())
    assert len(found) == 1
