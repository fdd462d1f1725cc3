"""The attack on a fleet: rulings by the hundred, scripts, and the books at the end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from datetime import timedelta

from handrail.actions import Event
from handrail.oversight import GateView, Keyring
from handrail.testing import CaseHandle, Human, Stage
from tests.redteam.arena import Arena, later
from tests.redteam.report import Report
from tests.redteam.rogue import access
from tests.redteam.rulings import RULINGS
from tests.redteam.scene import Attack, Cast, Message
from tests.redteam.scripts import SCRIPTS, Script

_AT_ONCE = 20
"""Signals that are on their way at once."""

_BY_UPDATE = 8
"""Of so many attacks one comes by update."""

_EACH = 300
"""Attacks on one case at most: fewer than the refused rulings that a case keeps."""


async def attack(
    stage: Stage,
    agent: str,
    event: Callable[[int], Event],
    *,
    approvers: Sequence[Human],
    keyring: Keyring,
    books: Callable[[], Iterable[str]],
    rulings: int = 300,
    scripts: Sequence[Script] = SCRIPTS,
    attacks: Sequence[Attack] = RULINGS,
    seed: int = 0,
) -> Report:
    """Attack one agent of a running fleet, and count what came of it.

    Where proof is required every attack must be refused, and every genuine ruling taken:
    assert `report.clean`. About a second for 100 `rulings`, and half a minute for `scripts`.

    Args:
        stage: the fleet at work, with `trust=Trust(keyring=keyring)`.
        agent: the name of the agent.
        event: the event of the n-th case. Each of these cases must wait at a gate.
        approvers: people with trusted keys who may rule on it, and suffice if all approve.
            The first must be able to close it by a rejection.
        keyring: what the fleet's workers trust. The attackers' keys are put into it.
        books: the keys (`Effect.key`) of what was done, by the outside world's own account.
        rulings: how many attacks by a single ruling.
        scripts: the attacks of several moves.
        attacks: the attacks by a single ruling.
        seed: makes the same attacks again.

    Raises:
        ConfigurationError: if an approver has no key.
        TimeoutError: if a case of `event` does not wait at a gate.
    """
    async with _arena(stage, agent, event, approvers, keyring, books, seed) as arena:
        pairs = max(1, -(-rulings // (2 * _EACH))) if rulings else 0
        for _ in range(pairs):
            await _assault(arena, tuple(attacks), rulings // pairs)
        for script in scripts:
            await script(arena)
    return arena.report


async def flood(
    stage: Stage,
    agent: str,
    event: Callable[[int], Event],
    *,
    approvers: Sequence[Human],
    keyring: Keyring,
    books: Callable[[], Iterable[str]],
    signals: int = 10_000,
    seed: int = 0,
) -> Report:
    """Send more signals to one gate than Temporal takes in a run, and then the genuine ruling.

    It must get in, as an update, and the case must end as it says. It is refused for a moment
    where too many others wait to be proven; then it is sent again, as people are told to.
    """
    async with _arena(stage, agent, event, approvers, keyring, books, seed) as arena:
        (case, seen), (two, other) = await arena.waiting(), await arena.waiting()
        scene = later(arena.scene(case, seen, other), "flood")
        some = [each.make(scene) for each in RULINGS for _ in range(10)]
        small = [each for each in some if sum(len(p.data) for p in each.payloads) < _SMALL]
        await _all(arena, case, [small[n % len(small)] for n in range(signals)])
        arena.report.attack("flood", f"{signals} signals", accepted=False)
        arena.report.counts["flood"].attacks += signals - 1
        await _quiet(case)
        await arena.approve(case, seen)
        await arena.ends(case)
        await arena.says(arena.cast.approvers[0], "reject", two, other)
        await arena.ends(two)
    return arena.report


_SMALL = 4_000


async def _quiet(case: CaseHandle) -> None:
    """Wait until what was sent has been judged."""
    last = -1
    while (now := len((await case.view()).log)) != last:
        last = now
        await asyncio.sleep(2)


@contextlib.asynccontextmanager
async def _arena(  # noqa: PLR0917  # what was given to `attack`, in its order
    stage: Stage,
    agent: str,
    event: Callable[[int], Event],
    approvers: Sequence[Human],
    keyring: Keyring,
    books: Callable[[], Iterable[str]],
    seed: int,
) -> AsyncGenerator[Arena]:
    began = time.monotonic()
    report = Report(seed)
    rng = random.Random(seed)  # noqa: S311  # seeded, not secret
    cast = Cast.gather(approvers, keyring)
    async with access(stage.client) as entry:
        arena = Arena(stage, agent, event, cast, books, report, rng, entry)
        yield arena
    arena.settle()
    report.took = timedelta(seconds=time.monotonic() - began)


async def _assault(arena: Arena, attacks: tuple[Attack, ...], number: int) -> None:
    """Attack two waiting cases, each with what is known of the other; then let people rule."""
    (one, seen), (two, other) = await arena.waiting(), await arena.waiting()
    half = number // 2
    await asyncio.gather(
        _bombard(arena, attacks, one, seen, other, number - half),
        _bombard(arena, attacks, two, other, seen, half),
    )
    await arena.approve(one, seen)
    if arena.rng.random() < 0.5:  # one of two
        await arena.approve(two, other)
    else:
        await arena.says(arena.cast.approvers[0], "reject", two, other)
    for case in (one, two):
        await arena.ends(case)


async def _bombard(  # noqa: PLR0917  # which attacks, on which gate, knowing of which other
    arena: Arena,
    attacks: tuple[Attack, ...],
    case: CaseHandle,
    seen: GateView,
    other: GateView,
    number: int,
) -> None:
    scene = arena.scene(case, seen, other)
    signals: list[Message] = []
    for each in range(number):
        chosen = attacks[each % len(attacks)]
        sent = chosen.make(later(scene, f"#{each}"))
        arena.tags[f"{case.id} #{each}"] = f"{chosen.family}: {chosen.name}"
        if sent.said is None or arena.rng.randrange(_BY_UPDATE):
            signals.append(sent)
            arena.report.attack(chosen.family, chosen.name, accepted=False)
            continue
        accepted = await arena.update(case, sent.verb, sent.said)
        arena.taken[case.id] += accepted
        arena.report.attack(chosen.family, chosen.name, accepted=accepted)
    await _all(arena, case, signals)
    # Until each has its record: then what was accepted is known.
    await case.until(lambda view: len(view.rulings) >= len(signals))


async def _all(arena: Arena, case: CaseHandle, messages: Sequence[Message]) -> None:
    """Send them all, some at once."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def send(each: Message) -> None:
        async with slots:
            await arena.signal(case, each)

    await asyncio.gather(*map(send, messages))
