"""`handrail baseline`: declared, or from an event log; what is replaced is kept."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.unit.machine import Machine

ANA = "ana@example.com"
LOG = """case_id,activity,start,timestamp,resource,cost
A,open,2026-03-02T09:00:00Z,2026-03-02T09:10:00Z,ana,10
A,check,2026-03-04T09:00:00Z,2026-03-04T09:20:00Z,bo,5
B,open,2026-03-12T09:00:00Z,2026-03-12T09:10:00Z,ana,10
B,,2026-03-12T09:00:00Z,2026-03-12T09:10:00Z,ana,10
"""


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Machine:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))
    found = Machine(tmp_path, capsys)
    found.ledger(nothing)
    Path("log.csv").write_text(LOG)
    return found


async def nothing(_: object) -> None:
    """Only makes the ledger."""


def said(machine: Machine, *args: str) -> dict[str, dict[str, Any]]:
    found = machine.json("baseline", "list", "pay", *args)["baselines"]
    return {each["name"]: each for each in found}


def declare(machine: Machine, *args: str, code: int = 0) -> str:
    given = ("baseline", "set", "pay", *args, "--source", "time study, 40 cases", "--by", ANA)
    return machine.run(*given, code=code)


def test_a_figure_is_declared_with_its_source_and_replaced_by_the_next(machine: Machine) -> None:
    declare(machine, "minutes_per_case", "12.50")
    declare(machine, "minutes_per_case", "12.50")
    declare(machine, "cost_per_case", "7", "--unit", "EUR")
    declare(machine, "minutes_per_case", "9")
    now = said(machine)
    assert {name: (e["amount"], e["unit"], e["kind"]) for name, e in now.items()} == {
        "minutes_per_case": ("9", "minutes", "declared"),
        "cost_per_case": ("7", "EUR", "declared"),
    }
    assert (now["cost_per_case"]["source"], now["cost_per_case"]["by"]) == (
        "time study, 40 cases",
        ANA,
    )
    every = machine.json("baseline", "list", "pay", "--all")["baselines"]
    before = [e for e in every if e["replaced"]]
    assert [(e["name"], e["amount"]) for e in before] == [("minutes_per_case", "12.50")]
    assert "12.50" not in machine.run("baseline", "list", "pay")
    assert "has no baseline" in machine.run("baseline", "list", "other")


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("Minutes", "3"), "no name of a figure"),
        (("minutes_per_case", "many"), "no amount"),
        (("minutes_per_case", "nan"), "no amount"),
        (("minutes_per_case", "3", "--unit", "hours"), "is in minutes, not in hours"),
        (("error_share", "5"), "write 0.05 for 5 %"),
        (("cost_per_case", "3"), "--unit EUR"),
        (("investment", "3", "--unit", "euros"), "--unit EUR"),
        (("calls_a_day", "3"), "say the unit"),
    ],
)
def test_what_is_no_figure_is_refused(machine: Machine, args: tuple[str, ...], why: str) -> None:
    assert why in declare(machine, *args, code=2)
    assert said(machine) == {}


def test_a_log_gives_its_figures_and_bad_rows_are_named(machine: Machine) -> None:
    run = ("baseline", "import", "pay", "log.csv", "--by", ANA, "--currency", "EUR")
    first = machine.json(*run)
    assert (first["left_out"], first["bad"]) == (1, [{"line": 5, "why": "names no activity"}])
    now = said(machine)
    figures = {name: (each["amount"], each["unit"]) for name, each in now.items()}
    assert figures["minutes_per_case"] == ("20", "minutes")
    assert figures["cost_per_case"] == ("12.5", "EUR")
    assert figures["touches_per_case"] == ("1.5", "touches")
    assert figures["cases_per_month"][1] == "cases"
    assert {each["kind"] for each in now.values()} == {"log"}
    assert now["variants"]["source"] == "log.csv: 2 cases from 2026-03-02 to 2026-03-12"
    assert "log.csv:5: left out: it names no activity" in machine.run(*run)
    assert said(machine, "--all") == now


def test_several_files_are_parts_of_one_log_and_may_be_packed(machine: Machine) -> None:
    head, *rows = LOG.replace(",cost", "").splitlines()
    rows = [row.rpartition(",")[0] for row in rows]
    Path("one.csv").write_text("\n".join([head, rows[0]]))
    Path("two.csv.gz").write_bytes(gzip.compress("\n".join([head, *rows[1:3]]).encode()))
    text = machine.run("baseline", "import", "pay", "one.csv", "two.csv.gz", "--by", ANA)
    assert "missing" in text
    assert "handrail baseline set pay cost_per_case" in text
    assert said(machine)["touches_per_case"]["amount"] == "1.5"


def test_what_cannot_be_read_says_why_and_records_nothing(machine: Machine) -> None:
    Path("other.txt").write_text("")
    Path("bad.csv.gz").write_bytes(b"no gzip")
    Path("odd.csv").write_bytes(b"case,activity,time\n1,\xff\xfe\xfd,2026-01-01\n")
    Path("none.csv").write_text("case,activity,time\n1,a,never\n")
    for args, why in (
        (("log.csv",), "--currency EUR"),
        (("nowhere.csv",), "cannot be read"),
        (("other.txt",), "is no event log"),
        (("bad.csv.gz",), "cannot be read"),
        (("odd.csv",), "no text in UTF-8"),
        (("none.csv",), "no row that can be read"),
        (("log.csv", "--column", "what=x"), "write one of case, activity"),
        (("log.csv", "--delimiter", ";;"), "one character"),
        ((), "which log"),
    ):
        assert why in machine.run("baseline", "import", "pay", *args, "--by", ANA, code=2)
    assert said(machine) == {}
