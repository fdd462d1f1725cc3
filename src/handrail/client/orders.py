"""Orders to agents: stop, lift, set a level, second.

A stop is written to the ledger first, where every door looks before every write: it is in force
although neither the server nor a worker answers. What lets an agent do more is judged by its
steward, in the process of a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from handrail.actions import WHOLE, Level
from handrail.client import gates
from handrail.client.base import Statement
from handrail.client.case_orders import CaseOrderActs
from handrail.client.stewards import (
    ensure_stewards,
    order_became,
    order_signal,
    steward_book,
    stewards,
    tell_steward,
)
from handrail.client.views import (
    AgentAutonomy,
    AutonomyList,
    CaseOrder,
    LiftResult,
    OrderOutcome,
    StopList,
    StopResult,
    StopView,
)
from handrail.exceptions import (
    CaseError,
    ConfigurationError,
    HandrailError,
    InvalidRequest,
    LedgerUnavailable,
    NotFound,
    NotPermitted,
    ServerUnavailable,
)
from handrail.ledger import FLEET
from handrail.oversight import (
    BY_INBOX,
    Change,
    NoOrder,
    NotProven,
    Order,
    OrderState,
    Target,
    ledger_order,
    level_order,
    lift_order,
    order_givers,
    order_in_words,
    order_of_row,
    order_proven,
    order_row,
    stop_order,
    target_of,
)

if TYPE_CHECKING:
    from handrail.ledger import OrderRow

_LONGEST_WHY = 1_000
_ASKED = 50
"""Stewards that are asked at once whether they answer."""

_LOOKED_AT = 200
"""Stops of single cases of which it is looked whether their case has ended."""


@dataclass(frozen=True)
class _Stop:
    """A stop that is given, and its signature, if anything signs."""

    order: Order
    proof: str | None

    @property
    def row(self) -> OrderRow:
        return order_row(self.order, [self.proof or self.order.model_dump_json()])


class OrderActs(CaseOrderActs):
    """Stopping, lifting, and setting how much an agent does by itself."""

    async def stop(
        self,
        *whats: str,
        why: str = "",
        wait: bool = False,
        patience: timedelta | None = None,
    ) -> StopResult:
        """Stop the fleet, an agent, a write of it (`agent/write`) or cases, until it is lifted.

        The ledger has it first; then the stewards and the cases are told, which may fail.
        `wait`: until the cases have ended, at most so long (`patience`). It counts unsigned.

        Raises:
            CaseError: if there is no ledger, and nobody who could stop it either.
            NoOrder: if it names nothing.
            NotPermitted: if the inbox gives it for somebody whom no policy names.
            ServerUnavailable: if the ledger cannot be written, and the server not be told.
        """
        self._own_seat("stop something")
        given = [await self._stop_of(Target.of(each), why) for each in dict.fromkeys(whats)]
        if not given:
            raise NoOrder("say what: fleet, an agent, agent/write, or a case (shipments:AWB-1042)")
        kept, fault = await self._keep_stops(given)
        cases, untold = tuple[CaseOrder, ...](), ""
        try:
            cases = await self._tell_of_stops(given, why, kept=kept, wait=wait, patience=patience)
        except (ConfigurationError, ServerUnavailable, RPCError) as error:
            # Where the ledger has it, it is in force, and must not be taken for a failure.
            if not kept:
                raise error from fault
            untold = str(error)
        stops = tuple(self._stop_view(each.row) for each in given if each.order.case is None)
        return StopResult(in_force=kept, stops=stops, cases=cases, untold=untold)

    async def lift(self, named: str, why: str = "") -> LiftResult:
        """Say that a stop, or a level, is over: by its id, how that begins, or what it is for.

        The steward judges whether it is: whoever may let the agent do more may lift.

        Raises:
            CaseError: if no agent has a steward that could.
            NotFound: if nothing of that name is in force.
            NotPermitted: if the policy is known, and does not let them.
        """
        self._own_seat("lift it")
        rows = await self._in_force(named)
        lifted: list[OrderOutcome] = []
        for row in rows:
            if not self.may_lift(row.agent):
                raise NotPermitted(f"the policy does not let {self.by} lift it")
            order = lift_order(row, self._who(), self._clock(), why.strip()[:_LONGEST_WHY])
            lifted.append(await self._give(await self._steward_of(row), order))
            if row.agent == FLEET and lifted[-1].stand is OrderState.DONE:
                client = await self.temporal()
                await ensure_stewards(client, await stewards(client))
        return LiftResult(lifted=tuple(lifted))

    def may_lift(self, agent: str) -> bool:
        """Whether it is worth asking to lift what is in force for an agent, as far as is known.

        What is for every agent (`*`) is lifted by who controls them all.
        """
        if self._directory is None:
            return True
        controls = self._directory.controls(self._who())
        needed = self._directory.known() if agent == FLEET else frozenset({agent})
        return bool(controls) and needed <= controls

    async def set_level(
        self, target: str, level: str, rollout: str | Decimal | None = None, why: str = ""
    ) -> OrderOutcome:
        """Set how much an agent, or a write of it (`agent/write`), does by itself.

        `rollout`: of `full`, in so many percent of its cases, such as 25 or "25%". The steward
        judges it: what lets the agent do more takes those whom its policy names.

        Raises:
            NoOrder: if it is no level, or not of an agent.
            InvalidRequest: if `rollout` is no share.
            NotPermitted: if the policies are known, and none names them for the agent.
        """
        self._own_seat("set a level")
        aim = Target.of(target)
        self._require_named(aim)
        if level not in set(Level):
            raise NoOrder(f"{level!r} is no level; there are: {', '.join(Level)}", "level")
        words = why.strip()[:_LONGEST_WHY]
        share = share_of(rollout)
        order = level_order(aim, Level(level), share, self._who(), self._clock(), why=words)
        return await self._give(aim.agent, order)

    async def accept_ledger(self, agent: str, why: str) -> OrderOutcome:
        """Have an agent go on with this ledger, as it is: another, or one that went back in time.

        The steward judges it: whoever may let the agent do more may say so. What it lacks is
        looked for, or asked about, as far as cases come back to it; limits do not count it.

        Raises:
            InvalidRequest: if no reason is given.
            NotPermitted: if the policies are known, and none names them for the agent.
        """
        self._own_seat("go on with a ledger")
        self._require_named(Target(agent))
        words = why.strip()[:_LONGEST_WHY]
        if not words:
            raise InvalidRequest("say why: what happened to the ledger, and what it lacks", "why")
        mark = await self.ledger.mark(agent)
        order = ledger_order(agent, mark, self._who(), self._clock(), words)
        return await self._give(agent, order)

    async def second(self, named: str, why: str = "") -> OrderOutcome:
        """Say so as the second person, of an order that waits for one: its id, or how it begins.

        Raises:
            NotFound: if no such order waits, or several do.
            NotPermitted: if they gave it themselves, or no policy names them.
        """
        self._own_seat("be the second person")
        agent, change = await self._waiting(named)
        self._require_named(Target(agent))
        by, words = self._who(), why.strip()[:_LONGEST_WHY]
        if by in {change.order.by, *change.people}:
            raise NotPermitted(f"{by} has given this order already: it takes another person")
        order = change.order.model_copy(update={"by": by, "at": self._clock(), "why": words})
        proof = await self._signature(Statement(order))
        body = {"id": order.id, "by": by, "why": words} | ({"proof": proof} if proof else {})
        client = await self.temporal()
        await tell_steward(client, agent, "second", body)
        said_by = len(change.statements) + 1
        result = await order_became(client, agent, order.id, said_by=said_by)
        return _order_result("second", order, result)

    async def stops(self, *, every: bool = False) -> StopList:
        """The stops in force; with `every` those that are over too, also by the end of their case.

        Such a stop stays in the ledger: a case that somebody resets is stopped by it still.
        """
        rows = await self.ledger.orders(live=not every, kind="stop")
        ended = await self._ended({r.case for r in rows if r.case and r.ended is None})
        views = [self._stop_view(row, case_ended=row.case in ended or None) for row in rows]
        return StopList(stops=tuple(v for v in views if every or not v.case_ended))

    async def _ended(self, cases: Collection[str]) -> set[str]:
        """Which of these cases have ended; none where nobody can say."""
        found: set[str] = set()
        with contextlib.suppress(ServerUnavailable, RPCError):
            for case in sorted(cases)[:_LOOKED_AT]:
                with contextlib.suppress(CaseError):
                    known = await gates.existing_case(await self.temporal(), case)
                    if known.status is not WorkflowExecutionStatus.RUNNING:
                        found.add(case)
        return found

    async def autonomy(self, agent: str | None = None, step: str | None = None) -> AutonomyList:
        """How much agents do by themselves now, as their stewards know it.

        Raises:
            CaseError: if the agent that was named does not answer.
        """
        client = await self.temporal()
        found: list[AgentAutonomy] = []
        silent: list[str] = []
        for name in [agent] if agent else await stewards(client):
            known = await steward_book(client, name)
            if known is None or known.picture is None:
                silent.append(name)
                continue
            steps = tuple(e for e in known.picture.steps if step in {None, e.step})
            shown = known.picture.model_copy(update={"steps": steps})
            found.append(AgentAutonomy.model_validate(known.model_copy(update={"picture": shown})))
        if agent and silent:
            raise CaseError(
                f"the steward of {agent} does not answer: start a worker that runs {agent}"
            )
        return AutonomyList(agents=tuple(found), silent=tuple(silent))

    # Stops

    async def _stop_of(self, target: Target, why: str) -> _Stop:
        # Whoever reaches the ledger may stop anything; whoever only signed in, what is theirs.
        if self.via in BY_INBOX:
            self._require_named(target)
        words = why.strip()[:_LONGEST_WHY]
        order = stop_order(target, self._who(), self._clock(), words)
        try:
            return _Stop(order, await self._signature(Statement(order)))
        except NotProven:
            return _Stop(order, None)  # who gives it matters less than that it is given

    async def _keep_stops(self, given: Sequence[_Stop]) -> tuple[bool, HandrailError | None]:
        """Write stops to the ledger. Without one a worker must do it."""
        try:
            for each in given:
                await self.ledger.order(each.row)
        except LedgerUnavailable as error:
            return False, error
        return True, None

    async def _tell_of_stops(
        self,
        given: Sequence[_Stop],
        why: str,
        *,
        kept: bool,
        wait: bool,
        patience: timedelta | None,
    ) -> tuple[CaseOrder, ...]:
        client = await self.temporal()
        for each in (g for g in given if g.order.case is None):
            order = each.order
            agents = await stewards(client) if order.agent == FLEET else [order.agent]
            if not (kept or agents):
                raise CaseError(
                    "nothing was stopped: no ledger is here, and no agent has a steward"
                )
            for agent in agents:
                await tell_steward(client, agent, "stop", order_signal(order, each.proof))
        of_cases = {g.order.case: g.order for g in given if g.order.case is not None}
        told = await self.order_cases("stop", *of_cases, why=why, wait=wait, patience=patience)
        for each in told.cases:
            if kept and each.error and not await self.runs(each.case):
                order, over = of_cases[each.case], "there is no such case, or it has ended"
                await self.ledger.end_order(order.id, order.by, self._clock(), over)
        return told.cases

    def _stop_view(self, row: OrderRow, *, case_ended: bool | None = None) -> StopView:
        order = order_of_row(row)
        keys = self._trusted()
        return StopView(
            id=row.id,
            what=target_of(row).words,
            agent=row.agent,
            step=row.step,
            case=row.case,
            by=row.by,
            proven=order is not None
            and order_proven(order_givers(order, row.proofs, keys), row.proofs),
            at=row.at,
            why=row.why,
            lifted=row.ended,
            lifted_by=row.ended_by,
            lifted_why=row.ended_why,
            case_ended=case_ended,
        )

    # What stewards judge

    async def _give(self, agent: str, order: Order) -> OrderOutcome:
        """Give an order to the steward of an agent, and wait for what becomes of it."""
        client, proof = await self.temporal(), await self._signature(Statement(order))
        await tell_steward(client, agent, order.kind, order_signal(order, proof))
        return _order_result(order.kind, order, await order_became(client, agent, order.id))

    async def _in_force(self, named: str) -> list[OrderRow]:
        """The orders of that id, or how it begins, or for exactly what is named."""
        live = await self.ledger.orders(live=True)
        by_id = [row for row in live if named and row.id.startswith(named.lower())]
        if len(by_id) == 1:
            return by_id
        if by_id:
            raise NotFound(f"{named} is the beginning of {len(by_id)} orders; write more of it")
        target = Target.of(named)
        mine = [row for row in live if target_of(row) == target]
        found = [row for row in mine if row.kind == "stop"] or mine
        if not found:
            raise NotFound(f"nothing is in force for {named}; `handrail stops` shows what is")
        return found

    async def _steward_of(self, row: OrderRow) -> str:
        if row.agent != FLEET:
            return row.agent
        agents = await stewards(await self.temporal())
        if not agents and self._directory is not None:
            agents = sorted(self._directory.controls(self._who()))  # one begins when it is told
        if not agents:
            raise CaseError("no agent has a steward that could lift it: start a worker")
        client = await self.temporal()
        # Who may start workflows may have begun one that nobody runs.
        asked = agents[:_ASKED]
        books = await asyncio.gather(*(steward_book(client, each) for each in asked))
        answer = (each for each, book in zip(asked, books, strict=True) if book is not None)
        return next(answer, agents[0])

    async def _waiting(self, named: str) -> tuple[str, Change]:
        client, begins = await self.temporal(), named.lower()
        found: list[tuple[str, Change]] = []
        for agent in await stewards(client):
            known = await steward_book(client, agent)
            waiting = known.waiting if known is not None else ()
            found += [(agent, c) for c in waiting if begins and c.order.id.startswith(begins)]
        if len(found) != 1:
            many = f"is the beginning of {len(found)} orders" if found else "is no order"
            raise NotFound(f"{named} {many} that waits; `handrail autonomy` shows them")
        return found[0]

    def _require_named(self, target: Target) -> None:
        """That a policy names whoever acts: that of the agent, or any if it is for all."""
        if self._directory is None:
            return
        agents = self._directory.agents(self._who())
        if not agents or (target.agent != FLEET and target.agent not in agents):
            raise NotPermitted(f"no policy names {self.by} for {target.words}")


def share_of(text: str | Decimal | None) -> int | None:
    """A share of the cases in percent, 25 or "0.5%", in hundredths of a percent.

    Raises:
        InvalidRequest: if it is none.
    """
    if text is None:
        return None
    try:
        share = Decimal(str(text).strip().removesuffix("%")) * 100
        good = 0 <= share <= WHOLE and share == int(share)
    except InvalidOperation:
        share, good = Decimal(-1), False
    if not good:
        raise InvalidRequest(f"{text}: write a share of the cases, such as 25% or 0.5%", "rollout")
    return int(share)


def _order_result(name: str, order: Order, change: Change | None) -> OrderOutcome:
    return OrderOutcome(
        order=name,
        what=order_in_words(order),
        id=order.id,
        lifts=order.lifts,
        by=order.by,
        stand=None if change is None else change.stand,
        note="" if change is None else change.note,
        proven=None if change is None else change.proven,
        people=() if change is None else change.people,
    )
