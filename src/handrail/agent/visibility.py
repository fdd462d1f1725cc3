"""Search attributes and memo of a case: what of it is seen without a worker.

Written only when a gate opens or closes, on a pause, and at the end, and only what has
changed: each writing is an event in the history. Problem and reason go along with the others,
and are none of their own. The memo `gates` counts only while HandrailWaitingFor names somebody.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from handrail.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from handrail.agent.case import Case
    from handrail.oversight import GateView

THINKING: Final = "thinking"
"""Of a decide step that is running, the end of what its model has said so far."""

AGENT_ATTRIBUTE = SearchAttributeKey.for_keyword("HandrailAgent")
STATE_ATTRIBUTE = SearchAttributeKey.for_keyword("HandrailState")
RISK_ATTRIBUTE = SearchAttributeKey.for_keyword("HandrailRisk")
WAITING_FOR_ATTRIBUTE = SearchAttributeKey.for_keyword_list("HandrailWaitingFor")
PROBLEM_ATTRIBUTE = SearchAttributeKey.for_keyword("HandrailProblem")
REASON_ATTRIBUTE = SearchAttributeKey.for_keyword("HandrailReason")
DEADLINE_ATTRIBUTE = SearchAttributeKey.for_datetime("HandrailDeadline")

INCIDENT = "incident"
"""The HandrailProblem of a case in which something was found wrong after a write."""

_LONGEST = 120
"""Characters of a reason: SQL stores keep 255 of a keyword, and a list shows fewer."""

AT_ONCE = 20
"""Changes that are written each for itself when many come in one workflow task."""

BOUNDED = "what is shown of a burst is bounded"
"""The patch since which that is so."""


@dataclass
class PublishedState:
    """What was written last."""

    agent: str | None = None
    state: str | None = None
    waiting_for: Sequence[str] = ()
    deadline: datetime | None = None
    risk: str | None = None
    problem: str | None = None
    reason: str | None = None
    gates: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    times: int = 0

    def publish(self, case: Case) -> None:
        """Write what has changed; of thousands of changes at once the first ones and the last."""
        if not self.times:
            asyncio.get_running_loop().call_soon(self._settle, case)
        self.times += 1
        if self.times <= AT_ONCE or not workflow.patched(BOUNDED):
            self._write(case)

    def _settle(self, case: Case) -> None:
        burst, self.times = self.times, 0
        if burst > AT_ONCE:
            self._write(case)

    def _write(self, case: Case) -> None:
        views = case.views()
        deadlines = [view.deadline for view in views if view.deadline is not None]
        shown = PublishedState(
            agent=case.agent,
            state=case.state.value,
            waiting_for=sorted({role for view in views for role in view.waiting_for}),
            deadline=min(deadlines, default=None),
            risk=next((view.risk for view in views if view.risk), _incident(case)),
            problem=_incident(case),
            reason=_reason(case, views),
            # When the next reminder is due changes with each one, and is no event worth.
            gates=[
                view.model_dump(mode="json", exclude_defaults=True, exclude={"next"})
                for view in views
            ],
            times=self.times,
        )
        updates = self._updates(shown)
        if updates:
            workflow.upsert_search_attributes(updates)  # pyright: ignore[reportUnknownMemberType]  # Temporal's own signature is
        # That no gate is open any more is said by HandrailWaitingFor; saying it in the memo
        # too would cost every held case one more event.
        if shown.gates and shown.gates != self.gates:
            workflow.upsert_memo({"gates": shown.gates})
        self.__dict__.update(vars(shown))

    def _updates(self, shown: PublishedState) -> list[SearchAttributeUpdate[Any]]:
        values = (
            (AGENT_ATTRIBUTE, shown.agent, self.agent),
            (STATE_ATTRIBUTE, shown.state, self.state),
            (WAITING_FOR_ATTRIBUTE, list(shown.waiting_for), list(self.waiting_for)),
            (DEADLINE_ATTRIBUTE, shown.deadline, self.deadline),
        )
        changed = [(cast("Any", key), new) for key, new, old in values if new != old]
        # When these are written is as it was while one attribute was both: open cases replay.
        if shown.risk != self.risk:
            changed.append((RISK_ATTRIBUTE, None if shown.risk == INCIDENT else shown.risk))
        if not changed:
            shown.problem, shown.reason = self.problem, self.reason
        beside = (
            (PROBLEM_ATTRIBUTE, shown.problem, self.problem),
            (REASON_ATTRIBUTE, shown.reason, self.reason),
        )
        changed += [(key, new) for key, new, old in beside if new != old]
        return [key.value_unset() if new is None else key.value_set(new) for key, new in changed]


def _reason(case: Case, views: Sequence[GateView]) -> str | None:
    """Why a case asks, or came to where it is, cut short."""
    why = "; ".join(view.why for view in views) or (case.moves[-1].why if case.moves else "")
    return one_line(why, _LONGEST) if why else None


def _incident(case: Case) -> str | None:
    """What makes a case found by whoever looks for those with an incident."""
    return INCIDENT if case.incidents else None
