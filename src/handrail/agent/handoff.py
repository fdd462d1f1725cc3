"""Hand-offs: a case gives work to another agent, whose own case it is, and may wait for it.

The other agent's worker takes the event, by an activity on that agent's task queue: it starts the
case under the id that any start would give it, or finds it. So nothing of it hangs on the run that
asked: not on its end, a reset or a continue-as-new, as a child of Temporal's would. Who asked, and
who may not approve therefore, goes along in the memo. A roll-back or a stop is asked for by signal:
the other case does it by its own policy, through its own door.

Partly workflow code: the order of its commands is a wire format.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import JsonValue
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

from handrail.actions import Event, HandedCase, Outcome, Verb, as_json
from handrail.agent import escalation
from handrail.agent.escalation import UndoEntry
from handrail.agent.execution_info import describe_execution
from handrail.agent.handed import HANDED_TO, handed_from
from handrail.agent.invoke import engine, error_in_words
from handrail.agent.steps import RETRY
from handrail.exceptions import ConfigurationError, NotTaken, Piloted, Refused
from handrail.states import State
from handrail.wire import (
    HandedLook,
    HandOff,
    HandOffAnswer,
    HandOffOrigin,
    HandOffVerdict,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.client import Client

    from handrail.agent.verbs import Verbs

HAND_OFF_ACTIVITY: Final = "handrail.hand_off"
"""The activity that says whether a case may hand work on: `HandOff` to `HandOffVerdict`."""

TAKE_ACTIVITY: Final = "handrail.take"
"""The activity, of the other agent, that starts its case: `HandOff` to `HandOffAnswer`."""

OUTCOME_ACTIVITY: Final = "handrail.outcome"
"""The activity, of the other agent, that waits for its case: `HandedLook` to `Outcome`."""

DEEPEST: Final = 5
"""Cases in the longest chain of hand-offs."""

_BUSY = timedelta(seconds=10)
"""How long the other agent's worker may take over one of these. If it died, so long is lost."""

_LOOK_AGAIN = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)
)
_NOT_UNDONE = "; not undone: "


@dataclass(frozen=True)
class HandsTo:
    """Another agent that an agent hands work to, and the class of that agent's event.

    `elsewhere`: it is none of this fleet; its own workers know its event, and judge it. `again`: it
    may stand more than once in one chain of hand-offs.
    """

    agent: str
    event: type[Event]
    elsewhere: bool = False
    again: bool = False

    def __post_init__(self) -> None:
        """See that it can be one.

        Raises:
            ConfigurationError: if it cannot.
        """
        if not self.agent or ":" in self.agent or "/" in self.agent:
            raise ConfigurationError(f"{self.agent!r} cannot name an agent to hand work to")
        if not (isinstance(self.event, type) and issubclass(self.event, Event)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"HandsTo({self.agent!r}): {self.event!r} is no class of events; fix: give the "
                "subclass of handrail.Event that starts its cases"
            )


def chain_fault(declared: Sequence[HandsTo], to: str, chain: Sequence[str]) -> str | None:
    """Why the last case of a chain may not hand work to an agent; None if it may."""
    known = next((each for each in declared if each.agent == to), None)
    if known is None:
        names = ", ".join(each.agent for each in declared) or "nobody"
        return (
            f"it hands work to {names}, and not to {to}; fix: declare it, "
            f"`hands_to=[HandsTo({to!r}, ...)]` of the Agent"
        )
    if len(chain) >= DEEPEST:
        return f"{DEEPEST} cases are the longest chain of hand-offs: {' -> '.join(chain)}"
    if not known.again and to in {case.partition(":")[0] for case in chain}:
        return (
            f"{to} is in this chain of hand-offs already ({' -> '.join(chain)}), and would go "
            f"round; fix: if that is meant, declare HandsTo({to!r}, ..., again=True)"
        )
    return None


async def asked_for(client: Client, case: str, run: str) -> tuple[str | None, HandOffOrigin]:
    """Who asked for a run of a case, and where it comes from, as the server has it.

    Raises:
        RPCError: if there is none, or the server does not answer.
    """
    found = await describe_execution(client, case, run)
    requester = await found.memo_value("requested_by", None, type_hint=str)
    return requester, await handed_from(found)


class HandOffs:
    """The hand-offs of one run of one case."""

    def __init__(self, runner: Verbs) -> None:
        self._runner = runner

    # Handing work on

    async def hand_off(self, to: str, event: Event | Mapping[str, JsonValue]) -> Outcome:
        """Hand work to another agent, and wait for what comes of it.

        Raises:
            NotTaken, Refused, Piloted: as `hand_on`; and if that case waits for this one.
        """
        runner = self._runner
        handed = await self.hand_on(to, event)
        runner.case.busy += 1
        waiting = asyncio.ensure_future(self._outcome(handed.agent, handed.case))
        try:
            await workflow.wait_condition(
                lambda: waiting.done() or handed.case in runner.case.handed.origin.chain
            )
            if not waiting.done():
                why = f"{handed.case} waits for this very case: they would wait for ever"
                raise Refused(f"hand_off to {to}", why)
            outcome = waiting.result()
        finally:
            runner.case.busy -= 1
            waiting.add_done_callback(lambda task: task.cancelled() or task.exception())
            waiting.cancel()
        self._keep(handed, outcome)
        why = f": {outcome.why}" if outcome.why else ""
        runner.note(f"{handed.case} is {outcome.status.replace('_', ' ')}{why}")
        if outcome.outside and text_comes_along():
            runner.case.sources.came_back(outcome)
        else:
            runner.case.sources.came_in(outcome)
        await runner.boundary()
        return outcome

    async def hand_on(self, to: str, event: Event | Mapping[str, JsonValue]) -> HandedCase:
        """Hand work to another agent: its case is there when this returns.

        Raises:
            NotTaken: if that agent does not take the event.
            Refused: if this agent may not hand work to it, or not any more in this chain.
            Piloted: if this agent is in pilot.
        """
        runner, case = self._runner, self._runner.case
        said = as_json(event) if isinstance(event, Event) else dict(event)
        asked = HandOff(case=case.id, to=to, event=said, origin=self._origin())
        await self._permitted(asked)
        number = case.handed.number + 1
        case.handed = case.handed.model_copy(update={"number": number})
        key = f"{case.id}/hand_off/{number}"
        entry = escalation.handed_entry(key, asked)
        case.busy += 1
        case.register(entry)
        runner.note(f"hands work to {to}")
        try:
            answer = await self._taken(asked, key)
        finally:
            case.busy -= 1
        if not answer.case:
            case.unregister(key)
            raise NotTaken(f"hand_off to {to}", answer.why, answer.field)
        handed = self._begun(asked, answer, key)
        runner.note(_in_words(answer, to))
        await runner.boundary()
        return handed

    def _origin(self) -> HandOffOrigin:
        case = self._runner.case
        amended = (r.by for r in case.rulings if r.accepted and r.verb == Verb.AMEND)
        mine = HandOffOrigin(
            askers=tuple(filter(None, [case.requester])),
            drafters=tuple(dict.fromkeys(amended)),
            outside=case.outside,
        )
        known = case.handed.origin.with_more(mine)
        return known.model_copy(update={"chain": (*known.chain, case.id)})

    async def _permitted(self, asked: HandOff) -> None:
        """Wait until nobody stops it.

        Raises:
            Refused: if it may not be handed on.
            Piloted: if the agent is in pilot.
        """
        runner, name = self._runner, f"hand_off to {asked.to}"
        brief = asked.model_copy(update={"event": {}})
        patience = escalation.ASK_AGAIN
        while True:
            heard, summary = runner.case.lifted, f"may it hand work to {asked.to}?"
            said: HandOffVerdict = await engine(
                HAND_OFF_ACTIVITY, brief, HandOffVerdict, summary, patience=None
            )
            if said.kind == "stopped":
                patience = await runner.until_lifted(said.why, patience, heard)
                await runner.boundary()
                continue
            if said.kind == "pilot" or (said.kind == "pass" and runner.case.pilot):
                runner.case.pilot = True
                why = said.why or f"{asked.case} is in pilot"
                runner.note(f"recorded, and not done: {name}: {why}")
                raise Piloted(name, why)
            if said.kind == "refused":
                raise Refused(name, said.why)
            return

    async def _taken(self, asked: HandOff, key: str) -> HandOffAnswer:
        """Have the other agent take it. Once that has begun, it is known whether it did."""
        handle = workflow.start_activity(
            TAKE_ACTIVITY,
            asked,
            task_queue=asked.to,
            result_type=HandOffAnswer,
            start_to_close_timeout=_BUSY,
            retry_policy=RETRY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"hand off: {asked.to}",
        )
        try:
            return await asyncio.shield(handle)
        except asyncio.CancelledError:
            handle.cancel()
            try:
                answer = await handle
            except ActivityError as error:
                # Nobody had it yet. Of what broke off, only a look says whether it did.
                if is_cancelled_exception(error):
                    self._runner.case.unregister(key)
            else:
                self._begun(asked, answer, key)
            raise

    def _begun(self, asked: HandOff, answer: HandOffAnswer, key: str) -> HandedCase:
        """Keep the case that work was handed to. One of somebody else's is left alone later."""
        case, handed = self._runner.case, HandedCase(agent=asked.to, case=answer.case)
        again = answer.case in {each.case for each in case.handed.cases}
        if answer.found or again or not answer.case:
            case.unregister(key)
        if again or not answer.case:
            return handed
        # Its event was there to find the case by.
        known: dict[str, Any] = {"handed_to": answer.case, "action": {}}
        case.undos = [
            each.model_copy(update=known) if each.key == key else each for each in case.undos
        ]
        case.handed = case.handed.model_copy(update={"cases": (*case.handed.cases, handed)})
        workflow.upsert_memo({HANDED_TO: [each.case for each in case.handed.cases]})
        return handed

    def _keep(self, handed: HandedCase, outcome: Outcome) -> None:
        known = {
            "status": outcome.status,
            "why": outcome.why,
            "receipts": outcome.all_receipts,
            "usage": outcome.total_usage,
        }
        case = self._runner.case
        kept = [
            each.model_copy(update=known) if each.case == handed.case else each
            for each in case.handed.cases
        ]
        case.handed = case.handed.model_copy(update={"cases": tuple(kept)})

    async def _outcome(self, agent: str, case: str, *, ended: bool = False) -> Outcome:
        return await workflow.execute_activity(
            OUTCOME_ACTIVITY,
            HandedLook(case=case, ended=ended),
            task_queue=agent,
            result_type=Outcome,
            start_to_close_timeout=_BUSY,
            retry_policy=_LOOK_AGAIN,
            summary=f"wait for {case}",
        )

    # What becomes of it when this case is stopped, paused or rolled back

    def go_on(self) -> None:
        """Say which cases go on while this one is paused: theirs is a pause of their own."""
        still = ", ".join(each.case for each in self._open())
        if still:
            self._runner.note(f"goes on, unless it is paused too: {still}")

    async def stop(self, why: str) -> None:
        """Ask the cases that work was handed to to stop, where they go on."""
        for each in self._open():
            if await self._asked(each.case, "stop", why):
                self._runner.note(f"asked to stop: {each.case}")

    def _open(self) -> list[HandedCase]:
        case = self._runner.case
        mine = {entry.handed_to for entry in case.undos}
        return [each for each in case.handed.cases if each.status is None and each.case in mine]

    async def undo(self, entry: UndoEntry) -> str | None:
        """Have one case rolled back, and wait until it is. None if so, or why it is not."""
        agent, case = entry.agent, entry.handed_to or await self._found(entry)
        if not case:
            return None
        why = self._runner.case.ordered or "what it was part of is rolled back"
        self._runner.note(f"asks {case} to roll back")
        await self._asked(case, "roll_back", why)
        try:
            outcome = await self._outcome(agent, case, ended=True)
        except ActivityError as error:
            return error_in_words(error)
        self._keep(HandedCase(agent=agent, case=case), outcome)
        nothing_left = outcome.status is State.FAILED and _NOT_UNDONE not in outcome.why
        if outcome.status is State.ROLLED_BACK or nothing_left or not outcome.all_receipts:
            return None
        said = f"{outcome.status.replace('_', ' ')}{f': {outcome.why}' if outcome.why else ''}"
        return f"{case} is {said}, and can be rolled back no more: an undo_window would let it"

    async def _found(self, entry: UndoEntry) -> str:
        """The case of a hand-off that broke off; empty if there is none."""
        asked = HandOff(case=self._runner.case.id, to=entry.agent, event=entry.action, find=True)
        asked = asked.model_copy(update={"origin": self._origin()})
        return (await self._taken(asked, entry.key)).case

    async def _asked(self, case: str, signal: str, why: str) -> bool:
        """Send a case a signal; False if it has ended."""
        handle = workflow.get_external_workflow_handle(case)
        said = {"by": self._runner.case.id, "why": why[:1_000]}
        with contextlib.suppress(FailureError):
            await handle.signal(signal, said)
            return True
        return False


def text_comes_along() -> bool:
    """Whether text from outside stays that in what is handed over, and in what comes back.

    In cases that began before that some of it did not.
    """
    return workflow.patched("text-comes-along")


def _in_words(answer: HandOffAnswer, to: str) -> str:
    if not answer.found:
        return f"handed to {to}: {answer.case}"
    other = ", of another event" if answer.changed else ""
    return f"handed to {to}: {answer.case} was there already{other}, and is not undone with this"


def as_event(kind: type[Event], given: Mapping[str, JsonValue]) -> Event:
    """The event that was handed over as JSON, by its fields' own names or their aliases.

    Raises:
        ValidationError: if it is none of that class.
    """
    return kind.model_validate_json(json.dumps(given), by_alias=True, by_name=True)
