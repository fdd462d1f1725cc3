"""The program of docs/client.md, run as its reader would."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from handrail import Agent, Fleet
from handrail.oversight import Keyring, SigningKey, Trust
from handrail.runtime import EmbeddedServer
from handrail.testing import Outside, running
from tests.agents import refunds_flow, refunds_steps
from tests.agents.fleets import put_policy
from tests.agents.situations import ANA, POLICY

pytestmark = pytest.mark.integration

PROGRAM = Path(__file__).parents[3] / "docs" / "examples" / "approve.py"


async def test_the_program_of_the_page_runs(
    handrail_server: EmbeddedServer, tmp_path: Path, outside: Outside
) -> None:
    home = tmp_path / ".handrail"
    keyring = Keyring(home / "keyring.json")
    key = SigningKey.new(ANA, datetime.now(UTC))
    key.save(home / "keys" / "private" / f"{key.kid}.json")
    keyring.trust(key.public())
    agent = Agent(
        "refunds",
        refunds_flow.RefundAgent,
        steps=refunds_steps,
        policy=put_policy(tmp_path, POLICY),
    )
    url = f"sqlite:///{tmp_path}/ledger.db"
    trust = Trust(keyring=keyring, proof="required")
    async with running(Fleet(agent), handrail_server, tmp_path, trust=trust) as stage:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HANDRAIL")} | {
            "HANDRAIL_HOME": str(home),
            "HANDRAIL_KEYRING": str(keyring.path),
            "HANDRAIL_LEDGER_URL": url,
            "TEMPORAL_ADDRESS": handrail_server.address,
            "TEMPORAL_NAMESPACE": stage.client.namespace,
        }
        words = [agent.name, '{"number": "R-1"}', "R-1", "RefundAgent", ANA]
        program = await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAM), *words, env=environment, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await program.communicate()
    assert program.returncode == 0
    lines = said.decode().splitlines()
    assert lines[0].startswith("refund: ")
    assert "accepted" in lines
    over = json.loads(lines[-1])
    assert over == {"case": "refunds:R-1", "state": "done", "outcome": {"why": "given back"}}
    assert outside.effects("refund") == ["refunds:R-1/refund/1"]
