"""Folders of others' data, damaged: nothing crashes, nothing is left out quietly, figures hold."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from activities.invoices_rules import claim_in, faults_in
from benchmarks.agents import (
    alerts,
    inspection,
    invoices,
    maintenance,
    research,
    routes,
    sales,
    support,
)
from benchmarks.agents import reconciliation as statements
from world import folders
from world.folders import files_in, rows_of, text_of
from world.inspection.boards import archive
from world.invoices.generate import clean, orders, suppliers
from world.leads import cdnow
from world.onboarding import febrl

ORDERS = [f"{n:05} 1997{1 + n % 12:02}15 {1 + n % 3} {10 + n}.50" for n in range(60)]
CYCLES = [
    f"{unit} {cycle} {' '.join(f'{unit + cycle / (7 + n):.3f}' for n in range(24))}"
    for unit in range(1, 6)
    for cycle in range(1, 90)
]
PERSON = "ana,berg,1,main street,,graz,8010,19800101,123"
RECORDS = [f"rec-{n}-{kind}, {PERSON}" for n in range(20) for kind in ("org", "dup-0")]
LABELLED = [f'"message {n}, again",label{n % 3}' for n in range(30)]


@pytest.fixture(autouse=True)
def aside() -> Iterator[list[str]]:
    folders.aside.clear()
    yield folders.aside
    folders.aside.clear()


def mixed(rows: Sequence[str]) -> list[str]:
    """The rows in another order."""
    return sorted(rows, key=lambda row: zlib.crc32(row.encode()))


def papers(folder: Path) -> Any:
    return list(research.real(folder))


def trips(folder: Path) -> Any:
    return routes.instances(folder, 0.1)


def deals(folder: Path) -> Any:
    return sales.of_folder(folder, date(2026, 1, 1))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_text_is_read_in_whatever_encoding_it_was_written(tmp_path: Path, encoding: str) -> None:
    said = "Café; 3 £\nzwei\n"
    plain, packed = tmp_path / "a.txt", tmp_path / "a.txt.gz"
    plain.write_bytes(said.encode(encoding))
    packed.write_bytes(gzip.compress(said.encode(encoding)))
    assert text_of(plain) == text_of(packed) == said


def test_rows_are_found_by_their_head_and_broken_ones_are_set_aside(
    tmp_path: Path, aside: list[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(" Text ;category\nhello;one\nonly\na;b;c\nbye;two\n")
    assert [row for _, row in rows_of(path, "text", "category")] == [
        {"text": "hello", "category": "one"},
        {"text": "bye", "category": "two"},
    ]
    assert aside == ["a.csv:3: it lacks category", "a.csv:4: it has too many cells"]
    with pytest.raises(ValueError, match="its head lacks label; it has text, category"):
        list(rows_of(path, "text", "label"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_cell_may_hold_what_looks_like_the_end_of_a_line(
    tmp_path: Path, aside: list[str], end: str
) -> None:
    path, odd = tmp_path / "a.csv", "one\u2028two\x0bthree\x85"
    said = f'text,category{end}{odd},a{end}"four{end}five",b{end}'
    path.write_bytes(said.encode())
    found = [row for _, row in rows_of(path, "text", "category")]
    assert found == [
        {"text": odd.strip(), "category": "a"},
        {"text": f"four{end}five", "category": "b"},
    ]
    assert aside == []


def test_a_folder_without_such_files_says_so(tmp_path: Path) -> None:
    (tmp_path / "LICENSE.txt").write_text("MIT")
    with pytest.raises(ValueError, match=r"has no files \*.txt; fix"):
        files_in(tmp_path, ".txt")
    deep = tmp_path / "deep" / "A.TXT"
    deep.parent.mkdir()
    deep.write_text("x")
    assert files_in(tmp_path, ".txt") == [deep]


@pytest.mark.parametrize(
    "reads",
    [
        support.read,
        maintenance.split,
        inspection.boards_of,
        alerts.read,
        statements.read_folder,
        papers,
        trips,
        deals,
    ],
)
def test_an_empty_folder_is_an_error_in_words(reads: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=str(tmp_path)):
        reads(tmp_path)


def test_messages_in_another_order_or_with_broken_ones_among_them(
    tmp_path: Path, aside: list[str]
) -> None:
    path = tmp_path / "train.csv"
    path.write_text("\n".join(["text,category", *LABELLED]))
    first = support.read(tmp_path)
    path.write_text(
        "\n".join(["text,category", *mixed(LABELLED), "only", ",label1"]), encoding="utf-16"
    )
    again = support.read(tmp_path)
    assert sorted(first.learn) == sorted(again.learn)
    assert sorted(first.judge) == sorted(again.judge)
    assert len(aside) == 2
    packed = tmp_path / "train.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert support.read(tmp_path) == again
    packed.unlink()
    (tmp_path / "data.json").write_text(
        json.dumps({"train": [["a", "x"], ["b"], None, ["c", "y"]]})
    )
    parts = support.read(tmp_path)
    assert sorted(parts.learn + parts.judge) == [("a", "x"), ("c", "y")]
    assert "data/train[1]: it is no text and label: ['b']" in aside
    (tmp_path / "data.json").write_text("{")
    with pytest.raises(ValueError, match=r"data.json is no JSON"):
        support.read(tmp_path)


def test_orders_in_another_order_with_a_head_and_in_the_form_of_the_sample(
    tmp_path: Path, aside: list[str]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n".join(ORDERS))
    plain = cdnow.read([path])
    other = mixed(ORDERS)
    path.write_text("customer_id date number dollars\n" + "\n".join(other))
    assert cdnow.read([path]) == plain
    path.write_text("\n".join(f"{line[:5]} 1 {line[6:]}" for line in ORDERS))
    assert cdnow.read([path]) == plain
    assert aside == []
    bad = ("00001 19971301 1 2.0", "00001 19970101 -1 2.0", "00001 19970101 1 nan", "x y", "1 2 3")
    path.write_text("\n".join([*ORDERS, *bad]))
    assert cdnow.read([path]) == plain
    assert len(aside) == len(bad)
    path.write_text("a,b\n")
    with pytest.raises(ValueError, match="there are no lines of customer"):
        cdnow.read([path])


def test_persons_in_another_order_twice_and_under_no_number(
    tmp_path: Path, aside: list[str]
) -> None:
    path, head = tmp_path / "a.csv", ", ".join(("rec_id", *febrl.FIELDS))
    path.write_text("\n".join([head, *RECORDS]))
    plain = febrl.read([path])
    other = mixed(RECORDS)
    more = ["rec-9", f"foo-1-org, {PERSON}", RECORDS[0]]
    path.write_text("\n".join([head, *other, *more]), encoding="utf-16")
    assert febrl.read([path]) == plain
    assert len(aside) == len(more)
    path.write_text("rec_id, surname\nrec-1-org, berg\n")
    with pytest.raises(ValueError, match="its head lacks given_name"):
        febrl.read([path])


def test_cycles_in_another_order_and_broken_ones(tmp_path: Path, aside: list[str]) -> None:
    path = tmp_path / "train_FD001.txt"
    path.write_text("\n".join(CYCLES))
    plain = maintenance.engines(path)
    other = mixed(CYCLES)
    path.write_text("\n".join([*other, "1 2 x", f"{CYCLES[0]} 7", ""]))
    again = maintenance.engines(path)
    assert [len(each.readings) for each in again] == [89] * 5
    assert all((a.readings == b.readings).all() for a, b in zip(plain, again, strict=True))
    assert len(aside) == 2
    # Packed beside unpacked it is one file; a test file that is packed is found all the same.
    (tmp_path / "train_FD001.txt.gz").write_bytes(gzip.compress(path.read_bytes()))
    train, test = maintenance.split(tmp_path)
    assert (len(train), len(test)) == (4, 1)
    (tmp_path / "test_FD001.txt.gz").write_bytes(gzip.compress("\n".join(CYCLES).encode()))
    (tmp_path / "RUL_FD001.txt").write_text("3\n4\n5\n6\n")
    train, test = maintenance.split(tmp_path)
    assert (len(train), len(test)) == (5, 4)
    assert aside[-1] == "test_FD001.txt.gz, engine 5: nobody says how long it ran on"


def test_boards_that_lack_something_are_set_aside(tmp_path: Path, aside: list[str]) -> None:
    for number, board in enumerate(archive(1, 5)):
        for which, image in (("temp", board.golden), ("test", board.scan)):
            (tmp_path / f"{number}_{which}.png").write_bytes(image)
        drawn = "\n".join(" ".join(map(str, (*box, 1))) for _, box in board.defects)
        (tmp_path / f"{number}.txt").write_text(drawn)
    assert len(inspection.boards_of(tmp_path)) == 5
    (tmp_path / "0.txt").unlink()
    (tmp_path / "1_temp.png").unlink()
    (tmp_path / "2.txt").write_text("1,2,three,4")
    PIL.Image.new("L", (20, 20)).save(tmp_path / "3_temp.png")
    assert len(inspection.boards_of(tmp_path)) == 1
    assert [each.split(":")[0] for each in aside] == [f"{n}_test.png" for n in range(4)]


def test_series_whose_windows_are_named_by_a_path_or_by_nobody(
    tmp_path: Path, aside: list[str]
) -> None:
    rows = [f"2014-01-{day:02} 00:00:00,{day}" for day in range(1, 20)]
    head, other = "timestamp,value", mixed(rows)
    (tmp_path / "a.csv").write_text("\n".join([head, *other, "2014-01-01,", "x,1", "nan,nan"]))
    (tmp_path / "b.csv").write_text("\n".join([head, *rows]))
    window = {"real/a.csv": [["2014-01-02 00:00:00", "2014-01-03 00:00:00"]]}
    (tmp_path / "combined_windows.json").write_text(json.dumps(window))
    (series,) = alerts.read(tmp_path)
    assert [value for _, value in series.points] == list(range(1, 20))
    assert len(series.windows) == 1
    assert len(aside) == 4
    assert aside[-1] == "b.csv: no windows.json says when something was wrong"
    plain = tmp_path / "a.csv"
    plain.with_name("a.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert alerts.read(tmp_path) == [series]


def test_instances_that_are_none_or_have_no_solution(tmp_path: Path, aside: list[str]) -> None:
    (tmp_path / "a.vrp").write_text("NAME: x\n")
    assert len(routes.instances(tmp_path, 0.1)) == 2
    assert aside[0].startswith("a.vrp: ")


def test_instances_may_be_packed(tmp_path: Path, aside: list[str]) -> None:
    points = "".join(f"{n} {n * n} {3 * n}\n" for n in range(1, 5))
    demands = "".join(f"{n} {n > 1:d}\n" for n in range(1, 5))
    text = (
        "NAME : a\nTYPE : CVRP\nDIMENSION : 4\nEDGE_WEIGHT_TYPE : EUC_2D\nCAPACITY : 2\n"
        f"NODE_COORD_SECTION\n{points}DEMAND_SECTION\n{demands}DEPOT_SECTION\n1\n-1\nEOF\n"
    )
    (tmp_path / "a.vrp.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "a.sol.gz").write_bytes(gzip.compress(b"Route #1: 1 2\nCost 46\n"))
    row = routes.instances(tmp_path, 0.1)[-1].split(" | ")
    assert (row[:3], aside) == (["| a", "3", "46"], [])


def test_deals_and_notes_that_are_none(tmp_path: Path, aside: list[str]) -> None:
    head = "code,created,amount,state,probability,postal_code,owner"
    good = "A-1,2026-01-02,100,lead,0.1,8010,"
    bad = ("A-2,soon,1,lead,0.1,8010,", "A-3,2026-01-02,much,lead,0.1,8010,", "A-4")
    (tmp_path / "deals.csv").write_text("\n".join([head, good, *bad]))
    (tmp_path / "notes.csv").write_text("code,note\nA-9,2026-01-03 call: hello\nA-1,what\n")
    rows = sales.of_folder(tmp_path, date(2026, 1, 5))
    assert rows[-1] == "| notes that cannot be read | 1 |"
    assert len(aside) == 4


def test_statements_of_any_ending_and_encoding_are_read(tmp_path: Path) -> None:
    for name in ("a.STA", "b.txt"):
        (tmp_path / name).write_text("nothing", encoding="utf-16")
    assert len(statements.read_folder(tmp_path)) == 4


def test_an_invoice_is_the_same_in_whatever_encoding_it_was_declared(tmp_path: Path) -> None:
    order = orders(suppliers(), 1)[0]
    xml = clean(order, 1).xml
    declared = xml.replace('encoding="UTF-8"', 'encoding="ISO-8859-1"')
    if declared == xml:
        declared = f'<?xml version="1.0" encoding="ISO-8859-1"?>\n{xml.partition("?>")[2] or xml}'
    path = tmp_path / "a.xml"
    path.write_bytes(declared.encode("latin-1"))
    assert faults_in(text_of(path)) == faults_in(xml) == ()
    assert claim_in(text_of(path)) == claim_in(xml)
    assert invoices.became({order.number: order}, text_of(path)) == "pass"


def test_what_is_set_aside_is_told_in_the_end() -> None:
    said = folders.told([f"line {n}" for n in range(12)])
    assert (said[0], said[1], said[-1]) == ("set aside: 12", "  line 0", "  ... and 2 more")
    assert folders.told([]) == []
