"""Rulings and mandates in the ledger: kept as signed, used once, or so many times and no more."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import pytest

from handrail import Ledger, Receipt
from handrail.actions import Ruling
from handrail.ledger import (
    EffectState,
    MandateRow,
    MandateSpent,
    OverLimit,
    RulingRow,
    RulingUsed,
)
from handrail.wire import Limit
from tests.unit.ledger.intents import intent

NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)


def ruling(**more: Any) -> Ruling:
    given = {"gate": "g1", "digest": "d" * 64, "by": "Ana@example.com", "proof": "x.y.z"}
    return Ruling.model_validate(given | more)


def row(jti: str = "j1", **more: Any) -> RulingRow:
    given: dict[str, Any] = {
        "verb": "approve",
        "case": "a:1",
        "step": "pay",
        "digest": "d" * 64,
        "by": "ana@example.com",
        "kid": "k1",
        "at": NOW,
    }
    return RulingRow.of(more.pop("ruling", ruling()), jti=jti, **given | more)


def mandate(mandate_id: str = "m1", **more: Any) -> MandateRow:
    given: dict[str, Any] = {
        "kind": "standing",
        "agent": "a",
        "by": "ana@example.com",
        "to": None,
        "begins": NOW,
        "ends": NOW + HOUR,
        "text": "signed",
    }
    return MandateRow(id=mandate_id, **given | more)


# Rulings


async def test_a_ruling_comes_back_as_it_was_signed(ledger: Ledger) -> None:
    sent = ruling(
        why="ä🙂'; drop table handrail_rulings; --",
        action={"amount": "1E+2", "n": 1.5, "deep": {"x": [None, True]}},
        via="inbox",
        looked=12.25,
    )
    await ledger.record_rulings(
        [row(ruling=sent, verb="amend", stands_for="bo@example.com", planted=False)]
    )
    (kept,) = await ledger.rulings()
    assert kept.ruling == sent
    assert kept.text == sent.model_dump_json()
    assert (kept.at, kept.looked, kept.via, kept.verb) == (NOW, 12.25, "inbox", "amend")
    assert (kept.agent, kept.step, kept.case, kept.gate) == ("a", "pay", "a:1", "g1")
    assert (kept.stands_for, kept.planted, kept.effect) == ("bo@example.com", False, None)


async def test_a_ruling_that_is_there_stays_as_it_is(ledger: Ledger) -> None:
    await ledger.record_rulings([])
    await ledger.record_rulings([row(), row(verb="reject")])
    await ledger.begin(intent(uses=("j1",)))
    await ledger.record_rulings([row(verb="reject")])
    (kept,) = await ledger.rulings()
    assert (kept.verb, kept.effect, kept.planted) == ("approve", "a:1/pay/1", None)


async def test_rulings_are_found_by_person_case_and_time_the_newest_first(ledger: Ledger) -> None:
    await ledger.record_rulings(
        [
            row("j1"),
            row("j2", by="bo@example.com", at=NOW + HOUR),
            row("j3", case="a:10", at=NOW + 2 * HOUR),
        ]
    )

    async def found(**by: Any) -> list[str]:
        return [each.jti for each in await ledger.rulings(**by)]

    assert await found() == ["j3", "j2", "j1"]
    assert await found(limit=2) == ["j3", "j2"]
    assert await found(by="ana@example.com") == ["j3", "j1"]
    assert await found(case="a:1") == ["j2", "j1"]
    assert await found(since=NOW + HOUR) == ["j3", "j2"]
    assert await found(since=NOW + 3 * HOUR) == []
    assert await found(agents=["a"], limit=2) == ["j3", "j2"]
    assert await found(agents=["b"]) == []
    # Who reads sees their own, too, of whatever agent.
    assert await found(agents=["b"], by="bo@example.com") == ["j2"]
    bare = await ledger.rulings(texts=False)
    assert bare == [replace(each, text="") for each in await ledger.rulings()]


async def test_a_ruling_is_good_for_one_write_and_for_each_try_of_it(ledger: Ledger) -> None:
    await ledger.record_rulings([row("j1"), row("j2")])
    assert (await ledger.begin(intent(uses=("j1",)))).before is None
    assert (await ledger.begin(intent(uses=("j1",)))).before is not None
    with pytest.raises(RulingUsed) as used:
        await ledger.begin(intent("a:1/pay/2", uses=("j2", "j1")))
    assert (used.value.jti, used.value.key) == ("j1", "a:1/pay/1")
    # Nothing of the refused one stands, its other ruling neither.
    assert await ledger.effect("a:1/pay/2") is None
    assert (await ledger.begin(intent("a:1/pay/3", uses=("j2",)))).before is None


async def test_a_ruling_stays_with_a_write_that_did_not_happen(ledger: Ledger) -> None:
    await ledger.record_rulings([row()])
    await ledger.begin(intent(uses=("j1",)))
    await ledger.abandon("a:1/pay/1", "one", "no money")
    with pytest.raises(RulingUsed):
        await ledger.begin(intent("a:2/pay/1", uses=("j1",)))
    assert (await ledger.begin(intent(uses=("j1",)))).before is None
    again = await ledger.effect("a:1/pay/1")
    assert again is not None
    assert again.state is EffectState.INTENDED


async def test_a_ruling_that_was_never_recorded_allows_nothing(ledger: Ledger) -> None:
    await ledger.record_rulings([row()])
    with pytest.raises(RulingUsed, match="is not in the ledger; ask again") as used:
        await ledger.begin(intent(uses=("j1", "j9")))
    assert (used.value.jti, used.value.key) == ("j9", None)
    assert await ledger.effect("a:1/pay/1") is None
    assert (await ledger.rulings())[0].effect is None


async def test_of_32_that_use_one_ruling_one_begins(url: str) -> None:
    async with Ledger(url) as one, Ledger(url) as two:
        await one.record_rulings([row("j1"), row("j2")])
        # Half of them bring the two in the other order.
        uses = [("j1", "j2"), ("j2", "j1")]
        begun = await asyncio.gather(
            *(
                (one, two)[n % 2].begin(intent(f"a:{n}/pay/1", uses=uses[n // 2 % 2]))
                for n in range(32)
            ),
            return_exceptions=True,
        )
        users = {each.effect for each in await one.rulings()}
        rows = [found for n in range(32) for found in await one.effects(f"a:{n}")]
    assert sum(isinstance(each, RulingUsed) for each in begun) == 31
    assert [found.key for found in rows] == list(users)


# Mandates


async def test_a_mandate_comes_back_with_its_uses(ledger: Ledger) -> None:
    assert await ledger.add_mandate(mandate())
    assert not await ledger.add_mandate(mandate(text="another"))
    assert await ledger.mandate("m1") == mandate()
    assert await ledger.mandate("m2") is None
    await ledger.begin(intent(mandates=(("m1", 2),)))
    await ledger.finish(Receipt(key="a:1/pay/1", step="pay", digest="d" * 64, at=NOW))
    await ledger.begin(intent(mandates=(("m1", 2),)))  # the same write counts once
    await ledger.begin(intent("a:2/pay/1", mandates=(("m1", 2),)))
    assert await ledger.mandate("m1") == mandate(used=2)
    uses = await ledger.mandate_uses("m1")
    assert [key for key, _ in uses] == ["a:1/pay/1", "a:2/pay/1"]
    assert all(abs(at - datetime.now(UTC)) < timedelta(minutes=1) for _, at in uses)
    with pytest.raises(MandateSpent) as spent:
        await ledger.begin(intent("a:3/pay/1", mandates=(("m1", 2),)))
    assert (spent.value.mandate, spent.value.how) == ("m1", "used up")
    assert await ledger.effect("a:3/pay/1") is None
    assert await ledger.mandate("m1") == mandate(used=2)


async def test_which_mandates_are_live(ledger: Ledger) -> None:
    await ledger.add_mandate(mandate("m1"))
    await ledger.add_mandate(mandate("m2", agent="b", ends=NOW + 2 * HOUR))
    await ledger.add_mandate(mandate("m3", begins=NOW + HOUR, ends=NOW + 3 * HOUR))

    async def found(**by: Any) -> list[str]:
        return [each.id for each in await ledger.mandates(**by)]

    assert await found() == ["m3", "m2", "m1"]
    assert await found(agent="a") == ["m3", "m1"]
    assert await found(live_at=NOW) == ["m2", "m1"]
    assert await found(live_at=NOW - timedelta(seconds=1)) == []
    assert await found(agent="a", live_at=NOW + HOUR) == ["m3"]
    assert await ledger.revoke_mandate("m3", "bo@example.com", NOW)
    assert await found(agent="a", live_at=NOW + HOUR) == []


async def test_a_revoked_mandate_allows_nothing_and_is_revoked_once(ledger: Ledger) -> None:
    await ledger.add_mandate(mandate())
    await ledger.begin(intent(mandates=(("m1", 5),)))
    assert await ledger.revoke_mandate("m1", "bo@example.com", NOW + HOUR)
    assert not await ledger.revoke_mandate("m1", "cy@example.com", NOW + 2 * HOUR)
    assert not await ledger.revoke_mandate("m2", "cy@example.com", NOW)
    kept = await ledger.mandate("m1")
    assert kept == mandate(used=1, revoked=NOW + HOUR, revoked_by="bo@example.com")
    with pytest.raises(MandateSpent, match="is revoked; ask again"):
        await ledger.begin(intent("a:2/pay/1", mandates=(("m1", 5),)))
    # What has begun is carried to its receipt.
    assert (await ledger.begin(intent(mandates=(("m1", 5),)))).before is not None


async def test_a_mandate_that_is_not_there_allows_nothing(ledger: Ledger) -> None:
    with pytest.raises(MandateSpent, match="is not in the ledger"):
        await ledger.begin(intent(mandates=(("m1", 5),)))
    assert await ledger.effect("a:1/pay/1") is None


async def test_a_use_is_given_back_when_the_write_did_not_happen(ledger: Ledger) -> None:
    one = (("m1", 1),)
    await ledger.add_mandate(mandate())
    await ledger.begin(intent(mandates=one))
    await ledger.abandon("a:1/pay/1", "two", "not its owner")
    with pytest.raises(MandateSpent):
        await ledger.begin(intent("a:2/pay/1", mandates=one))
    await ledger.abandon("a:1/pay/1", "one", "no money")
    assert await ledger.mandate_uses("m1") == []
    await ledger.begin(intent("a:2/pay/1", mandates=one))
    with pytest.raises(MandateSpent):  # its turn is over
        await ledger.begin(intent(mandates=one))
    again = await ledger.effect("a:1/pay/1")
    assert again is not None
    assert again.state is EffectState.NOT_DONE


async def test_a_write_over_its_limit_uses_nothing(ledger: Ledger) -> None:
    none = Limit("amount", Decimal(0), HOUR, "amount: at most 0 per hour")
    await ledger.record_rulings([row()])
    await ledger.add_mandate(mandate())
    with pytest.raises(OverLimit):
        await ledger.begin(intent(uses=("j1",), mandates=(("m1", 1),)), [none])
    assert (await ledger.rulings())[0].effect is None
    assert await ledger.mandate_uses("m1") == []


async def test_of_100_at_once_exactly_20_begin_by_a_mandate_of_20(url: str) -> None:
    async with Ledger(url) as one, Ledger(url) as two:
        await one.add_mandate(mandate("m1"))
        await one.add_mandate(mandate("m2"))
        both = [(("m1", 20), ("m2", 30)), (("m2", 30), ("m1", 20))]
        begun = await asyncio.gather(
            *(
                (one, two)[n % 2].begin(intent(f"a:{n}/pay/1", mandates=both[n // 2 % 2]))
                for n in range(100)
            ),
            return_exceptions=True,
        )
        rows = [found for n in range(100) for found in await one.effects(f"a:{n}")]
        uses = [await one.mandate_uses(each) for each in ("m1", "m2")]
    assert sum(isinstance(each, MandateSpent) for each in begun) == 80
    assert len(rows) == 20
    # One transaction for all: what the one mandate refused, the other has not counted.
    assert [{key for key, _ in each} for each in uses] == [{found.key for found in rows}] * 2


async def test_revoked_while_many_begin_none_begins_after_it(url: str) -> None:
    async with Ledger(url) as one, Ledger(url) as two:
        await one.add_mandate(mandate())
        writes = [one.begin(intent(f"a:{n}/pay/1", mandates=(("m1", 1000),))) for n in range(40)]
        running = asyncio.gather(*writes, return_exceptions=True)
        await asyncio.sleep(0.01)
        assert await two.revoke_mandate("m1", "bo@example.com", datetime.now(UTC))
        before = len(await two.mandate_uses("m1"))
        begun = await running
        after = await two.mandate_uses("m1")
    assert len(after) == before == 40 - sum(isinstance(each, MandateSpent) for each in begun)


# In processes of their own


def _begin_all(url: str, numbers: Sequence[int], uses: tuple[str, ...], most: int) -> int:
    """How many of these writes began. Runs in a process of its own."""

    async def run() -> int:
        async with Ledger(url) as ledger:
            begun = await asyncio.gather(
                *(
                    ledger.begin(
                        intent(f"a:{n}/pay/1", uses=uses, mandates=(("m1", most),) if most else ())
                    )
                    for n in numbers
                ),
                return_exceptions=True,
            )
            unexpected = [
                each
                for each in begun
                if isinstance(each, BaseException) and not isinstance(each, _SAID_NO)
            ]
            if unexpected:
                raise unexpected[0]
            return sum(not isinstance(each, BaseException) for each in begun)

    return asyncio.run(run())


_SAID_NO = (RulingUsed, MandateSpent)


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Four of them, forked from one that has imported the engine."""
    forking = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(4, forking) as started:
        yield started


@pytest.mark.parametrize("kind", ["ruling", "mandate"])
async def test_processes_that_begin_at_once_are_counted_as_one(
    url: str, kind: Literal["ruling", "mandate"], processes: ProcessPoolExecutor
) -> None:
    async with Ledger(url) as ledger:
        await ledger.record_rulings([row()])
        await ledger.add_mandate(mandate())
    uses, most = (("j1",), 0) if kind == "ruling" else ((), 20)
    parts = [range(at, at + 25) for at in range(0, 100, 25)]
    loop = asyncio.get_running_loop()
    begun = await asyncio.gather(
        *(loop.run_in_executor(processes, _begin_all, url, part, uses, most) for part in parts)
    )
    assert sum(begun) == (1 if kind == "ruling" else 20)
