"""`handrail normal`, on a real ledger: what is normal now, in words and as JSON."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from handrail import Ledger
from handrail.cli.app import run
from tests.agents import fleets

WATCHED = {
    "autonomy": "full",
    "normal": {"watch": ["amount", "hour", "rate", {"target": "order"}]},
}
Command = Callable[..., str]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs `handrail` beside an agent whose payments are watched."""
    fleet = fleets.orders(tmp_path, fleets.policy(actions={"pay": WATCHED}))
    monkeypatch.setattr(fleets, "made_here", fleet, raising=False)
    monkeypatch.setenv("HANDRAIL_FLEET", "tests.agents.fleets:made_here")
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))

    def do(*args: str, code: int = 0) -> str:
        assert run(["normal", *args]) == code
        said = capsys.readouterr()
        return said.out + said.err

    return do


def past(home: Path, count: int) -> None:
    """Payments of about 50, an hour apart, to orders whose names are to be shown with care."""
    rng = random.Random(3)  # noqa: S311  # seeded, not secret
    now = datetime.now(UTC).timestamp()
    rows: list[dict[str, Any]] = [
        {
            "key": f"orders:{n}/pay/1",
            "case_id": f"orders:{n}",
            "agent": "orders",
            "step": "pay",
            "digest": "d" * 64,
            "action": json.dumps(
                {"amount": f"{rng.uniform(40, 60):.2f}", "order": f"o\x1b[31m{n % 4}"}
            ),
            "policy": "orders v1",
            "state": "done",
            "owner": "one",
            "deadline": 0.0,
            "begun": now - 3_600 * (count - n),
        }
        for n in range(count)
    ]

    async def put() -> None:
        async with Ledger(f"sqlite:///{home}/ledger.db"):
            pass

    asyncio.run(put())
    engine = sa.create_engine(f"sqlite:///{home}/ledger.db")
    with engine.begin() as connection:
        connection.execute(sa.insert(sa.table("handrail_effects", *map(sa.column, rows[0]))), rows)
    engine.dispose()


def test_each_watched_thing_is_shown_with_what_would_be_flagged(
    command: Command, tmp_path: Path
) -> None:
    past(tmp_path, 100)
    said = command("orders")
    since = datetime.now(UTC) - timedelta(hours=100)
    assert f"orders/pay  learned from 100 writes, since {since:%Y-%m-%d}" in said
    assert "nine in ten are 40" in said
    assert "below 14.67 or above 103.49" in said
    assert "the whole day  " in said
    assert "more than" in said
    assert "4 different" in said
    assert "\x1b" not in said


def test_the_same_as_json(command: Command, tmp_path: Path) -> None:
    past(tmp_path, 100)
    found = json.loads(command("orders", "pay", "--json"))
    step = found["steps"]["pay"]
    assert (found["agent"], step["learned"], step["learn"]) == ("orders", 100, 30)
    figures = {each["what"]: each for each in step["figures"]}
    assert {"amount", "hour", "rate per hour", "rate per day", "target: order"} <= figures.keys()
    assert figures["amount"]["of"] == 100
    assert figures["rate per day"]["flags"] is None


def test_while_it_learns_it_says_how_many_writes_are_missing(
    command: Command, tmp_path: Path
) -> None:
    past(tmp_path, 12)
    assert "nothing is flagged before 18 more writes are done" in command("orders")


@pytest.mark.parametrize(
    ("args", "fix"),
    [
        (["nobody"], "there is no agent nobody; there are: orders"),
        (["orders", "paint"], "orders has no write paint; it has: refund, pay"),
        (["orders", "ship"], "nothing watched of ship; fix: add to a write in"),
    ],
)
def test_what_cannot_be_shown_says_what_to_do(
    command: Command, tmp_path: Path, args: list[str], fix: str
) -> None:
    past(tmp_path, 1)
    assert fix in " ".join(command(*args, code=2).split())


def test_without_a_ledger_it_says_so(command: Command) -> None:
    assert "there is no ledger at" in command("orders", code=2)
