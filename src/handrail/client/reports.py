"""The owner's report: what an agent did, what it is worth, and the cases behind each figure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from handrail import evidence
from handrail.client.base import OperatorBase
from handrail.client.views import Document, Moment
from handrail.exceptions import NotFound

if TYPE_CHECKING:
    from handrail.evidence import AgentReport


class ReportedCase(Document):
    """One case behind a figure, how it ended and when."""

    case: str
    state: str
    ended: Moment


class ReportedCases(Document):
    """The cases behind a figure, the latest first; `limit`: not more of them were looked for."""

    agent: str
    which: str
    cases: tuple[ReportedCase, ...]
    limit: int


class ReportActs(OperatorBase):
    """Looking at what an agent did, and what it is worth."""

    async def report(self, agent: str, since: datetime | None = None) -> AgentReport:
        """The seven metrics, the agent's own, and its value, each beside the period before.

        `since`: the beginning of that day, UTC; of the last 30 days if it is left out.

        Raises:
            LedgerUnavailable: if the ledger cannot be read.
            NotFound: if the ledger knows of no such agent.
        """
        report = await evidence.measure_report(self.ledger, agent, since, self._clock())
        if report.policy is None and not report.tasks and not report.left_out:
            raise NotFound(
                f"the ledger knows of no agent {agent}; fix: `handrail agents` lists them, and a "
                "worker of it must have run once"
            )
        return report

    async def reported_cases(
        self,
        agent: str,
        which: str = "all",
        since: datetime | None = None,
        *,
        limit: int = 200,
    ) -> ReportedCases:
        """The cases behind a figure: `all`, `asked`, `erring`, `wrong`, `late` ..., or a state."""
        found = await evidence.cases_behind(
            self.ledger, agent, which, since, now=self._clock(), limit=limit
        )
        return ReportedCases(
            agent=agent,
            which=which,
            cases=tuple(ReportedCase(case=c, state=s, ended=at) for c, s, at in found),
            limit=limit,
        )
