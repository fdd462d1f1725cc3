"""`make guards` in short: guards fire on the shipments agent, and what got past them is found."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from workers.guards import after, before
from workers.guards.rows import NotFired, Row
from workers.guards.run import Play, nothing_else
from workers.guards.site import Site, site
from workers.guards.table import BEGIN, END, Comparison, Report, into_page

pytestmark = pytest.mark.integration


@pytest.fixture
async def here(tmp_path: Path) -> AsyncGenerator[Site]:
    async with site(tmp_path / "home") as found:
        yield found


async def test_guards_fire_on_real_alerts_and_nothing_gets_past_them(here: Site) -> None:
    said: list[str] = []
    play = Play(here, said.append)
    await play.all(
        (
            before.harmless,
            before.refused,
            before.held,
            before.source,
            before.duplicate,
            after.secret,
            before.scope,
        )
    )
    await play.one("nothing else", nothing_else)
    assert play.faults == []
    found = {row.guard: row.said for row in play.rows}
    assert found.keys() == {
        "none: a harmless note",
        "refuse-rule",
        "hold-rule",
        "stop: a case",
        "source",
        "verify",
        "duplicate",
        "secret",
        "scope",
    }
    assert "comes from no trusted read" in found["source"].replace("come from", "comes from")
    assert "at the carrier its flight is" in found["verify"]
    assert here.token not in " ".join([*said, *found.values()])

    # A guard that stays silent is a fault of the run.
    here.policies.change(lambda doc: doc["actions"]["rebook"].pop("review"))
    await play.one("reviewed", after.reviewed)
    assert play.faults == ["reviewed: NotFired: it was not drawn"]

    # So is a booking that no verdict let pass, whoever made it.
    late = await here.freight.take(before.cheap, what="one that runs alone")
    assert late.decision.action is not None
    headers = {"Idempotency-Key": late.key, "Authorization": f"Bearer {here.token}"}
    order = late.decision.action.model_dump(mode="json")
    answer = await here.freight.carrier.post("/bookings", json=order, headers=headers)
    assert answer.status_code == 201
    with pytest.raises(NotFired, match=late.id):
        await nothing_else(here)


def test_the_table_goes_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    document = {
        "writes": 9,
        "differ": 2,
        "matrix": [
            {"before": "pass", "after": "hold", "writes": 2, "amounts": {"extra_cost": "250.10"}},
            {"before": "hold", "after": "hold", "writes": 7, "amounts": {"extra_cost": "9.00"}},
        ],
    }
    rows = [
        Row("review", "AWB-2", "drawn"),
        Row("refuse-rule", "AWB-3", "no"),
        Row("scope", "AWB-1", "a | b\nand <c>"),
    ]
    report = Report(rows, [Comparison("stricter", document)], [], cases=3, booked=1)
    page.write_text(f"before\n{BEGIN}old\n{END}\nafter\n")
    into_page(report, page)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}| guard")
    assert text.endswith(f"{END}\nafter\n")
    lines = ["scope | AWB-1 | a \\| b and &lt;c>", "refuse-rule | AWB-3 | no"]
    lines = [f"| {line} |" for line in [*lines, "review | AWB-2 | drawn"]]
    assert "\n".join(lines) in text
    assert "| stricter | 9 | 2 | 2 pass → hold (250.10 EUR) |" in text
    page.write_text("nothing")
    with pytest.raises(ValueError, match="no place"):
        into_page(report, page)
