"""What a steward has done in the worker: orders are judged and kept, and what is in force said."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from handrail.actions import WHOLE, LedgerMark
from handrail.agent import OPEN_QUERY, Activity, executions
from handrail.exceptions import ConfigurationError
from handrail.guardrails import LedgerMismatch, audit_order, server_time
from handrail.ledger import FLEET, Ledger, OrderRow, UnreadableRow
from handrail.oversight import (
    HELD_LEDGER,
    LIFTED_SIGNAL,
    STEWARD_WORKFLOW,
    AutonomyView,
    Order,
    OrderResult,
    OrderState,
    StepView,
    StopInForce,
    Trust,
    asked_setting,
    order_givers,
    order_lacks,
    order_of_row,
    order_proven,
    order_row,
    setting_exceeds,
    setting_in_force,
    steward_id,
    target_of,
    waits_for_second,
)
from handrail.policy import AgentShape, Policy, PolicyFile, Setting
from handrail.runtime.steward import ENTER_ORDER, LOOK_AT_AUTONOMY, WAKE_CASES, OrderRequest
from handrail.states import State
from handrail.text import moment_in_words

_RUNS = 20
"""Earlier runs of a steward that are looked at, and acceptances of ledgers that are shown."""

WAKE_AGAIN = timedelta(seconds=3)
"""How long after the first look at which cases wait there is another."""

LISTED = 500
"""Stops that are told the steward; the ledger has all."""

PATIENCE = timedelta(seconds=30)
"""How long an order waits for a worker that has the ledger that it is for."""

_WAKING: set[asyncio.Task[None]] = set()
"""Second looks on their way: a task that nobody holds may be forgotten."""

log = logging.getLogger("handrail.steward")


@dataclass(frozen=True)
class AutonomyActivities:
    """The activities of one agent's steward. `others`: the policies of its whole fleet."""

    agent: str
    shape: AgentShape
    policy: PolicyFile
    ledger: Ledger
    trust: Trust = field(default_factory=Trust)
    others: Sequence[PolicyFile] = ()
    _begun: dict[str, str] = field(default_factory=dict[str, str])

    def activities(self) -> list[Activity]:
        """Them, to be registered with the worker of the agent."""

        @activity.defn(name=ENTER_ORDER)
        async def enter(entering: OrderRequest) -> OrderResult:
            entered = await self.enter(entering)
            if entering.order.kind == "lift" and entered.stand is OrderState.DONE:
                await self.go_on()
            return entered

        @activity.defn(name=LOOK_AT_AUTONOMY)
        async def look(agent: str) -> AutonomyView:
            del agent
            return await self.look(await self._held_before())

        @activity.defn(name=WAKE_CASES)
        async def wake(agent: str) -> None:
            del agent
            await self.wake()

        return [enter, look, wake]

    # Orders

    async def enter(self, entering: OrderRequest) -> OrderResult:
        """Judge an order, and keep it if it counts.

        Raises:
            PolicyError: if the policy cannot be read, and the order is none to stop.
            KeyringError: if the keyring cannot be used; the same.
            LedgerUnavailable: if the ledger cannot be used.
            LedgerMismatch: if it is another than the agent's.
        """
        here, held = await self.ledger.mark(self.agent), entering.held
        wanted = entering.order.ledger if entering.order.kind == "ledger" else held and held.id
        if wanted not in {None, here.id}:
            return self._elsewhere(entering, f"this worker has the ledger {here.id}, not {wanted}")
        match entering.order.kind:
            case "stop":
                return await self._stop(entering)
            case "lift":
                return await self._lift(entering)
            case "level":
                return await self._level(entering)
            case "ledger":
                return await self._ledger(entering)
            case "rollout":
                return _refused("the rollout judges it, and no steward")

    def _elsewhere(self, entering: OrderRequest, why: str) -> OrderResult:
        """What comes of an order where this is not the ledger that it is for.

        Raises:
            LedgerMismatch: so that another worker, which has it, is asked next; for a while, for
                an order that waits keeps those behind it waiting. None is behind a stop.
        """
        kind, info = entering.order.kind, activity.info()
        if kind == "ledger" and (lacks := self._lacking(entering, self.policy.current())):
            return _refused(lacks)
        waited = info.current_attempt_scheduled_time - info.scheduled_time
        if kind == "stop" or waited < PATIENCE:
            raise LedgerMismatch(why)
        return _refused(
            f"{why}, and no other worker answers; order it again when one that has it runs"
        )

    async def _stop(self, entering: OrderRequest) -> OrderResult:
        """A stop is taken whoever gives it; who is shown to have is said all the same."""
        order = entering.order
        people = self._proven(order, entering.statements)
        if not people and (same := await self._same_stop(order)) is not None:
            why = f"it is stopped already, by {same.by}"
            return _result(entering, OrderState.DONE, people, why)
        if not await self.ledger.order(order_row(order, entering.statements)):
            # It was written to the ledger first, by whoever gave it; or its id is another's.
            there = await self.ledger.order_of(order.id)
            if there is not None and not order.same_as(order_of_row(there) or order):
                order = order.model_copy(update={"id": _id_of(order)})
                await self.ledger.order(order_row(order, entering.statements))
            elif there is not None and there.ended is not None:
                return _result(entering, OrderState.DONE, people)
        _log(order, people, entering.statements)
        known = order.step is None or order.step in self.shape.writes
        why = "" if known else f"{self.agent} has no write {order.step}: this stops nothing"
        return _result(entering, OrderState.IN_FORCE, people, why)

    async def _same_stop(self, order: Order) -> OrderRow | None:
        """Another stop of the same, in force: thousands that nobody signed come to one."""
        rows = await self.ledger.orders(self.agent, live=True)
        target = target_of(order)
        stops = [row for row in rows if row.kind == "stop" and target_of(row) == target]
        if any(row.id == order.id for row in stops):
            return None
        return stops[0] if stops else None

    async def _lift(self, entering: OrderRequest) -> OrderResult:
        order = entering.order
        try:
            row = await self.ledger.order_of(order.lifts or "")
        except UnreadableRow as error:
            return _refused(str(error))  # tried for ever, it would keep all other orders waiting
        if row is None or row.agent not in {self.agent, FLEET}:
            return _refused(f"{self.agent} has no order {order.lifts}")
        if row.ended is not None:
            return OrderResult(stand=OrderState.DONE, why=f"it was over already: {row.ended_why}")
        # What is for every agent is lifted by whoever may lift it for each of them.
        policies = [self.policy.current()]
        if row.agent == FLEET:
            policies += [each.current() for each in self.others]
        two = row.kind == "level" and await self._two_for(row, policies[0])
        waits = False
        for policy in policies:
            lacks = self._lacking(entering, policy, two=two)
            if lacks is not None and not self._waits(entering, policy):
                return _refused(lacks)
            waits = waits or lacks is not None
        people = self._proven(order, entering.statements)
        if waits:
            why = "it takes a second person"
            return _result(entering, OrderState.WAITING, people, why)
        now, why = server_time(), order.why
        await self.ledger.end_order(row.id, order.by, now, why, entering.statements)
        _log(order, people, entering.statements, ends=row)
        return _result(entering, OrderState.DONE, people)

    async def _two_for(self, row: OrderRow, policy: Policy) -> bool:
        """Whether what comes back when a level is lifted takes two people to set."""
        rows = await self.ledger.orders(self.agent, live=True)
        left = [each for each in rows if each.id != row.id]
        for step in self._steps(row.step):
            now, then = (self._setting(some, step, policy) for some in (rows, left))
            if setting_exceeds(then, now) and then.level in policy.control.two:
                return True
        return False

    async def _level(self, entering: OrderRequest) -> OrderResult:
        order, policy = entering.order, self.policy.current()
        steps = self._steps(order.step)
        if not steps:
            known = ", ".join(self.shape.writes)
            return _refused(f"{self.agent} has no write {order.step}; there are: {known}")
        rows = await self.ledger.orders(self.agent, live=True)
        new = asked_setting(order)
        raised = any(setting_exceeds(new, self._setting(rows, step, policy)) for step in steps)
        lacks = self._lacking(entering, policy)
        people = self._proven(order, entering.statements)
        if raised and lacks is not None:
            if self._waits(entering, policy):
                return _result(entering, OrderState.WAITING, people, lacks)
            return _refused(lacks)
        # What lowers unproven is put over what was there, and takes nothing of it away.
        older = [r.id for r in rows if r.kind == "level" and r.step == order.step]
        row = order_row(order, entering.statements)
        # A clock that is ahead must not have breakers count from tomorrow on.
        row = replace(row, at=min(row.at, server_time()))
        await self.ledger.order(row, replacing=older if lacks is None else ())
        _log(order, people, entering.statements)
        why = _capped(order, policy, steps)
        return _result(entering, OrderState.IN_FORCE, people, why)

    async def _ledger(self, entering: OrderRequest) -> OrderResult:
        """Go on with a ledger as it is, above all that was known of the one before."""
        order, height = entering.order, (await self.ledger.mark(self.agent)).height
        lacks = self._lacking(entering, self.policy.current())
        if lacks is not None:
            return _refused(lacks)
        if order.height is None or height < order.height:
            return _refused(f"its height is {height} now, not {order.height}; look again")
        held = entering.held.height if entering.held is not None else 0
        row = order_row(order, entering.statements)
        mark = await self.ledger.go_on_above(row, max(held, height))
        people = self._proven(order, entering.statements)
        _log(order, people, entering.statements)
        return _result(entering, OrderState.DONE, people).model_copy(update={"ledger": mark})

    def _steps(self, step: str | None) -> list[str]:
        """The writes that an order is for; without a step not those that take others back."""
        writes = self.shape.writes.values()
        return [w.name for w in writes if w.name == step or (step is None and not w.undoes)]

    def _setting(self, rows: Sequence[OrderRow], step: str, policy: Policy) -> Setting:
        return self._made(rows, step, policy) or policy.of(step).own

    def _made(self, rows: Sequence[OrderRow], step: str, policy: Policy) -> Setting | None:
        return setting_in_force(rows, step, policy, self.trust.keys(), self._proof(policy))

    def _lacking(
        self, entering: OrderRequest, policy: Policy, *, two: bool | None = None
    ) -> str | None:
        keys, proof, now = self.trust.keys(), self._proof(policy), server_time()
        statements = entering.statements
        return order_lacks(entering.order, statements, policy, keys, proof, now=now, two=two)

    def _waits(self, entering: OrderRequest, policy: Policy) -> bool:
        keys, proof = self.trust.keys(), self._proof(policy)
        return waits_for_second(entering.order, entering.statements, policy, keys, proof)

    def _proof(self, policy: Policy) -> Literal["required", "unproven"]:
        return policy.proof or self.trust.proof

    def _proven(self, order: Order | None, statements: Sequence[str]) -> tuple[str, ...]:
        """Who is shown by their signature to have given an order."""
        if order is None:
            return ()
        try:
            keys = self.trust.keys()
        except ConfigurationError as error:
            log.warning("the keyring cannot be used, so nobody is proven: %s", error)
            return ()
        return order_givers(order, statements, keys)

    # What is in force

    async def _held_before(self) -> LedgerMark | None:
        """Which ledger the run of the steward held that was there before this one, if it is new.

        One that somebody ended, or reset, begins anew, and what it held is in Temporal still.
        """
        info = activity.info()
        this = info.workflow_run_id or ""
        if self._begun.setdefault(this, info.activity_id) != info.activity_id:
            return None  # it has been told
        query = f"WorkflowId = '{steward_id(self.agent)}' AND WorkflowType = '{STEWARD_WORKFLOW}'"
        found: LedgerMark | None = None
        async for run in executions(activity.client(), query, limit=_RUNS):
            if run.run_id != this and found is None:
                with contextlib.suppress(Exception):  # what others put there decodes to anything
                    found = await run.memo_value(HELD_LEDGER, None, type_hint=LedgerMark)
        return found

    async def look(self, before: LedgerMark | None = None) -> AutonomyView:
        """What is in force for the agent now. `before`: what an earlier steward held.

        Raises:
            LedgerUnavailable: if the ledger cannot be used.
        """
        ledger = await self.ledger.mark(self.agent)
        rows = await self.ledger.orders(self.agent, live=True)
        standing = [row for row in rows if row.kind == "stop"]
        # All of the agent and its writes; of single cases the latest, so that it can be read.
        standing.sort(key=lambda row: (row.case is not None, -row.at.timestamp()))
        stops = tuple(map(self._standing, standing[:LISTED]))
        accepted = await self.ledger.orders(self.agent, kind="ledger")
        known: dict[str, Any] = {
            "at": server_time(),
            "stops": stops,
            "writes": tuple(self.shape.writes),
            "more": len(standing) - len(stops),
            "ledger": ledger,
            "before": before,
            "accepted": tuple(map(_accepted, accepted[-_RUNS:])),
        }
        try:
            policy = self.policy.current()
            steps = tuple(self._view(rows, step, policy) for step in self._steps(None))
        except ConfigurationError as error:
            fault = str(error)[:1_000]
            return AutonomyView(fault=fault, **known)
        people = policy.control.people
        return AutonomyView(policy=policy.label, people=people, steps=steps, **known)

    def _standing(self, row: OrderRow) -> StopInForce:
        proven = order_proven(self._proven(order_of_row(row), row.proofs), row.proofs)
        what = target_of(row).words
        return StopInForce(id=row.id, what=what, by=row.by, at=row.at, why=row.why, proven=proven)

    def _view(self, rows: Sequence[OrderRow], step: str, policy: Policy) -> StepView:
        made, own = self._made(rows, step, policy), policy.of(step).own
        given = made or own
        level = policy.of(step).capped(given.level)
        label = made.label if made is not None else ""
        if level is not given.level:
            label = f"{label}; {level} instead of {given}: {policy.of(step).why_most}".lstrip("; ")
        share = given.rollout if level is given.level else WHOLE
        return StepView(
            step=step,
            level=level,
            rollout=share,
            label=label,
            filed=str(own),
            most=policy.of(step).most,
        )

    # After a stop

    async def go_on(self) -> None:
        """Have the cases go on after a lift, as far as the server can be asked.

        The steward does so too, of a stop that it had seen. It may not have: who stops the whole
        fleet tells the stewards that are listed, and one that has just begun is not.
        """
        with contextlib.suppress(RPCError):
            await self.wake()

    async def wake(self) -> None:
        """Have the cases go on that waited for the end of a stop.

        Twice: a case that has just begun to wait is not listed at once. The steward does not
        wait for the second time. What does not hear of it even then asks again by itself.
        """
        client = activity.client()
        await self._wake(client)
        again = asyncio.create_task(self._wake_later(client))
        _WAKING.add(again)
        again.add_done_callback(_WAKING.discard)

    async def _wake_later(self, client: Client) -> None:
        await asyncio.sleep(WAKE_AGAIN.total_seconds())
        with contextlib.suppress(RPCError):
            await self._wake(client)

    async def _wake(self, client: Client) -> None:
        query = (
            f"HandrailAgent = '{self.agent}' AND HandrailState = '{State.PAUSED}' AND {OPEN_QUERY}"
        )
        async for case in executions(client, query):
            try:
                await client.get_workflow_handle(case.id).signal(LIFTED_SIGNAL)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    log.warning("%s could not be told that a stop is over: %s", case.id, error)


def _id_of(order: Order) -> str:
    """An id that is the same in every try."""
    return hashlib.sha256(order.model_dump_json().encode()).hexdigest()[:32]


def _accepted(row: OrderRow) -> str:
    """That an agent goes on with a ledger, in words; what was signed is in the ledger."""
    how = f"{row.why} ({row.ended_why}; order {row.id})"
    return f"{moment_in_words(row.at)}: accepted by {row.by}: {how}"[:1_000]


def _log(
    order: Order, people: Sequence[str], statements: Sequence[str], ends: OrderRow | None = None
) -> None:
    """Say in the log of the worker what is in force from now on, or no more."""
    about = ends or order
    audit_order(
        about.kind,
        about.agent,
        by=order.by,
        why=order.why,
        id=about.id,
        step=about.step,
        case=about.case,
        level=about.level,
        rollout=about.rollout,
        ended=ends is not None,
        proven=order_proven(people, statements),
    )


def _result(
    entering: OrderRequest, stand: OrderState, people: tuple[str, ...], why: str = ""
) -> OrderResult:
    proven = order_proven(people, entering.statements)
    return OrderResult(stand=stand, why=why, proven=proven, people=people)


def _refused(why: str) -> OrderResult:
    return OrderResult(stand=OrderState.REFUSED, why=why[:1_000])


def _capped(order: Order, policy: Policy, steps: Sequence[str]) -> str:
    """What a level comes to less than it says, in words."""
    level = order.level
    if level is None:
        return ""
    most = {step: policy.of(step).capped(level) for step in steps}
    return "; ".join(
        f"{step} is {most[step]} all the same: {policy.of(step).why_most}"
        for step in steps
        if most[step] is not level
    )
