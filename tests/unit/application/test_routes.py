"""How the routes agent plans, what its policy asks, and how a day is lived."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from activities.routes import Change, Dispatch, half_hour, replan
from activities.routes_solver import Situation, as_it_is, foresee, solve
from handrail.actions import Basis
from handrail.policy import Facts, Policy
from tests.agents.policies import holds, refusals
from workers.fleets.routes import fleet
from world.routes import city
from world.routes.picture import route_map
from world.routes.service import Dispatch as Service
from world.routes.service import shown

AGENT = fleet.agent("routes")


def morning(seed: int = 101) -> Situation:
    return Situation.model_validate(shown(city.Fleet(city.day(seed)), 0))


def test_the_same_situation_has_the_same_plan_which_drives_each_order_once() -> None:
    known = morning()
    plan = solve(known, iterations=60)
    assert plan == solve(known, iterations=60)
    stops = [stop for route in plan.values() for stop in route]
    assert len(stops) == len(set(stops)) <= len(known.orders)
    assert foresee(known, plan).price < foresee(known, as_it_is(known)).price


async def test_a_plan_that_gains_next_to_nothing_stays() -> None:
    fleet_of_day = city.Fleet(city.day(101))
    first = await replan(morning())
    assert first.action is not None
    assert first.evidence.first
    fleet_of_day.plan(first.action.routes)
    again = Situation.model_validate(shown(fleet_of_day, 1)).model_copy(update={"orders": ()})
    assert (await replan(again)).action is None


def test_an_order_that_was_cancelled_is_driven_to_only_where_nobody_tells() -> None:
    day = city.day(101)
    gone = next(order for order in day.orders.values() if order.cancelled)
    lived = list[bool]()
    for tells in (True, False):
        vans = city.Fleet(day, tells=tells)
        vans.now = gone.cancelled or 0
        for van in vans.vans.values():
            van.free = vans.now
        vans.plan({"V1": [gone.id]})
        vans.advance(city.SHIFT)
        lived.append(vans.vans["V1"].km > 0)
    assert lived == [False, True]


def test_the_service_takes_a_plan_once_and_only_of_the_plan_of_now(tmp_path: Path) -> None:
    path = str(tmp_path / "dispatch.db")
    service = Service(path, 101)
    ready = [order.id for order in service.fleet.open]
    body = {"based_on": 0, "routes": {"V1": ready[:2]}}
    assert service.take("plan", "k1", body) == (201, {"version": 1})
    assert service.take("plan", "k1", body) == (200, {"version": 1})
    assert service.take("plan", "k2", body)[0] == 409
    assert service.take("plan", "k3", {"based_on": 1, "routes": {"V1": [ready[0]] * 2}})[0] == 409
    assert service.take("clock", "t1", {"now": 60})[0] == 201
    after = shown(service.fleet, service.version)
    again = Service(path, 101)
    assert shown(again.fleet, again.version) == after
    assert again.take("restore", "k1/undo", {"based_on": 1})[0] == 201


def test_the_map_has_every_order() -> None:
    assert route_map(101, []).count("<circle") == 2 * city.ORDERS
    brought = {"at": [5, 20], "early": 60, "late": 180}
    drawn = route_map(101, [{"routes": {"V1": ["O01", "S1"]}}], [brought])
    assert drawn.count("<circle") == 2 * (city.ORDERS + 1)


def test_a_half_hour_is_one_case() -> None:
    at = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
    assert half_hour(at).key == "2026-11-28-090-half-hour"


@pytest.fixture(scope="module")
def policy() -> Policy:
    return AGENT.policy_file.current()


@pytest.mark.parametrize(
    ("moves", "first", "late", "asked"),
    [(20, 0, 0, 0), (21, 0, 0, 1), (60, 1, 0, 0), (3, 0, 1, 1)],
)
def test_who_is_asked(policy: Policy, moves: int, first: int, late: int, asked: int) -> None:
    change = Change(
        moves=moves,
        first=bool(first),
        late_before=0,
        late_after=late,
        km_before=10.0,
        km_after=9.0,
        undriven=(),
        told=(),
    )
    given = Facts(
        step="dispatch",
        action=Dispatch(day="D1", based_on=1, routes={}),
        basis=Basis(confidence=1),
        evidence=change,
        case="routes:D1",
        requester=None,
    )
    assert refusals(policy, given) == []
    assert len(holds(policy, given)) == asked


def test_it_has_no_faults() -> None:
    assert AGENT.faults() == []


def test_an_order_that_others_bring_is_taken_once_driven_and_called_off(tmp_path: Path) -> None:
    path = str(tmp_path / "dispatch.db")
    dispatch, body = Service(path, 101), {"at": [5.2, 20.8], "early": 90, "late": 210}
    dispatch.take("clock", "c", {"now": 30})
    taken = [dispatch.take("order", "k", body) for _ in range(2)]
    assert taken == [(201, {"version": 0, "order": "S1", "minute": 30}), (200, taken[0][1])]
    assert dispatch.take("order", "k2", body | {"late": 20})[0] == 409
    plan = {"based_on": 0, "routes": {"V1": ["S1"]}}
    assert dispatch.take("plan", "p", plan) == (201, {"version": 1})
    again = Service(path, 101)  # after a kill
    assert "S1" in {order.id for order in again.fleet.open}
    for of in ("k", "nothing came under it"):
        assert again.take("cancellation", f"undo {of}", {"of": of})[0] == 201
    assert "S1" not in {order.id for order in again.fleet.open}
    assert len(again.came("order")) == 1
