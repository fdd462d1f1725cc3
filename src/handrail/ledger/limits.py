"""Limits and duplicates: counted in the transaction in which a write begins.

What has once been limited is counted ever after, also while no policy limits it, so that a
limit that comes back finds nothing left out. What was never limited before is counted once,
from the effects that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from handrail.ledger import counters as counting
from handrail.ledger.counters import CounterEntry, LimitCounter, RunningTotal
from handrail.ledger.measures import (
    Duplicate,
    LimitMeasure,
    duplicates_counted,
    exceed,
    measured,
    same_words,
    together,
)
from handrail.ledger.rows import Rows, leave_out
from handrail.ledger.tables import EffectState, Unreadable
from handrail.ledger.tables import effects as _effects
from handrail.wire import Duplicates, Limit

if TYPE_CHECKING:
    from pydantic import JsonValue

    from handrail.ledger.intents import Intent

_ALL = "*"
_LIVE = (EffectState.INTENDED, EffectState.DONE)


class CounterCache:
    """Counters of one intent, each looked at once."""

    def __init__(self, connection: sa.Connection, intent: Intent, *, counted: bool = True) -> None:
        """`counted`: whether anything is counted of what its agent does."""
        steps = (intent.step, _ALL)
        found = counting.counters_of(connection, intent.agent, *steps) if counted else []
        self.counters = {(each.step, each.name): each for each in found}
        self.lasts: dict[tuple[int, str], RunningTotal | None] = {}


def within(
    connection: sa.Connection, intent: Intent, limits: Sequence[Limit], *, counted: bool = True
) -> CounterCache:
    """See that an intent exceeds no limit. Hold the lock, and `count` it afterwards.

    `counted`: whether anything is counted of what its agent does.

    Raises:
        OverLimit: if it would, or if it cannot be counted.
    """
    now, action = datetime.now(UTC), intent.action
    known = CounterCache(connection, intent, counted=counted)
    for what, same in together(action, limits).items():
        amount, group = measured(what, same[0], action, intent.evidence)
        longest = max(each.window for each in same)
        step = _ALL if same[0].whole else intent.step
        counter = _counter(connection, known, intent, (step, what), now - longest)
        for each in same:
            since = (now - each.window).timestamp()
            last, used = counting.look(connection, counter, group, since)
            known.lasts[counter, group] = last
            exceed(each, amount, used, action, intent.evidence)
    return known


def repeated(
    connection: sa.Connection, intent: Intent, same: Duplicates, known: CounterCache | None = None
) -> None:
    """See that no effect like an intent began a short while ago. Hold the lock.

    `known`: what `within` has looked at.

    Raises:
        Duplicate: if one did.
    """
    now = datetime.now(UTC)
    what = duplicates_counted(same)
    group = what.group(intent.action, intent.evidence)
    if group is None:
        return  # what it lacks tells it apart from all others
    since = now - same.within
    known = known or CounterCache(connection, intent)
    counter = _counter(connection, known, intent, (intent.step, what), since)
    found = counting.latest(connection, counter, group, since.timestamp(), intent.key)
    if found is not None:
        at = datetime.fromtimestamp(found[1], UTC)
        words = same_words(same, intent.action, intent.evidence)
        raise Duplicate(found[0], at, words)


def count(connection: sa.Connection, intent: Intent, known: CounterCache | None = None) -> None:
    """Count an intent that begins in everything that is counted of its step. Hold the lock.

    `known`: what `within` has looked at.
    """
    known = known or CounterCache(connection, intent)
    now = datetime.now(UTC).timestamp()
    rows = _rows(known.counters.values(), intent.key, intent.action, intent.evidence, now)
    counting.add_all(connection, rows, known.lasts)


def give_back(connection: sa.Connection, key: str) -> None:
    """Take off what was counted of an effect that did not happen. Call `lock_for` first."""
    counting.give_back(connection, key, datetime.now(UTC).timestamp())


def lock_for(connection: sa.Connection, key: str) -> None:
    """Lock the counting of the agent whose effect this is, before the effect is touched.

    Whoever begins an effect takes the two in this order: no two wait for each other.
    """
    agent = connection.execute(_AGENT, {"b_key": key}).scalar()
    if agent is not None:
        counting.lock(connection, agent)


def count_again(connection: sa.Connection, key: str) -> None:
    """Count an effect again that was given back, and turns out to have happened."""
    found = connection.execute(_EFFECT, {"b_key": key}).one_or_none()
    if (
        found is None
        or isinstance(found.action, Unreadable)
        or counting.is_counted(connection, key)
    ):
        return
    now = datetime.now(UTC).timestamp()
    counters = counting.counters_of(connection, found.agent, found.step, _ALL)
    counting.add_all(connection, _rows(counters, key, found.action, found.evidence, now), {})


def _rows(
    counters: Iterable[LimitCounter],
    key: str,
    action: Mapping[str, JsonValue],
    evidence: JsonValue,
    now: float,
) -> Iterator[tuple[int, CounterEntry]]:
    """What an effect adds to each counter."""
    for counter in counters:
        try:
            what = LimitMeasure.named(counter.name)
        except (ValueError, TypeError) as error:
            # No limit looks for it by that name.
            leave_out(f"the ledger's counter {counter.id} has a name that cannot be read: {error}")
            continue
        row = _counted(what, key, action, evidence, now)
        if row is not None:
            yield counter.id, row


def _counted(
    what: LimitMeasure, key: str, action: Mapping[str, Any], evidence: Any, at: float
) -> CounterEntry | None:
    amount, group = what.amount(action), what.group(action, evidence)
    if amount is None or group is None:
        return None
    return CounterEntry(group, key, amount, at)


def _counter(
    connection: sa.Connection,
    known: CounterCache,
    intent: Intent,
    which: tuple[str, LimitMeasure],
    since: datetime,
) -> int:
    """The number of a counter that is complete since `since`, without the intent itself."""
    (step, what), wanted = which, since.timestamp()
    counter = known.counters.get((step, what.name))
    if counter is None:
        counter = counting.counter_of(connection, intent.agent, step, what.name)
    if counter.since > wanted:
        rows = _earlier(connection, intent.agent, step, what, since, intent.key)
        counting.refill(connection, counter.id, wanted, rows)
        counter = replace(counter, since=wanted)
        for looked_at in [each for each in known.lasts if each[0] == counter.id]:
            del known.lasts[looked_at]  # the rows are others now
    known.counters[step, what.name] = counter
    return counter.id


def _earlier(  # noqa: PLR0917  # of which effects, and since when
    connection: sa.Connection,
    agent: str,
    step: str,
    what: LimitMeasure,
    since: datetime,
    besides: str,
) -> Iterator[CounterEntry]:
    query = (
        _past.select.where(
            _effects.c.agent == agent, _effects.c.begun > since, _effects.c.key != besides
        )
        .where(_effects.c.state.in_(_LIVE))
        .order_by(_effects.c.begun)
    )
    query = query if step == _ALL else query.where(_effects.c.step == step)
    for found in _past.all(connection, query):
        row = _counted(what, found.key, found.action, found.evidence, found.begun.timestamp())
        if row is not None:
            yield row


@dataclass(frozen=True, slots=True)
class _CountedWrite:
    """A write as far as it is counted."""

    key: str
    action: Mapping[str, JsonValue]
    evidence: JsonValue
    begun: datetime


_past: Rows[_CountedWrite] = Rows(_CountedWrite, _effects)


_AGENT = sa.select(_effects.c.agent).where(_effects.c.key == sa.bindparam("b_key"))
_EFFECT = sa.select(
    _effects.c.agent, _effects.c.step, _effects.c.action, _effects.c.evidence
).where(_effects.c.key == sa.bindparam("b_key"))
