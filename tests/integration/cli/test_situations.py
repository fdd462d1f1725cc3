"""Acts of people, done by the command line: each must end as it does by the client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handrail import Agent, Fleet
from handrail.cli.app import run
from handrail.client import gates
from handrail.oversight import GateView, Keyring, SigningKey, Trust
from handrail.testing import Outside, Stage
from handrail.testing.fixtures import RunFleet
from tests.agents import refunds_flow, refunds_steps
from tests.agents.fleets import put_policy
from tests.agents.refunds_steps import Complaint
from tests.agents.situations import (
    ANA,
    BO,
    CY,
    EVE,
    EXPIRED,
    POLICY,
    REVOKED,
    SITUATIONS,
    Situation,
)

pytestmark = pytest.mark.integration

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
HERE = [each for each in SITUATIONS if not each.via]
"""All but those of whoever followed a link in a mail: nobody does that at a terminal."""

NAMED = {"a closed gate": "no open gate"}
"""What is said otherwise where a gate is not handed over as it was shown, but named by its id."""

Do = Callable[[GateView, Situation], Awaitable[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A machine that holds the private keys of everybody who has one."""
    keyring = Keyring(tmp_path / "keys" / "trusted.json")
    for who in (ANA, BO, CY, EVE, EXPIRED, REVOKED):
        key = SigningKey.new(who, LONG_AGO)
        key.save(tmp_path / "keys" / "private" / f"{who}.json")
        keyring.trust(key.public())
        if who == EXPIRED:
            keyring.expire(key.kid, LONG_AGO + timedelta(days=1), "a new one")
        if who == REVOKED:
            keyring.revoke(key.kid, LONG_AGO + timedelta(days=1), "it was stolen")
    return tmp_path


@pytest.fixture
async def stage(run_fleet: RunFleet, home: Path, outside: Outside) -> AsyncGenerator[Stage]:
    del outside
    path = put_policy(home, POLICY)
    agent = Agent("refunds", refunds_flow.RefundAgent, steps=refunds_steps, policy=path)
    trust = Trust(keyring=Keyring(home / "keys" / "trusted.json"), proof="required")
    async with run_fleet(Fleet(agent), trust=trust) as stage:
        yield stage


@pytest.fixture
def do(
    stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Do:
    """What does an act by the command line, and gives what is said; empty where it is done."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", stage.client.service_client.config.target_host)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", stage.client.namespace)
    monkeypatch.setenv("HANDRAIL_HOME", str(home))
    monkeypatch.setenv("HANDRAIL_LEDGER_URL", f"sqlite:///{stage.directory}/ledger.db")

    async def done(gate: GateView, each: Situation) -> str:
        key = home / "keys" / "private" / f"{each.who}.json"
        if key.exists():
            monkeypatch.setenv("HANDRAIL_KEY", str(key))
        else:
            monkeypatch.delenv("HANDRAIL_KEY", raising=False)
        capsys.readouterr()
        code = await asyncio.to_thread(run, [*typed(gate.gate, each), "--json"])
        said = json.loads(capsys.readouterr().out)
        refused = said.get("accepted") is False
        message = said["error"]["message"] if "error" in said else said["note"] if refused else ""
        assert bool(code) == bool(message), (each.name, code, said)
        return message

    return done


def typed(gate: str, each: Situation) -> list[str]:
    """The command that somebody types for an act."""
    fields, by = dict(each.fields), ["--by", each.who]
    match each.act:
        case "allow":
            bounds = [f"--up-to={name}={most}" for name, most in fields["up_to"].items()]
            span = [f"--uses={fields['uses']}", f"--for={fields['hours']}h"]
            return ["mandates", "allow", gate, *by, *span, *bounds]
        case "amend":
            return ["amend", gate, *by, *(f"--set={name}={v}" for name, v in fields.items())]
        case "ask":
            return ["ask", gate, fields.get("question", ""), *by, "--to", fields.get("to", "")]
        case "delegate":
            return ["delegate", gate, *by, "--to", ""]
        case "answer":
            return ["answer", gate, fields["answer"], *by]
        case "reject":
            return ["reject", gate, *by, "--why", fields.get("why", "")]
        case verb:
            return [verb, gate, *by, *(f"--{name}={value}" for name, value in fields.items())]


async def test_each_situation_ends_as_it_does_by_the_client(
    stage: Stage, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, str] = {}
    real = gates.views_of
    # All are asked first: what one of them allows in advance would be asked no more.
    asked = [
        await (
            await stage.start(
                "refunds", Complaint(number=f"R-{number}"), requested_by=each.requester
            )
        ).gate()
        for number, each in enumerate(HERE)
    ]
    for gate, each in zip(asked, HERE, strict=True):
        if each.before is not None:
            assert not await do(gate, each.before)

        def shown(case: str, given: Any, changes: Mapping[str, Any] = each.shows) -> list[GateView]:
            return [view.model_copy(update=dict(changes)) for view in real(case, given)]

        monkeypatch.setattr(gates, "views_of", shown)
        told[each.name] = await do(gate, each)
        monkeypatch.setattr(gates, "views_of", real)
    expected = {each.name: NAMED.get(each.name, each.says) for each in HERE}
    wrong = {
        name: (said, expected[name])
        for name, said in told.items()
        if expected[name] not in said or bool(said) != bool(expected[name])
    }
    assert wrong == {}
