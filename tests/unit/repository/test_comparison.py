"""The parts of the comparison: its contenders, its outside system, its tables."""

from pathlib import Path

import httpx2

from benchmarks.comparison import environments
from benchmarks.comparison.contenders import ALL, HANDRAIL, HERE
from benchmarks.comparison.keeps import Keeps, Kill
from benchmarks.comparison.measure import QUICK, Measured, Round
from benchmarks.comparison.outside import Carrier, application
from benchmarks.comparison.process import Cost
from benchmarks.comparison.report import as_json, markdown


def test_every_contender_has_its_program_and_its_list() -> None:
    assert ALL[0] is HANDRAIL
    assert len({each.name for each in ALL}) == len(ALL)
    for each in ALL:
        assert (HERE / each.program).is_file()
        assert each.environment is None or each.environment in environments.LISTS


def test_lists_pin_every_package() -> None:
    for path in environments.LISTS.values():
        lines = path.read_text("utf-8").split()
        assert lines
        assert [line for line in lines if line.count("==") != 1] == []


async def test_the_outside_system_counts_effects_and_heeds_keys_only_where_told() -> None:
    carrier = Carrier()
    transport = httpx2.ASGITransport(app=application(carrier))
    async with httpx2.AsyncClient(transport=transport, base_url="http://carrier") as client:

        async def book(key: str) -> str:
            said = {"consignment": "AWB-1", "flight": "UA100"}
            answer = await client.post("/bookings", json=said, headers={"Idempotency-Key": key})
            return answer.json()["number"]

        assert await book("a") == await book("a")
        assert carrier.effects == {"AWB-1": 1}
        assert (await client.post("/behave", json={"keys": False, "holding": False})).json() == {
            "AWB-1": 1
        }
        await book("a")
        assert carrier.effects == {"AWB-1": 2}
        assert (await client.get("/bookings/AWB-1")).json()["number"] == "BK-000002"
        assert (await client.get("/bookings/AWB-2")).status_code == 404


def measured(cpu: float) -> Measured:
    cost = Cost(cpu, 0.0)
    return Measured([Round(one=1, rate=2, passes=cost, held=cost, rest=cost)] * 2, (3.0, 4.0))


def kill(effects: int, *, asks: int = 0, resumed: int = 0) -> Kill:
    return Kill("bare", 3, effects, done=3 - asks, asks=asks, resumed=resumed, seconds=1.0)


def keeps(bare: Kill, *, forged: bool) -> Keeps:
    key = Kill("key", 3, 3, done=3, asks=0, resumed=0, seconds=1.0)
    return Keeps((key, bare), yes=True, deadline=False, forged=forged, records=15)


def test_the_table_sets_what_it_costs_beside_what_is_kept(tmp_path: Path) -> None:
    other = ALL[6]
    costs = {HANDRAIL.name: measured(20), other.name: measured(10)}
    kept = {
        HANDRAIL.name: keeps(kill(3, asks=3), forged=False),
        other.name: keeps(kill(6, resumed=3), forged=True),
    }
    page = markdown({each.name: each for each in (HANDRAIL, other)}, costs, kept, QUICK)
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line[:1] == "|"}
    assert "**6 of 3**, resumed by hand" in page
    assert "3 of 3, 3 ask a human" in page
    first = next(line for line in page.splitlines() if line.startswith(f"| {other.name} "))
    assert "0.50 (0.50 to 0.50)" in first
    assert "**taken**" in first
    assert HANDRAIL.name in rows
    assert as_json(costs, kept, QUICK, "here")["keeps"][other.name]["records"] == 15
