"""Past decisions, from histories or a file, and a decide step of today that makes them again.

Nothing is written, and no case is touched: only the step itself runs, which may ask a model.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue, ValidationError
from temporalio.api.enums.v1 import EventType

from handrail.actions import Decision, Kind, Usage, as_json
from handrail.agent import Decide, closed_answers, executions, metered, recalled, total, words_of
from handrail.evidence import ChosenAction, PastDecision, RemadeDecision, free_texts, proposals
from handrail.exceptions import CaseError
from handrail.text import first_fault

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payloads
    from temporalio.client import Client

    from handrail.ledger import Ledger
    from handrail.runtime import Agent

AT_ONCE = 4
"""Decisions that are made again at the same time."""


def given_decisions(text: str, source: str) -> list[PastDecision]:
    """The past decisions of a file: one JSON object a line.

    Raises:
        CaseError: if a line is none, with its number.
    """
    found: list[PastDecision] = []
    # Not `splitlines`: within JSON there may be what it takes for the end of a line.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                found.append(PastDecision.model_validate_json(line))
            except ValidationError as error:
                raise CaseError(
                    f"{source}, line {number}: {first_fault(error)}; fix: write "
                    '{"case": "...", "given": {"name of an argument": ...}, '
                    '"people": {"kind": "Refund", "action": {...}}}, or "people": {"answers": '
                    '{"name of a field of the evidence": ...}}, or {} where there was nothing to do'
                ) from error
    return found


async def past_decisions(
    client: Client,
    ledger: Ledger,
    agent: Agent,
    step: Decide[..., Any],
    *,
    since: datetime,
    limit: int,
) -> list[PastDecision]:
    """What a step decided in the latest cases, and what people made of it.

    Of a step that runs within a workflow task histories do not keep what it was given.

    Raises:
        RPCError: if Temporal does not answer.
        LedgerUnavailable: if the ledger does not.
    """
    people = await _people(ledger, agent, since)
    query = f'TaskQueue = "{agent.name}" AND StartTime >= "{since.isoformat()}"'
    found: list[PastDecision] = []
    async for run in executions(client, query):
        if len(found) >= limit:
            break
        if run.workflow_type == agent.workflow_type:
            async for past in _of_run(client, run.id, run.run_id, step):
                known = past.decided and people.get((run.id, _spelt(past.decided.action)))
                found.append(past.model_copy(update={"people": known}))
    return found[:limit]


async def _people(
    ledger: Ledger, agent: Agent, since: datetime
) -> Mapping[tuple[str, str], ChosenAction]:
    """What people made of the writes that they were asked about, by case and first action."""
    found: dict[tuple[str, str], ChosenAction] = {}
    asked: dict[tuple[str, str], str] = {}
    for each in proposals(await ledger.verdicts(agent.name, since=since)):
        row = each.first
        alone = row.kind is not Kind.HOLD and (row.case, row.step) not in asked
        if alone or row.step not in agent.shape.writes:
            continue
        # What people amended is judged as a write of its own, after the one that they were shown.
        shown = asked.setdefault((row.case, row.step), _spelt(row.action))
        if each.written is not None:
            asked.pop((row.case, row.step))
            kind = agent.shape.writes[row.step].action.__name__
            chosen = ChosenAction(kind=kind, action=each.written.action)
            found[row.case, shown] = chosen
        elif any(r.verb == "reject" for r in await ledger.rulings(case=row.case)):
            found[row.case, shown] = ChosenAction()
    return found


def _spelt(action: Any) -> str:
    return json.dumps(action, sort_keys=True)


async def _of_run(
    client: Client, case: str, run: str, step: Decide[..., Any]
) -> AsyncGenerator[PastDecision]:
    given: dict[int, list[Any]] = {}
    closed = sorted(closed_answers(step.evidence))
    handle = client.get_workflow_handle(case, run_id=run)
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            began = event.activity_task_scheduled_event_attributes
            if began.activity_type.name == step.name:
                given[event.event_id] = await _values(client, began.input)
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            ended = event.activity_task_completed_event_attributes
            if (args := given.get(ended.scheduled_event_id)) is not None:
                [made] = await _values(client, ended.result)
                names = [parameter.name for parameter in step.parameters]
                action, shown = made["decision"]["action"], made["decision"]["evidence"]
                answers = {n: shown[n] for n in closed if n in (shown or ())}
                yield PastDecision(
                    case=case,
                    given=dict(zip(names, args, strict=False)),
                    decided=ChosenAction(
                        kind=made["kind"] if action else None, action=action, answers=answers
                    ),
                )


async def _values(client: Client, payloads: Payloads) -> list[Any]:
    codec = client.data_converter.payload_codec
    plain = list(payloads.payloads)
    plain = plain if codec is None else await codec.decode(plain)
    return [json.loads(payload.data) if payload.data else None for payload in plain]


async def evaluate(step: Decide[..., Any], past: Iterable[PastDecision]) -> list[RemadeDecision]:
    """Make past decisions again by a step, a few at a time."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def again(each: PastDecision) -> RemadeDecision:
        async with slots:
            return await _again(step, each)

    return list(await asyncio.gather(*map(again, past)))


async def _again(step: Decide[..., Any], past: PastDecision) -> RemadeDecision:
    used, now, error = list[Usage](), None, ""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        args = _arguments(step, past.given)
        with metered(used):
            async with asyncio.timeout(step.timeout.total_seconds()):
                decision = await step(*args)
        used.append(decision.usage)
        now = ChosenAction.of(decision.action, _answered(step, decision, past))
    # The agent's own code, or a model: what it raises is what is found out.
    except Exception as failed:  # noqa: BLE001
        error = words_of(failed)
    took = timedelta(seconds=clock() - began)
    return RemadeDecision(past, now, error, total(used), took, free_texts(step.actions))


def _answered(
    step: Decide[..., Any], decision: Decision[Any, Any], past: PastDecision
) -> dict[str, JsonValue]:
    """The answers of a closed set, and what people said the right answers are to."""
    said: Mapping[str, JsonValue] = as_json(decision.evidence)
    asked = (past.people or ChosenAction()).answers.keys()
    if unknown := sorted(asked - said.keys()):
        raise CaseError(f"its evidence has no field `{unknown[0]}`; there are: {', '.join(said)}")
    return {name: said[name] for name in sorted(asked | closed_answers(step.evidence))}


def _arguments(step: Decide[..., Any], given: Mapping[str, Any]) -> Sequence[Any]:
    missing = [p.name for p in step.parameters if p.name not in given and p.default is p.empty]
    if missing:
        raise CaseError(f"it is not said what `{missing[0]}` was; fix: name it in `given`")
    return [
        recalled(p.annotation, given[p.name]) if p.name in given else p.default
        for p in step.parameters
    ]
