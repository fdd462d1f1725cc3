"""The freight of the run: real alerts of the feed, and what the world outside does to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx2

from activities.shipments import all_offers, choose_flight, offers, track
from activities.shipments_facts import Consignment, Delay, DelayAlert, Offer, Rebook
from handrail import Decision
from world import feed
from world.consignments import generate
from world.flights import load_flights


@dataclass(frozen=True)
class Late:
    """A consignment that runs late, and what the agent would do about it now."""

    alert: DelayAlert
    known: Consignment
    options: list[Offer]
    decision: Decision[Rebook, Delay]

    @property
    def id(self) -> str:
        """The consignment."""
        return self.known.id

    @property
    def key(self) -> str:
        """The key of the first booking that its case makes."""
        return f"shipments:{self.id}/rebook/1"

    @property
    def cost(self) -> Decimal:
        """What the agent would pay for it; 0 where it would leave it."""
        return self.decision.action.extra_cost if self.decision.action else Decimal(0)

    @property
    def rescued(self) -> bool:
        """Whether the agent would move it, and no refuse-rule of its policy minds."""
        return self.decision.action is not None and self.cost <= self.known.value / 10

    @property
    def cheap(self) -> bool:
        """Whether the agent's policy would let it be moved without a human."""
        sure = self.decision.confidence >= 0.3  # noqa: PLR2004  # as the policy has it
        return self.rescued and sure and self.known.goods != "pharma" and self.cost <= 200  # noqa: PLR2004

    @property
    def costly(self) -> bool:
        """Whether its price alone needs a human."""
        sure = self.decision.confidence >= 0.3  # noqa: PLR2004
        return self.rescued and sure and self.known.goods != "pharma" and self.cost > 200  # noqa: PLR2004


Wanted = Callable[[Late], bool | Awaitable[bool]]


class NoFreight(Exception):
    """No alert that is left fits."""


@dataclass
class Freight:
    """The alerts that no case has had yet, and the carrier as others than the agent use it."""

    carrier: httpx2.AsyncClient
    token: str
    unused: list[feed.DelayAlert] = field(default_factory=list[feed.DelayAlert])
    _shown: dict[str, Late] = field(default_factory=dict[str, Late])

    def __post_init__(self) -> None:
        flights = load_flights()
        self.consignments = generate(flights)
        self.dest = {flight.id: flight.dest for flight in flights.values()}
        self.unused = list(feed.alerts(flights, self.consignments.values()))

    async def take(self, wanted: Wanted, *, what: str) -> Late:
        """The first alert left that is as `wanted`, published, which starts its clock.

        Raises:
            NoFreight: if there is none.
        """
        for alert in list(self.unused):
            before = self._shown.get(alert.consignment) or await self._look(alert)
            if not await _is(wanted, before):
                continue
            late = await self._look(alert)
            if await _is(wanted, late):
                self.unused.remove(alert)
                return late
        raise NoFreight(f"no alert is left: {what}")

    async def again(self, late: Late) -> Late:
        """The same consignment as it stands now."""
        known = await track(late.id)
        options = await offers(known)
        return Late(late.alert, known, options, await choose_flight(known, options))

    async def _look(self, alert: feed.DelayAlert) -> Late:
        await feed.publish(self.carrier, alert)
        shown = alert.model_dump(include=set(DelayAlert.model_fields))
        known = await track(alert.consignment)
        options = await offers(known)
        decision = await choose_flight(known, options)
        late = Late(DelayAlert.model_validate(shown), known, options, decision)
        self._shown[alert.consignment] = late
        return late

    # What others do

    async def note(self, late: Late, text: str) -> None:
        """Write into a consignment, as anybody can."""
        path = f"/consignments/{late.id}/notes"
        (await self.carrier.post(path, json={"text": text})).raise_for_status()

    async def fault(self, late: Late, at: str, then: str) -> None:
        """Have the carrier do something wrong with the next booking of a consignment."""
        fault = {"on": "bookings", "at": at, "then": then, "consignment": late.id}
        (await self.carrier.post("/faults", json=fault)).raise_for_status()

    async def rival(self, late: Late) -> dict[str, Any] | None:
        """An order of somebody else that leaves no room on the flight chosen; None if none does."""
        assert late.decision.action is not None  # noqa: S101  # only of what would be moved
        flight = late.decision.action.flight
        there = [c for c in self.consignments.values() if c.dest == self.dest[flight]]
        for other in (c for c in there if c.id != late.id):
            found = {offer.flight: offer for offer in await all_offers(other.id)}
            offer = found.get(flight)
            if offer is not None and 0 <= offer.free_kg - other.kg < late.known.kg:
                price = str(offer.extra_cost)
                return {"consignment": other.id, "flight": flight, "extra_cost": price}
        return None

    async def book(self, order: dict[str, Any]) -> None:
        """Let somebody else book."""
        key = f"rival/{order['consignment']}"
        headers = {"Idempotency-Key": key, "Authorization": f"Bearer {self.token}"}
        (await self.carrier.post("/bookings", json=order, headers=headers)).raise_for_status()

    async def later_flight(self, late: Late) -> Offer | None:
        """A flight that takes it, too late to keep the promise, as cheap as one that runs alone."""
        most = min(Decimal(200), late.known.value / 10)
        found = [
            offer
            for offer in await all_offers(late.id)
            if offer.free_kg >= late.known.kg
            and offer.extra_cost <= most
            and offer.planned_arrival > late.known.promised + timedelta(hours=1)
        ]
        return found[0] if found else None

    # What the carrier knows

    async def get(self, at: str, **params: str) -> Any:
        """What the carrier answers."""
        return (await self.carrier.get(at, params=params)).raise_for_status().json()

    async def booked(self) -> dict[str, dict[str, Any]]:
        """Every booking that was ever made in the agent's name, by its key."""
        calls: list[dict[str, Any]] = await self.get("/calls", path="/bookings")
        keys: set[str] = {
            call["key"] for call in calls if call["effect"] and call["method"] == "POST"
        }
        mine = sorted(key for key in keys if key.startswith("shipments:"))
        return {key: (await self.get("/bookings", key=key))[0] for key in mine}


async def _is(wanted: Wanted, late: Late) -> bool:
    found = wanted(late)
    return found if isinstance(found, bool) else await found
