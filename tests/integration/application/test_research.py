"""The research agent on the real server, a folder of Factur-X PDFs and a real Roundup."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

import activities.research
import guardrails.research
from activities.research_facts import Asked
from activities.support_systems import disconnect
from handrail import Agent, Fleet, State
from handrail.client import Operator
from handrail.testing import Crash, Human, crashing_worker
from handrail.testing.fixtures import RunFleet
from tests.integration.application.systems import System
from workers.fleets.research import fleet
from workflows.research import ResearchAgent
from world.research import papers
from world.research.papers import Paper

pytestmark = pytest.mark.integration

FLEET = "workers.fleets.research:fleet"
PASSWORD = "of-this-machine"  # noqa: S105 - it is
PAPERS = papers.papers()


def like(twist: str) -> Paper:
    return next(each for each in PAPERS if each.twist == twist)


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[System]:
    papers.write(tmp_path / "documents", PAPERS)
    monkeypatch.setenv("DESK_PASSWORD", PASSWORD)
    found = System("support.desk", "--dir", str(tmp_path / "desk"), "--port", "0")
    monkeypatch.setenv("RESEARCH_FOLDER", str(tmp_path / "documents"))
    monkeypatch.setenv("SUPPORT_DESK_URL", found.url)
    monkeypatch.setenv("HANDRAIL_SECRET_DESK_PASSWORD", PASSWORD)
    yield found
    await disconnect()
    found.kill()


async def notes(desk: System) -> list[str]:
    auth = ("agent", PASSWORD)
    async with httpx2.AsyncClient(base_url=desk.url, timeout=10, auth=auth) as client:
        answer = await client.get("/rest/data/note", params={"@fields": "message,queue"})
        rows = answer.raise_for_status().json()["data"]["collection"]
        return [f"{row['message']}: {row['queue']}" for row in rows]


async def test_a_question_is_answered_with_its_records_and_put_down_once_across_a_kill(
    run_fleet: RunFleet, desk: System
) -> None:
    paper = like("")
    asked = Asked(reference="Q-1", question=f"What is the total of {paper.number}?")
    crash = Crash(boundary="write:after-effect")
    async with (
        run_fleet(fleet, workers=False) as stage,
        crashing_worker(stage, FLEET, crash) as worker,
    ):
        case = await stage.start("research", asked)
        await worker.crashed()
        await worker.restart()
        outcome = await case.outcome()
        ina = Operator(stage.client, stage.ledger, by="ina@example.com", agents=fleet.agents)
        again = await ina.ask_agent("research", asked)
    cites = f"[{paper.file}: number, total, currency]"
    assert outcome.why == f"The total of {paper.number} is {paper.total} EUR. {cites}"
    assert again.outcome is not None
    assert again.outcome.why == outcome.why
    assert await notes(desk) == ["Q-1: answer"]


async def test_what_may_be_two_things_a_person_reads_and_says_only_what_stands_there(
    run_fleet: RunFleet, desk: System
) -> None:
    paper = like("two totals")
    asked = Asked(reference="Q-2", question=f"What is the total of {paper.number}?")
    async with run_fleet(fleet) as stage:
        case = await stage.start("research", asked)
        gate = await case.gate()
        assert str(paper.total) in gate.title
        human = Human("ina@example.com")
        assert (await human.answer(case, result={"value": str(paper.total)})).accepted
        outcome = await case.outcome()
        other = await stage.start("research", asked.model_copy(update={"reference": "Q-3"}))
        await other.gate()
        assert (await human.answer(other, result={"value": "1.00"})).accepted
        refused = await other.outcome()
    assert outcome.why.startswith(f"The total of {paper.number} is {paper.total} EUR. [")
    assert refused.why.startswith("no answer")
    assert await notes(desk) == ["Q-2: answer"]


async def test_an_answer_whose_record_is_gone_when_it_is_approved_does_not_leave(
    run_fleet: RunFleet, desk: System, tmp_path: Path
) -> None:
    paper = like("")
    asked = Asked(reference="Q-4", question=f"To which IBAN is {paper.number} paid?")
    policy = tmp_path / "research.yaml"
    text = Path(guardrails.research.__file__).with_suffix(".yaml").read_text("utf-8")
    policy.write_text(text.replace("autonomy: full", "autonomy: supervised"))
    steps, checks = activities.research, guardrails.research
    agent = Agent("research", ResearchAgent, steps=steps, policy=policy, checks=checks)
    async with run_fleet(Fleet(agent)) as stage:
        case = await stage.start("research", asked)
        await case.gate()
        (tmp_path / "documents" / paper.file).unlink()
        assert (await Human("ina@example.com").approve(case)).accepted
        outcome = await case.outcome()
    assert outcome.status is State.REFUSED
    assert f"{paper.file} does not say" in outcome.why
    assert await notes(desk) == []
