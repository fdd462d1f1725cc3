"""Who drives where, in which order: PyVRP on what is known now.

A van is where and when it is free next. An order that cannot be in time any more is driven late
where that fits. Moving an order that was promised to another van has a price, in metres.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic import BaseModel

MOVE_PRICE, CALM_PRICE = 150, 2500
"""Metres that must be saved for an order to change vans; and where few of them shall."""

MARGIN = 4
"""Minutes before the end of its window by which a visit is planned: traffic gets worse."""

WORTH, WORTH_FIRST = 9.0, 60.0
"""Kilometres that may be driven for one order more that is in time; and in the first plan."""

DRIVEN, DRIVEN_FIRST = 6.0, 40.0
"""What driving an order late is worth, in kilometres, beside another day; and in the first plan."""

Point = tuple[float, float]


class OpenOrder(BaseModel, frozen=True):
    """An order that is known, wanted, and not begun."""

    id: str
    at: Point
    early: int
    late: int


class VanState(BaseModel, frozen=True):
    """Where a van is free next, when, and what it does after that as planned now."""

    id: str
    at: Point
    free: float
    stops: tuple[str, ...] = ()


class Situation(BaseModel, frozen=True):
    """All that a dispatcher knows in one minute."""

    day: str
    now: int
    version: int
    """Of the plan."""
    depot: Point
    shift: int
    service: int
    detour: float
    size: float
    pace: tuple[tuple[float, ...], ...]
    """Of each quarter of the city, column by column: km per minute at this moment."""
    vans: tuple[VanState, ...]
    orders: tuple[OpenOrder, ...]

    def km(self, one: Point, other: Point) -> float:
        """By the streets."""
        return math.dist(one, other) * self.detour

    def minutes(self, one: Point, other: Point) -> float:
        """How long the way takes at the pace of now."""
        middle = ((one[0] + other[0]) / 2, (one[1] + other[1]) / 2)
        slow = sum(1 / self._pace(at) for at in (one, middle, middle, other)) / 4
        return self.km(one, other) * slow

    def _pace(self, at: Point) -> float:
        columns = len(self.pace)
        x, y = (min(columns - 1, max(0, int(each / self.size * columns))) for each in at)
        return self.pace[x][y]


class Foreseen(NamedTuple):
    """What comes of a plan, at the pace of now."""

    late: int
    """Orders that miss their window, or that nobody drives."""
    late_minutes: float
    km: float
    arrivals: dict[str, float]
    undriven: int

    @property
    def price(self) -> float:
        """What the plan costs, in kilometres."""
        return self.km + WORTH * self.late + DRIVEN * self.undriven


def as_it_is(situation: Situation) -> dict[str, tuple[str, ...]]:
    """The plan of now; what nobody drives yet is put where it costs the fewest kilometres."""
    orders = {order.id: order for order in situation.orders}
    plan = {van.id: [each for each in van.stops if each in orders] for van in situation.vans}
    planned = {stop for stops in plan.values() for stop in stops}
    for order in situation.orders:
        if order.id not in planned:
            more, van, place = min(_ways_in(situation, plan, orders, order))
            del more
            plan[van].insert(place, order.id)
    return {van: tuple(stops) for van, stops in plan.items()}


def _ways_in(
    situation: Situation,
    plan: Mapping[str, Sequence[str]],
    orders: Mapping[str, OpenOrder],
    order: OpenOrder,
) -> Iterable[tuple[float, str, int]]:
    km = situation.km
    for van in situation.vans:
        points = [van.at, *(orders[each].at for each in plan[van.id]), situation.depot]
        for place, (a, b) in enumerate(pairwise(points)):
            yield km(a, order.at) + km(order.at, b) - km(a, b), van.id, place


def foresee(situation: Situation, routes: Mapping[str, Sequence[str]]) -> Foreseen:
    """Drive a plan in thought."""
    orders = {order.id: order for order in situation.orders}
    arrivals, km = dict[str, float](), 0.0
    for van in situation.vans:
        at, now = van.at, max(van.free, situation.now)
        for stop in routes.get(van.id, ()):
            order = orders.get(stop)
            if order is None:
                continue  # cancelled meanwhile
            km += situation.km(at, order.at)
            arrivals[stop] = now + situation.minutes(at, order.at)
            at, now = order.at, max(arrivals[stop], order.early) + situation.service
        km += situation.km(at, situation.depot)
    over = [arrivals.get(each.id, math.inf) - each.late for each in situation.orders]
    late = [each for each in over if each > 0]
    minutes = sum(each for each in late if each < math.inf)
    return Foreseen(len(late), round(minutes, 1), round(km, 2), arrivals, over.count(math.inf))


def solve(
    situation: Situation, *, iterations: int = 200, move_price: int = MOVE_PRICE
) -> dict[str, tuple[str, ...]]:
    """A plan for all that is open: the same one for the same situation."""
    from pyvrp import Model  # noqa: PLC0415 - no workflow loads it
    from pyvrp.stop import MaxIterations  # noqa: PLC0415

    model = Model()
    home = model.add_location(*situation.depot)
    depot = model.add_depot(home)
    orders, vans = situation.orders, situation.vans
    places = [*(model.add_location(*order.at) for order in orders), home]
    points = [*((order.at, order.id) for order in orders), (situation.depot, "")]
    ways = {
        (i, j): (*_way(situation, a, b), order_id)
        for i, (a, _) in enumerate(points)
        for j, (b, order_id) in enumerate(points)
        if i != j
    }
    for order, place in zip(orders, places, strict=False):
        _add(model, place, situation, order)
    for van in vans:
        start = model.add_location(*van.at)
        profile = model.add_profile()
        early = round(10 * max(van.free, situation.now))
        model.add_vehicle_type(
            start_depot=model.add_depot(start),
            end_depot=depot,
            tw_early=early,
            tw_late=max(early, 10 * situation.shift) + 1200,
            profile=profile,
        )
        own = set(van.stops)
        promised = {stop for other in vans for stop in other.stops} - own
        price = {order.id: move_price if order.id in promised else 0 for order in orders}
        for (one, other), (length, taken, order_id) in ways.items():
            more = price.get(order_id, 0)
            model.add_edge(places[one], places[other], length + more, taken, profile)
        for place, order in zip(places, orders, strict=False):
            length, taken = _way(situation, van.at, order.at)
            model.add_edge(start, place, length + price[order.id], taken, profile)
            model.add_edge(place, start, length, taken, profile)
        length, taken = _way(situation, van.at, situation.depot)
        model.add_edge(start, home, length, taken, profile)
    result = model.solve(MaxIterations(iterations), seed=1, display=False, collect_stats=False)
    return _routes(situation, result.best.routes())


def _way(situation: Situation, one: Point, other: Point) -> tuple[int, int]:
    """Metres, and tenths of a minute: PyVRP counts in whole numbers."""
    return round(1000 * situation.km(one, other)), round(10 * situation.minutes(one, other))


def _add(model: Any, place: Any, situation: Situation, order: OpenOrder) -> None:
    """An order twice, of which one is driven at most: in its window, or later, for less."""
    group = model.add_client_group(required=False)
    late = round(1000 * (DRIVEN if situation.version else DRIVEN_FIRST))
    end = max(order.early, order.late - MARGIN)
    worth = WORTH if situation.version else WORTH_FIRST
    in_time = (order.early, end, late + round(1000 * worth))
    for first, last, prize in (in_time, (order.late, situation.shift + 60, late)):
        model.add_client(
            place,
            service_duration=10 * situation.service,
            tw_early=10 * first,
            tw_late=10 * max(first, last),
            required=False,
            prize=prize,
            group=group,
        )


def _routes(situation: Situation, routes: Iterable[Any]) -> dict[str, tuple[str, ...]]:
    """Which orders each van drives, of PyVRP's routes."""
    found = dict[str, tuple[str, ...]]()
    for route in routes:
        # Each order is there twice, one after the other.
        stops: list[int] = [stop.idx // 2 for stop in route if stop.is_client()]
        vehicle: int = route.vehicle_type()
        found[situation.vans[vehicle].id] = tuple(situation.orders[stop].id for stop in stops)
    return found
