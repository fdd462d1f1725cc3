"""The HTTP API: a program's token reads and never rules, a person's rules and proves nothing."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from handrail.inbox.web.api import PREFIX, document
from handrail.oversight import Keyring, SigningKey
from handrail.testing import CaseHandle
from tests.integration.inbox.conftest import ANA, BO, POLICY, Inbox, Run

PROGRAM = Path(__file__).parents[3] / "docs" / "examples" / "front_end.py"
UNPROVEN = POLICY | {"proof": "unproven"}


async def call(
    inbox: Inbox, token: str, path: str, status: int = 200, body: Mapping[str, Any] | None = None
) -> Any:
    async with inbox.visitor() as visitor:
        del visitor.http.headers["origin"]
        headers = {"authorization": f"Bearer {token}"} if token else {}
        how = "GET" if body is None else "POST"
        answer = await visitor.http.request(how, f"{PREFIX}{path}", headers=headers, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def token_for(inbox: Inbox, name: str, **more: Any) -> str:
    return inbox.site.tokens.new(name, more.pop("agents", ()), **more)


async def page_of(case: CaseHandle) -> str:
    return f"/cases/{case.id}/gates/{(await case.gate()).gate}"


async def test_a_program_reads_and_never_rules(inbox: Inbox) -> None:
    case = await inbox.ask("R-1")
    page, digest = await page_of(case), (await case.gate()).digest
    program = token_for(inbox, "board", reads=True)
    found = await call(inbox, program, "/gates?agent=refunds&text=84.00")
    assert [each["case"] for each in found["gates"]] == [case.id]
    assert found["totals"][0]["total"] == "84.00"
    assert (await call(inbox, program, page))["form"]["title"] == "Refund"
    assert (await call(inbox, program, "/cases"))["cases"][0]["case"] == case.id
    assert (await call(inbox, program, f"/cases/{case.id}"))["state"] == "waiting"
    ruling = {"verb": "approve", "digest": digest}
    said = await call(inbox, program, f"{page}/rulings", 403, ruling)
    assert "no program rules" in said["error"]["message"]
    assert (await case.gates())[0].rulings == ()


async def test_who_may_not_read_is_told_nothing(inbox: Inbox) -> None:
    case = await inbox.ask("R-1")
    page = await page_of(case)
    for token, words in {"": "send a token", "hr_nobody's": "counts for nothing"}.items():
        said = await call(inbox, token, "/gates", 401)
        assert words in said["error"]["message"]
    await call(inbox, token_for(inbox, "sender"), "/gates", 403)
    other = token_for(inbox, "other", reads=True, agents=("other",))
    stranger = token_for(inbox, "eve", whose="eve@elsewhere.example")
    assert (await call(inbox, other, "/gates"))["total"] == 0
    for path in (page, f"/cases/{case.id}"):
        await call(inbox, other, path, 404)
        await call(inbox, stranger, path, 401)


async def test_a_person_rules_as_themselves_and_proves_nothing(run_inbox: Run) -> None:
    async with run_inbox(UNPROVEN, proof="unproven") as inbox:
        case = await inbox.ask("R-1")
        page, digest = f"{await page_of(case)}/rulings", (await case.gate()).digest
        ana = token_for(inbox, "ana's app", whose=ANA)
        for wrong in (
            {"verb": "approve", "digest": digest, "by": BO},
            {"verb": "approve", "digest": digest, "looked": 9.0},
            {"verb": "reject", "digest": digest},
            {"verb": "nothing", "digest": digest},
            {"verb": "approve"},
        ):
            assert (await call(inbox, ana, page, 422, wrong))["error"]["fields"]
        await call(inbox, ana, page, 409, {"verb": "approve", "digest": "0" * 64})
        ruled = await call(inbox, ana, page, 200, {"verb": "approve", "digest": digest[:12]})
        assert (ruled["record"]["by"], ruled["record"]["proven"]) == (ANA, False)
        assert ruled["record"]["via"] == "api"
        await call(inbox, ana, page, 404, {"verb": "approve", "digest": digest})


async def test_where_only_proven_rulings_count_a_token_is_not_enough(inbox: Inbox) -> None:
    case = await inbox.ask("R-1")
    page, digest = f"{await page_of(case)}/rulings", (await case.gate()).digest
    ana = token_for(inbox, "ana's app", whose=ANA)
    said = await call(inbox, ana, page, 403, {"verb": "approve", "digest": digest})
    assert "only proven rulings" in said["error"]["message"]
    forged = {"verb": "approve", "digest": digest, "proof": "e30.e30.AAAA"}
    assert (await call(inbox, ana, page, 409, forged))["accepted"] is False
    assert await case.gates()


async def test_the_program_of_the_page_rules_with_a_proof(inbox: Inbox, tmp_path: Path) -> None:
    case = await inbox.ask("R-1")
    key = SigningKey.new(ANA, datetime.now(UTC))
    key.save(tmp_path / "ana.json")
    Keyring(inbox.site.settings.keyring).trust(key.public())
    environment = os.environ | {"HANDRAIL_TOKEN": token_for(inbox, "ana's app", whose=ANA)}
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), inbox.base, str(tmp_path / "ana.json")),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await program.communicate()
    assert program.returncode == 0
    lines = said.decode().splitlines()
    assert lines[0] == "1 wait {'refunds': 1}"
    assert lines[-1] == "accepted True"
    ruled = (await case.outcome()).rulings[-1]
    assert (ruled.by, ruled.proven, ruled.via) == (ANA, True, "key")
    page = (PROGRAM.parents[1] / "api.md").read_text(encoding="utf-8")
    assert PROGRAM.read_text(encoding="utf-8") in page


def test_the_document_is_sound_and_all_that_it_refers_to_is_there() -> None:
    found = document()
    schemas = found["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    named = set(re.findall(r"#/components/schemas/([\w.]+)", json.dumps(found)))
    assert named
    assert named <= set(schemas)
    ids = [each["operationId"] for path in found["paths"].values() for each in path.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("cookie", [True, False])
async def test_a_browser_that_is_signed_in_gives_no_access(inbox: Inbox, *, cookie: bool) -> None:
    async with inbox.visitor(ANA if cookie else None) as visitor:
        assert (await visitor.http.get(f"{PREFIX}/gates")).status_code == 401
