"""Why the door said what it said of the writes of a case."""

from __future__ import annotations

from pydantic import JsonValue

from handrail.actions import Finding, Kind
from handrail.client.base import OperatorBase
from handrail.client.views import Document, Moment


class VerdictView(Document):
    """One verdict on one action. `findings`: what led to it. `autonomy`: the level in force.

    `key`: of the write; empty where the door only said in advance what it would say.
    """

    step: str
    key: str
    digest: str
    at: Moment
    kind: Kind
    findings: tuple[Finding, ...]
    policy: str
    autonomy: str
    pilot: bool
    action: dict[str, JsonValue]
    requester: str | None = None


class VerdictList(Document):
    """The verdicts of a case, the oldest first."""

    verdicts: tuple[VerdictView, ...]


class ExplainActs(OperatorBase):
    """Looking at verdicts."""

    async def explain(self, case: str) -> VerdictList:
        """Every verdict on what a case wanted to write, with its policy and what led to it.

        Raises:
            LedgerUnavailable: if there is none.
        """
        rows = await self.ledger.verdicts(case=case)
        return VerdictList(verdicts=tuple(VerdictView.model_validate(row) for row in rows))
