"""Effects: the write-ahead intent of each write, its receipt, and the limits on them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from handrail.actions import LedgerMark, Receipt
from handrail.exceptions import NotDone
from handrail.ledger import counters, orders, rulings, verdicts
from handrail.ledger import limits as counted
from handrail.ledger.database import Database
from handrail.ledger.intents import BeginResult, EffectRow, Intent, Outdated, Situation, Stopped
from handrail.ledger.orders import Controls, controls_in_force
from handrail.ledger.rows import InsertNew, Rows
from handrail.ledger.tables import EffectState
from handrail.ledger.tables import effects as _effects
from handrail.wire import Duplicates, Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handrail.ledger.verdicts import VerdictRow


class Effects(Database):
    """The effects of a ledger."""

    async def begin(
        self,
        intent: Intent,
        limits: Sequence[Limit] = (),
        duplicates: Duplicates | None = None,
        verdict: VerdictRow | None = None,
        *,
        ordered: bool = False,
        resumed: bool = False,
        levels: frozenset[str] | None = None,
        above: LedgerMark | None = None,
    ) -> BeginResult:
        """Commit an intent before its effect, or say what is there under its key.

        Limits are counted in the same transaction, including this intent, over
        everything that was done or may have been. An intent that was there and is
        known not to have happened is taken over as new. In the same transaction the
        rulings and mandates that allow it are marked as used, by this key, and the `verdict`
        is kept. `ordered`: only a stop of this very step forbids it. `resumed`: nobody has judged
        it now, because it had begun. `levels`: the ids of the levels under which it was judged.
        `above`: how high this ledger was then.

        Raises:
            Outdated: if the levels, the policy in force, or the ledger, are others by now.
            NotDone: if it is `resumed` and known not to have happened; judge it anew.
            Stopped: if a stop is in force that forbids it; the same.
            Duplicate: if `duplicates` finds the like done before; the same.
            OverLimit: if a limit would be exceeded; nothing is recorded.
            RulingUsed: if a ruling was used under another key, or is not recorded; the same.
            MandateSpent: if a mandate has no use left, or is revoked; the same.
            LedgerUnavailable: if the database cannot be written.
        """

        def transaction(connection: sa.Connection) -> BeginResult:
            counters.rise(connection, intent.agent)
            # Before the intent: no stop comes between.
            orders.hold(connection)
            now = controls_in_force(connection, intent.agent, intent.case)
            _same_ledger(now, above)
            stop = _stop(now, intent, ordered=ordered)
            before = _begun_before(connection, intent)
            if before is not None and before.state is not EffectState.NOT_DONE:
                return BeginResult(before, stop, before.attempt, now.mark)
            if resumed:
                raise NotDone("what had begun did not happen after all; it is judged anew")
            if stop is not None:
                raise stop
            if levels is not None:
                _still(now, intent, levels)
            known = counted.within(connection, intent, limits, counted=now.counted)
            if duplicates is not None:
                counted.repeated(connection, intent, duplicates, known)
            _use_up(connection, intent, verdict, known)
            lost = before.begun if before is not None and not before.digest else None
            abandoned = 0 if before is None or lost else before.attempt
            number = _next_attempt(before, intent)
            return BeginResult(None, None, number, now.mark, abandoned, lost)

        return await self._run(transaction, short=True)

    async def heed(self, intent: Intent, *, ordered: bool = False) -> None:
        """See that no stop is in force for what has begun and is about to be sent.

        Raises:
            Stopped: if one is. `ordered`: as of `begin`.
        """

        def look(connection: sa.Connection) -> None:
            orders.hold(connection)
            now = controls_in_force(connection, intent.agent, intent.case)
            stop = _stop(now, intent, ordered=ordered)
            if stop is not None:
                raise stop

        await self._run(look)

    async def preview(
        self, intent: Intent, limits: Sequence[Limit], duplicates: Duplicates | None = None
    ) -> None:
        """Say now what `begin` would say of limits and duplicates, and record nothing.

        Raises:
            OverLimit: if a limit would be exceeded.
            Duplicate: if the like was done before.
        """

        def transaction(connection: sa.Connection) -> None:
            counters.lock(connection, intent.agent)
            known = counted.within(connection, intent, limits)
            if duplicates is not None:
                counted.repeated(connection, intent, duplicates, known)

        if limits or duplicates:
            await self._run(transaction)

    async def situation(
        self, agent: str, case: str | None = None, key: str | None = None
    ) -> Situation:
        """What a door must know before it judges, in one look. `key`: of the write.

        Without a `case` with the orders of all its cases.
        """

        def look(connection: sa.Connection) -> Situation:
            effect = None if key is None else _rows.one(connection, _LOOK, b_key=key)
            now = controls_in_force(connection, agent, case)
            return Situation(**vars(now), effect=effect)

        return await self._read(look)

    async def take_over(self, row: EffectRow, owner: str, deadline: datetime) -> bool:
        """Become the owner of an intent whose owner is gone. False if another was faster."""
        mine = _intended(row.key, row.owner).where(_effects.c.deadline == row.deadline)
        statement = mine.values(owner=owner, deadline=deadline, attempt=row.attempt + 1)
        return await self._changes(statement)

    async def release(
        self, key: str, owner: str, released: str, begun: datetime | None = None
    ) -> bool:
        """Say that an attempt of `owner` is over and left nothing that is known.

        `released`: the name of the same owner that says so, or until when it goes on instead; or of
        one that the ledger had lost, and then when that had `begun`.
        False if the intent is not its own.
        """
        more = {} if begun is None else {"begun": begun}
        return await self._changes(_intended(key, owner).values(owner=released, **more))

    async def note_lost(self, intent: Intent, begun: datetime) -> None:
        """Keep that an effect may have been sent then which is not let pass, nor known of.

        It is not done as far as the ledger knows, but of no action: whoever begins it hears of it.
        """
        why = "it may have been sent, was not known of, and was not let pass"
        lost = {"state": EffectState.NOT_DONE, "digest": "", "begun": begun, "error": why}

        def transaction(connection: sa.Connection) -> None:
            if not _insert(connection, _values(intent) | lost):
                not_done = (_effects.c.key == intent.key, _effects.c.state == EffectState.NOT_DONE)
                connection.execute(sa.update(_effects).where(*not_done).values(lost))

        await self._run(transaction)

    async def forbid(self, intent: Intent) -> EffectRow:
        """See to it that an effect never begins that has not begun. Returns how it stands.

        What has begun is left as it is: wait for its end, then `take_back`.
        """

        def transaction(connection: sa.Connection) -> EffectRow:
            values = _values(intent) | {"state": EffectState.TAKEN_BACK}
            _insert(connection, values)
            not_done = (_effects.c.key == intent.key, _effects.c.state == EffectState.NOT_DONE)
            forbidden = sa.update(_effects).values(state=EffectState.TAKEN_BACK)
            connection.execute(forbidden.where(*not_done))
            return _there(connection, intent.key)

        return await self._run(transaction)

    async def take_back(self, row: EffectRow) -> bool:
        """Close an intent whose owner is gone, for its undo. False if somebody goes on with it."""
        mine = _intended(row.key, row.owner).where(_effects.c.deadline == row.deadline)
        statement = mine.values(state=EffectState.TAKEN_BACK)

        def transaction(connection: sa.Connection) -> bool:
            counted.lock_for(connection, row.key)
            taken = connection.execute(statement).rowcount == 1
            if taken:
                counted.give_back(connection, row.key)
            return taken

        return await self._run(transaction)

    async def finish(
        self, receipt: Receipt, error: str | None = None, intent: Intent | None = None
    ) -> bool | Receipt:
        """Commit the receipt of an effect that happened. False if its intent was lost.

        What the ledger has lost of it is put down again from the `intent` that the writer holds.
        Where another attempt was faster its receipt stays, and is returned.
        """
        values = _ended_values(receipt.key, EffectState.DONE, receipt, error)

        def transaction(connection: sa.Connection) -> bool | Receipt:
            if connection.execute(_END_BEGUN, values).rowcount == 1:
                return True
            counted.lock_for(connection, receipt.key)
            # It was taken for not done, and happened all the same.
            if connection.execute(_END, values).rowcount == 1:
                counted.count_again(connection, receipt.key)
                return True
            there = _rows.one(connection, _LOOK, b_key=receipt.key)
            if there is not None:
                return there.receipt or True
            if intent is not None:
                counters.lock(connection, intent.agent)
                _insert(connection, _values(intent))
                connection.execute(_END, values)
                counted.count(connection, intent)
            return False

        return await self._run(transaction, short=True)

    async def abandon(self, key: str, owner: str, error: str) -> None:
        """Record that an effect certainly did not happen, and why.

        Only its `owner` may say so: to a later one it may be happening now. Its uses of
        mandates are given back; its rulings stay bound to its key, which may begin again.
        """
        values = _ended_values(key, EffectState.NOT_DONE, None, error)
        statement = _END_BEGUN.where(_effects.c.owner == owner)

        def transaction(connection: sa.Connection) -> None:
            counted.lock_for(connection, key)
            if connection.execute(statement, values).rowcount == 1:
                rulings.give_back(connection, key)
                counted.give_back(connection, key)

        await self._run(transaction)

    async def effect(self, key: str) -> EffectRow | None:
        """What is known of one effect."""
        return await self._one(_rows, _rows.select.where(_effects.c.key == key))

    async def latest_writes(self) -> dict[str, datetime]:
        """When the last write of each agent began that was made."""
        query = sa.select(_effects.c.agent, sa.func.max(_effects.c.begun))
        query = query.where(_effects.c.state == EffectState.DONE).group_by(_effects.c.agent)
        found = await self._read(lambda connection: connection.execute(query).all())
        return {str(agent): at for agent, at in found}

    async def effects_during(self, agent: str, since: datetime, until: datetime) -> list[EffectRow]:
        """All effects of an agent that began before `until` and ended at `since` or later.

        The oldest first; one without an end counts for when it began.

        Raises:
            UnreadableRow: if one cannot be read: a list without it would hide it.
        """
        e = _effects.c
        late = sa.func.coalesce(e.ended, e.begun) >= since
        query = _rows.select.where(e.agent == agent, e.begun < until, late)
        return await self._all(_rows, query.order_by(e.begun, e.key), strict=True)

    async def effects(self, case: str) -> list[EffectRow]:
        """What is known of all effects of a case, in the order they began.

        Raises:
            UnreadableRow: if one cannot be read: without it a case may seem to be new.
        """
        query = _rows.select.where(_effects.c.case_id == case).order_by(_effects.c.begun)
        return await self._all(_rows, query, strict=True)


def _use_up(
    connection: sa.Connection,
    intent: Intent,
    verdict: VerdictRow | None,
    known: counted.CounterCache,
) -> None:
    """Keep what a new intent was judged by, and use up what allows it. `known`: its counters.

    Raises:
        RulingUsed: if a ruling was used under another key, or is not recorded.
        MandateSpent: if a mandate has no use left, or is revoked.
    """
    if verdict is not None:
        verdicts.keep(connection, verdict)
    counted.count(connection, intent, known)
    if intent.uses:
        rulings.use(connection, intent.uses, intent.key)
    if intent.mandates:
        rulings.use_mandates(connection, intent.mandates, intent.key)


def _begun_before(connection: sa.Connection, intent: Intent) -> EffectRow | None:
    """Insert an intent, or begin one again that did not happen. What was there before."""
    values = _values(intent)
    if _insert(connection, values):
        return None
    before = _there(connection, intent.key)
    if before.state is EffectState.NOT_DONE:
        number = _next_attempt(before, intent)
        again = values | {"ended": None, "error": None, "attempt": number}
        connection.execute(sa.update(_effects).where(_effects.c.key == intent.key).values(again))
    return before


def _next_attempt(before: EffectRow | None, intent: Intent) -> int:
    """The number of an attempt that begins."""
    return intent.attempt if before is None else max(before.attempt + 1, intent.attempt)


def _intended(key: str, owner: str) -> sa.Update:
    """A change of an intent, as long as it stands and is this owner's."""
    this = sa.update(_effects).where(_effects.c.key == key, _effects.c.owner == owner)
    return this.where(_effects.c.state == EffectState.INTENDED)


def _there(connection: sa.Connection, key: str) -> EffectRow:
    """What is there under a key, and locked until the transaction ends."""
    found = _rows.one(connection, _ONE, b_key=key)
    assert found is not None  # noqa: S101  # effects are never deleted
    return found


def _values(intent: Intent) -> dict[str, Any]:
    return _intents.values(intent) | {"state": EffectState.INTENDED, "begun": datetime.now(UTC)}


def _ended_values(
    key: str, state: EffectState, receipt: Receipt | None, error: str | None
) -> dict[str, Any]:
    now = datetime.now(UTC)
    parts = {"key": key, "state": state, "ended": now, "receipt": receipt, "error": error}
    return {f"b_{name}": value for name, value in parts.items()}


def _still(now: Controls, intent: Intent, levels: frozenset[str]) -> None:
    """See that what an intent was judged by is in force still.

    Raises:
        Outdated: if it is not.
    """
    if levels != frozenset(order.id for order in now.levels):
        raise Outdated("its level was changed while it was judged; it is judged anew")
    if now.piloted and intent.alone is not None:
        raise Outdated("an earlier write of its case was only recorded; it is judged anew")
    if now.label not in {None, intent.policy}:
        raise Outdated("its policy was changed while it was judged; it is judged anew")


def _same_ledger(now: Controls, above: LedgerMark | None) -> None:
    """See that this is the ledger by which an intent was judged, and lacks nothing of it.

    Raises:
        Outdated: if it is not.
    """
    if above is not None and (now.mark.id != above.id or now.mark.height <= above.height):
        raise Outdated("its ledger is another, or went back in time; it is judged anew")


def _stop(now: Controls, intent: Intent, *, ordered: bool) -> Stopped | None:
    """The stop that forbids a write. What a human orders back only one of its own step does."""
    steps = {intent.step} if ordered else {None, intent.step}
    return next((Stopped(stop) for stop in now.stops if stop.step in steps), None)


_rows: Rows[EffectRow] = Rows(EffectRow, _effects)
_intents: Rows[Intent] = Rows(Intent, _effects)
_insert = InsertNew(_effects)
_LOOK = _rows.select.where(_effects.c.key == sa.bindparam("b_key"))
_ONE = _LOOK.with_for_update()
_END = (
    sa.update(_effects)
    # A receipt is for ever: nothing that comes late can take it back.
    .where(_effects.c.key == sa.bindparam("b_key"), _effects.c.state != EffectState.DONE)
    .values(
        state=sa.bindparam("b_state"),
        ended=sa.bindparam("b_ended"),
        receipt=sa.bindparam("b_receipt"),
        error=sa.bindparam("b_error"),
    )
)
_END_BEGUN = _END.where(_effects.c.state == EffectState.INTENDED)
