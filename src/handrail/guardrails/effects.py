"""Once-only writes: the intent before the effect, the receipt after it, and doubt.

What is done when an intent is found without a receipt depends on what the outside
system can do. It takes the key: run again under the same key. It can be asked: ask,
and run only when the effect is not there. Neither: nobody can know, so a human says.

For the last two the attempt that left the intent must be over first. It is over when
its process is gone, or when it said so, or when its time has passed: no attempt begins
its effect after its deadline. A process that stands still may be past the last look at the
clock, and send what it was about to send as soon as it goes on: it is waited for. And what it
has sent may take effect later: for as long as the step says (`settles`) it is looked for again,
and never done again.

The ledger may have lost an intent. An attempt that is not the first, and whose key the ledger
does not know, is in doubt too, unless Temporal kept that nothing had been sent (`Heartbeats`).

Before an undo of a write without a receipt begins, that write is made impossible, for its
attempt may still be under way in a process that was taken for dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from temporalio.service import RPCError

from handrail.actions import Effect, LedgerMark, Receipt, undo_key
from handrail.agent import (
    BadResult,
    Extend,
    StepSecrets,
    call_step,
    current_heartbeats,
    require_contract,
    secrets_given,
)
from handrail.exceptions import Final, HandrailError, LedgerUnavailable, NotDone
from handrail.failpoints import reached
from handrail.guardrails.current import as_found, effect_as_current, result_as_json
from handrail.guardrails.machine import (
    is_sealed,
    new_owner,
    released_owner,
    sealed,
    server_start,
    unknown_owner,
)
from handrail.guardrails.predecessor import POLL, Doubt, Predecessor, answers, settled
from handrail.ledger import EffectRow, EffectState, Intent, Ledger, Stopped
from handrail.text import moment_in_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from handrail.actions import Undoes
    from handrail.agent import Step, Write
    from handrail.guardrails.context import Judgement, WriteContext
    from handrail.guardrails.recorder import Recorder

GRACE = timedelta(seconds=2)
"""How long after its end an attempt's request may still be on its way."""

PATIENCE = timedelta(seconds=15)
"""How long a receipt is tried to be kept while the ledger is away."""


class KeyUsed(HandrailError):
    """The key of this write was used for another action, or what it did was taken back."""


class BegunBefore(HandrailError):
    """The write had begun before, which was not known when it was judged."""


async def once(
    ledger: Ledger,
    step: Write[Any, Any],
    write: WriteContext,
    judged: Judgement,
    recorder: Recorder | None = None,
    *,
    seen: bool = True,
    steps: Sequence[Step[..., Any]] = (),
    seal: bytes = b"",
) -> Receipt | Doubt:
    """Make the effect of a write that was let pass happen once, however often this is called.

    What it was `judged` by is looked at once more in the transaction of its intent. `seen`:
    whether it is known that it had, or had not, begun before. `recorder`: keeps what is found wrong
    with the ledger. `steps`: all of the agent: an undo waits for the one that it takes back.
    `seal`: the key of the mark that its intent gets.

    Raises:
        RulingUsed: if what people said was used for another write meanwhile; call again.
        MandateSpent: if a standing approval was used up meanwhile; call again.
        BegunBefore: if it had begun before, and that was not `seen`; judge it as begun.
        Outdated: if what it was judged by is not so any more; judge it anew.
        KeyUsed: if the key has been used for another action, or its effect was taken back.
        Stopped: if a stop is in force; nothing was done now.
        OverLimit: if a limit would be exceeded; nothing was done.
        Duplicate: if the like was done a short while ago; nothing was done.
        Final: if the step says that it did not and will not happen.
        NotDone: if the step says that it did not happen; call again.
        BadResult: if it happened, and returned what its types do not allow.
        LedgerUnavailable: if the ledger cannot be used; call again.
        Exception: whatever else the step raises; nobody knows whether it happened.
    """
    writer = _Writer(ledger, step, write, judged, recorder, steps, seal)
    try:
        return await _once(writer, seen=seen)
    except BaseException as error:  # also when it is cancelled: whoever follows need not wait
        await writer.release(error)
        raise


async def _once(writer: _Writer, *, seen: bool) -> Receipt | Doubt:
    ledger, step, attempt = writer.ledger, writer.step, writer.attempt
    write, judged = writer.write, writer.judged
    if attempt.undoes is not None and attempt.undoes.receipt is None:
        await writer.forestall(attempt.undoes)
    reached("write:before-intent", attempt.case)
    begin = ledger.begin(
        writer.intent(),
        write.policy.of(write.step).limits,
        judged.duplicates,
        None if judged.begun else write.verdict_row(judged.verdict),
        ordered=writer.ordered,
        resumed=judged.begun,
        levels=write.levels,
        above=write.situation.mark if write.situation is not None else None,
    )
    begun = await _whole(begin)
    before = begun.before
    reached("write:after-intent", attempt.case)
    since = None if before is None else before.begun
    writer.effect = writer.effect.model_copy(update={"attempt": begun.attempt, "begun": since})
    writer.mark = begun.mark
    if before is None:
        return await writer.begin(begun.abandoned, begun.lost)
    if not seen:
        raise BegunBefore(f"{step.name} had begun before under its key {attempt.key}")
    if before.state is EffectState.TAKEN_BACK:
        raise KeyUsed(f"{step.name} is taken back, and is not begun any more")
    if before.digest != attempt.digest:
        raise KeyUsed(
            f"the key {attempt.key} was used for another action "
            f"({before.digest[:12]} at {moment_in_words(before.begun)})"
        )
    undone = await ledger.effect(undo_key(attempt.key))
    if undone is not None and undone.receipt is not None:
        raise KeyUsed(
            f"{step.name} was taken back at {moment_in_words(undone.receipt.at)}, and is "
            f"not done again under its key {attempt.key}; start a new case for it"
        )
    if before.receipt is not None:
        return before.receipt
    if begun.stop is not None:
        return await writer.found_or(begun.stop, before)
    return await writer.resume(before)


@dataclass
class _Writer:
    """One attempt at one effect."""

    ledger: Ledger
    step: Write[Any, Any]
    write: WriteContext
    judged: Judgement
    recorder: Recorder | None = None
    steps: Sequence[Step[..., Any]] = ()
    seal: bytes = b""
    owner: str = field(init=False)
    mark: LedgerMark | None = None
    unsent: bool = False
    """Whether nothing under its key can have been sent, by this attempt or by one before it."""

    def __post_init__(self) -> None:
        self.attempt, self.action = self.write.attempt, self.write.facts.action
        self.ordered = self.write.undoing and self.attempt.ordered
        self.heartbeats, self.made = current_heartbeats(), time.monotonic()
        self._start_clock()
        key, case, undoes = self.attempt.key, self.attempt.case, self.attempt.undoes
        self.effect = Effect(key=key, case=case, step=self.step.name, undoes=undoes)

    def _start_clock(self) -> None:
        self.owner = self._sealed(new_owner(self.step.timeout))
        self._start_time()

    def _sealed(self, owner: str) -> str:
        return sealed(owner, self.seal, self.attempt.key, self.attempt.digest)

    def _is_sealed(self, said: str) -> bool:
        return is_sealed(said, self.seal, self.attempt.key, self.attempt.digest)

    def _start_time(self) -> None:
        self.deadline = datetime.now(UTC) + self.step.timeout
        self.cutoff = asyncio.get_running_loop().time() + self.step.timeout.total_seconds()

    async def release(self, error: BaseException) -> None:
        """Spare the next attempt the wait for the deadline of this one, which broke off.

        And people a question, where it broke off before anything was sent.
        """
        mine, key = self.owner, self.attempt.key
        with contextlib.suppress(LedgerUnavailable):
            if self.unsent:
                why = str(error) or "it was broken off before anything was sent"
                await _whole(self.ledger.abandon(key, mine, why))
                return
            self.owner = self._sealed(released_owner(mine))
            await _whole(self.ledger.release(key, mine, self.owner))

    async def forestall(self, undoes: Undoes) -> None:
        """Make a write impossible that is about to be undone, and wait for what goes on of it.

        Raises:
            NotDone: if another attempt has just taken it over.
        """
        name = undoes.key.rsplit("/", 2)[1]
        write = replace(self.intent(), key=undoes.key, step=name, digest="", owner="")
        named = (each for each in self.steps if each.name == name)
        undone = cast("Write[Any, Any]", next(named, self.step))
        row = await _whole(self.ledger.forbid(write))
        if row.state is EffectState.INTENDED and not await self._close(write, row, undone):
            raise NotDone("another worker has taken over what is to be undone")
        if not row.digest and await self.ledger.effect(self.attempt.key) is None:
            # The ledger may have lost its intent, and its request be on its way, whatever is said.
            # Once this undo has begun it was waited for.
            await settled(undone, GRACE)
        self._start_clock()

    async def _close(self, write: Intent, row: EffectRow, undone: Write[Any, Any]) -> bool:
        """Wait for the end of an attempt, and let none follow it. False if one has."""
        before = Predecessor(row, undone.timeout, undone.settles, GRACE)
        row = await before.ended(self.ledger)
        if row.state is EffectState.INTENDED:
            async for _ in before.looks():
                pass
            return await _whole(self.ledger.take_back(row))
        # It may have ended without an effect, and then it could begin again.
        return (await _whole(self.ledger.forbid(write))).state is not EffectState.INTENDED

    def intent(self) -> Intent:
        made = self.write.intent(self.judged, self.owner, self.deadline)
        return replace(made, attempt=max(made.attempt, self.heartbeats.attempt))

    def _before(self, row: EffectRow | None) -> Predecessor:
        return Predecessor(row, self.step.timeout, self.step.settles, GRACE)

    async def begin(self, abandoned: int, lost: datetime | None) -> Receipt | Doubt:
        """Make the effect of an intent that is new, or of which all so far were `abandoned`.

        `lost`: since when one may have been sent, whatever its attempt says or leaves out.
        """
        marked = self.step.marked
        sent = (lost or self.attempt.sent) if not abandoned else None
        unknown = sent or not self.heartbeats.nothing_sent(marked=marked, abandoned=abandoned)
        # What people say of a doubt is of an intent that the ledger knew.
        if not unknown and self.attempt.doubt is None:
            return await self.perform(first=True)
        since = min(sent or self.heartbeats.scheduled, self.heartbeats.scheduled)
        self.effect = self.effect.model_copy(update={"begun": since})
        if self.step.find is not None and not self.write.came.misfit:
            with contextlib.suppress(Final):
                receipt = await self._found()  # what is there already is not waited for
                if receipt is not None:
                    return receipt
        return await self.resume(await self._put_back(since))

    async def _put_back(self, since: datetime) -> EffectRow:
        """Have the ledger know again the attempt that it lost: it is waited for, not this one.

        Raises:
            NotDone: if another attempt has followed this one meanwhile.
        """
        lost = self.heartbeats.sent_by
        if not self._is_sealed(lost):
            lost = self._sealed(unknown_owner())
        await _whole(self.ledger.release(self.attempt.key, self.owner, lost, since))
        row = await self.ledger.effect(self.attempt.key)
        if row is None or row.owner != lost:
            raise NotDone("another worker took this write over")
        return row

    async def found_or(self, stop: Stopped, row: EffectRow) -> Receipt:
        """What happened before a stop is not forgotten for it; nothing more is done.

        Raises:
            Stopped: if it is not known to have happened.
        """
        if self.step.find is None or self.write.came.misfit:
            raise stop
        row = await self._before(row).ended(self.ledger)
        if row.receipt is not None:
            return row.receipt
        if row.state is not EffectState.INTENDED:
            raise stop
        with contextlib.suppress(Final):
            if (receipt := await self._found()) is not None:
                return receipt
        raise stop

    async def resume(self, row: EffectRow) -> Receipt | Doubt:
        """Go on from an intent without a receipt."""
        key_lives = self.step.idempotent and self._key_lives(row.begun)
        asks = self.step.take_over == "ask"
        if key_lives and not asks:
            await self._take_over(row)
            return await self.perform(first=False)
        before = self._before(row)
        row = await before.ended(self.ledger)
        if row.receipt is not None:
            return row.receipt
        if row.state is EffectState.NOT_DONE:
            raise NotDone("the attempt before this one ended without an effect")
        may_follow = before.over or not asks
        if key_lives and may_follow:
            await self._take_over(row)
            return await self.perform(first=False)
        if self.step.find is not None and not self.write.came.misfit:
            try:
                receipt = await self._looked_for(before)
            except Final:  # it will never say: that it did not happen it has not said
                return await self._as_answered(row, before)
            if receipt is not None:
                return receipt
            if may_follow:
                await self._heed()
                await self._take_over(row)
                return await self.perform(first=True)
        return await self._as_answered(row, before)

    def _key_lives(self, since: datetime) -> bool:
        """Whether the outside system knows a key still that it was given then."""
        now = server_start() + timedelta(seconds=time.monotonic() - self.made)
        known = self.step.keeps is None or now - since < self.step.keeps
        return known and not self.write.came.differs

    async def _looked_for(self, before: Predecessor) -> Receipt | None:
        """Look for the effect again and again, until it cannot take effect any more."""
        async for _ in before.looks():
            receipt = await self._found()
            if receipt is not None:
                return receipt
        return None

    async def _found(self) -> Receipt | None:
        """Ask the outside system whether it is there."""
        assert self.step.find is not None  # noqa: S101  # the caller has looked
        self._start_time()
        reached("find:before", self.attempt.case)
        found = await self._in_time(self.step.find)
        reached("find:after", self.attempt.case)
        return None if found is None else await self._receipt("found", as_found(self.step, found))

    async def _heed(self) -> None:
        """See that nobody has stopped it while this waited for the attempt before it.

        Raises:
            Stopped: if somebody has.
        """
        await _whole(self.ledger.heed(self.intent(), ordered=self.ordered))

    async def _as_answered(self, row: EffectRow, before: Predecessor) -> Receipt | Doubt:
        said = self.attempt.doubt
        plain = before.settles is None
        known = plain or (said is not None and self._is_sealed(said.token))
        if said is None or not answers(self.attempt, row.owner, timed=not plain, known=known):
            reached("doubt:asking", self.attempt.case)
            doubt = before.doubt(row.owner, row.begun)
            return doubt if plain else replace(doubt, token=self._sealed(doubt.token))
        if said.answer == "happened":
            reached("doubt:happened", self.attempt.case)
            return await self._receipt("confirmed", said.result)
        # Before it is taken over: what people said is of the attempt that is in doubt.
        await self._heed()
        await self._take_over(row)
        reached("doubt:before-repeat", self.attempt.case)
        return await self.perform(first=True)

    async def perform(self, *, first: bool) -> Receipt:
        """Run the effect now. `first`: nothing under this key can have happened before."""
        if self.write.came.differs:
            why = f"{self.write.came.changed}; people are asked again"
            await _whole(self.ledger.abandon(self.attempt.key, self.owner, why))
            raise NotDone(why)
        self.unsent = first
        self._reached("before-effect")
        if self.step.marked:
            await self._mark()
        self.heartbeats.sent, self.unsent = True, False
        try:
            with effect_as_current(self.effect), secrets_given(self.step.secrets) as held:
                result = await self._in_time(self.step.fn, self._extend)
        except (Final, NotDone) as error:
            if first:
                await _whole(self.ledger.abandon(self.attempt.key, self.owner, str(error)))
            if isinstance(error, Final):
                await require_contract(self.step, error)
            raise
        self._reached("after-effect")
        return await self._receipt("written", result, held)

    async def _mark(self) -> None:
        """Have Temporal keep that it is sent now: it is known then although the ledger loses it.

        Raises:
            NotDone: if the server does not answer, or takes another attempt for the present one.
        """
        try:
            await self.heartbeats.mark_sent(self.owner)
        except RPCError as error:
            why = f"{self.step.name} is not begun: the server did not note it: {error.message}"
            raise NotDone(why) from error

    async def _receipt(
        self,
        how: Literal["written", "found", "confirmed"],
        result: Any,
        held: StepSecrets | None = None,
    ) -> Receipt:
        value, fault = (result, None)
        if how != "confirmed":
            value, fault = result_as_json(
                self.step, result, held or StepSecrets(frozenset(self.step.secrets))
            )
        receipt = Receipt(
            key=self.attempt.key,
            step=self.step.name,
            digest=self.attempt.digest,
            at=datetime.now(UTC),
            how=how,
            result=value,
            ledger=self.mark,
        )
        reached("write:before-receipt", self.attempt.case)
        await self._finish(receipt, fault)
        self._reached("after-receipt")
        if fault is not None:
            raise BadResult(f"{self.step.name} happened (receipt {self.attempt.key}), but {fault}")
        return receipt

    async def _finish(self, receipt: Receipt, fault: str | None) -> None:
        """Commit a receipt. What is known now a human would have to be asked about later."""
        until = time.monotonic() + PATIENCE.total_seconds()
        while True:
            try:
                kept = await _whole(self.ledger.finish(receipt, fault, self.intent()))
                break
            except LedgerUnavailable:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(POLL.total_seconds())
        if kept is not True and self.recorder is not None:
            await self.recorder.misfiled(self.write, self.step, receipt, kept or None)

    async def _in_time(self, fn: Callable[..., Any], extend: Extend | None = None) -> Any:
        """Call one of the step's functions until the deadline; not when that is over."""
        left = self.cutoff - asyncio.get_running_loop().time()
        if left <= 0:
            raise NotDone(f"{self.step.name}: its time was over before it began")
        return await call_step(fn, (self.action, self.effect), left, extend)

    async def _extend(self, seconds: float) -> bool:
        """Stay the owner while what was begun goes on past its time. False if another one is."""
        mine = self.owner
        self.owner = self._sealed(new_owner(timedelta(seconds=seconds)))
        try:
            return await _whole(self.ledger.release(self.attempt.key, mine, self.owner))
        except LedgerUnavailable:
            self.owner = mine
            return True  # to others neither

    async def _take_over(self, before: EffectRow) -> None:
        """Become the owner of an intent: of several that want to, one does."""
        await self.heartbeats.require_current()
        self._start_clock()
        if not await _whole(self.ledger.take_over(before, self.owner, self.deadline)):
            raise NotDone("another worker took this write over")
        self.effect = self.effect.model_copy(update={"attempt": before.attempt + 1})

    def _reached(self, what: str) -> None:
        kind = "undo" if self.attempt.undoes is not None else "write"
        reached(f"{kind}:{what}", self.attempt.case)


async def _whole(work: Awaitable[Any]) -> Any:
    """Await `work` to its end, also when this task is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
