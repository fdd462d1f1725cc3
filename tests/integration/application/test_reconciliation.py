"""Reconciliation and the nightly report on the real server, with the books as a process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from activities.nightly import ReportDue
from activities.reconciliation import Look
from activities.reconciliation_systems import disconnect
from handrail import State
from handrail.client import Operator
from handrail.ledger import EffectState
from handrail.testing import CaseHandle, Crash, Human, Stage, crashing_worker, eventually
from handrail.testing.fixtures import RunFleet
from tests.integration.application.systems import System
from workers.fleets.reconciliation import fleet
from world import mailbox
from world.reconciliation import month
from world.reconciliation.score import score

pytestmark = pytest.mark.integration

FLEET = "workers.fleets.reconciliation:fleet"
LAST = date(2026, 10, 30)
MADE = month.made(invoices=12, days=2, last=LAST)
PLAY = ("--invoices", "12", "--days", "2", "--last", str(LAST))
LENA, CLEO = Human("lena@example.com"), Human("cleo@example.com")


class Books:
    """The books: killed, and started again on their port."""

    def __init__(self, db: Path) -> None:
        self._db, self.port = db, 0
        self.start()

    def start(self) -> None:
        where = ("--db", str(self._db), "--port", str(self.port))
        self.process = System("reconciliation.service", *where, *PLAY)
        self.port = self.process.port

    def get(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx2.get(f"{self.process.url}{path}", timeout=10).json()
        return found

    def post(self, **said: Any) -> int:
        return httpx2.post(f"{self.process.url}/postings", json=said, timeout=10).status_code


@pytest.fixture
async def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Books]:
    system = Books(tmp_path / "books.db")
    monkeypatch.setenv("RECONCILIATION_BOOKS_URL", system.process.url)
    monkeypatch.setenv("HANDRAIL_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    await disconnect()
    yield system
    await disconnect()
    system.process.kill()


@pytest.fixture
def mails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    with ExitStack() as stack:
        system = System("mailbox", "--dir", str(tmp_path / "mail"), "--port", "0")
        stack.callback(system.kill)
        monkeypatch.setenv("NIGHTLY_SMTP", system.url.rpartition("/")[2])
        yield tmp_path / "mail"


def place(kind: str) -> tuple[str, int]:
    """The first line of a kind."""
    return next(place for place, line in MADE.truth.items() if line.kind == kind)


def look(of: tuple[str, int]) -> Look:
    return Look(on=LAST, statement=of[0], line=of[1])


async def round_of(stage: Stage) -> list[CaseHandle]:
    """A round, and its lines' cases when each has ended or asks."""
    outcome = await (await stage.start("reconciliation", Look(on=LAST))).outcome()
    assert outcome.why == f"{len(MADE.truth) - 1} lines handed on, 4 statements set aside"
    cases = [stage.case(f"reconciliation:{look(each).key}") for each in MADE.truth]

    async def settled() -> bool:
        return all([(await c.view()).state in {State.DONE, State.WAITING} for c in cases])

    await eventually(settled)
    return cases


async def test_a_week_is_posted_or_asked_about_once_though_worker_and_books_die(
    run_fleet: RunFleet, books: Books
) -> None:
    clean = place("clean")
    crash = Crash(boundary="write:after-effect", case=f"reconciliation:{look(clean).key}")
    async with (
        run_fleet(fleet, workers=False) as stage,
        crashing_worker(stage, FLEET, crash) as worker,
    ):
        first = await stage.start("reconciliation", look(clean))
        await worker.crashed()
        books.process.kill()  # between the effect and its receipt both are gone
        await worker.restart()
        books.start()
        assert (await first.outcome()).status is State.DONE
        cases = await round_of(stage)
        effects = await stage.ledger.effects_during(
            "reconciliation", datetime(2026, 1, 1, tzinfo=UTC), datetime.now(UTC)
        )
        short = stage.case(f"reconciliation:{look(place('short')).key}")
        asked = await short.gate()
        assert (await LENA.approve(short, asked)).accepted
        assert (await short.outcome()).status is State.DONE
        waiting = sum([(await c.view()).state is State.WAITING for c in cases])
    done = {e.key for e in effects if e.step == "post" and e.state is EffectState.DONE}
    rows = books.get("/postings")
    alone = [each for each in rows if each["kind"] != "short"]
    assert {each["key"] for each in alone} == done
    assert len({(e["statement"], e["line"]) for e in rows}) == len(rows)
    left = [each["id"] for each in books.get("/items") if Decimal(each["open"]) > 0]
    came = score(MADE, alone, left)
    assert (came.wrong, came.missed) == ([], [])
    assert waiting + len(rows) == len(MADE.truth)
    assert len(books.get("/aside")) == 4


async def test_the_books_refuse_a_line_twice_and_more_than_is_open(books: Books) -> None:
    item = books.get("/items")[0]
    said = {"statement": "S", "line": 1, "kind": "clean", "amount": "5.00"}
    one = said | {"invoice": item["id"], "key": "a"}
    assert [books.post(**one), books.post(**one)] == [201, 200]
    assert books.post(**(one | {"key": "b"})) == 409
    more = one | {"line": 2, "key": "c", "amount": item["amount"]}
    assert books.post(**more) == 422
    assert len(books.get("/postings")) == 1
    url = f"{books.process.url}/reports/day-1"
    put = [httpx2.put(url, json={"text": text}).status_code for text in ("x", "x", "y")]
    assert put == [201, 200, 409]


async def test_the_day_is_reported_once_and_what_the_books_lost_is_asked_about(
    run_fleet: RunFleet, books: Books, mails: Path
) -> None:
    today = datetime.now(UTC).date()
    async with run_fleet(fleet) as stage:
        first = await stage.start("reconciliation", look(place("clean")))
        assert (await first.outcome()).status is State.DONE
        day = await stage.start("nightly", ReportDue(period="day", on=today))
        outcome = await day.outcome()
        assert outcome.why.endswith("0 differences"), outcome.why
        [kept] = books.get("/reports")
        assert "Ledger, books and bank agree." in kept["text"]
        assert "Postings: 1 clean" in kept["text"]
        assert f"that are not posted: {len(MADE.truth) - 1}\n  " in kept["text"]
        [sent] = list(mailbox.read(mails))
        assert sent.subject == f"Report day-{today}"
        [row] = books.get("/postings")
        httpx2.delete(f"{books.process.url}/postings", params={"key": row["key"]})
        books.post(statement="S", line=1, kind="clean", amount="5.00", key="by-hand")
        whole = await stage.start("nightly", ReportDue(period="month", on=today))
        asked = await whole.gate()
        assert len(asked.evidence["differences"]) == 3 if asked.evidence else False
        assert (await CLEO.approve(whole, asked)).accepted
        assert (await whole.outcome()).status is State.DONE
    month_ = next(e["text"] for e in books.get("/reports") if e["name"].startswith("month"))
    assert f"posting {row['key']} is in the ledger, and not in the books" in month_
    assert "posting by-hand is in the books, and not in the ledger" in month_
    assert "posting by-hand is of no line of the bank" in month_


async def test_what_a_person_amends_is_held_against_the_books_and_a_posting_is_taken_back(
    run_fleet: RunFleet, books: Books, mails: Path
) -> None:
    alien = next(p for p, t in MADE.truth.items() if t.kind == "alien" and t.amount > 0)
    paid = MADE.truth[alien].amount
    small = next(each.id for each in MADE.invoices if each.amount < paid)
    today = ReportDue(period="day", on=datetime.now(UTC).date())
    async with run_fleet(fleet) as stage:
        wrong = await stage.start("reconciliation", look(alien))
        assert (await LENA.amend(wrong, {"invoice": small})).accepted
        outcome = await wrong.outcome()
        assert outcome.status is State.REFUSED
        assert f"are open of {small}, not {paid}" in outcome.why
        case = await stage.start("reconciliation", look(place("clean")))
        assert (await case.outcome()).status is State.DONE
        assert len(books.get("/postings")) == 1
        luis = Operator(stage.client, stage.ledger, by="luis@example.com")
        [told] = (await luis.roll_back(case.id, why="another's", wait=True)).cases
        assert (told.ok, told.state) == (True, State.ROLLED_BACK)
        assert books.get("/postings") == []
        day = await stage.start("nightly", today)
        assert (await day.outcome()).why.endswith("0 differences")
    assert len(list(mailbox.read(mails))) == 1
