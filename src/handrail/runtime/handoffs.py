"""Hand-offs, at the agent that takes them: its worker judges the event, and starts the case.

Who hands work on is known from Temporal, which says whose activity it is, and not from what it
says of itself: that can only add people who may not approve.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError, RPCStatusCode

from handrail.actions import Event, Outcome, Verb
from handrail.agent import (
    GOES_ON,
    OUTCOME_ACTIVITY,
    STATE_ATTRIBUTE,
    TAKE_ACTIVITY,
    Activity,
    as_event,
    asked_for,
    describe_execution,
    handed_from,
)
from handrail.client import case_id, case_view, outcome_of, start_case
from handrail.exceptions import CaseError, ConfigurationError
from handrail.failpoints import reached
from handrail.oversight import HANDED_SIGNAL
from handrail.states import State
from handrail.text import first_fault
from handrail.wire import HandedLook, HandOff, HandOffAnswer, HandOffOrigin

if TYPE_CHECKING:
    from handrail.ledger import Ledger
    from handrail.runtime.agent import Agent

_LOOK = timedelta(seconds=5)
"""How long one attempt waits for an outcome. Between two the agent has its hands free."""

_LATER = timedelta(seconds=15)


def handoff_activities(agent: Agent, ledger: Ledger) -> list[Activity]:
    """The activities by which an agent takes work from others."""

    @activity.defn(name=TAKE_ACTIVITY)
    async def take(asked: HandOff) -> HandOffAnswer:
        info = activity.info()
        caller, run = info.workflow_id or "", info.workflow_run_id or ""
        reached("hand-off:starting", caller)
        try:
            event = as_event(agent.event, asked.event)
            case = case_id(agent.name, event.key, type(event).__name__)
        # The agent's own validators and its key may raise anything.
        except Exception as error:  # noqa: BLE001
            return _refused(agent, error)
        client = activity.client()
        if asked.find:
            return HandOffAnswer(case=case if await _is_mine(client, case, caller) else "")
        requester, known = await asked_for(client, caller, run)
        origin = await _origin(ledger, caller, requester, known.with_more(asked.origin))
        if case in origin.chain:
            why = f"{case} stands in this chain of hand-offs itself: it would wait for itself"
            return HandOffAnswer(why=why)
        started = await start_case(
            client,
            agent.name,
            agent.workflow,
            event,
            event.key,
            requested_by=requester,
            ledger=ledger,
            origin=origin,
        )
        reached("hand-off:started", caller)
        if started.duplicate:
            joined = await _join(client, case, caller, origin)
            return joined.model_copy(update={"changed": started.changed})
        return HandOffAnswer(case=case)

    @activity.defn(name=OUTCOME_ACTIVITY)
    async def outcome(look: HandedLook) -> Outcome:
        info, client = activity.info(), activity.client()
        found = await _outcome(client, look)
        if found is None:
            raise ApplicationError(
                f"{look.case} goes on",
                type=GOES_ON,
                next_retry_delay=min(_LATER, timedelta(seconds=info.attempt)),
                category=ApplicationErrorCategory.BENIGN,
            )
        reached("hand-off:answered", info.workflow_id or "")
        return found

    return [take, outcome]


def _refused(agent: Agent, error: Exception) -> HandOffAnswer:
    if isinstance(error, ValidationError):
        place = ".".join(map(str, error.errors(include_url=False)[0]["loc"]))
        fields = ", ".join(agent.event.model_fields)
        kind = agent.event.__name__
        why = f"this is no {kind}: {first_fault(error)}; it has the fields {fields}"
        return HandOffAnswer(why=why, field=place)
    if isinstance(error, CaseError):
        return HandOffAnswer(why=str(error), field="key")
    return HandOffAnswer(why=f"its event has no key: {type(error).__name__}: {error}", field="key")


async def _origin(
    ledger: Ledger, caller: str, requester: str | None, known: HandOffOrigin
) -> HandOffOrigin:
    """Where the case comes from, with who asked for the caller and who amended what it writes."""
    amended = [row.by for row in await ledger.rulings(case=caller) if row.verb == Verb.AMEND]
    asked = tuple(filter(None, [requester]))
    more = HandOffOrigin(askers=asked, drafters=tuple(dict.fromkeys(amended)))
    whole = known.with_more(more)
    before = (case for case in whole.chain if case != caller)
    return whole.model_copy(update={"chain": (*before, caller)})


async def _found(client: Client, case: str) -> WorkflowExecutionDescription | None:
    try:
        return await describe_execution(client, case)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None


async def _is_mine(client: Client, case: str, caller: str) -> bool:
    found = await _found(client, case)
    return found is not None and (await handed_from(found)).chain[-1:] == (caller,)


async def _join(client: Client, case: str, caller: str, origin: HandOffOrigin) -> HandOffAnswer:
    """What becomes of a hand-off whose case is there: begun by it before a crash, or by others."""
    found = await _found(client, case)
    if found is None:
        why = (
            f"{case} was done before, and Temporal has forgotten its outcome; fix: what shall be "
            "done again needs an event with another key"
        )
        return HandOffAnswer(why=why, field="key")
    if (await handed_from(found)).chain[-1:] == (caller,):
        return HandOffAnswer(case=case)
    if found.close_time is None:
        try:
            await client.get_workflow_handle(case).signal(HANDED_SIGNAL, origin)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise  # otherwise it has just ended
    return HandOffAnswer(case=case, found=True)


async def _outcome(client: Client, look: HandedLook) -> Outcome | None:
    """The outcome of a case that is over; None if it goes on."""
    ending = asyncio.ensure_future(outcome_of(client.get_workflow_handle(look.case)))
    until = asyncio.get_running_loop().time() + _LOOK.total_seconds()
    try:
        while asyncio.get_running_loop().time() < until:
            done, _ = await asyncio.wait({ending}, timeout=0.5)
            if done:
                lost = Outcome(status=State.FAILED, why="it left no outcome")
                return ending.result() or lost
            settled = None if look.ended else await _settled(client, look.case)
            if settled is not None:
                return settled
    finally:
        ending.cancel()
    return None


async def _settled(client: Client, case: str) -> Outcome | None:
    """The outcome of a case that is done, and only open so that it can be undone."""
    found = await describe_execution(client, case)
    if found.typed_search_attributes.get(STATE_ATTRIBUTE) != State.SETTLING:
        return None
    view = await case_view(client, case)
    if view is None or view.state is not State.SETTLING:
        return None
    return Outcome(
        status=State.DONE,
        why=view.why,
        receipts=view.receipts,
        rulings=view.rulings,
        usage=view.usage,
        incidents=view.incidents,
        handed=view.handed,
        outside=view.outside,
    )


def require_known(agents: Mapping[str, Agent]) -> None:
    """See that agents hand work to agents that there are, and events that these take.

    Raises:
        ConfigurationError: if one does not, with what to do.
    """
    for agent in agents.values():
        for to in agent.hands_to:
            said, known = f"{agent.name} hands work to {to.agent}", agents.get(to.agent)
            if known is None and not to.elsewhere:
                raise ConfigurationError(
                    f"{said}, which is no agent of this fleet ({', '.join(agents)}); fix: add it, "
                    f"or say that another fleet has it: HandsTo({to.agent!r}, ..., elsewhere=True)"
                )
            if known is not None and to.elsewhere:
                raise ConfigurationError(
                    f"{said}, which this fleet has itself; fix: leave out elsewhere=True"
                )
            if known is not None and not _takes(known.event, to.event):
                raise ConfigurationError(
                    f"{said} as {to.event.__name__}, and that takes {known.event.__name__}; fix: "
                    f"HandsTo({to.agent!r}, {known.event.__name__})"
                )


def _takes(known: type[Event], given: type[Event]) -> bool:
    return issubclass(given, known)
