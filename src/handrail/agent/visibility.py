"""What of a case is seen without a worker: search attributes and memo.

Written only when a gate opens or closes, on a pause, and at the end, and only what has
changed: each writing is an event in the history. The memo `gates` counts only while
HandrailWaitingFor names somebody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from handrail.agent.case import Case

AGENT_ATTRIBUTE = SearchAttributeKey.for_keyword("HandrailAgent")
STATE_ATTRIBUTE = SearchAttributeKey.for_keyword("HandrailState")
RISK_ATTRIBUTE = SearchAttributeKey.for_keyword("HandrailRisk")
WAITING_FOR_ATTRIBUTE = SearchAttributeKey.for_keyword_list("HandrailWaitingFor")
DEADLINE_ATTRIBUTE = SearchAttributeKey.for_datetime("HandrailDeadline")

INCIDENT = "incident"
"""The HandrailRisk of a case in which something was found wrong after a write."""


@dataclass
class PublishedState:
    """What was written last."""

    agent: str | None = None
    state: str | None = None
    waiting_for: Sequence[str] = ()
    deadline: datetime | None = None
    risk: str | None = None
    gates: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def publish(self, case: Case) -> None:
        """Write what has changed."""
        views = case.views()
        deadlines = [view.deadline for view in views if view.deadline is not None]
        shown = PublishedState(
            agent=case.agent,
            state=case.state.value,
            waiting_for=sorted({role for view in views for role in view.waiting_for}),
            deadline=min(deadlines, default=None),
            risk=next((view.risk for view in views if view.risk), _incident(case)),
            # When the next reminder is due changes with each one, and is no event worth.
            gates=[
                view.model_dump(mode="json", exclude_defaults=True, exclude={"next"})
                for view in views
            ],
        )
        updates = list(self._updates(shown))
        if updates:
            workflow.upsert_search_attributes(updates)  # pyright: ignore[reportUnknownMemberType]  # Temporal's own signature is
        # That no gate is open any more is said by HandrailWaitingFor; saying it in the memo
        # too would cost every held case one more event.
        if shown.gates and shown.gates != self.gates:
            workflow.upsert_memo({"gates": shown.gates})
        self.__dict__.update(vars(shown))

    def _updates(self, shown: PublishedState) -> list[SearchAttributeUpdate[Any]]:
        updates: list[SearchAttributeUpdate[Any]] = []
        if shown.agent is not None and shown.agent != self.agent:
            updates.append(AGENT_ATTRIBUTE.value_set(shown.agent))
        if shown.state is not None and shown.state != self.state:
            updates.append(STATE_ATTRIBUTE.value_set(shown.state))
        if list(shown.waiting_for) != list(self.waiting_for):
            updates.append(WAITING_FOR_ATTRIBUTE.value_set(shown.waiting_for))
        if shown.deadline != self.deadline:
            new = shown.deadline
            updates.append(
                DEADLINE_ATTRIBUTE.value_unset()
                if new is None
                else DEADLINE_ATTRIBUTE.value_set(new)
            )
        if shown.risk != self.risk:
            risk = shown.risk
            updates.append(
                RISK_ATTRIBUTE.value_unset() if risk is None else RISK_ATTRIBUTE.value_set(risk)
            )
        return updates


def _incident(case: Case) -> str | None:
    """What makes a case found by whoever looks for those with an incident."""
    return INCIDENT if case.incidents else None
