"""What a door keeps of what it said and did, and the alarms that follow from it.

Every verdict, what went wrong, what a human is to look at afterwards, and what thinking cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from temporalio import activity
from temporalio.exceptions import ApplicationError

from handrail.actions import Kind, Receipt, Usage, Verdict
from handrail.agent import (
    OVER_BUDGET,
    UNDECIDED,
    Activity,
    hopeless,
    spread_deaths,
    this_case,
    trying,
    words_of,
)
from handrail.exceptions import LedgerUnavailable, PolicyError, StepError
from handrail.guardrails import audit, breakers
from handrail.guardrails.machine import server_time
from handrail.ledger import FAILED, IN_DOUBT, STUCK, IncidentRow, Ledger, SpendRow
from handrail.oversight import review_due
from handrail.policy import STUCK_AFTER
from handrail.text import moment_in_words

if TYPE_CHECKING:
    from concurrent.futures import Future

    from handrail.agent import Step, Write
    from handrail.guardrails.admission import Admission
    from handrail.guardrails.context import Judgement, WriteContext
    from handrail.policy import Policy, PolicyFile

BUDGET_POLL = timedelta(minutes=1)
"""How soon a decision that found its budget used up is tried again."""

FAILURES = 3
"""Failures without which no step is stuck, however long ago the first was."""

LOST = "lost"
"""The kind of the incidents that a ledger brings which lacks what was committed to it."""

TWICE = "twice"
"""The kind of the incidents of writes that two attempts have made, one of them after its time."""

_RESTORED = "see whether it was put back, failed over, or does not keep what it says it has"
_UNHEARD = TimeoutError("it ended without a word: its worker died, or its time was over")

log = logging.getLogger("handrail.books")


@dataclass(frozen=True)
class Recorder:
    """The books of one agent. `inbox`: the address from which its owner is told, if any."""

    agent: str
    ledger: Ledger
    inbox: str = ""
    _said: set[str] = field(default_factory=set[str])
    _unkept: list[SpendRow] = field(default_factory=list[SpendRow])

    async def keep(self, write: WriteContext, verdict: Verdict, *, pilot: bool = False) -> None:
        """Keep a verdict that no intent follows, and see whether there are too many refusals."""
        audit.verdict(self.agent, write.step, write.attempt, verdict, action=write.facts.action)
        await self.ledger.record_verdict(write.verdict_row(verdict, pilot=pilot))
        if verdict.kind is Kind.REFUSE and not pilot:
            await self.alarm(write.policy, write.step)

    async def alarm(self, policy: Policy, step: str) -> None:
        """See whether too much has gone wrong. The ledger being away is seen the next time."""
        try:
            await breakers.look(
                self.ledger, policy, self.agent, step, server_time(), inbox=self.inbox
            )
        except LedgerUnavailable:
            log.warning("the breakers could not be looked at", exc_info=True)

    async def incident(self, write: WriteContext, kind: str, what: str) -> None:
        """Keep what went wrong with a write, and tell the owner. Once of each kind."""
        attempt = write.attempt
        row = IncidentRow(
            id=f"{attempt.key}!{kind}",
            agent=self.agent,
            step=write.step,
            case=attempt.case,
            key=attempt.key,
            kind=kind,
            what=what,
            at=server_time(),
        )
        if await self.ledger.incident(row):
            audit.incident(self.agent, row.step, row.case, row.key, kind=kind, what=what)
        # What failed, or is in doubt, the case itself says to those who wait for it.
        if kind not in {FAILED, IN_DOUBT}:
            news = breakers.incident_alert(self.agent, row.case, row.id, what, row.at)
            await breakers.alert_owner(news, self.inbox)

    async def misfiled(
        self, write: WriteContext, step: Write[Any, Any], receipt: Receipt, there: Receipt | None
    ) -> None:
        """Keep that a receipt found no intent in the ledger; or another one of the same write.

        `there`: that other one. Under a key that the outside system knows it is of the same effect.
        """
        if there is None:
            what = f"the ledger lost an intent: that of {receipt.key}, which happened; {_RESTORED}"
            await self.incident(write, LOST, what)
            return
        known = step.idempotent and (step.keeps is None or receipt.at - there.at < step.keeps)
        if there.how == receipt.how == "written" and there.at != receipt.at and not known:
            one, two = (
                f"{each.result!s:.200} at {moment_in_words(each.at)}" for each in (there, receipt)
            )
            what = f"{receipt.key} happened twice: {one}, and {two}; take one of them back by hand"
            await self.incident(write, TWICE, what)

    def watched(self, step: Step[..., Any], run: Activity, file: PolicyFile) -> Activity:
        """What runs a step, and sees whether it is stuck when it has failed."""

        async def watched(*args: Any) -> Any:
            await self.failed(step.name, _UNHEARD, file, late=2)
            try:
                await spread_deaths(step)
                return await run(*args)
            except Exception as error:  # the step's own: it is seen, and goes its way
                await self.failed(step.name, error, file)
                raise

        return watched

    async def failed(self, step: str, error: Exception, file: PolicyFile, *, late: int = 1) -> None:
        """See whether a step that has just failed is stuck; if so, keep it, and tell the owner.

        Once, also without a ledger. What ends it, a try of a decision, and a budget that the
        owner knows of, are not stuck. `late`: after how many times the policy's time.
        """
        if not activity.in_activity():
            return
        info, now, case = activity.info(), server_time(), this_case()
        if info.is_local or info.attempt < FAILURES or hopeless(error):
            return
        if isinstance(error, ApplicationError) and (
            error.non_retryable or error.type in {UNDECIDED, OVER_BUDGET}
        ):
            return
        try:
            after = file.current().doc.stuck.after
        except PolicyError:
            after = STUCK_AFTER
        if now - info.scheduled_time < after * late:
            return
        why = words_of(error)
        what = (
            f"{step} has failed {info.attempt} times since {moment_in_words(info.scheduled_time)}, "
            f"and is tried on; last: {why}"
        )
        row = IncidentRow(
            id=f"{case}/{step}/{info.workflow_run_id}/{info.activity_id}!{STUCK}",
            agent=self.agent,
            step=step,
            case=case,
            key=f"{case}/{step}",
            kind=STUCK,
            what=what,
            at=now,
        )
        try:
            new = await self.ledger.incident(row)
        except LedgerUnavailable:
            # Then it is tried again with the step; the log and the owner know it before.
            new = row.id not in self._said
        self._said.add(row.id)
        if new:
            audit.incident(self.agent, step, case, row.key, kind=STUCK, what=what)
        await breakers.alert_owner(
            breakers.stuck_alert(self.agent, case, row.id, what, now), self.inbox
        )

    async def draw(self, write: WriteContext, judged: Judgement, known: Admission) -> None:
        """Put a share of what ran alone before a human afterwards."""
        if not judged.alone:
            return
        row = review_due(
            write.policy,
            write.policy.review(write.facts),
            write.facts,
            agent=self.agent,
            key=write.attempt.key,
            unusual=judged.unusual,
            now=server_time(),
            chance=judged.share,
        )
        if row is None:
            return
        # They look at nothing that they asked for.
        row = replace(row, requester=(await known.people(write)).attempt.requester)
        if await self.ledger.review(row):
            audit.review(self.agent, row.step, row.case, row.key, why=row.why, share=row.share)

    # What thinking costs

    async def require_budget(self, policy: Policy, step: str) -> None:
        """See that something is left to think with.

        Raises:
            ApplicationError: if a budget is used up; it is tried again later, and goes on then.
        """
        if not policy.budgets:
            return
        spent = await breakers.budget_spendings(
            self.ledger, self.agent, policy.budgets, server_time()
        )
        await self._tell_of_budgets(policy, spent)
        over = breakers.budgets_used(policy.budgets, spent)
        if over is not None:
            raise _waits(step, over)

    @contextlib.asynccontextmanager
    async def metering(
        self, policy: Policy, step: Step[..., Any], case: str
    ) -> AsyncGenerator[list[Usage]]:
        """Charge a try of a decision to the budgets, whatever comes of it. Yields what it used.

        Raises:
            ApplicationError: of a try that failed.
            LedgerUnavailable: as `spend`.
        """
        used, held, loop = list[Usage](), list[Usage](), asyncio.get_running_loop()
        keeping: list[Future[None]] = []

        def keep(usage: Usage, reserved: Usage | None) -> None:
            back = [] if reserved is None or reserved not in held else [reserved]
            for each in back:
                held.remove(each)
            kept = self.spend(step.name, case, [usage], back)
            keeping.append(asyncio.run_coroutine_threadsafe(kept, loop))

        reserve = functools.partial(self.reserve, policy, step.name, case, held)
        try:
            with trying(step, used, reserve, keep):
                yield used
        finally:
            # What the ledger did not take then, it is given once more.
            await asyncio.gather(*map(asyncio.wrap_future, keeping), return_exceptions=True)
            await self.spend(step.name, case, [], held)

    async def reserve(
        self, policy: Policy, step: str, case: str, held: list[Usage], estimate: Usage
    ) -> None:
        """Take from the budgets what a request may cost. It is `held` until `spend` gives it back.

        Raises:
            ApplicationError: if there is no room for it now, as in `require_budget`.
            StepError: if there never is.
        """
        if not policy.budgets:
            return
        currencies = {each.unit for each in policy.budgets if each.kind == "cost"}
        if estimate.cost and currencies and estimate.currency not in currencies:
            raise StepError(
                f"{step}: what it costs is known in {estimate.currency}, and the policy's budget "
                f"is in {', '.join(filter(None, currencies))}; fix: give a budget in "
                f"{estimate.currency}, or declare the model's price in the budget's currency"
            )
        spent = await breakers.budget_spendings(
            self.ledger, self.agent, policy.budgets, server_time()
        )
        never = breakers.budgets_short(policy.budgets, {}, estimate)
        if never is not None:
            raise StepError(
                f"{step}: one request may cost more than the policy's whole budget: {never}; fix: "
                "give it more, or the model a lower max_tokens"
            )
        short = breakers.budgets_short(policy.budgets, spent, estimate)
        if short is not None:
            raise _waits(step, short)
        await self.spend(step, case, [estimate])
        held.append(estimate)

    async def _tell_of_budgets(self, policy: Policy, spent: breakers.Spendings) -> None:
        """Tell the owner of budgets that near their end, or are at it."""
        for each in policy.budgets:
            said = breakers.budgets_used((each,), spent) or breakers.budgets_nearly_used(
                (each,), spent
            )
            if said is not None:
                log.warning("a budget nears its end", extra={"agent": self.agent, "why": said})
                news = breakers.budget_alert(
                    self.agent, each.text, each.window, said, server_time()
                )
                await breakers.alert_owner(news, self.inbox)

    async def spend(
        self, step: str, case: str, used: Sequence[Usage], held: Sequence[Usage] = ()
    ) -> None:
        """Count what a decision used up, or a try of it that failed; no longer what was `held`.

        What the ledger did not take stays in this process, for the next time: without a ledger
        nothing more is thought.

        Raises:
            LedgerUnavailable: if the ledger cannot be written.
        """
        self._unkept.extend(
            SpendRow(
                # Not by attempt: one whose worker died in its workflow task is the first again.
                id=f"{case}/{step}/{uuid4().hex}",
                agent=self.agent,
                case=case,
                step=step,
                at=server_time(),
                tokens=sign * (usage.input_tokens + usage.output_tokens),
                cost=sign * usage.cost,
                currency=usage.currency,
                model=usage.model,
            )
            for sign, each in ((1, used), (-1, held))
            for usage in each
            if usage.input_tokens or usage.output_tokens or usage.cost
        )
        for row in tuple(self._unkept):
            await self.ledger.spend(row)
            if row in self._unkept:  # another decision may have kept it meanwhile
                self._unkept.remove(row)


def _waits(step: str, over: str) -> ApplicationError:
    # Within a workflow task nobody sees that it waits: there it soon gives up, and goes on as an
    # activity of its own.
    delay = None if activity.info().is_local else BUDGET_POLL
    return ApplicationError(
        f"{step} waits: {over}; it goes on by itself when there is room again, or when the policy "
        "gives it more",
        type=OVER_BUDGET,
        next_retry_delay=delay,
    )
