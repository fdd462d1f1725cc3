"""People who ask: a case is started, watched as it goes, and its outcome is the answer.

A case is watched by what the server says of it, and asked only when that has changed. Whoever asks
again, or was cut off, finds the case of the same event again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from handrail.actions import Event, Outcome
from handrail.client import gates
from handrail.client.cases import CaseActs, case_summary, outcome_of
from handrail.client.views import CaseState, Document, Moment, StartedCase
from handrail.exceptions import CaseError
from handrail.states import State

if TYPE_CHECKING:
    from handrail.oversight import LogLine

_LOOK: Final = timedelta(milliseconds=300)


class CaseProgress(Document):
    """One thing that happened in a case, in the words of its log, and its state by then."""

    case: str
    state: CaseState
    at: Moment
    text: str


class AgentAnswer(StartedCase):
    """What became of what somebody asked. `outcome` is None as long as it has not ended."""

    state: CaseState
    outcome: Outcome | None = None


class AskActs(CaseActs):
    """Asking an agent, and watching a case."""

    async def ask_agent(
        self,
        agent: str,
        event: Event | Mapping[str, JsonValue],
        *,
        key: str | None = None,
        workflow: str | None = None,
        progress: Callable[[CaseProgress], None] | None = None,
        patience: timedelta | None = None,
        stop_at_gate: bool = False,
    ) -> AgentAnswer:
        """Start the case of an event, or find it again, and wait for its outcome, at most so long.

        Whoever acts has asked for it, and may approve nothing of it. `progress`: is told what
        happens. `stop_at_gate`: do not wait for people. For `key` and `workflow` see `start`.

        Raises:
            CaseError: if its case is there of another event, or the key cannot be part of an id.
            InvalidRequest: if nobody is said to ask, or it is no event of the agent.
            NotPermitted: if they came by a link, which is for one gate.
        """
        self._who()
        self._own_seat("ask an agent")
        started = await self.start(agent, event, key=key, workflow=workflow)
        if started.changed and not started.taken:
            raise CaseError(
                f"{started.case} is there already, of another event under its key; fix: give it "
                "another key, if it is something else"
            )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if patience is None else patience.total_seconds()):
                async for each in self.progress(started.case):
                    if progress is not None:
                        progress(each)
                    if stop_at_gate and each.state == State.WAITING:
                        break
        client = await self.temporal()
        execution = await gates.existing_case(client, started.case)
        over = execution.close_time is not None
        outcome = await outcome_of(client.get_workflow_handle(started.case)) if over else None
        state = outcome.status if outcome else case_summary(execution).state
        return AgentAnswer(**dict(started), state=state, outcome=outcome)

    async def progress(self, case: str) -> AsyncGenerator[CaseProgress]:
        """What happens in a case, from its beginning to its end, line by line of its log.

        While no worker answers there is nothing new of it.

        Raises:
            CaseError: if there is no such case.
        """
        client = await self.temporal()
        seen: tuple[str, int] | None = None
        told: list[str] = []
        while True:
            execution = await gates.existing_case(client, case)
            now = (execution.run_id, execution.history_length)
            if now != seen:
                view, state = await gates.case_view(client, case), case_summary(execution).state
                seen = now if view else seen
                if view is not None and state == State.WORKING:
                    # It may have gone on since it was described, and then says no more.
                    state = view.state
                for line in new_lines(told, view.log if view else ()):
                    yield CaseProgress(case=case, state=state, at=line.at, text=line.text)
                    told.append(line.text)
            if execution.close_time is not None:
                return
            await asyncio.sleep(_LOOK.total_seconds())


def new_lines(told: list[str], log: tuple[LogLine, ...]) -> tuple[LogLine, ...]:
    """The lines that were not told yet, by their texts: a task that is done again has other times.

    A case that continued as new carries only its latest lines along.
    """
    texts = [line.text for line in log]
    if texts == told[: len(texts)]:
        return ()
    kept = range(min(len(told), len(texts)), 0, -1)
    return log[next((n for n in kept if told[-n:] == texts[:n]), 0) :]
