"""Past verdicts: which proposals of an agent the door let pass, and which its guards held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from handrail.actions import Kind
from handrail.guardrails.anomaly.targets import LAST, ProportionChart, share
from handrail.ledger import PastVerdict

if TYPE_CHECKING:
    from handrail.ledger import Ledger

_LATEST = 2_000

_OVERLAP = 200

GUARDED = ("rule: ", "check: ", "only", "limit", "source", "duplicate")


@dataclass
class PastProposal:
    """One action that the agent proposed, however often it was judged."""

    step: str
    guarded: bool
    passed: bool


class PastVerdicts:
    """What the door said of the agent's latest proposals, oldest first."""

    def __init__(self, agent: str, ledger: Ledger) -> None:
        self._agent, self._ledger = agent, ledger
        self._last = 0
        self._proposals: dict[tuple[str, str], PastProposal] = {}

    async def read(self) -> None:
        """Read what is new, and some of before: numbers are given before they are committed."""
        for row in await self._ledger.past_verdicts(self._agent, self._last - _OVERLAP):
            self._last = max(self._last, row.number)
            self._enter(row)
        for old in list(self._proposals)[: -2 * _LATEST]:
            del self._proposals[old]

    def _enter(self, row: PastVerdict) -> None:
        guarded = any(why.startswith(GUARDED) for why in row.whys)
        new = PastProposal(row.step, guarded, passed=False)
        known = self._proposals.setdefault((row.case, row.digest), new)
        known.passed = known.passed or row.kind is Kind.PASS

    def shares(self, step: str) -> tuple[WatchedShare, WatchedShare]:
        """The step's share of what was let pass, and how much of the step was held or refused.

        What was not let pass teaches nothing of the mix, nor do the latest, which are looked at.
        """
        every = list(self._proposals.values())
        passed = [each.step == step for each in every if each.passed]
        mine = [each.guarded for each in every if each.step == step]
        mix = share(f"writes were {step}", passed[:-LAST])
        guarded = share(f"proposals of {step} were held or refused by a rule", mine[:-LAST])
        # The write that is judged is one more of its step.
        now = 1 + sum(each.step == step for each in every[1 - LAST :])
        return (
            WatchedShare("mix: share of the agent's writes", mix, now),
            WatchedShare("mix: share held or refused", guarded, sum(mine[-LAST:])),
        )


@dataclass(frozen=True)
class WatchedShare:
    """A share of the verdicts; and how many there are in its window now, this write counted."""

    what: str
    chart: ProportionChart
    now: int
