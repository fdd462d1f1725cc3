"""`handrail intake` and `handrail tokens`: no server is needed for either."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from handrail import Ledger
from handrail.ledger import IntakeRow, IntakeState, intake_id
from tests.integration.cli.cli_tools import Project, environment, make_project

pytestmark = pytest.mark.integration

BY = ("--by", "ana@example.com")


async def keep(url: str, *bodies: str) -> list[str]:
    async with Ledger(url) as ledger:
        for number, body in enumerate(bodies):
            row = IntakeRow(
                id=intake_id("pay", "hook:bank", body),
                agent="pay",
                source="hook:bank",
                received=datetime(2026, 1, 1, 12, number, tzinfo=UTC),
                state=IntakeState.WRONG,
                raw=True,
                body=body,
                headers={},
                requested_by="hook:bank",
                why="this is no Bill:\n  id: Field required\nfix: it has the field id",
            )
            assert await ledger.keep(row)
        return [each.id for each in await ledger.intake()]


def test_what_was_kept_is_shown_mended_tried_again_and_dropped(tmp_path: Path) -> None:
    directory = make_project(tmp_path / "desk")
    url = f"sqlite:///{directory}/ledger.db"
    project = Project(directory, environment(HANDRAIL_LEDGER_URL=url))
    first, second, third = asyncio.run(keep(url, "{1", "{2", "{3"))
    listed = project.json("intake")["entries"]
    assert [(each["id"], each["why"], each["body"]) for each in listed] == [
        (each, "this is no Bill:\n  id: Field required\nfix: it has the field id", "")
        for each in (first, second, third)
    ]
    said = project.run("intake").stdout
    assert "hook:bank" in said
    assert "this is no Bill: id: Field required; fix: it has the field id" in " ".join(said.split())
    assert project.json("intake", "show", first[:8])["body"] == "{1"
    assert "{1" in project.run("intake", "show", first[:8]).stdout
    bad = project.json("intake", "mend", first, '{"amount": "1"}', *BY, code=2)
    assert "id" in bad["error"]["message"]
    event = json.dumps({"id": "7", "amount": "5", "text": "it is due"})
    mended = project.json("intake", "mend", first, event, *BY)
    assert (mended["state"], mended["raw"]) == ("waiting", False)
    assert mended["requested_by"] == "ana@example.com"
    assert project.json("intake", "retry", second)["state"] == "waiting"
    dropped = project.json("intake", "drop", third, *BY, "--why", "a test of theirs")
    assert (dropped["state"], dropped["body"]) == ("dropped", "")
    assert project.json("intake", "retry", third, code=2)["error"]
    assert project.json("intake", "show", "zzz", code=2)["error"]
    assert len(project.json("intake")["entries"]) == 2
    assert len(project.json("intake", "--all")["entries"]) == 3


def test_a_token_is_shown_once_and_kept_as_its_digest(tmp_path: Path) -> None:
    project = Project(tmp_path, environment())
    made = project.json("tokens", "new", "shop", "--agent", "pay")
    [listed] = project.json("tokens", "list")["tokens"]
    assert listed == {"name": "shop", "agents": ["pay"], "reads": False, "person": ""}
    file = tmp_path / ".handrail" / "keys" / "tokens.json"
    assert made["token"] not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert project.json("tokens", "new", "shop", code=2)["error"]
    project.json("tokens", "revoke", "shop")
    assert project.run("tokens", "list").stdout == "no tokens\n"
    assert project.json("tokens", "revoke", "shop", code=2)["error"]
