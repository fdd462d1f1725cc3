"""What the chaos of the company calls lost, doubled and unknown, in books with planted faults."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from activities.sales_systems import uid_of
from tests.chaos.company import Company, wedged
from tests.chaos.company_books import KEPT, Came, Effect, held_against, twice
from workers.fleets.company import fleet


def effect(key: str, name: str, state: str = "done", result: Any = None, **action: Any) -> Effect:
    agent, step = name.split("/")
    return Effect(key, agent, step, f"{agent}:1", state, action, result)


def came(name: str, effects: list[Effect], *books: str) -> Came:
    found = Came()
    held_against(found, name, effects, books)
    return found


PAID = [effect(each, "invoices/pay") for each in ("a", "b")]


def test_a_receipt_without_a_record_is_lost() -> None:
    assert came("invoices/pay", PAID, "a", "b") == Came(done=2)
    assert came("invoices/pay", PAID, "a").lost == ["b"]


@pytest.mark.parametrize(
    ("state", "handed", "named"),
    [
        ("working", {}, True),
        ("working", {"b": "waiting"}, False),
        ("working", {"b": "working"}, True),
        ("working", {"b": "waiting", "c": "working"}, True),
        ("working", {"b": "done"}, True),  # its own turn, and it does not go on
        ("failed", {}, True),
        ("refused", {}, False),
    ],
)
def test_a_case_is_wedged_unless_it_or_what_it_waits_for_waits_for_people(
    state: str, handed: dict[str, str], *, named: bool
) -> None:
    def case(name: str, state: str, *to: str) -> dict[str, Any]:
        closed = None if state in {"working", "waiting"} else "2026-11-30T05:00:00Z"
        return {"case": name, "state": state, "handed": to, "closed": closed}

    others = [case(name, found) for name, found in handed.items()]
    found = wedged({"cases": [case("a", state, *handed), *others]})
    assert (f"a: {state}" in found) is named


@pytest.mark.parametrize("state", ["done", "intended", "taken_back"])
def test_a_record_that_the_ledger_cannot_have_made_is_unknown(state: str) -> None:
    mine = [effect("a", "invoices/pay", state)]
    assert came("invoices/pay", mine, "a").unknown == []
    assert came("invoices/pay", mine, "a", "c").unknown == ["c"]
    assert came("invoices/pay", [effect("a", "invoices/pay", "not_done")], "a").unknown == ["a"]


def test_where_no_key_is_kept_there_are_no_more_than_receipts_and_questions() -> None:
    mine = [effect("a", "stores/purchase", result=7), effect("b", "stores/purchase", "intended")]
    assert came("stores/purchase", mine, "7", "8") == Came(done=1, doubt=1)
    assert came("stores/purchase", mine, "7", "8", "9").unknown == ["9"]


def test_of_a_state_the_last_write_is_found() -> None:
    mine = [effect(owner, "sales/assign", deal="N-1", owner=owner) for owner in ("ANA", "BO")]
    assert came("sales/assign", mine, "N-1 BO").lost == []
    assert came("sales/assign", mine, "N-1 ANA").lost == ["BO"]


def test_a_name_that_is_made_of_the_key_is_looked_for() -> None:
    mine = [effect("a", "sales/remind")]
    assert came("sales/remind", mine, uid_of("a")) == Came(done=1)


def test_every_write_of_the_company_is_looked_for() -> None:
    writes = {(name, each) for name, agent in fleet.agents.items() for each in agent.writes}
    undos = {(name, each.undo.name) for name, each in writes if each.undo is not None}
    every = {(name, each.name) for name, each in writes} - undos
    assert {f"{name}/{step}" for name, step in every} == set(KEPT)


def test_what_is_there_twice_is_said() -> None:
    assert twice(["a", "b", "a"]) == ["a"]


async def test_a_write_on_its_way_is_seen_and_who_it_goes_to_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company(tmp_path, os.getpid(), random.Random(1))  # noqa: S311
    assert await company.open() == {}
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger, ledger:
        ledger.execute("create table handrail_effects (key, agent, state, begun)")
        rows = [
            ("a", "invoices", "intended", time.time()),
            ("b", "invoices", "done", time.time()),
            ("c", "support", "intended", time.time() - 60),  # it is in doubt, not on its way
        ]
        ledger.executemany("insert into handrail_effects values (?, ?, ?, ?)", rows)
    assert await company.open() == await company.open("payables") == {"a": "invoices"}
    assert await company.open("stores") == {}
    killed: list[str] = []

    async def kill(name: str) -> None:
        killed.append(name)
        company.inside[name] += 1

    monkeypatch.setattr(company, "kill", kill)
    for _ in range(3):
        await company.kill_inside()
    assert sorted(killed) == ["Temporal server", "payables", "worker"]
