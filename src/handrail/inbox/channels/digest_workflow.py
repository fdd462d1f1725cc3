"""The workflow that gathers what one person is told into one message.

The messages of each gate bring it what may wait, and are told what became of it: nothing is
kept anywhere else, so an inbox that is killed loses nothing and sends nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from datetime import timedelta

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from handrail.inbox.channels.delivery import MessageRef
from handrail.inbox.channels.digests import (
    ADD_SIGNAL,
    DIGEST_WORKFLOW,
    KEPT,
    SENT_SIGNAL,
    DigestBook,
    DigestCall,
    DigestItem,
    DigestMessage,
    DigestNews,
    DigestReport,
)
from handrail.inbox.channels.workflow import ATTEMPT, LONGEST, TRIES, why_failed
from handrail.oversight import BOUNCED_SIGNAL, BounceReport, message_id
from handrail.text import escape_markdown, moment_in_words, one_line

_LOOK = timedelta(minutes=10)
_ALIVE = timedelta(seconds=30)
_LOOKS = RetryPolicy(maximum_interval=timedelta(minutes=1))


@workflow.defn(name=DIGEST_WORKFLOW)
class Digest:
    """Gathers the messages to one person, and sends them as one when they are due."""

    @workflow.init
    def __init__(self, call: DigestCall) -> None:
        """Begin, or go on with what an earlier run had."""
        self._who = call.person
        self._book = DigestBook.model_validate(call.carried or {})
        self._bounces: list[BounceReport] = []
        self._news = False

    @workflow.run
    async def run(self, call: DigestCall) -> int:
        """Send what is due, until nothing waits and all is forgotten. Returns how many went out."""
        del call  # __init__ has it
        number = 0
        while not self._book.over(workflow.now()):
            self._show()
            number += await self._turn()
            self._book = self._book.forget(workflow.now())
            await self._pass_on()
            self._renew()
            await self._until_something()
        return number

    # What is heard. Handlers never raise: that would wedge the workflow.

    @workflow.signal(dynamic=True)
    def _heard(self, name: str, args: Sequence[RawValue]) -> None:
        if len(args) != 1:
            return
        with contextlib.suppress(ValidationError):
            if name == ADD_SIGNAL:
                item = DigestItem.model_validate_json(args[0].payload.data)
                if item.due.person == self._who:
                    self._book, self._news = self._book.add(item), True
            elif name == BOUNCED_SIGNAL:
                report = BounceReport.model_validate_json(args[0].payload.data)
                if report.final and report not in self._bounces:
                    self._bounces.append(report)

    @workflow.query(name="digest", description="What waits for this person, and what went out")
    def _told(self) -> DigestBook:
        return self._book

    # One turn

    async def _turn(self) -> int:
        self._news = False
        alone = self._book.alone()
        self._book = self._book.without(alone, workflow.now())
        await self._report(alone)
        if not self._book.due(workflow.now()):
            return 0
        items = self._book.waiting
        channels = sorted({each.channel for each in items})
        sent = [
            await self._send(channel, tuple(each for each in items if each.channel == channel))
            for channel in channels
        ]
        return sum(sent)

    async def _send(self, channel: str, items: tuple[DigestItem, ...]) -> int:
        """Send one message of all that waits for this channel. What is over is left out."""
        news = await workflow.execute_activity(
            "digest.look",
            items,
            result_type=DigestNews,
            start_to_close_timeout=_LOOK,
            heartbeat_timeout=_ALIVE,
            retry_policy=_LOOKS,
            summary=f"how do {len(items)} questions stand?",
        )
        told = tuple(each for each in items if each.key in news.keys)
        if len(news.rows) <= 1:  # what is alone is said in full
            self._book = self._book.without(items, workflow.now())
            await self._report(told)
            return 0
        message = DigestMessage(
            person=self._who, channel=channel, key=items[0].key, at=workflow.now(), news=news
        )
        ref, why = await self._try(message)
        self._book = self._book.without(items, workflow.now(), ref.tag if ref else "")
        await self._report(told, ref, why)
        return 1 if ref else 0

    async def _try(self, message: DigestMessage) -> tuple[MessageRef | None, str]:
        try:
            ref = await workflow.execute_activity(
                "digest.tell",
                message,
                result_type=MessageRef,
                start_to_close_timeout=ATTEMPT,
                retry_policy=TRIES,
                summary=one_line(
                    f"{message.news.total} questions: {self._who} by {message.channel}", 200
                ),
            )
        except ActivityError as error:
            why = why_failed(error)
            workflow.logger.warning("no digest to %s by %s: %s", self._who, message.channel, why)
            return None, why or "it failed"
        return ref, ""

    async def _report(
        self, items: Iterable[DigestItem], ref: MessageRef | None = None, why: str = ""
    ) -> None:
        """Tell the messages of each gate what became of theirs."""
        await asyncio.gather(
            *(
                _signal(each.call.gate, SENT_SIGNAL, DigestReport(key=each.key, ref=ref, why=why))
                for each in items
            )
        )

    async def _pass_on(self) -> None:
        """A digest that came back reached nobody: each gate tries the next way."""
        while self._bounces:
            report = self._bounces.pop(0)
            gates = {each.gate for each in self._book.sent if each.tag == report.tag}
            await asyncio.gather(*(_signal(g, BOUNCED_SIGNAL, report) for g in sorted(gates)))

    async def _until_something(self) -> None:
        now = workflow.now()
        at = self._book.next() or now + KEPT
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._news or bool(self._bounces),
                timeout=max(at - now, timedelta(0)) + timedelta(seconds=1),
                timeout_summary="until something is due",
            )

    def _renew(self) -> None:
        info = workflow.info()
        long = info.is_continue_as_new_suggested() or info.get_current_history_length() > LONGEST
        if long and not self._bounces and not self._news:
            carried = self._book.model_dump(mode="json")
            workflow.continue_as_new(DigestCall(person=self._who, carried=carried))

    def _show(self) -> None:
        due = self._book.next()
        when = f", the next at {moment_in_words(due)}" if due else ""
        workflow.set_current_details(
            f"### Digest of {escape_markdown(self._who)}\n\n"
            f"{len(self._book.waiting)} wait{when}; {len(self._book.sent)} went out in a day."
        )


async def _signal(gate: str, name: str, said: DigestReport | BounceReport) -> None:
    """Tell the messages of a gate. Where they are over nobody needs to know."""
    try:
        await workflow.get_external_workflow_handle(message_id(gate)).signal(name, said)
    except ApplicationError as error:
        workflow.logger.info("the messages of %s are over: %s", gate, error)
