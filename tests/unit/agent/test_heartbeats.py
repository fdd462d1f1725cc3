"""What heartbeats say of the attempts before one: which died, and when the next is put off."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from handrail.agent import heartbeats
from handrail.agent.heartbeats import DIED, Heartbeats

MOST = 3


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "APART", timedelta(0))


async def attempt(number: int, said: dict[str, Any], ends: str) -> tuple[dict[str, Any], Any]:
    """One attempt, after what the one before it said; what it said, and why it was put off."""
    env = ActivityEnvironment()
    env.info = dataclasses.replace(
        env.info, attempt=number, is_local=False, heartbeat_details=[said] if said else []
    )

    async def tried() -> tuple[dict[str, Any], Any]:
        beats, why = Heartbeats.of_activity(), None
        try:
            await beats.spread_deaths("pay", MOST)
        except ApplicationError as error:
            why = error
        if why is not None or ends == "fails":
            beats.mark_unsent(marked=True)
            beats.mark_ended()
        elif ends == "sends and dies":
            await beats.mark_sent("me")
        elif ends == "thinks and dies":
            beats.thinks("well")
        return beats.said, why

    return await env.run(tried)


async def attempts(*ends: str) -> list[Any]:
    """What came of attempts one after the other: why each was put off, or None."""
    said: dict[str, Any] = {}
    put_off = list[Any]()
    for number, each in enumerate(ends, 1):
        said, why = await attempt(number, said, each)
        put_off.append(why)
    return put_off


@pytest.mark.parametrize("dies", ["dies", "sends and dies", "thinks and dies"])
async def test_deaths_in_a_row_put_every_other_attempt_off_for_longer_each_time(dies: str) -> None:
    found = await attempts(*[dies] * 9)
    assert [why is not None for why in found] == [n in {4, 6, 8} for n in range(1, 10)]
    reasons = [why for why in found if why is not None]
    assert {why.type for why in reasons} == {DIED}
    assert [f"{n} times in a row" in str(why) for n, why in enumerate(reasons, MOST)] == [True] * 3
    pauses = [why.next_retry_delay for why in reasons]
    for n, pause in enumerate(pauses):
        assert timedelta(seconds=15) * 2**n <= pause <= timedelta(seconds=30) * 2**n


async def test_one_that_waits_apart_from_the_others_has_not_run_if_it_dies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: dict[str, Any] = {}
    for number in range(1, MOST):
        said, _ = await attempt(number, said, "dies")
    monkeypatch.setattr(heartbeats, "APART", timedelta(hours=1))
    env = ActivityEnvironment()
    env.info = dataclasses.replace(env.info, attempt=MOST, is_local=False, heartbeat_details=[said])

    async def waits() -> dict[str, Any]:
        beats = Heartbeats.of_activity()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(beats.spread_deaths("pay", MOST), 0.1)
        return beats.said

    said = await env.run(waits)
    monkeypatch.setattr(heartbeats, "APART", timedelta(0))
    said, why = await attempt(MOST + 1, said, "dies")
    assert why is None  # it would be put off if that one counted
    _, why = await attempt(MOST + 2, said, "dies")
    assert why is not None


async def test_no_pause_is_longer_than_an_hour() -> None:
    found = [why for why in await attempts(*["dies"] * 60) if why is not None]
    assert max(why.next_retry_delay for why in found) <= timedelta(hours=1)
    assert found[-1].next_retry_delay >= timedelta(minutes=30)


async def test_an_attempt_that_fails_by_itself_ends_the_row() -> None:
    found = await attempts("dies", "dies", "fails", "dies", "dies", "fails", *["fails"] * 20)
    assert found == [None] * 26


NONE_OF_OURS: list[Any] = [
    *(1, None, [1], "sent", True),
    *({key: "x"} for key in ("sent", "unsent", "ended", "deaths", "put off")),
    {"before a reset": 10**9},
    {"by": 1},
    {"sent": None},
]


@pytest.mark.parametrize("said", NONE_OF_OURS)
async def test_what_no_attempt_has_said_ends_none_and_says_that_it_may_have_sent(said: Any) -> None:
    env = ActivityEnvironment()
    env.info = dataclasses.replace(env.info, attempt=2, is_local=False, heartbeat_details=[said])

    async def tried() -> Heartbeats:
        beats = Heartbeats.of_activity()
        await beats.spread_deaths("pay", MOST)
        return beats

    beats = await env.run(tried)
    assert (beats.deaths, beats.sent_by) == (1, "")
    assert not beats.nothing_sent(marked=True)
    assert beats.nothing_sent(marked=True, abandoned=1)


async def test_nobody_can_say_that_more_have_died_than_there_were() -> None:
    _, why = await attempt(MOST, {"deaths": 10**9}, "dies")
    assert why is None


LATER = timedelta(seconds=3)


@pytest.mark.parametrize(
    ("said", "number", "sent", "unsent"),
    [
        ({"sent": 5, "by": "me"}, 6, False, False),
        ({"ended": 3, "unsent": 3}, 4, True, True),
        ({"ended": 2, "unsent": 2, "before a reset": 3}, 5, True, False),
        ({"sent": 2, "before a reset": 1, "ended": 6, "unsent": 6}, 7, False, True),
    ],
)
async def test_attempts_are_counted_on_when_a_reset_numbers_them_anew(
    said: dict[str, Any], number: int, *, sent: bool, unsent: bool
) -> None:
    env = ActivityEnvironment()
    later = env.info.scheduled_time + LATER
    env.info = dataclasses.replace(
        env.info,
        is_local=False,
        heartbeat_details=[said],
        current_attempt_scheduled_time=later,
    )

    async def tried() -> Heartbeats:
        beats = Heartbeats.of_activity()
        await beats.recall()
        return beats

    beats = await env.run(tried)
    assert beats.attempt == number
    assert beats.nothing_sent(marked=True) is sent
    assert beats.nothing_sent(marked=False) is unsent
    # The one after it goes on from there.
    env.info = dataclasses.replace(env.info, attempt=2, heartbeat_details=[beats.said])
    assert (await env.run(tried)).attempt == number + 1
