"""What a policy says the owner is told of: a figure of the agent that is worse than a limit.

Nothing here decides about a write.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field, StrictInt

from handrail.policy.document import Doc, needed
from handrail.policy.values import Duration, Positive, Share, written
from handrail.text import percent

WEEK = timedelta(days=7)

Least = Annotated[StrictInt, Field(ge=1, le=1_000_000)]


class FailuresDoc(Doc):
    """The share of writes that failed, of those that began within a time: `{over: 3%, in: 30m}`."""

    over: Share = needed("100%", "add over: and a share, such as 3%")
    within: Duration = needed("30m", "add in: and a time, such as 30m", alias="in")
    least: Least = 10


class EscalationsDoc(Doc):
    """How much the share of cases that were escalated has grown against the time before."""

    up: Share = needed("100%", "add up: and a share, such as 25%")
    within: Duration = Field(default=WEEK, alias="in")
    least: Least = 20


class CostDoc(Doc):
    """The cost that 95 % of cases stay below, as a multiple of the baseline of a case."""

    times: Positive = needed("2", "add times: and a multiple of the baseline, such as 2")
    within: Duration = Field(default=WEEK, alias="in")
    least: Least = 20


class WaitingDoc(Doc):
    """How long the oldest question has waited for an answer: `{over: 2h}`."""

    over: Duration = needed("2h", "add over: and a time, such as 2h")


class SilentDoc(Doc):
    """For how long nothing has been written, although writes were tried: `{for: 1h}`."""

    lasts: Duration = needed("1h", "add for: and a time, such as 1h", alias="for")


class AlertsDoc(Doc):
    """What the owner is told of, each once as long as it lasts."""

    failures: FailuresDoc | None = None
    escalations: EscalationsDoc | None = None
    cost: CostDoc | None = None
    waiting: WaitingDoc | None = None
    silent: SilentDoc | None = None

    def limits(self) -> Iterator[tuple[str, str]]:
        """Each rule by its name, and its limit in words."""
        if (failures := self.failures) is not None:
            yield (
                "failures",
                f"over {percent(failures.over)} of writes in {written(failures.within)}",
            )
        if (grown := self.escalations) is not None:
            yield (
                "escalations",
                f"up {percent(grown.up)} against the {written(grown.within)} before",
            )
        if (cost := self.cost) is not None:
            of = f"{Decimal(cost.times):f} x the baseline"
            yield "cost", f"95 % of cases below {of}, in {written(cost.within)}"
        if self.waiting is not None:
            yield "waiting", f"a question waits over {written(self.waiting.over)}"
        if self.silent is not None:
            yield "silent", f"nothing written for {written(self.silent.lasts)}"


ALARMS = tuple(AlertsDoc.model_fields)
"""The rules, by their names."""


def describe_alerts(doc: AlertsDoc) -> Iterator[tuple[str, str]]:
    """Each key in force, in words."""
    for name, limit in doc.limits():
        yield "alert", f"{name}: {limit}"
