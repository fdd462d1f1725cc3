"""Limits and duplicates: counted in the transaction in which a write begins.

What has once been limited is counted ever after, also while no policy limits it, so that a
limit that comes back finds nothing left out. What was never limited before is counted once,
from the effects that are there.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from handrail.exceptions import HandrailError
from handrail.ledger import counters as counting
from handrail.ledger.counters import CounterEntry, LimitCounter, RunningTotal
from handrail.ledger.entries import number
from handrail.ledger.rows import Rows, leave_out
from handrail.ledger.tables import EffectState, Unreadable
from handrail.ledger.tables import effects as _effects
from handrail.text import moment_in_words, moment_of_json, quoted, same_text
from handrail.wire import Duplicates, Limit

if TYPE_CHECKING:
    from pydantic import JsonValue

    from handrail.ledger.intents import Intent

_ALL = "*"
_LIVE = (EffectState.INTENDED, EffectState.DONE)
_LONGEST = 200


class OverLimit(HandrailError):  # says what happened, and is caught by the door
    """The intent would exceed a limit, or cannot be counted; nothing was recorded."""

    def __init__(self, limit: Limit, used: Decimal, why: str = "") -> None:
        """Say which limit, and how much of it is `used` without this intent."""
        self.limit = limit
        self.used = used
        super().__init__(f"limit {limit.text}: {why or f'{used} of it is used'}")


class Duplicate(HandrailError):  # says what happened, and is caught by the door
    """An effect like the intent began a short while ago; nothing was recorded."""

    def __init__(self, key: str, at: datetime, same: str) -> None:
        """Name the earlier effect, when it began, and what is the same."""
        self.key = key
        self.at = at
        super().__init__(f"the same as {key} at {moment_in_words(at)}: {same}")


@dataclass(frozen=True)
class LimitMeasure:
    """What is counted of a write: `field`, or one; by what it is told apart from others.

    `money`: by its field `currency` too. `numbers`: those of `by` that are numbers.
    """

    field: str | None
    money: bool = False
    by: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The same as text, under which it is known in the ledger."""
        return json.dumps([self.field, self.money, self.by, self.numbers])

    @staticmethod
    @lru_cache(maxsize=1000)
    def named(name: str) -> LimitMeasure:
        """What a name stands for."""
        field, money, by, numbers = json.loads(name)
        return LimitMeasure(field, money, tuple(by), tuple(numbers))

    def amount(self, action: Mapping[str, Any]) -> Decimal | None:
        """What a write adds; None if that is no number."""
        if self.field is None:
            return Decimal(1)
        found = number(action.get(self.field))
        # What is negative gives nothing back: a credit must not make room for more payments.
        return None if found is None else max(found, Decimal(0))

    def group(self, action: Mapping[str, Any], evidence: Any) -> str | None:
        """With which other writes it is counted; None if what tells them apart is missing."""
        paths = (*(("action.currency",) if self.money else ()), *self.by)
        values = [self._value(path, action, evidence) for path in paths]
        if None in values:
            return None
        text = json.dumps(values) if values else ""
        long = len(text) > _LONGEST
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if long else text

    def _value(self, path: str, action: Mapping[str, Any], evidence: Any) -> Any:
        value = _at(path, action, evidence)
        if path not in self.numbers or value is None:
            return _told_apart(value)
        found = number(value)
        return None if found is None else str(found.normalize(counting.EXACT))


def _told_apart(value: Any) -> Any:
    """A value as others are told from it: a time in UTC, a text without what nobody sees of it."""
    if isinstance(value, str):
        at = moment_of_json(value)
        return same_text(value) if at is None else at.isoformat().replace("+00:00", "Z")
    return value if isinstance(value, (int, bool)) else None


def counting_of(limit: Limit) -> LimitMeasure:
    """What a limit counts."""
    by = (limit.per,) if limit.per else ()
    return LimitMeasure(limit.field, limit.unit is not None, by, by if limit.number else ())


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


def together(
    action: Mapping[str, JsonValue], limits: Sequence[Limit]
) -> dict[LimitMeasure, list[Limit]]:
    """The limits on an action, those that count the same together.

    Raises:
        OverLimit: if it is in a currency that no limit of its field names.
    """
    currency = str(action.get("currency"))
    for field in dict.fromkeys(limit.field for limit in limits if limit.unit):
        named = [limit for limit in limits if limit.field == field and limit.unit]
        if currency not in {limit.unit for limit in named}:
            units = " and ".join(dict.fromkeys(str(limit.unit) for limit in named))
            why = f"currency {quoted(currency)}, and {field} has limits in {units} only"
            raise OverLimit(named[0], Decimal(0), why)
    found: dict[LimitMeasure, list[Limit]] = defaultdict(list)
    for limit in limits:
        if limit.unit in {None, currency}:
            found[counting_of(limit)].append(limit)
    return found


def measured(
    what: LimitMeasure, limit: Limit, action: Mapping[str, JsonValue], evidence: JsonValue
) -> tuple[Decimal, str]:
    """What an action adds to a limit, and with which others it is counted.

    Raises:
        OverLimit: if it cannot be counted.
    """
    amount, group = what.amount(action), what.group(action, evidence)
    if amount is None:
        raise OverLimit(limit, Decimal(0), f"{limit.field} is not a number that can be added")
    if group is None:
        raise OverLimit(limit, Decimal(0), f"there is no {short(limit.per or 'currency')}")
    return amount, group


def exceed(
    limit: Limit,
    amount: Decimal,
    used: Decimal,
    action: Mapping[str, JsonValue],
    evidence: JsonValue,
) -> None:
    """See that an amount fits into what is left of a limit; why not is said leaf by leaf.

    Raises:
        OverLimit: if it does not.
    """
    if counting.EXACT.add(used, amount) <= limit.cap:
        return
    of = f" of {said(limit.per, action, evidence, number=limit.number)}" if limit.per else ""
    if limit.field is None:
        raise OverLimit(limit, used, f"{used:f} before{of} + 1 > {limit.cap:f}")
    raise OverLimit(limit, used, f"{limit.field} {amount:f} + {used:f} before{of} > {limit.cap:f}")


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


def duplicates_counted(same: Duplicates) -> LimitMeasure:
    """What is counted so that writes that are the same are found."""
    return LimitMeasure(None, by=same.fields, numbers=tuple(sorted(same.numbers)))


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


def _at(path: str, action: Mapping[str, Any], evidence: Any) -> Any:
    fact, *names = path.split(".")
    value: Any = action if fact == "action" else evidence
    for name in names:
        value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
    return value


def short(path: str) -> str:
    """A field as people read it: without `action.`."""
    return path.removeprefix("action.")


def same_words(same: Duplicates, action: Mapping[str, Any], evidence: Any) -> str:
    """What of a write is the same as of another, as people read it."""
    said_ = (said(path, action, evidence, number=path in same.numbers) for path in same.fields)
    return " and ".join(said_)


def said(path: str, action: Mapping[str, Any], evidence: Any, *, number: bool = False) -> str:
    """A field with its value, as people read it. `number`: it is one, perhaps as text in JSON."""
    value = _at(path, action, evidence)
    if not isinstance(value, str):
        return f"{short(path)} {json.dumps(value)}"
    return f"{short(path)} {value if number else quoted(value)}"


_AGENT = sa.select(_effects.c.agent).where(_effects.c.key == sa.bindparam("b_key"))
_EFFECT = sa.select(
    _effects.c.agent, _effects.c.step, _effects.c.action, _effects.c.evidence
).where(_effects.c.key == sa.bindparam("b_key"))
