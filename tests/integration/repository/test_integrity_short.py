"""The integrity suite in its short form; the long one is `make integrity`."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from handrail.exceptions import ConfigurationError
from handrail.oversight import Keyring, SigningKey, Trust
from handrail.testing import Human, Outside
from handrail.testing.fixtures import RunFleet
from tests import redteam
from tests.agents.fleets import orders, policy
from tests.agents.orders_steps import Order

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SEED = 20130


def waiting(number: int) -> Order:
    return Order(number=f"w{number}", amount=Decimal(300))


@pytest.fixture(scope="module")
def ran() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.integrity", "--short", "--json", "--seed", str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.stdout, done.stderr
    # The SDK writes warnings of its own there, first.
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def test_no_attack_is_accepted_and_every_genuine_ruling_is(ran: dict[str, Any]) -> None:
    assert ran["wrong"] == []
    for part in ran["parts"].values():
        assert part["accepted"] == 0, part["found"]
        assert part["genuine"] == part["genuine_accepted"] > 0 or part["genuine"] == 0
        assert part["wedged"] == part["unallowed"] == part["missing"] == []
    assert sum(part["attacks"] for part in ran["parts"].values()) > 3_000
    families = {name for part in ran["parts"].values() for name in part["counts"]}
    assert len(families) >= 18


def test_the_suite_sees_an_engine_that_looks_at_no_signature(ran: dict[str, Any]) -> None:
    assert ran["control"]["accepted"] > 20
    assert ran["control"]["counts"]["forged"]["accepted"] > 0


def known(tmp_path: Path) -> tuple[Keyring, Human]:
    keyring = Keyring(tmp_path / "trusted.json")
    key = SigningKey.new("ana@example.com", datetime.now(UTC))
    keyring.trust(key.public())
    return keyring, Human("ana@example.com", key)


async def test_on_the_real_engine_too_it_sees_rulings_that_nobody_proved(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    keyring, ana = known(tmp_path)
    fleet = orders(tmp_path, policy(proof="unproven"))
    trust = Trust(keyring=keyring, proof="unproven")
    async with run_fleet(fleet, trust=trust) as stage:
        report = await redteam.attack(
            stage,
            "orders",
            waiting,
            approvers=[ana],
            keyring=keyring,
            books=outside.effects,
            rulings=0,
            scripts=(redteam.SCRIPTS[3], _bare),
        )
    assert report.accepted > 0
    assert report.unallowed != []
    assert not report.clean
    assert "nobody allowed: orders:w1/pay/1" in report.markdown()


async def _bare(arena: Any) -> None:
    """Somebody with bare access to Temporal says yes in another's name."""
    case, seen = await arena.waiting()
    ruling = {"gate": seen.gate, "digest": seen.digest, "by": "ana@example.com"}
    await arena.strike(case, "forged", "no proof", "approve", ruling)
    await arena.ends(case)


async def test_who_has_no_key_is_no_approver(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    keyring, _ = known(tmp_path)
    async with run_fleet(orders(tmp_path)) as stage:
        with pytest.raises(ConfigurationError, match="has no key"):
            await redteam.attack(
                stage,
                "orders",
                waiting,
                approvers=[Human("bo@example.com")],
                keyring=keyring,
                books=outside.effects,
            )


def test_hostile_texts_are_many_and_the_same_for_one_seed() -> None:
    texts = redteam.hostile_texts(200, seed=1)
    assert len(set(texts)) == 200
    assert texts == redteam.hostile_texts(200, seed=1) != redteam.hostile_texts(200, seed=2)
    assert max(map(len, texts)) > 1_000
