"""The steward of an agent: the workflow `AutonomyWorkflow`, and its page in the Temporal UI.

Each agent has one, `autonomy:<agent>`, which lives as long as the agent. It takes stops, their
lifting and levels by signal, has them judged and kept in the ledger by an activity, and shows in
the Temporal UI what is in force, by whom, since when and why, with the history of changes. The
door asks the ledger, never the steward: a stop is in force without it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from pydantic import ValidationError
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue, RetryPolicy, VersioningBehavior
from temporalio.exceptions import ActivityError
from typing_extensions import TypeVar, override

from handrail.actions import WHOLE, LedgerMark, Wire
from handrail.agent import PROBLEM_ATTRIBUTE, RISK_ATTRIBUTE, error_in_words
from handrail.oversight import (
    HELD_LEDGER,
    IGNORED_KEPT,
    STEWARD_WORKFLOW,
    AuditSeal,
    AutonomyView,
    BadSignal,
    Change,
    Order,
    OrderBook,
    OrderResult,
    OrderState,
    StepView,
    StewardInput,
    StopInForce,
    change_of,
    order_in_words,
    read_signal,
    second_of,
)
from handrail.text import escape_markdown, markdown_json, moment_in_words, percent

ENTER_ORDER: Final = "handrail.order"
"""The activity that judges an order and keeps it: `OrderRequest` to `OrderResult`."""

LOOK_AT_AUTONOMY: Final = "handrail.autonomy"
"""The activity that says what is in force: the agent's name to a `AutonomyView`."""

WAKE_CASES: Final = "handrail.wake"
"""The activity that has cases go on that waited for the end of a stop: an agent's name."""

STEWARD_SIGNALS: Final = ("stop", "lift", "level", "ledger", "second", "seal", "look")
"""The signals that it takes."""

LOOK_AGAIN = timedelta(hours=1)
"""After this time it looks again at what is in force, although nobody said that it changed."""

LONGEST = 1_000
"""Events of a history, after which it goes on in a new run."""

STOPPED = "stopped"
"""The HandrailProblem of a steward whose agent, or part of it, is stopped."""

ONCE = "an order that begins a steward is entered once"
"""The patch since which that is so; a steward that began before it entered such an order twice."""

BOUNDED = "orders that wait are bounded"
"""The patch since which that is so: a burst of signals wedged a steward for good."""

LARGEST_PAGE = 18_000
"""Bytes of the details; Temporal takes 20,000."""

SHOWN = 30
"""Changes that are shown, the newest; the query `autonomy` has more, the ledger all."""

R = TypeVar("R")

_TRIES = RetryPolicy(
    initial_interval=timedelta(milliseconds=250), maximum_interval=timedelta(seconds=10)
)
_TIME = timedelta(seconds=20)
_ORDER = "One JSON object: by, why"
_NOTHING = RawValue(Payload())
_LONGEST = 300


class OrderRequest(Wire):
    """An order for the ledger. `statements`: what its givers said, signed or not."""

    agent: str
    order: Order
    statements: tuple[str, ...]
    held: LedgerMark | None = None
    """The ledger that the agent writes in."""


@workflow.defn(name=STEWARD_WORKFLOW)
class AutonomyWorkflow:
    """Keeps how much one agent may do by itself, and who changed it, when and why."""

    @workflow.init
    def __init__(self, begun_with: StewardInput) -> None:
        """Begin, or go on with the book of an earlier run."""
        self._book = OrderBook.model_validate(begun_with.carried or {"agent": begun_with.agent})
        self._entering: dict[asyncio.Task[None], str] = {}
        self._one_by_one = asyncio.Lock()
        self._stale = True
        self._risk = False
        self._burst = 0
        self._full = False
        self._counted: object = None
        self._asked = self._book.asked()
        self._noted: LedgerMark | None = None

    @workflow.run
    async def run(self, begun_with: StewardInput) -> None:
        """Keep the book until the agent is no more; it has no end of its own."""
        for change in self._book.changes:
            # The signal that began this run is heard before it, and has entered its order.
            under_way = change.order.id in self._entering.values()
            if change.stand is OrderState.ASKED and not (under_way and workflow.patched(ONCE)):
                self._enter(change)
        while True:
            if self._stale:
                await self._look()
            self._show()
            await self._until_something()
            self._book = self._book.expired(workflow.now())
            await self._renew(begun_with)

    # What is heard. Handlers never raise: that would wedge the workflow.

    @workflow.signal(
        name="stop", description="Stop the agent now. Empty, or JSON: step or case, by, why"
    )
    def _stop(self, raw: RawValue = _NOTHING) -> None:
        self._order("stop", raw)

    @workflow.signal(name="lift", description=f"A stop or level is over. {_ORDER}, lifts (its id)")
    def _lift(self, raw: RawValue = _NOTHING) -> None:
        self._order("lift", raw)

    @workflow.signal(
        name="level",
        description=f"So much it does by itself. {_ORDER}, level (pilot, human_led, supervised, "
        "full), step (or all), rollout (of full: 2500 is 25%)",
    )
    def _level(self, raw: RawValue = _NOTHING) -> None:
        self._order("level", raw)

    @workflow.signal(
        name="ledger",
        description=f"Go on with a ledger that is another, or went back. {_ORDER}, ledger, height",
    )
    def _ledger(self, raw: RawValue = _NOTHING) -> None:
        self._order("ledger", raw)

    @workflow.signal(name="second", description=f"Say so as the second person. {_ORDER}, id")
    def _second(self, raw: RawValue = _NOTHING) -> None:
        try:
            order_id, text = second_of(self._book, _payloads(raw), workflow.now())
        except BadSignal as error:
            self._ignore("second", error)
            return
        self._book = self._book.seconded(order_id, text)
        change = self._book.change(order_id)
        # One that waits for its turn judges all that was said by then.
        waits = list(self._entering.values()).count(order_id) > 1 and workflow.patched(BOUNDED)
        if change is not None and not waits:
            self._enter(change)

    @workflow.signal(
        name="seal", description="The head of an audit: since, until, entries, head, by"
    )
    def _seal(self, raw: RawValue = _NOTHING) -> None:
        try:
            seal = AuditSeal.model_validate(read_signal(_payloads(raw)))
        except (BadSignal, ValidationError) as error:
            self._ignore("seal", error)
            return
        self._book = self._book.sealed(seal)

    @workflow.signal(name="look", description="Look at what is in force: it was changed elsewhere")
    def _look_again(self, raw: RawValue = _NOTHING) -> None:
        del raw
        self._stale = True

    @workflow.signal(dynamic=True)
    def _unknown(self, name: str, args: Sequence[RawValue]) -> None:
        del args
        self._ignore(name[:60], "no such signal")

    @workflow.query(name="autonomy", description="What is in force, what waits, what changed")
    def _autonomy(self) -> OrderBook:
        return self._book

    def _order(self, kind: str, raw: object) -> None:
        new_id, payloads = workflow.uuid4().hex, _payloads(raw)
        if self._counted is not self._book.changes:
            self._counted, self._asked = self._book.changes, self._book.asked()
        declined = self._book.declines(kind, payloads, self._asked)
        if declined is not None and workflow.patched(BOUNDED):
            self._ignore(kind, declined)
            return
        try:
            change = change_of(kind, self._book.agent, payloads, workflow.now(), new_id)
        except BadSignal as error:
            self._ignore(kind, error)
            return
        known = self._book.change(change.order.id)
        self._book = self._book.heard(change)
        if known is None:
            self._enter(change)

    def _ignore(self, name: str, why: object) -> None:
        """Say so; of thousands that come together, of the first ones only, and on one page."""
        if not self._burst:
            asyncio.get_running_loop().call_soon(self._show_ignored)
        self._burst += 1
        if self._burst <= IGNORED_KEPT:
            workflow.logger.warning("ignored a signal `%s`: %s", name, why)
            self._book = self._book.noted(f"{name}: {why}"[:500], workflow.now())

    def _show_ignored(self) -> None:
        more = self._burst - IGNORED_KEPT
        if more > 0:
            workflow.logger.warning("ignored %s more signals", more)
            self._book = self._book.noted(f"{more} more at the same time", workflow.now())
        self._burst = 0
        # Only for what it takes in: a run takes 10,000 signals, and none of the owner's after them.
        self._full = self._is_long() and workflow.patched(BOUNDED)
        workflow.set_current_details(page(self._book))

    # What is done

    def _enter(self, change: Change) -> None:
        # A policy file that is half written keeps levels waiting, and no stop behind them.
        urgent = change.order.kind == "stop"
        task = asyncio.create_task(self._entered(change.order.id, urgent=urgent))
        self._entering[task] = change.order.id
        task.add_done_callback(self._entering.pop)

    async def _entered(self, order_id: str, *, urgent: bool) -> None:
        """Have an order judged and kept. It is tried until it is."""
        async with contextlib.nullcontext() if urgent else self._one_by_one:
            change = self._open(order_id)
            if change is None:
                return
            entered = await self._judged(change)
            judged = entered.model_copy(update={"judged": len(change.statements)})
            # A second look at the same stop may have come to its end meanwhile.
            if self._open(order_id) is not None:
                self._book = self._book.entered(order_id, judged, workflow.now())
                self._stale = True

    def _open(self, order_id: str) -> Change | None:
        """The change of an order that nothing has come of yet."""
        change = self._book.change(order_id)
        return change if change is not None and change.is_open else None

    async def _judged(self, change: Change) -> OrderResult:
        order = change.order
        book, said = self._book, change.statements
        given = OrderRequest(agent=book.agent, order=order, statements=said, held=book.ledger)
        try:
            return await self._do(
                ENTER_ORDER, given, OrderResult, f"{order_in_words(order)} by {order.by}"
            )
        except ActivityError as error:
            return OrderResult(stand=OrderState.REFUSED, why=error_in_words(error))

    async def _look(self) -> None:
        """See what is in force; have cases go on whose stop is over."""
        self._stale = False
        with contextlib.suppress(ActivityError):
            picture: AutonomyView = await self._do(
                LOOK_AT_AUTONOMY, self._book.agent, AutonomyView, "what is in force now?"
            )
            self._book, freed = self._book.seen(picture)
            self._show()
            if freed:
                await self._do(WAKE_CASES, self._book.agent, None, "go on: a stop is over")

    async def _do(self, name: str, given: Any, returns: type[R] | None, summary: str) -> Any:
        return await workflow.execute_activity(
            name,
            given,
            result_type=returns,
            start_to_close_timeout=_TIME,
            retry_policy=_TRIES,
            summary=summary[:200],
        )

    async def _until_something(self) -> None:
        until = self._book.until()
        left = LOOK_AGAIN if until is None else min(until - workflow.now(), LOOK_AGAIN)
        try:
            await workflow.wait_condition(
                lambda: self._stale or self._full,
                timeout=max(left, timedelta(milliseconds=1)),
                timeout_summary="until it looks again",
            )
        except TimeoutError:
            self._stale = True

    async def _renew(self, begun_with: StewardInput) -> None:
        """Go on in a new run when the history has grown long, while no order is on its way."""
        self._full = False
        if self._entering or not self._is_long():
            return
        await workflow.wait_condition(workflow.all_handlers_finished)
        carried = self._book.model_dump(mode="json")
        workflow.continue_as_new(begun_with.model_copy(update={"carried": carried}))

    def _is_long(self) -> bool:
        info = workflow.info()
        return info.is_continue_as_new_suggested() or info.get_current_history_length() > LONGEST

    def _show(self) -> None:
        """Show in the UI what is in force, so that it is seen without a worker, too."""
        workflow.set_current_details(page(self._book))
        if self._book.ledger is not None and self._book.ledger != self._noted:
            # Workers ask for it before they write, and need no other worker for the answer.
            self._noted = self._book.ledger
            workflow.upsert_memo({HELD_LEDGER: self._noted})
        stopped = self._book.picture is not None and bool(self._book.picture.stopped)
        if stopped != self._risk:
            self._risk = stopped
            key = PROBLEM_ATTRIBUTE
            problem = key.value_set(STOPPED) if stopped else key.value_unset()
            # Stewards of old said it as their risk.
            workflow.upsert_search_attributes([problem, RISK_ATTRIBUTE.value_unset()])  # pyright: ignore[reportUnknownMemberType]  # Temporal's own signature is


@workflow.defn(name=STEWARD_WORKFLOW, versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class VersionedAutonomyWorkflow(AutonomyWorkflow):
    """The same where workers are versioned: pinned, it would outlive the last of its version.

    Temporal takes a behaviour only from workers that are.
    """

    @workflow.init
    def __init__(self, begun_with: StewardInput) -> None:
        """Begin as any steward."""
        super().__init__(begun_with)

    @workflow.run
    @override
    async def run(self, begun_with: StewardInput) -> None:
        """Go on as any steward."""
        await super().run(begun_with)


def _payloads(raw: object) -> list[Payload]:
    """What came with a signal. Several values come decoded: they are only counted."""
    if not isinstance(raw, RawValue):
        return [Payload(), Payload()]
    return [] if raw is _NOTHING else [raw.payload]


# What Temporal's UI shows of it


def page(book: OrderBook) -> str:
    """The page of an agent's steward, in Markdown."""
    lines = [f"### {_headline(book)}", ""]
    if book.picture is not None:
        lines += _in_force(book.picture)
    lines += _waiting(book)
    lines += _history(book)
    lines += _how(book)
    whole = "\n".join(lines)
    cut = whole.encode()[:LARGEST_PAGE].decode(errors="ignore")
    return whole if len(cut) == len(whole) else f"{cut}\n\n(cut short: see the query `autonomy`)"


def _headline(book: OrderBook) -> str:
    name = _safe(book.agent)
    if book.strange is not None:
        return f"{name}: a worker has another ledger, or one that went back, and writes nothing"
    if book.picture is None:
        return f"{name}: not looked at yet"
    stops = book.picture.stops
    if any(each.what in {"every agent", book.agent} for each in stops):
        return f"{name} is stopped"
    return f"{name} is stopped in part" if stops else f"{name} runs"


def _in_force(seen: AutonomyView) -> list[str]:
    lines: list[str] = []
    for stop in seen.stops[:SHOWN]:
        lines += [_stop(stop), ""]
    if len(seen.stops) > SHOWN:
        lines += [f"(and {len(seen.stops) - SHOWN} more stops: `handrail stops`)", ""]
    if seen.fault:
        lines += [f"**Its policy cannot be read, so nothing is written:** {_safe(seen.fault)}", ""]
    if seen.steps:
        lines += [*(_step(each) for each in seen.steps), ""]
        lines += [f"Policy in force: {_safe(seen.policy)}.", ""]
    if seen.accepted:
        lines += [*(f"- {_safe(each)}" for each in seen.accepted[-3:]), ""]
    if seen.people:
        lines += [f"Who may let it do more: {', '.join(map(_safe, seen.people))}.", ""]
    return lines


def _stop(stop: StopInForce) -> str:
    who = _safe(stop.by) + ("" if stop.proven else " (unproven)")
    why = f": {_safe(stop.why)}" if stop.why else ""
    since = moment_in_words(stop.at)
    return f"**Stopped: {_safe(stop.what)}** since {since} by {who}{why} (`{stop.id}`)"


def _step(step: StepView) -> str:
    share = f" {percent(step.rollout)}" if step.level == "full" and step.rollout < WHOLE else ""
    by = _safe(step.label) if step.label else "by the policy file"
    file = f" (the file says {_safe(step.filed)})" if step.label and step.filed else ""
    return f"- {_safe(step.step)}: **{_safe(step.level)}{share}**, {by}{file}"


def _waiting(book: OrderBook) -> list[str]:
    lines: list[str] = []
    for change in book.waiting:
        body = {"id": change.order.id, "by": "you@example.com", "why": ""}
        lines += [
            f"#### Waits for a second person: {_safe(order_in_words(change.order))}",
            "",
            f"asked by {_who(change)} at {moment_in_words(change.since)}; {_safe(change.note)}",
            "",
            f"In a shell: `handrail autonomy --second {change.order.id} --by you@example.com`",
            "",
            "Or, where orders need no proof, the signal `second`:",
            "",
            markdown_json(body),
            "",
        ]
    return lines


def _history(book: OrderBook) -> list[str]:
    if not book.changes and not book.ignored:
        return []
    lines = ["#### What changed", ""]
    lines += [_change(change) for change in reversed(book.changes[-SHOWN:])]
    lines += [f"- {moment_in_words(each.at)}: ignored {_safe(each.text)}" for each in book.ignored]
    return [*lines, ""]


def _change(change: Change) -> str:
    order = change.order
    proven = "" if change.proven or change.stand is OrderState.ASKED else " (unproven)"
    why = f": {_safe(order.why)}" if order.why else ""
    note = f" ({_safe(change.note)})" if change.note else ""
    return (
        f"- {moment_in_words(change.since)}: {_safe(order_in_words(order))} "
        f"by {_who(change)}{proven}{why}: **{change.stand}**{note}"
    )


def _who(change: Change) -> str:
    return ", ".join(map(_safe, change.people or (change.order.by,)))


def _how(book: OrderBook) -> list[str]:
    agent = _safe(book.agent)
    shell = (
        f"In a shell: `handrail stop {agent}`, `handrail lift ID`, "
        f"`handrail autonomy {agent} WRITE supervised`. Or press *More Actions*, *Send a Signal*: "
        "`stop` takes nothing, or `by` and `why`."
    )
    return ["#### To change it", "", shell, ""]


def _safe(text: str) -> str:
    return escape_markdown(text, _LONGEST)
