"""`handrail discover`: the plot, the page, the baseline, and a policy that the loader takes."""

from __future__ import annotations

import gzip
import random
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.parsers.expat import ParserCreate

import pytest
from typing_extensions import override

from handrail import Action
from handrail.policy import AgentShape, PolicyFile, WriteShape
from tests.unit.machine import Machine

ANA = "ana@example.com"
BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)


class Choice(Action):
    """What an agent would do there."""

    order: str


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Machine:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))
    found = Machine(tmp_path, capsys)
    found.ledger(nothing)
    write_log("claims.csv", "kind")
    return found


async def nothing(_: object) -> None:
    """Only makes the ledger."""


def write_log(path: str, fact: str, cases: int = 300) -> None:
    chance = random.Random(path)  # noqa: S311  # a simulation
    rows = ["case,activity,time,who,kind,amount"]
    for number in range(cases):
        at = BEGIN + timedelta(hours=number)
        kind, amount = chance.choice("ab"), chance.randrange(900)
        refused = kind == "a" if fact == "kind" else chance.random() < 0.5
        then = "Refuse & tell: <b>no</b>" if refused else "9 pay"
        rows += [
            f"{number},check,{at.isoformat()},ana,{kind},{amount}",
            f'{number},"{then}",{(at + timedelta(days=2)).isoformat()},bo,,',
        ]
    Path(path).write_text("\n".join(rows))


def test_for_programs_all_figures_are_there(machine: Machine) -> None:
    write_log("coin.csv", "none")
    found = machine.json("discover", "claims.csv", "coin.csv")
    best = found["candidates"][0]
    assert (best["number"], best["name"], best["kind"]) == (
        1,
        "claims.csv: after check",
        "decision",
    )
    assert best["predicted"]["facts"] == ["kind"]
    assert best["predicted"]["low"] > 0.9
    assert best["waiting"] == timedelta(days=2).total_seconds()
    assert best["against"] == []
    coin = next(each for each in found["candidates"] if each["name"] == "coin.csv: after check")
    assert "know something that is not in it" in coin["against"][0]
    assert [each["cases"] for each in found["logs"]] == [300, 300]


def test_for_people_there_is_a_plot_with_reasons(machine: Machine) -> None:
    text = machine.run("discover", "claims.csv", "--top", "1")
    rows = [line.partition("|")[2] for line in text.splitlines() if "           |" in line]
    assert len(rows) == 20
    assert [row.strip() for row in rows if row.strip()] == ["1"]
    assert "+ kind says what people did in 100.0% of" in text
    assert "1 more; --top 2 shows them" in text


class Page(HTMLParser):
    """Which elements a page opens and does not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        self.open += [tag] if tag not in {"meta", "br"} else []

    @override
    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_what_the_log_says_is_text_in_it(machine: Machine) -> None:
    Path("claims.csv").rename("<script>.csv")
    machine.run("discover", "<script>.csv", "--html", "page.html")
    text = Path("page.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert "script" not in page.seen
    assert page.seen.count("circle") == 1
    plot = text[text.index("<svg") : text.index("</svg>") + 6]
    ParserCreate().Parse(plot, True)


def test_the_skeleton_is_a_policy_that_writes_nothing(machine: Machine) -> None:
    machine.run("discover", "claims.csv", "--policy", "claims.yaml", "--by", ANA)
    text = Path("claims.yaml").read_text(encoding="utf-8")
    names = ("refuse_tell_b_no_b", "do_9_pay")
    shape = AgentShape("claims", {each: WriteShape(each, Choice) for each in names})
    policy = PolicyFile(Path("claims.yaml"), shape).current()
    assert (policy.agent, policy.owner) == ("claims", ANA)
    assert {policy.doc.actions[each].autonomy for each in names} == {"pilot"}
    assert "# They mostly do where kind is a: " in text
    assert "is there already" in machine.run(
        "discover", "claims.csv", "--policy", "claims.yaml", code=2
    )


def test_a_log_in_xes_is_taken_too(machine: Machine) -> None:
    event = '<event><string key="concept:name" value="{}"/><date key="time:timestamp" value="{}"/>'
    traces = "".join(
        f"<trace>{event.format('a', f'2026-01-{day:02}')}</event>"
        f"{event.format('b', f'2026-02-{day:02}')}</event></trace>"
        for day in range(1, 11)
    )
    Path("claims.xes.gz").write_bytes(gzip.compress(f"<log>{traces}</log>".encode()))
    (found,) = machine.json("discover", "claims.xes.gz")["candidates"]
    assert (found["name"], found["cases"]) == ("claims.xes: all of it", 10)
    assert "nothing in it is decided" in found["against"][0]


def test_of_a_whole_workflow_each_activity_is_a_write(machine: Machine) -> None:
    machine.run("discover", "claims.csv", "--policy", "all.yaml", "--candidate", "2")
    text = Path("all.yaml").read_text(encoding="utf-8")
    assert [
        line.strip(" :") for line in text.splitlines() if line[:2] == "  " and line[2] != " "
    ] == [
        "check",
        "refuse_tell_b_no_b",
        "do_9_pay",
        "approvers",
    ]


def test_the_baseline_of_the_chosen_one_is_kept(machine: Machine) -> None:
    machine.run("discover", "claims.csv", "--baseline", "claims", "--by", ANA)
    found = machine.json("baseline", "list", "claims")["baselines"]
    amounts = {each["name"]: each["amount"] for each in found}
    assert amounts["touches_per_case"] == "2"
    assert amounts["hours_to_end"] == "48"


def test_where_the_baseline_cannot_be_kept_no_policy_is_left_behind(machine: Machine) -> None:
    (machine.home / "ledger.db").unlink()
    what = ("--policy", "claims.yaml", "--baseline", "claims", "--by", ANA)
    assert "there is no ledger" in machine.run("discover", "claims.csv", *what, code=2)
    assert not Path("claims.yaml").exists()


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ((), "which log"),
        (("claims.csv", "--baseline", "claims"), "who keeps the baseline"),
        (("claims.csv", "--policy", "x.yaml", "--candidate", "3"), "there are 2"),
        (("claims.csv", "--html", "no/where.html"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_says_why(machine: Machine, args: tuple[str, ...], why: str) -> None:
    assert why in machine.run("discover", *args, code=2)
    assert machine.json("baseline", "list", "claims")["baselines"] == []
