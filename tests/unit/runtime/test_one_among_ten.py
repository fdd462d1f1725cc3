"""What is kept of cases and agents in one loop: one that is poisoned stops none of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock, sentinel

import pytest
from temporalio.testing import ActivityEnvironment
from typing_extensions import override

from handrail import Ledger
from handrail.exceptions import LedgerUnavailable, PolicyError
from handrail.ledger import CaseRecord, CaseRow, ErrorRow
from handrail.runtime import rebuild, rebuild_records, rollout_activities, schedules, upkeep
from handrail.runtime.payload_codec import ClaimCheck
from handrail.runtime.recorder import CaseRecorder
from handrail.runtime.rollout_activities import RolloutActivities
from handrail.runtime.upkeep import SweepRequest, UpkeepActivities

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = [f"a:{n}" for n in range(10)]
BAD = "a:poisoned"
NAMES = [*GOOD[:5], BAD, *GOOD[5:]]


def record(case: str) -> CaseRecord:
    """Of a case; the poisoned one holds half a character where no database takes it."""
    run = "\ud800" if case == BAD else "r"
    row = CaseRow(case, run, "a", "b", "p", "event", "d", None, None, NOW, NOW, "done")
    return CaseRecord(row)


def doubled(case: str) -> CaseRecord:
    """The same, where the poisoned one has two rows of one key instead."""
    made = record(case)
    error = ErrorRow(case, 1, "a", "pay", NOW, "bug", None, "it broke")
    return CaseRecord(replace(made.case, run_id="r"), errors=(error,) * (1 + (case == BAD)))


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncGenerator[Ledger]:
    async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


class Broken(Ledger):
    """One that fails at the poisoned record as nobody thought of."""

    @override
    async def record_cases(self, records: Iterable[CaseRecord], *, anew: bool = False) -> None:
        given = list(records)
        if BAD in {each.case.case for each in given}:
            raise TypeError("no row can be made of it")
        await super().record_cases(given, anew=anew)


class Away(Ledger):
    """One that is away."""

    @override
    async def record_cases(self, records: Iterable[CaseRecord], *, anew: bool = False) -> None:
        raise LedgerUnavailable("it is away")


async def test_what_a_ledger_that_is_away_does_not_take_waits_for_it(
    tmp_path: Path, ledger: Ledger
) -> None:
    async with Away(f"sqlite:///{tmp_path}/other.db") as away:
        recorder = CaseRecorder(away)
        for name in GOOD:
            recorder.put(record(name))
        await recorder.flush()
        recorder._ledger = ledger  # pyright: ignore[reportPrivateUsage]
        await recorder.flush()
    assert set(await ledger.runs_recorded(GOOD)) == set(GOOD)


@pytest.mark.parametrize(
    ("kind", "record"), [(Ledger, record), (Ledger, doubled), (Broken, record)]
)
async def test_a_record_that_is_not_taken_costs_no_other_one(
    tmp_path: Path, kind: type[Ledger], record: Callable[[str], CaseRecord]
) -> None:
    async with kind(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        recorder = CaseRecorder(ledger)
        for name in NAMES:
            recorder.put(record(name))
        await recorder.flush()
        assert set(await ledger.runs_recorded(NAMES)) == set(GOOD)
        assert not recorder._new  # pyright: ignore[reportPrivateUsage]  # nothing waits for ever


@pytest.fixture(params=[record, doubled])
def ended(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Eleven cases, whose records are made again."""

    async def cases(*_: object) -> AsyncIterator[Any]:
        for name in NAMES:
            yield SimpleNamespace(id=name, run_id="r", history_length=4)

    async def made(agent: Any, client: Any, plugin: Any, case: Any) -> CaseRecord:
        return request.param(case.id)

    for module in (rebuild, upkeep):
        monkeypatch.setattr(module, "cases_of", cases)
        monkeypatch.setattr(module, "record_of", made)


@pytest.mark.usefixtures("ended")
async def test_a_record_made_again_that_is_not_taken_is_named(ledger: Ledger) -> None:
    agent: Any = SimpleNamespace(name="a")
    found = await rebuild_records(agent, sentinel.client, ledger, sentinel.plugin)
    assert found.looked == len(NAMES)
    assert [case for case, _ in found.kept] == [BAD]
    assert set(await ledger.runs_recorded(GOOD)) == set(GOOD)


@pytest.mark.usefixtures("ended")
async def test_a_sweep_records_the_others_and_goes_on(ledger: Ledger, tmp_path: Path) -> None:
    codec = ClaimCheck(tmp_path)
    client: Any = SimpleNamespace(data_converter=SimpleNamespace(payload_codec=codec))
    doing = UpkeepActivities(sentinel.agent, ledger, Mock(), sentinel.trust)
    env = ActivityEnvironment(client=client)
    assert await env.run(doing.sweep, SweepRequest(agent="a", since=NOW)) == len(NAMES)
    assert set(await ledger.runs_recorded(GOOD)) == set(GOOD)


@pytest.mark.parametrize(("events", "made"), [(4, 0), (5, 0), (6, 1), (9, 1)])
async def test_an_end_that_the_server_may_never_have_taken_is_made_again(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: int, made: int
) -> None:
    lost = record("a:0")
    await ledger.record_cases([replace(lost, case=replace(lost.case, state="failed", events=1))])

    async def cases(*_: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(id="a:0", run_id="r", history_length=events)

    async def again(*_: object) -> CaseRecord:
        return replace(lost, case=replace(lost.case, events=events))

    monkeypatch.setattr(upkeep, "cases_of", cases)
    monkeypatch.setattr(upkeep, "record_of", again)
    client: Any = SimpleNamespace(
        data_converter=SimpleNamespace(payload_codec=ClaimCheck(tmp_path))
    )
    doing = UpkeepActivities(sentinel.agent, ledger, Mock(), sentinel.trust)
    env = ActivityEnvironment(client=client)
    assert await env.run(doing.sweep, SweepRequest(agent="a", since=NOW)) == made
    (row,) = await ledger.cases_recorded("a")
    assert row.state == ("done" if made else "failed")


async def test_a_history_that_cannot_be_read_is_of_its_case_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def replayed(*_: object) -> Any:
        raise KeyError("encoding")

    monkeypatch.setattr(rebuild, "replay_history", replayed)
    client: Any = Mock()
    client.get_workflow_handle.return_value.fetch_history = AsyncMock()
    execution: Any = SimpleNamespace(id=BAD, run_id="r")
    said = await rebuild.record_of(sentinel.agent, client, sentinel.plugin, execution)
    assert said == "it cannot be read: KeyError: 'encoding'"


async def test_an_agent_whose_schedules_are_wrong_keeps_no_other_from_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []

    async def in_step(client: Any, agent: Any) -> None:
        if agent.name == BAD:
            raise TypeError("its author made a mistake")
        done.append(agent.name)

    async def upkeep_of(client: Any, agent: str) -> None:
        done.append(f"upkeep of {agent}")

    monkeypatch.setattr(schedules, "keep_in_step", in_step)
    monkeypatch.setattr(schedules, "keep_upkeep", upkeep_of)
    agents: Any = [SimpleNamespace(name=each) for each in NAMES]
    keeping = asyncio.create_task(schedules.keep_schedules(sentinel.client, agents))
    await asyncio.sleep(0.05)
    keeping.cancel()
    assert set(done) == {*GOOD, *(f"upkeep of {each}" for each in NAMES)}


@pytest.mark.parametrize("fault", [PolicyError("p", ["it is broken"]), OSError("no way out")])
async def test_an_owner_who_cannot_be_told_of_a_rollout_keeps_it_from_no_other(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    told: list[str] = []

    async def tell(news: Any, inbox: str) -> None:
        if news == BAD and isinstance(fault, OSError):
            raise fault
        told.append(news)

    def policy(name: str) -> Any:
        broken = name == BAD and isinstance(fault, PolicyError)
        current = Mock(side_effect=fault if broken else None)
        current.return_value = SimpleNamespace(owner=f"owner of {name}")
        return SimpleNamespace(current=current)

    monkeypatch.setattr(rollout_activities, "alert_owner", tell)
    monkeypatch.setattr(rollout_activities, "rollout_alert", lambda name, _: name)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    policies: Any = {name: policy(name) for name in NAMES}
    doing = RolloutActivities(policies=policies, ledger=sentinel.ledger, trust=Mock())
    state: Any = SimpleNamespace(
        agents=tuple(NAMES), ramp=SimpleNamespace(build="b"), stand="done", why=""
    )
    with pytest.raises(type(fault)):  # so that it is tried again
        await doing.tell(state)
    assert told == GOOD
