"""The steps and checks of the shipments agent against the real booking service, no Temporal."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest

from activities.shipments import (
    all_offers,
    as_ordered,
    cancel_booking,
    choose_flight,
    offers,
    rebook,
    track,
)
from activities.shipments_facts import Booking, Consignment, Rebook
from activities.shipments_systems import disconnect
from guardrails.shipments import still_needed, still_offered
from handrail import Final
from handrail.actions import Effect, Undoes
from handrail.testing import call_write
from tests.integration.application.systems import System
from workers.demos import shipments as demo
from world.consignments import generate
from world.feed import alerts, publish
from world.flights import load_flights

pytestmark = pytest.mark.integration

FLIGHTS = load_flights()
ALERTS = list(alerts(FLIGHTS, generate(FLIGHTS).values()))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[str, Path]]:
    db = tmp_path_factory.mktemp("bookings") / "bookings.db"
    system = System("bookings", "--db", str(db), "--port", "0", "--faults")
    yield system.url, db
    system.end()


@pytest.fixture
async def db(service: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Path]:
    monkeypatch.setenv("SHIPMENTS_BOOKINGS_URL", service[0])
    yield service[1]
    await disconnect()


@pytest.fixture
async def late(db: Path, service: tuple[str, Path]) -> tuple[Consignment, Rebook]:
    """A consignment that is late, and how the agent would rebook it."""
    async with httpx2.AsyncClient(base_url=service[0]) as client:
        while ALERTS:
            alert = ALERTS.pop(0)
            await publish(client, alert)
            known = await track(alert.consignment)
            action = (await choose_flight(known, await offers(known))).action
            if action is not None:
                return known, action
    raise AssertionError("no alert is left that the agent would rebook")


async def test_it_reads_what_could_keep_the_promise(late: tuple[Consignment, Rebook]) -> None:
    known, action = late
    kept = await offers(known)
    every = await all_offers(known.id)
    assert action.flight in {offer.flight for offer in kept}
    assert all(o.free_kg >= known.kg and o.planned_arrival <= known.promised for o in kept)
    left_out = [offer for offer in every if offer not in kept]
    assert all(o.free_kg < known.kg or o.planned_arrival > known.promised for o in left_out)


async def test_one_key_books_once(late: tuple[Consignment, Rebook]) -> None:
    known, action = late
    first = await call_write(rebook, action, key=f"{known.id}/once")
    assert await call_write(rebook, action, key=f"{known.id}/once") == first
    assert (first.consignment, first.flight, first.status) == (known.id, action.flight, "booked")


async def test_a_booking_is_read_back_from_the_carrier(
    late: tuple[Consignment, Rebook], service: tuple[str, Path]
) -> None:
    known, action = late
    effect = Effect(key=f"{known.id}/read-back", case="shipments:x", step="rebook")
    fault = {"on": "bookings", "at": "after", "then": "rearrange", "consignment": known.id}
    made = await call_write(rebook, action, key=effect.key)
    assert await as_ordered(action, effect, made) is None
    other = effect.model_copy(update={"key": f"{known.id}/never"})
    assert await as_ordered(action, other, made) == "the carrier has 0 bookings for it"
    await call_write(cancel_booking, action, undoes=Undoes(key=effect.key))
    said = await as_ordered(action, effect, made)
    assert said == "at the carrier its status is cancelled, not booked"
    async with httpx2.AsyncClient(base_url=service[0]) as client:
        (await client.post("/faults", json=fault)).raise_for_status()
    changed = effect.model_copy(update={"key": f"{known.id}/changed"})
    made = await call_write(rebook, action, key=changed.key)
    assert made.flight == action.flight
    flight = (await track(known.id)).current_flight
    said = await as_ordered(action, changed, made)
    assert said == f"at the carrier its flight is {flight}, not {action.flight}"


async def test_what_the_carrier_declines_is_final_in_its_words(
    late: tuple[Consignment, Rebook],
) -> None:
    known, action = late
    for wrong, words in (
        ({"extra_cost": action.extra_cost + 1}, "decide again and order at that price"),
        ({"flight": known.current_flight}, "does not move"),
        ({"flight": "XX1-JFK-20130308"}, "no flight"),
        ({"consignment": "AWB-9"}, "no consignment"),
    ):
        with pytest.raises(Final, match=words):
            await call_write(rebook, action.model_copy(update=wrong), key=f"{known.id}/declined")
    with pytest.raises(Final, match="Not Found"):
        await track(f"AWB-9/../{known.id}")


async def test_an_undo_cancels_what_was_booked_and_only_that(
    late: tuple[Consignment, Rebook],
) -> None:
    known, action = late
    undoes = Undoes(key=f"{known.id}/undone")
    assert await call_write(cancel_booking, action, undoes=undoes) is None
    made = await call_write(rebook, action, key=undoes.key)
    cancelled = await call_write(cancel_booking, action, undoes=undoes)
    assert cancelled == made.model_copy(update={"status": "cancelled"})
    assert await call_write(cancel_booking, action, undoes=undoes) is None
    assert (await track(known.id)).current_flight == known.current_flight
    with pytest.raises(Final, match="only ever takes"):
        await call_write(cancel_booking, action)


async def test_a_service_that_cannot_write_is_tried_again(
    late: tuple[Consignment, Rebook], db: Path
) -> None:
    known, action = late
    with closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(httpx2.HTTPStatusError, match="503"):
            await call_write(rebook, action, key=f"{known.id}/locked")
    booked = await call_write(rebook, action, key=f"{known.id}/locked")
    assert isinstance(booked, Booking)


async def test_the_checks_pass_what_is_needed_and_offered(
    late: tuple[Consignment, Rebook],
) -> None:
    _, action = late
    assert (await still_needed(action), await still_offered(action)) == (None, None)


async def test_the_checks_see_that_it_is_settled(late: tuple[Consignment, Rebook]) -> None:
    known, action = late
    await call_write(rebook, action, key=f"{known.id}/settled")
    assert await still_needed(action) == f"{known.id} is expected in time on {action.flight}"
    assert "does not take" in str(await still_offered(action))


async def test_the_checks_see_another_price_no_flight_and_no_consignment(
    late: tuple[Consignment, Rebook],
) -> None:
    _, action = late
    dearer = action.model_copy(update={"extra_cost": action.extra_cost + Decimal("0.01")})
    assert f"now costs {action.extra_cost} EUR" in str(await still_offered(dearer))
    nowhere = action.model_copy(update={"flight": "XX1-JFK-20130308"})
    assert "does not take" in str(await still_offered(nowhere))
    nothing = action.model_copy(update={"consignment": "AWB-9"})
    assert "no consignment" in str(await still_needed(nothing))
    assert "no consignment" in str(await still_offered(nothing))


async def test_the_check_sees_a_flight_without_room(late: tuple[Consignment, Rebook]) -> None:
    known, action = late
    full = [offer for offer in await all_offers(known.id) if offer.free_kg < known.kg]
    assert full, "this consignment has no offer without room"
    crowded = action.model_copy(update={"flight": full[0].flight, "extra_cost": full[0].extra_cost})
    assert f"weighs {known.kg} kg" in str(await still_offered(crowded))


async def test_the_demonstration_plays_the_same_alerts_again(
    db: Path, service: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIPMENTS_ALERTS", "4")
    async with asyncio.timeout(10):
        first = [event async for event in demo.events(db.parent)]
    async with httpx2.AsyncClient(base_url=service[0]) as client:
        out = {alert["key"]: alert for alert in (await client.get("/alerts")).json()}
        assert {event.key for event in first} <= out.keys()
        async with asyncio.timeout(30):
            again = [event async for event in demo.events(db.parent)]
        assert again == first
        assert {alert["key"]: alert for alert in (await client.get("/alerts")).json()} == out
