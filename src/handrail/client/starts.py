"""Starting the case of an event: once, by the event's key."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from pydantic import JsonValue, ValidationError
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from handrail.actions import Event, person
from handrail.agent import (
    AGENT_ATTRIBUTE,
    HANDED_FROM,
    STATE_ATTRIBUTE,
    describe_execution,
    executions,
    handed_from,
)
from handrail.client.base import OperatorBase
from handrail.client.gates import quoted
from handrail.client.views import StartedCase
from handrail.exceptions import CaseError, HandrailError, InvalidRequest, LedgerUnavailable
from handrail.oversight import EVENT_SIGNAL, HANDED_SIGNAL, STEWARD_WORKFLOW
from handrail.states import State
from handrail.text import first_fault
from handrail.wire import HandOffOrigin

if TYPE_CHECKING:
    from handrail.agent import AgentWorkflow
    from handrail.ledger import Ledger

LONGEST_KEY = 200
"""Characters of the longest key of an event."""

TASK_TIMEOUT = timedelta(seconds=4)
"""How long a workflow task may take before its worker is taken for dead.

A case whose worker dies in a read, a decision or a notification stands still for exactly
this long: of all settings it limits recovery. A cold case must be replayed within it.
"""

PATIENCE = timedelta(seconds=10)
"""How long a start tries again, as Temporal's own client does, when the ledger is away."""

_AGAIN = 0.3

_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no id may hold: not every database, terminal or URL takes it."""


def case_id(agent: str, key: Any, kind: str = "event") -> str:
    """The id of the case of an event with that key: `agent:key`.

    Raises:
        CaseError: if the key cannot be part of an id.
    """
    if not isinstance(key, str):
        raise CaseError(f"{kind}.key must be a text, not {key!r}; fix: `return str(...)`")
    if not key.strip() or len(key) > LONGEST_KEY or _NO_TEXT.search(key):
        shown = repr(key) if len(key) <= LONGEST_KEY else f"{len(key)}: {key[:40]!r}..."
        raise CaseError(
            f"{kind}.key must be 1 to {LONGEST_KEY} characters that can be read, not {shown}"
        )
    return f"{agent}:{key}"


async def start_case(
    client: Client,
    agent: str,
    workflow: type[AgentWorkflow] | str,
    event: Event | Mapping[str, JsonValue],
    key: str,
    *,
    requested_by: str | None = None,
    ledger: Ledger | None = None,
    origin: HandOffOrigin | None = None,
) -> StartedCase:
    """Start the case of an event. The same key again is the same case.

    `workflow`: its class, or the name of its type. `ledger`: is asked whether the
    case is one that Temporal has forgotten. `origin`: of a case that was handed on.

    Raises:
        CaseError: if the key cannot be part of an id.
    """
    kind = type(event).__name__ if isinstance(event, Event) else "event"
    case = case_id(agent, key, kind)
    if isinstance(event, Event) and (again := event.key) != key:
        raise CaseError(
            f"{kind}.key is {key}, and {again} when it is asked again: the same event would be two "
            "cases; fix: make it of the event's fields alone"
        )
    known = None if isinstance(workflow, str) else workflow
    if ledger is not None and await is_known(ledger, case):
        return await _is_there(client, case, event, known, requested_by, origin=origin)
    run: Any = workflow if known is None else cast("Any", known).run
    try:
        await client.start_workflow(
            run,
            event,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            static_details=(inspect.getdoc(known) or "") if known else "",
            **case_options(agent, key, requested_by, origin),
        )
    except WorkflowAlreadyStartedError:
        return await _is_there(client, case, event, known, requested_by, origin=origin)
    return StartedCase(case=case, duplicate=False)


def case_options(
    agent: str, key: str, requested_by: str | None, origin: HandOffOrigin | None = None
) -> dict[str, Any]:
    """What the execution of every case is started with, by a client or as a child."""
    memo: dict[str, Any] = {"requested_by": requested_by} if requested_by else {}
    summary = f"{agent}: {key}"
    if origin is not None:
        memo[HANDED_FROM] = origin.model_dump(mode="json")
        summary = f"{summary}, handed on by {origin.chain[-1]}"
    return {
        "id": f"{agent}:{key}",
        "task_queue": agent,
        "task_timeout": TASK_TIMEOUT,
        "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
        "static_summary": summary,
        "memo": memo or None,
        "search_attributes": TypedSearchAttributes(
            [
                SearchAttributePair(AGENT_ATTRIBUTE, agent),
                SearchAttributePair(STATE_ATTRIBUTE, State.WORKING.value),
            ]
        ),
    }


async def is_known(ledger: Ledger, case: str) -> bool:
    """Whether a case has written anything. A ledger that is away for a moment is asked again.

    Raises:
        LedgerUnavailable: if it stays away.
    """
    until = time.monotonic() + PATIENCE.total_seconds()
    while True:
        try:
            return bool(await ledger.effects(case))
        except LedgerUnavailable:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(_AGAIN)


async def _is_there(
    client: Client,
    case: str,
    event: Event | Mapping[str, JsonValue],
    agent: type[AgentWorkflow] | None,
    by: str | None,
    *,
    origin: HandOffOrigin | None,
) -> StartedCase:
    """What comes of an event whose case is there already. Of another one the case is told.

    So it is who asks for it as well: of all who asked for it nobody may approve it. Where another
    event comes from it learns first: text from outside may stand in it.
    """
    changed = told = False
    try:
        found = await describe_execution(client, case)
        if by is not None and found.close_time is None and await _is_news(found, by):
            also = HandOffOrigin(askers=(by,))
            await client.get_workflow_handle(case).signal(HANDED_SIGNAL, also)
        first = found.raw_description.workflow_execution_info.first_run_id or found.run_id
        changed = _differs(event, await _event_of(client, case, first))
        if changed and found.close_time is None:
            if origin is not None:
                await client.get_workflow_handle(case).signal(HANDED_SIGNAL, origin)
            await client.get_workflow_handle(case).signal(EVENT_SIGNAL, event)
            told = True
    except RPCError as error:
        # A case that Temporal has forgotten has ended: nobody knows of which event it was.
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    taken = told and agent is not None and _takes_changes(agent)
    return StartedCase(case=case, duplicate=True, changed=changed, taken=taken)


def _takes_changes(agent: type[AgentWorkflow]) -> bool:
    from handrail.agent import takes_changes  # noqa: PLC0415  # only whoever has an agent needs it

    return takes_changes(agent)


async def _is_news(found: WorkflowExecutionDescription, by: str) -> bool:
    """Whether somebody who may be asked for approvals has not asked for a case before."""
    asked = await found.memo_value("requested_by", None, type_hint=str)
    known = (*(await handed_from(found)).askers, *filter(None, [asked]))
    return "@" in by and person(by) not in map(person, known)


async def _event_of(client: Client, case: str, run_id: str) -> Any:
    """The event of a run, as JSON; None if it cannot be read."""
    handle = client.get_workflow_handle(case, run_id=run_id)
    began = await anext(handle.fetch_history_events(page_size=1))
    payloads = began.workflow_execution_started_event_attributes.input.payloads
    # It may be kept where this machine does not reach, or be of an encoding nobody here knows.
    with contextlib.suppress(HandrailError, ValueError, LookupError, RuntimeError):
        [event] = await client.data_converter.decode(payloads)
        return event
    return None


def _differs(event: Event | Mapping[str, JsonValue], before: Any) -> bool:
    """Whether an event says something else than the one that a case was started with."""
    if not isinstance(before, dict):
        return False
    if not isinstance(event, Event):
        return before | dict(event) != before
    try:
        # A field that has come since, with a default, makes no other event of it.
        return type(event).model_validate_json(json.dumps(before)) != event
    except ValidationError:
        return True


class StartActs(OperatorBase):
    """Starting cases."""

    async def start(
        self,
        agent: str,
        event: Event | Mapping[str, JsonValue],
        *,
        key: str | None = None,
        workflow: str | None = None,
    ) -> StartedCase:
        """Start the case of an event, which is whoever acts asks for: they may not approve it.

        `key` and the `workflow` (the name of its class) need only be said where the Operator
        does not know the agent: the key of an event that is no model, and the workflow of an
        agent that has had no case yet.

        Raises:
            CaseError: if the key cannot be part of an id.
            InvalidRequest: if it is no event of the agent, or too little is said.
        """
        known = self._agents.get(agent)
        if known is None:
            run = workflow or await self._workflow_of(agent)
        else:
            run, event = known.workflow, event_of(known.event, event)
        named = event.key if isinstance(event, Event) else key
        if named is None:
            raise InvalidRequest("say in `key` which case the event belongs to", "key")
        client, by = await self.temporal(), self.by or None
        return await start_case(
            client, agent, run, event, named, requested_by=by, ledger=self._ledger
        )

    async def _workflow_of(self, agent: str) -> str:
        """The type of the agent's workflow, as its latest case has it."""
        client = await self.temporal()
        query = f"HandrailAgent = {quoted(agent, 'agent')} AND WorkflowType != '{STEWARD_WORKFLOW}'"
        async for latest in executions(client, query, limit=1):
            return latest.workflow_type
        raise InvalidRequest(
            f"{agent} has had no case yet: say in `workflow` the name of its class", "workflow"
        )


def event_of(model: type[Any], given: Event | Mapping[str, JsonValue]) -> Event:
    """An event of this class.

    Raises:
        InvalidRequest: if it is none, with what is wrong and which fields it has.
    """
    if isinstance(given, Event) and not isinstance(given, model):
        raise InvalidRequest(f"{model.__name__} is wanted, not {type(given).__name__}", "event")
    try:
        if isinstance(given, Event):
            return given
        # As others send it, or under its fields' own names, as forms have it.
        event: Event = model.model_validate(given, by_alias=True, by_name=True)
    except ValidationError as error:
        fields = ", ".join(model.model_fields)
        raise InvalidRequest(
            f"this is no {model.__name__}: {first_fault(error)}; it has the fields {fields}",
            "event",
        ) from error
    return event
