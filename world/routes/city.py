"""A day of deliveries, from a seed: orders, traffic, rain; and how a plan is lived through.

Kilometres and minutes; minute 0 is 8 o'clock.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

SIZE = 26.0
"""Of the city, in km: a square of four by four quarters, with the depot in its middle."""

QUARTERS = 4
SHIFT = 600
SERVICE = 5
DETOUR = 1.3
ORDERS, VANS = 66, 6
PEAKS = ((0, 90), (480, 600))
SOON = 30
WET_DAYS = 0.5
LATE_ORDERS = CANCELLED = 5
DEPOT = (SIZE / 2, SIZE / 2)

Point = tuple[float, float]
Routes = Mapping[str, Sequence[str]]


class Order(NamedTuple):
    """What a customer was promised: a visit between two minutes."""

    id: str
    at: Point
    early: int
    late: int
    known: int
    """The minute from which on the dispatcher knows it; 0: in the morning."""
    cancelled: int | None
    """The minute in which the customer says no."""


class Jam(NamedTuple):
    """A quarter in which hardly anything moves."""

    quarter: tuple[int, int]
    begin: int
    end: int


@dataclass(frozen=True)
class Day:
    """The truth of a day."""

    seed: int
    orders: dict[str, Order]
    jams: tuple[Jam, ...]
    rain: tuple[int, int] | None
    vans: tuple[str, ...] = tuple(f"V{number}" for number in range(1, VANS + 1))

    def speed(self, at: Point, minute: float) -> float:
        """How fast a van is somewhere in this minute, in km per minute."""
        here = quarter(at)
        speed = usual(here, minute)
        if self.rain and self.rain[0] <= minute < self.rain[1]:
            speed *= 0.72
        if any(jam.quarter == here and jam.begin <= minute < jam.end for jam in self.jams):
            speed *= 0.3
        return speed

    def drive(self, one: Point, other: Point, minute: float) -> float:
        """How long the way really takes when it begins in this minute."""
        whole = distance(one, other)
        pieces = max(1, math.ceil(whole))
        now = minute
        for piece in range(pieces):
            share = (piece + 0.5) / pieces
            at = (
                one[0] + (other[0] - one[0]) * share,
                one[1] + (other[1] - one[1]) * share,
            )
            now += whole / pieces / self.speed(at, now)
        return now - minute


def quarter(at: Point) -> tuple[int, int]:
    """In which quarter of the city a point is."""
    column, row = (min(QUARTERS - 1, max(0, int(each / SIZE * QUARTERS))) for each in at)
    return column, row


def usual(here: tuple[int, int], minute: float) -> float:
    """The speed that a quarter usually has: slower within the city, and at its two peaks."""
    inner = all(0 < each < QUARTERS - 1 for each in here)
    peak = any(begin <= minute < end for begin, end in PEAKS)
    return (0.5 if inner else 0.68) * (0.72 if peak else 1.0)


def distance(one: Point, other: Point) -> float:
    """By the streets, in km."""
    return math.dist(one, other) * DETOUR


def day(seed: int) -> Day:
    """A day of its own for each seed."""
    chance = random.Random(f"routes {seed}")  # noqa: S311 - no secret
    ids = [f"O{number:02}" for number in range(1, ORDERS + 1)]
    late = set(chance.sample(ids, LATE_ORDERS))
    gone = set(chance.sample(sorted(set(ids) - late), CANCELLED))
    orders = dict[str, Order]()
    for each in ids:
        known = chance.randrange(60, 300) if each in late else 0
        early = chance.randrange(max(0, known + 45), 440)
        orders[each] = Order(
            id=each,
            at=(round(chance.uniform(0, SIZE), 2), round(chance.uniform(0, SIZE), 2)),
            early=early,
            late=early + chance.choice((60, 90, 120)),
            known=known,
            cancelled=chance.randrange(SOON, early) if each in gone and early > SOON else None,
        )
    jams = tuple(
        Jam((chance.randrange(QUARTERS), chance.randrange(QUARTERS)), begin, begin + 150)
        for begin in (chance.randrange(0, 360) for _ in range(5))
    )
    rains = chance.random() < WET_DAYS
    begin = chance.randrange(30, 300)
    return Day(seed, orders, jams, (begin, begin + 200) if rains else None)


@dataclass
class Van:
    """Where a van is free again, and when."""

    at: Point = DEPOT
    free: float = 0
    km: float = 0
    stops: list[str] = field(default_factory=list[str])


@dataclass
class Fleet:
    """The vans of a day as they live through it."""

    day: Day
    tells: bool = True
    """Whether drivers hear of it when a customer says no; else they find out at the door."""
    vans: dict[str, Van] = field(default_factory=dict[str, Van])
    arrived: dict[str, float] = field(default_factory=dict[str, float])
    now: float = 0

    def __post_init__(self) -> None:
        self.vans = {name: Van() for name in self.day.vans}

    @property
    def open(self) -> list[Order]:
        """What is known by now, was not begun, and is still wanted."""
        return [
            order
            for order in self.day.orders.values()
            if order.known <= self.now and order.id not in self.arrived and not self.gone(order)
        ]

    def gone(self, order: Order, minute: float | None = None) -> bool:
        """Whether the customer has said no by then."""
        by = self.now if minute is None else minute
        return order.cancelled is not None and order.cancelled <= by

    def plan(self, routes: Routes) -> None:
        """What the vans do from now on, after what each is at."""
        for name, van in self.vans.items():
            van.stops = list(routes.get(name, ()))

    def advance(self, to: float) -> None:
        """Live until this minute: a van that has set out for a stop ends it."""
        for van in self.vans.values():
            while van.stops and van.free < to:
                order = self.day.orders[van.stops.pop(0)]
                if (self.tells and self.gone(order, van.free)) or order.id in self.arrived:
                    continue
                begins = max(van.free, self.now)
                there = begins + self.day.drive(van.at, order.at, begins)
                self.arrived[order.id] = there
                van.km += distance(van.at, order.at)
                van.at, van.free = order.at, max(there, order.early) + SERVICE
            van.free = max(van.free, min(to, SHIFT)) if not van.stops else van.free
        self.now = to

    def insert(self, order: Order) -> None:
        """Put an order where it costs the fewest kilometres, as a dispatcher does by hand."""
        _, name, place = min(
            (distance(a, order.at) + distance(order.at, b) - distance(a, b), name, place)
            for name, van in self.vans.items()
            for points in [[van.at, *(self.day.orders[each].at for each in van.stops), DEPOT]]
            for place, (a, b) in enumerate(pairwise(points))
        )
        self.vans[name].stops.insert(place, order.id)


class Score(NamedTuple):
    """What came of a day's orders."""

    orders: int
    """That were wanted to the end."""
    on_time: int
    never: int
    late_minutes: float
    km: float


def score(fleet: Fleet) -> Score:
    """Judge a day that was lived to its end; the vans drive home."""
    wanted = [order for order in fleet.day.orders.values() if order.cancelled is None]
    arrived = fleet.arrived
    km = sum(van.km + distance(van.at, DEPOT) for van in fleet.vans.values())
    return Score(
        orders=len(wanted),
        on_time=sum(arrived.get(order.id, math.inf) <= order.late for order in wanted),
        never=sum(order.id not in arrived for order in wanted),
        late_minutes=round(sum(max(0, arrived.get(o.id, o.late) - o.late) for o in wanted), 1),
        km=round(km, 1),
    )


def moments(day: Day) -> list[int]:
    """When there is something to plan: in the morning, each half hour, and when orders change."""
    known = {order.known for order in day.orders.values()}
    gone = {order.cancelled for order in day.orders.values() if order.cancelled}
    return sorted({*range(0, SHIFT, 30), *known, *gone})


def kept(day: Day, morning: Routes) -> Score:
    """The day as it goes where the morning's plan is kept, and late orders are put in by hand.

    Nobody calls the drivers about customers who have said no: they find out at the door.
    """
    fleet = Fleet(day, tells=False)
    fleet.plan(morning)
    for order in sorted(day.orders.values(), key=lambda each: each.known):
        if order.known:
            fleet.advance(order.known)
            fleet.insert(order)
    fleet.advance(SHIFT * 2)
    return score(fleet)
