"""Which alarms have one cause, what of a label is read, and what the policy holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.alerts_causes import OUTLASTS, Known, Plant, grouped, outlasting
from activities.alerts_facts import Alarm, Cause, CloseIssue, Heard, Standing
from benchmarks.agents.alerts import live, read, real
from handrail.actions import Basis
from handrail.policy import Facts, Policy
from tests.agents.policies import holds, refusals
from workers.fleets.alerts import RawEvent, fleet, of_alertmanager
from world.alerts import plant

AGENT = fleet.agent("alerts")
AT = datetime(2026, 11, 27, 8, tzinfo=UTC)
NAB = Path(__file__).parents[4] / "shared" / "data" / "nab"
PLANT = Plant(
    feeds={
        "feeder-1": ("plc-1", "plc-2"),
        "plc-1": ("machine-1",),
        "plc-2": ("machine-2",),
        "machine-1": (),
        "machine-2": (),
    }
)


def alarm(component: str, name: str = "Down", minutes: float = 0, **more: Any) -> Alarm:
    mark = f"{sum(map(ord, component + name)):016x}"
    starts = AT + timedelta(minutes=minutes)
    return Alarm(fingerprint=mark, component=component, name=name, starts=starts, **more)


def roots(*alarms: Alarm, settled: bool = True) -> dict[str, list[str]]:
    found = grouped(PLANT, alarms, (), settled=settled)
    return {
        next(each.root for each in found.new if each.id == cause): [a.component for a in members]
        for cause, members in found.by.items()
    }


def test_of_the_demonstrations_alarms_no_cause_is_missed_and_none_is_on_no_issue() -> None:
    day = plant.made()
    came, _ = live(day)
    assert day == plant.made()
    assert (came.missed, came.unheard) == (0, 0)
    assert came.issues <= came.causes + 2 < came.alarms / 3


@pytest.mark.parametrize("seed", [3])
def test_in_crowded_shifts_no_cause_is_missed(seed: int) -> None:
    came, _ = live(plant.made(seed, hours=8, count=40))
    assert (came.missed, came.unheard) == (0, 0)
    assert came.merged <= 2


def test_symptoms_go_to_the_fault_that_feeds_them_and_not_to_one_that_begins_later() -> None:
    lost, down = alarm("feeder-1", "PowerLost"), alarm("machine-1", "Down", 4)
    assert roots(lost, down) == {"feeder-1": ["feeder-1", "machine-1"]}
    late = alarm("feeder-1", "PowerLost", 10)
    assert roots(late, down) == {"feeder-1": ["feeder-1"], "machine-1": ["machine-1"]}


def test_two_faults_at_once_on_one_chain_are_two_causes() -> None:
    lost, hot = alarm("feeder-1", "PowerLost"), alarm("machine-1", "BearingHot", 1)
    assert roots(lost, hot) == {"feeder-1": ["feeder-1"], "machine-1": ["machine-1"]}


def test_symptoms_wait_for_what_is_behind_them_and_then_name_what_they_all_hang_on() -> None:
    first, second = alarm("plc-1"), alarm("plc-2", "Slow", 1)
    assert roots(first, second, settled=False) == {}
    assert roots(first, second) == {"feeder-1": ["plc-1", "plc-2"]}
    assert roots(first) == {"plc-1": ["plc-1"]}


def test_what_rings_on_when_its_cause_is_over_is_a_cause_of_its_own() -> None:
    lost, down = alarm("feeder-1", "PowerLost"), alarm("machine-1", "Down", 4)
    cause = Cause(id="c", root="feeder-1", kind="PowerLost", severity="critical", since=AT)
    known = Known(cause=cause, noted=frozenset({lost.words, down.words}))
    assert outlasting(PLANT, known, [lost, down]) == []
    [(other, members)] = outlasting(PLANT, known, [down])
    assert (other.root, other.kind, members) == ("machine-1", OUTLASTS, [down])
    apart = Known(cause=other, noted=frozenset({down.words}))
    assert set(grouped(PLANT, [down], [known, apart], settled=True).by) == {other.id}


def test_an_alarm_that_comes_back_is_the_same_trouble_and_on_a_closed_issue_another() -> None:
    hot, again = alarm("machine-1", "BearingHot"), alarm("machine-1", "BearingHot", 12)
    cause = Cause(id="c", root="machine-1", kind="BearingHot", severity="info", since=AT)
    known = Known(cause=cause, noted=frozenset({hot.words}))
    assert set(grouped(PLANT, [again], [known], settled=True).by) == {"c"}
    closed = known.model_copy(update={"closed": True})
    assert [c.root for c in grouped(PLANT, [again], [closed], settled=True).new] == ["machine-1"]
    assert set(grouped(PLANT, [hot], [closed], settled=True).by) == {"c"}


def test_a_post_of_alertmanager_is_an_event_and_no_label_becomes_a_word_of_ours() -> None:
    _, post, _ = next(each for each in plant.made().posts() if plant.HOSTILE in json.dumps(each[1]))
    heard = of_alertmanager(RawEvent(json.dumps(post).encode(), {}))
    assert heard.key == Heard.model_validate(post).key
    assert "SYSTEM" not in heard.model_dump_json()
    assert "unknown" in {each.component for each in heard.alarms}
    assert Heard.model_validate_json(heard.model_dump_json()) == heard
    post["alerts"] = post["alerts"][1:]
    assert Heard.model_validate(post).key != heard.key


def test_alarms_of_what_nobody_knows_are_never_put_together() -> None:
    first, second = alarm("unknown", "Odd"), alarm("unknown", "Strange", 1)
    assert len(grouped(PLANT, [first, second], (), settled=True).new) == 2


@pytest.fixture(scope="module")
def policy() -> Policy:
    return AGENT.policy_file.current()


@pytest.mark.parametrize(
    ("evidence", "refused", "asked"),
    [
        ({}, 0, 0),
        ({"active": 1}, 1, 0),
        ({"severity": "critical"}, 0, 1),
        ({"kind": "silent"}, 0, 1),
        ({"kind": OUTLASTS}, 0, 1),
        ({"minutes": 121}, 0, 1),
    ],
)
def test_what_the_policy_refuses_and_holds(
    policy: Policy, evidence: dict[str, Any], refused: int, asked: int
) -> None:
    stands = Standing.model_validate({"severity": "warning", "kind": "DiskFull"} | evidence)
    facts = Facts(
        step="close_issue",
        action=CloseIssue(site="north", cause="c"),
        basis=Basis(confidence=1),
        evidence=stands,
        case="alerts:1",
        requester=None,
    )
    assert (len(refusals(policy, facts)), len(holds(policy, facts))) == (refused, asked)


def test_the_fleet_has_no_fault_but_its_missing_password() -> None:
    assert not [each for each in AGENT.faults() if "DESK_PASSWORD" not in str(each)]


@pytest.mark.skipif(not NAB.is_dir(), reason="the series of NAB are not here")
def test_of_real_series_no_window_that_rang_is_without_an_issue() -> None:
    for series in read(NAB):
        alarms, issues, heard, kept = real(series)
        assert kept == heard
        assert issues <= alarms
