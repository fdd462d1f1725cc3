"""What a write adds to its limits, and what makes it the same as another. Nothing is looked up."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from handrail.exceptions import HandrailError
from handrail.ledger import counters as counting
from handrail.ledger.entries import number
from handrail.text import moment_in_words, moment_of_json, quoted, same_text
from handrail.wire import Duplicates, Limit

if TYPE_CHECKING:
    from pydantic import JsonValue


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


def duplicates_counted(same: Duplicates) -> LimitMeasure:
    """What is counted so that writes that are the same are found."""
    return LimitMeasure(None, by=same.fields, numbers=tuple(sorted(same.numbers)))


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
