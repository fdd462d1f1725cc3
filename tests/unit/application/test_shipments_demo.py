"""What the demonstration plays, and what it says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from activities.shipments_facts import DelayAlert
from handrail import ConfigurationError, State
from workers.board import CaseRow
from workers.demos import shipments as demo
from world.consignments import generate
from world.flights import load_flights
from world.score import score
from world.store import Published, Store


def test_its_alerts_are_spread_over_the_bad_days_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHIPMENTS_ALERTS", raising=False)
    played = demo.chosen()
    assert len({alert.consignment for alert in played}) == demo.ALERTS
    assert [a.known_at for a in played] == sorted(a.known_at for a in played)
    assert {f"{a.known_at:%m-%d}" for a in played} > {"03-08", "06-13", "07-01"}
    fields = set(DelayAlert.model_fields)
    for alert in played:
        event = DelayAlert.model_validate(alert.model_dump(include=fields))
        assert event.key == alert.key


def test_all_of_them_can_be_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPMENTS_ALERTS", "328")
    assert len({alert.consignment for alert in demo.chosen()}) == 328


@pytest.mark.parametrize("given", ["0", "329", "-1", "many", "²"])
def test_a_number_of_alerts_that_cannot_be(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPMENTS_ALERTS", given)
    with pytest.raises(ConfigurationError, match="from 1 to 328"):
        demo.chosen()


def test_its_systems_are_where_the_agent_looks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPMENTS_BOOKINGS_URL", "http://127.0.0.2:9001")
    monkeypatch.setenv("SHIPMENTS_SMTP", "127.0.0.3:9002")
    bookings, mail = demo.systems()
    assert bookings.argv[-4:] == ("--host", "127.0.0.2", "--port", "9001")
    assert mail.argv[-4:] == ("--host", "127.0.0.3", "--port", "9002")


async def test_the_report_counts_cases_and_reads_the_bookings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIPMENTS_ALERTS", "5")
    store = Store(tmp_path / "bookings.db")
    for alert in demo.chosen():
        store.add_alert(
            Published(
                consignment=alert.consignment,
                key=alert.key,
                known_at=alert.known_at,
                published_at=alert.known_at,
            )
        )
    store.close()
    cases = [
        CaseRow(case="shipments:1", agent="shipments", state=State.DONE, receipts=1),
        CaseRow(case="shipments:2", agent="shipments", state=State.DONE),
        CaseRow(
            case="shipments:3", agent="shipments", state=State.WAITING, waiting_for=("quality",)
        ),
        CaseRow(case="shipments:4", agent="shipments", state=State.REFUSED),
        CaseRow(case="shipments:5", agent="shipments", state=State.ROLLED_BACK, receipts=2),
    ]
    rows = dict(await demo.report(tmp_path, cases))
    flights = load_flights()
    alone = score(flights, [generate(flights)[a.consignment] for a in demo.chosen()], [])
    assert rows == {
        "delays": "5",
        "rebooked": "1",
        "left where they were": "1",
        "waiting for a human": "1",
        "refused by the policy or a check": "1",
        "rolled back": "1",
        "promises kept without the agent": f"{alone.kept_without} of 5",
        "promises kept with it": f"{alone.kept_without} of 5",
        "broken, had nobody acted, and kept": "0",
        "kept, had nobody acted, and broken": "0",
        "bookings that stand": "0",
        "extra cost": "0.00 EUR",
        "mails to customers": "0",
    }
