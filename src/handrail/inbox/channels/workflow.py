"""The workflow of one gate's notifications: it follows the gate until it has closed.

It is a workflow and not a task of the inbox, so that a message is sent although the inbox was
away when the gate opened, and not again although it was killed right after it was sent. Its
history says who was told, by what, when, and what failed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy, SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

from handrail.actions import Wire
from handrail.agent import AGENT_ATTRIBUTE, PROBLEM_ATTRIBUTE
from handrail.inbox.channels import delivery, webhooks
from handrail.inbox.channels.again import again, next_round
from handrail.inbox.channels.closing import closing
from handrail.inbox.channels.content import ended_words
from handrail.inbox.channels.delivery import (
    Delivery,
    DeliveryAttempt,
    DeliveryLog,
    DeliveryRequest,
    DeliveryStatus,
    GateOutcome,
    GateSnapshot,
    LockRequest,
    MessageRef,
    NotificationKind,
    SnapshotRequest,
)
from handrail.inbox.channels.digests import SENT_SIGNAL, DigestReport, reported
from handrail.oversight import (
    BOUNCED_SIGNAL,
    LOOK_SIGNAL,
    NOTIFY_WORKFLOW,
    BounceReport,
    NotificationRequest,
)
from handrail.text import escape_markdown, moment_in_words, one_line

if TYPE_CHECKING:
    from handrail.inbox.channels.delivery import ConsultationSummary

UNDELIVERED = "undelivered"
"""The HandrailProblem of a gate of which somebody could not be told."""

POLL = timedelta(minutes=30)
"""After this time it looks again, although nothing said that it must."""

LAST_POLL = timedelta(minutes=10)
_SECOND = timedelta(seconds=1)

TRIES = RetryPolicy(
    initial_interval=timedelta(seconds=5),
    backoff_coefficient=3,
    maximum_interval=timedelta(minutes=2),
    maximum_attempts=5,
)
"""One channel is tried for about three minutes; then it is the next one's turn."""

LONGEST = 4_000
"""Events of a history, after which it goes on in a new run."""

_LOOKS = RetryPolicy(maximum_interval=timedelta(minutes=1))
ATTEMPT = timedelta(seconds=60)
"""How long one try may take. A try whose inbox was killed is repeated after it."""

_KEPT = 200
_UNDERWAY = frozenset({DeliveryStatus.GOING, DeliveryStatus.HELD})
AGAIN_PATCH = "who was not reached is tried again"

LARGEST = 18_000
"""Bytes of the details; Temporal takes 20,000."""


class DeliverySummary(Wire):
    """How it ended: who was told, and who could not be."""

    told: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()
    ended: str = ""


@workflow.defn(name=NOTIFY_WORKFLOW)
class GateNotifications:
    """Tells people of one gate, reminds them, and says how it ended."""

    @workflow.init
    def __init__(self, call: NotificationRequest) -> None:
        """Begin, or go on with the log of an earlier run."""
        self._call = call.model_copy(update={"carried": None})
        self._log = DeliveryLog.model_validate(call.carried or {})
        self._couriers: dict[str, asyncio.Task[None]] = {}
        self._nudged = False
        self._bounces: dict[str, BounceReport] = {}
        self._reports: dict[str, DigestReport] = {}
        self._waits = 0
        self._seen: tuple[str, ...] = ()
        self._silent = False
        self._hook = False
        self._hooks: list[asyncio.Task[None]] = []

    @workflow.run
    async def run(self, call: NotificationRequest) -> DeliverySummary:
        """Follow the gate until it has closed and every message says so."""
        del call  # __init__ has it
        self._show()
        while True:
            await self._look()
            if self._silent and not self._hook:
                return self._done()
            self._tell_hook()
            if self._log.ended is not None:
                break
            self._try_again()
            self._send()
            self._show()
            await self._until_something()
            self._renew()
        await self._close()
        self._show()
        await asyncio.gather(*self._hooks)
        return self._done()

    # What is heard. Handlers never raise: that would wedge the workflow.

    @workflow.signal(dynamic=True)
    def _heard(self, name: str, args: Sequence[RawValue]) -> None:
        if name == LOOK_SIGNAL:
            self._nudged = True
        elif name == BOUNCED_SIGNAL and len(args) == 1:
            with contextlib.suppress(ValidationError):
                report = BounceReport.model_validate_json(args[0].payload.data)
                # Anybody may send thousands. One counts of each mail that was sent.
                self._nudged = True
                if report.final and report.tag in self._log.tags():
                    self._bounces.setdefault(report.tag, report)
        elif name == SENT_SIGNAL and len(args) == 1:
            with contextlib.suppress(ValidationError):
                self._digested(DigestReport.model_validate_json(args[0].payload.data))

    def _digested(self, report: DigestReport) -> None:
        """Enter what became of a message that waited. It may be said before it is known to wait."""
        waits = (e for e in self._log.letters if e.fate in _UNDERWAY and not e.at_once)
        if any(each.due.key(self._call.gate) == report.key for each in waits):
            self._reports[report.key] = report
            self._take_reports()

    def _take_reports(self) -> None:
        for key, report in list(self._reports.items()):
            before = self._log
            self._log = reported(before, report, workflow.now())
            if self._log is not before:
                del self._reports[key]
                self._nudged = True

    @workflow.query(name="told", description="Who was told, by what, when, and what failed")
    def _told(self) -> DeliveryLog:
        return self._log

    # One round

    async def _look(self) -> None:
        """See how the gate is now, and enter what is due by that."""
        self._nudged = False
        people = tuple(each.by for each in self._log.questions)
        owner = (self._log.owner,) if self._log.owner else ()
        look = await workflow.execute_activity(
            "messages.look",
            SnapshotRequest(call=self._call, people=(*people, *owner)),
            result_type=GateSnapshot,
            start_to_close_timeout=ATTEMPT,
            retry_policy=_LOOKS,
            summary="how is the gate now?",
        )
        self._silent, self._hook = look.silent, look.hook
        if self._silent and not self._hook:
            return
        if self._silent:
            seen = {"view": look.view or self._log.view, "ended": look.ended}
            self._log = self._log.model_copy(update=seen)
        else:
            self._log = delivery.see(self._log, look)
        stale = look.view is not None and self._over(look.view.next)
        self._waits = self._waits + 1 if stale or not look.fresh else 0

    def _tell_hook(self) -> None:
        """Have another program told that the gate has opened, and that it has closed: each once."""
        view, ended = self._log.view, self._log.ended
        if self._hook and not self._log.hooked and view is not None:
            self._log = self._log.model_copy(update={"hooked": True})
            self._hooks.append(asyncio.create_task(webhooks.tell(webhooks.opened(view))))
        if self._hook and ended is not None:
            event = webhooks.closed(self._call.case, self._call.gate, ended, workflow.now())
            self._hooks.append(asyncio.create_task(webhooks.tell(event)))

    def _over(self, moment: Any) -> bool:
        return moment is not None and moment <= workflow.now()

    async def _until_something(self) -> None:
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._nudged or bool(self._bounces),
                timeout=self._patience(),
                timeout_summary="until something is due",
            )
        for bounce in self._bounces.values():
            why = f"{bounce.code} {bounce.why}".strip()
            self._log = delivery.bounced(self._log, bounce.tag, why)
        self._bounces.clear()

    def _patience(self) -> timedelta:
        """How long to wait: for what time does next, or ever longer for a case that is silent."""
        if self._waits:
            return min(_SECOND * 2 ** min(self._waits - 1, 10), LAST_POLL)
        view = self._log.view
        due = next_round(self._log)
        if due is not None and not workflow.patched(AGAIN_PATCH):
            due = None
        moments = (due, view.next if view is not None else None)
        left = [max(each - workflow.now(), timedelta(0)) + _SECOND for each in moments if each]
        return min([*left, POLL])

    def _renew(self) -> None:
        """Go on in a new run when the history has grown long, while nobody is being told."""
        info = workflow.info()
        long = info.is_continue_as_new_suggested() or info.get_current_history_length() > LONGEST
        if long and not self._couriers and all(each.done() for each in self._hooks):
            carried = self._log.model_dump(mode="json")
            workflow.continue_as_new(self._call.model_copy(update={"carried": carried}))

    # Telling

    def _try_again(self) -> None:
        """Try whom no channel reached, once more: it may have been away for a while."""
        log = again(self._log, workflow.now())
        # Those that began before this gave them up.
        if log is not self._log and workflow.patched(AGAIN_PATCH):
            self._log = log

    def _send(self) -> None:
        """See to it that for everybody who must be told something somebody is on the way."""
        for letter in self._log.letters:
            who = letter.due.person
            if letter.fate is DeliveryStatus.GOING and who not in self._couriers:
                self._couriers[who] = asyncio.create_task(self._courier(who))

    async def _courier(self, who: str) -> None:
        """Take a person's messages to them, one after the other."""
        try:
            while (number := self._next(who)) is not None:
                await self._carry(number)
                self._show()
        finally:
            self._couriers.pop(who, None)

    def _next(self, who: str) -> int | None:
        going = (
            number
            for number, each in enumerate(self._log.letters)
            if each.due.person == who and each.fate is DeliveryStatus.GOING
        )
        return next(going, None)

    async def _carry(self, number: int) -> None:
        """Try the next channel for one message, and enter what became of it."""
        letter = self._log.letters[number]
        way = self._log.way(letter)
        view = self._log.view
        if way is None or view is None:
            self._enter(number, fate=DeliveryStatus.LOST)
            workflow.logger.warning("%s cannot be told by any channel", letter.due.person)
            # It may be that now nobody of a role can be reached.
            self._log = delivery.enter(self._log, delivery.early(self._log))
            self._send()
            # How long it waits is to be reckoned anew.
            self._nudged |= next_round(self._log) is not None and workflow.patched(AGAIN_PATCH)
            return
        telling = DeliveryRequest(
            call=self._call,
            due=letter.due,
            view=view,
            channel=way,
            at=workflow.now(),
            root=self._log.root(letter.due.person),
            ended=self._log.ended,
            question=self._question(letter),
            at_once=letter.at_once,
        )
        await self._try(number, telling)

    async def _try(self, number: int, telling: DeliveryRequest) -> None:
        try:
            ref = await workflow.execute_activity(
                "messages.tell",
                telling,
                result_type=MessageRef,
                start_to_close_timeout=ATTEMPT,
                retry_policy=TRIES,
                # So that what was sent in the last moment is known, and can be locked.
                cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=_summary(telling),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            final = isinstance(error.cause, ApplicationError) and error.cause.non_retryable
            why, now = why_failed(error), workflow.now()
            self._enter(
                number, DeliveryAttempt(channel=telling.channel, at=now, why=why, final=final)
            )
            return
        tried = DeliveryAttempt(channel=telling.channel, at=workflow.now(), ref=ref)
        self._enter(number, tried, fate=DeliveryStatus.HELD if ref.held else DeliveryStatus.TOLD)
        self._take_reports()

    def _enter(
        self, number: int, *tried: DeliveryAttempt, fate: DeliveryStatus = DeliveryStatus.GOING
    ) -> None:
        letter = self._log.letters[number]
        changed = letter.model_copy(update={"tries": (*letter.tries, *tried), "fate": fate})
        self._log = self._log.with_letter(number, changed)

    def _question(self, letter: Delivery) -> ConsultationSummary | None:
        if letter.due.what not in {NotificationKind.QUESTION, NotificationKind.ANSWER}:
            return None
        return next((each for each in self._log.questions if each.id == letter.due.n), None)

    # The end

    async def _close(self) -> None:
        """Stop telling; then say in every message how it ended."""
        for courier in list(self._couriers.values()):
            courier.cancel()
        await workflow.wait_condition(lambda: not self._couriers)
        ended = self._log.ended or GateOutcome(how="gone")
        old, new = (closing(self._log, everybody=everybody) for everybody in (False, True))
        # Those that began before this told only who had let its time pass.
        changes = old != new and workflow.patched("all-who-had-mail-are-told-the-end")
        self._log = new if changes else old
        self._send()
        await asyncio.gather(*(self._lock(ref, ended) for ref in self._in_slack()))
        await workflow.wait_condition(lambda: not self._couriers)
        # The last message, too, may wait for a digest.
        while self._fates() & _UNDERWAY:
            self._send()
            await workflow.wait_condition(
                lambda: not self._couriers and self._fates() & _UNDERWAY != {DeliveryStatus.HELD}
            )

    def _fates(self) -> set[DeliveryStatus]:
        return {each.fate for each in self._log.letters}

    def _in_slack(self) -> list[MessageRef]:
        """Every message in Slack that has buttons."""
        refs = (
            each.ref for each in self._log.letters if each.due.what is not NotificationKind.CLOSED
        )
        return [ref for ref in refs if ref is not None and ref.channel == "slack"]

    async def _lock(self, ref: MessageRef, ended: GateOutcome) -> None:
        view = self._log.view
        if view is None:
            return
        try:
            await workflow.execute_activity(
                "messages.lock",
                LockRequest(call=self._call, view=view, ref=ref, ended=ended),
                start_to_close_timeout=ATTEMPT,
                retry_policy=TRIES,
                summary=f"lock: {ended.how}",
            )
        except ActivityError as error:
            workflow.logger.warning("a message in Slack could not be locked: %s", why_failed(error))

    def _done(self) -> DeliverySummary:
        told = (
            f"{e.due.person}: {e.due.what}"
            for e in self._log.letters
            if e.fate is DeliveryStatus.TOLD
        )
        return DeliverySummary(
            told=tuple(told)[:_KEPT],
            unreached=self._log.unreached()[:_KEPT],
            ended="no channel is set up"
            if self._silent
            else (self._log.ended.how if self._log.ended else ""),
        )

    def _show(self) -> None:
        """Say in the UI who was told and who was not, so that it can be found."""
        workflow.set_current_details(_details(self._call, self._log))
        seen = (self._call.case.partition(":")[0], *self._log.unreached())
        if seen == self._seen:
            return
        updates: list[SearchAttributeUpdate[Any]] = [AGENT_ATTRIBUTE.value_set(seen[0])]
        if len(seen) > 1:
            updates.append(PROBLEM_ATTRIBUTE.value_set(UNDELIVERED))
        elif len(self._seen) > 1:
            updates.append(PROBLEM_ATTRIBUTE.value_unset())
        self._seen = seen
        mark(*updates)


def mark(*attributes: SearchAttributeUpdate[Any]) -> None:
    """Set search attributes of this workflow."""
    cast("Any", workflow).upsert_search_attributes(attributes)


def why_failed(error: ActivityError) -> str:
    """What an activity says of its failure."""
    cause = error.cause
    return cause.message if isinstance(cause, ApplicationError) else str(cause or error)


# What Temporal's UI shows


def _summary(telling: DeliveryRequest) -> str:
    """One activity in a line."""
    return one_line(f"{telling.due.what}: {telling.due.person} by {telling.channel}", 200)


def _details(call: NotificationRequest, log: DeliveryLog) -> str:
    """Who was told, by what, when, and what failed, in Markdown."""
    lines = [
        f"### Messages about {escape_markdown(call.case)}, gate {escape_markdown(call.gate)}",
        "",
    ]
    if log.ended is not None:
        lines += [escape_markdown(ended_words(log.ended)), ""]
    if log.unreached():
        lines += [f"**Not reached: {escape_markdown(', '.join(log.unreached()))}**", ""]
    if log.fault:
        fault = escape_markdown(log.fault)
        lines += [f"**The people file is broken, so those with faults get mail:** {fault}", ""]
    lines += [entry for letter in log.letters for entry in _entries(letter)]
    return "\n".join(lines).encode()[:LARGEST].decode(errors="ignore")


def _entries(letter: Delivery) -> list[str]:
    due = letter.due
    fate = "" if letter.fate is DeliveryStatus.TOLD else f": {letter.fate}"
    entries = [f"- **{due.what.replace('_', ' ')}** {escape_markdown(due.person)}{fate}"]
    for each in letter.tries:
        became = f"failed: {escape_markdown(each.why)}" if each.why else "sent"
        entries.append(f"    - {each.channel} at {moment_in_words(each.at)}: {became}")
    return entries
