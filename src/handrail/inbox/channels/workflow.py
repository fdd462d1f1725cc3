"""The workflow `Messages`: it tells people of one gate, and follows it until it has closed.

It is a workflow and not a task of the inbox, so that a message is sent although the inbox was
away when the gate opened, and not again although it was killed right after it was sent. Its
history says who was told, by what, when, and what failed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

from handrail.actions import Wire
from handrail.agent import AGENT_ATTRIBUTE, RISK_ATTRIBUTE
from handrail.inbox.channels import delivery as books
from handrail.inbox.channels.delivery import Book, Fate, Letter, Try
from handrail.inbox.channels.shown import details, summary
from handrail.inbox.channels.wire import Ended, Locking, Look, Looking, Ref, Telling, What
from handrail.oversight import (
    BOUNCED_SIGNAL,
    LOOK_SIGNAL,
    NOTIFY_WORKFLOW,
    BounceReport,
    NotificationRequest,
)

if TYPE_CHECKING:
    from handrail.inbox.channels.wire import Query

UNDELIVERED = "undelivered"
"""The HandrailRisk of a gate of which somebody could not be told."""

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


class Done(Wire):
    """How it ended: who was told, and who could not be."""

    told: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()
    ended: str = ""


@workflow.defn(name=NOTIFY_WORKFLOW)
class Messages:
    """Tells people of one gate, reminds them, and says how it ended."""

    @workflow.init
    def __init__(self, call: NotificationRequest) -> None:
        """Begin, or go on with the book of an earlier run."""
        self._call = call.model_copy(update={"carried": None})
        self._book = Book.model_validate(call.carried or {})
        self._couriers: dict[str, asyncio.Task[None]] = {}
        self._nudged = False
        self._bounces: list[BounceReport] = []
        self._waits = 0
        self._seen: tuple[str, ...] = ()
        self._silent = False

    @workflow.run
    async def run(self, call: NotificationRequest) -> Done:
        """Follow the gate until it has closed and every message says so."""
        del call  # __init__ has it
        self._show()
        while True:
            await self._look()
            if self._silent:
                return self._done()
            if self._book.ended is not None:
                break
            self._send()
            self._show()
            await self._until_something()
            self._renew()
        await self._close()
        self._show()
        return self._done()

    # What is heard. Handlers never raise: that would wedge the workflow.

    @workflow.signal(dynamic=True)
    def _heard(self, name: str, args: Sequence[RawValue]) -> None:
        if name == LOOK_SIGNAL:
            self._nudged = True
        elif name == BOUNCED_SIGNAL and len(args) == 1:
            with contextlib.suppress(ValidationError):
                self._bounces.append(BounceReport.model_validate_json(args[0].payload.data))

    @workflow.query(name="told", description="Who was told, by what, when, and what failed")
    def _told(self) -> Book:
        return self._book

    # One round

    async def _look(self) -> None:
        """See how the gate is now, and enter what is due by that."""
        self._nudged = False
        people = tuple(each.by for each in self._book.questions)
        owner = (self._book.owner,) if self._book.owner else ()
        look = await workflow.execute_activity(
            "messages.look",
            Looking(call=self._call, people=(*people, *owner)),
            result_type=Look,
            start_to_close_timeout=ATTEMPT,
            retry_policy=_LOOKS,
            summary="how is the gate now?",
        )
        self._silent = look.silent
        if self._silent:
            return
        self._book = books.see(self._book, look)
        stale = look.view is not None and self._over(look.view.next)
        self._waits = self._waits + 1 if stale or not look.fresh else 0

    def _over(self, moment: Any) -> bool:
        return moment is not None and moment <= workflow.now()

    async def _until_something(self) -> None:
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._nudged or bool(self._bounces),
                timeout=self._patience(),
                timeout_summary="until something is due",
            )
        for bounce in self._bounces:
            if bounce.final:
                self._book = books.bounced(
                    self._book, bounce.tag, f"{bounce.code} {bounce.why}".strip()
                )
        self._bounces.clear()

    def _patience(self) -> timedelta:
        """How long to wait: for what time does next, or ever longer for a case that is silent."""
        if self._waits:
            return min(_SECOND * 2 ** min(self._waits - 1, 10), LAST_POLL)
        view = self._book.view
        if view is None or view.next is None:
            return POLL
        return min(max(view.next - workflow.now(), timedelta(0)) + _SECOND, POLL)

    def _renew(self) -> None:
        """Go on in a new run when the history has grown long, while nobody is being told."""
        info = workflow.info()
        long = info.is_continue_as_new_suggested() or info.get_current_history_length() > LONGEST
        if long and not self._couriers:
            carried = self._book.model_dump(mode="json")
            workflow.continue_as_new(self._call.model_copy(update={"carried": carried}))

    # Telling

    def _send(self) -> None:
        """See to it that for everybody who must be told something somebody is on the way."""
        for letter in self._book.letters:
            who = letter.due.person
            if letter.fate is Fate.GOING and who not in self._couriers:
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
            for number, each in enumerate(self._book.letters)
            if each.due.person == who and each.fate is Fate.GOING
        )
        return next(going, None)

    async def _carry(self, number: int) -> None:
        """Try the next channel for one message, and enter what became of it."""
        letter = self._book.letters[number]
        way = self._book.way(letter)
        view = self._book.view
        if way is None or view is None:
            self._enter(number, fate=Fate.LOST)
            workflow.logger.warning("%s cannot be told by any channel", letter.due.person)
            # It may be that now nobody of a role can be reached.
            self._book = books.enter(self._book, books.early(self._book))
            self._send()
            return
        telling = Telling(
            call=self._call,
            due=letter.due,
            view=view,
            channel=way,
            at=workflow.now(),
            root=self._book.root(letter.due.person),
            ended=self._book.ended,
            question=self._question(letter),
        )
        await self._try(number, telling)

    async def _try(self, number: int, telling: Telling) -> None:
        try:
            ref = await workflow.execute_activity(
                "messages.tell",
                telling,
                result_type=Ref,
                start_to_close_timeout=ATTEMPT,
                retry_policy=TRIES,
                # So that what was sent in the last moment is known, and can be locked.
                cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=summary(telling),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._enter(number, Try(channel=telling.channel, at=workflow.now(), why=_why(error)))
            return
        tried = Try(channel=telling.channel, at=workflow.now(), ref=ref)
        self._enter(number, tried, fate=Fate.TOLD)

    def _enter(self, number: int, *tried: Try, fate: Fate = Fate.GOING) -> None:
        letter = self._book.letters[number]
        changed = letter.model_copy(update={"tries": (*letter.tries, *tried), "fate": fate})
        self._book = self._book.with_letter(number, changed)

    def _question(self, letter: Letter) -> Query | None:
        if letter.due.what not in {What.QUESTION, What.ANSWER}:
            return None
        return next((each for each in self._book.questions if each.id == letter.due.n), None)

    # The end

    async def _close(self) -> None:
        """Stop telling; then say in every message how it ended."""
        for courier in list(self._couriers.values()):
            courier.cancel()
        await workflow.wait_condition(lambda: not self._couriers)
        ended = self._book.ended or Ended(how="gone")
        self._book = books.closing(self._book)
        self._send()
        await asyncio.gather(*(self._lock(ref, ended) for ref in self._in_slack()))
        await workflow.wait_condition(lambda: not self._couriers)

    def _in_slack(self) -> list[Ref]:
        """Every message in Slack that has buttons."""
        refs = (each.ref for each in self._book.letters if each.due.what is not What.CLOSED)
        return [ref for ref in refs if ref is not None and ref.channel == "slack"]

    async def _lock(self, ref: Ref, ended: Ended) -> None:
        view = self._book.view
        if view is None:
            return
        try:
            await workflow.execute_activity(
                "messages.lock",
                Locking(call=self._call, view=view, ref=ref, ended=ended),
                start_to_close_timeout=ATTEMPT,
                retry_policy=TRIES,
                summary=f"lock: {ended.how}",
            )
        except ActivityError as error:
            workflow.logger.warning("a message in Slack could not be locked: %s", _why(error))

    def _done(self) -> Done:
        told = (f"{e.due.person}: {e.due.what}" for e in self._book.letters if e.fate is Fate.TOLD)
        return Done(
            told=tuple(told)[:_KEPT],
            unreached=self._book.unreached()[:_KEPT],
            ended="no channel is set up"
            if self._silent
            else (self._book.ended.how if self._book.ended else ""),
        )

    def _show(self) -> None:
        """Say in the UI who was told and who was not, so that it can be found."""
        workflow.set_current_details(details(self._call, self._book))
        seen = (self._call.case.partition(":")[0], *self._book.unreached())
        if seen == self._seen:
            return
        self._seen = seen
        updates = [AGENT_ATTRIBUTE.value_set(seen[0])]
        if len(seen) > 1:
            updates.append(RISK_ATTRIBUTE.value_set(UNDELIVERED))
        workflow.upsert_search_attributes(updates)  # pyright: ignore[reportUnknownMemberType]  # Temporal's own signature is


def _why(error: ActivityError) -> str:
    cause = error.cause
    return cause.message if isinstance(cause, ApplicationError) else str(cause or error)
