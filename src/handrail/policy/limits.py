"""Judges what a policy file says of limits, duplicates and what is normal, against the types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from handrail.actions import Duplicates, Limit
from handrail.policy.clauses import Cap, NormalDoc
from handrail.policy.file import ActionDoc
from handrail.policy.parts import Condition, Normal
from handrail.policy.rules import Types, nearest
from handrail.policy.yaml import Faults, Loc

CURRENCY = "currency"
"""The field of an action that says in which currency its amounts are."""


@dataclass(frozen=True)
class Fields:
    """The fields of one write; `at` is where the file speaks of it."""

    types: Types
    faults: Faults
    at: Loc

    def _fault(self, loc: Loc, what: str, fix: str) -> None:
        self.faults.add((*self.at, *loc), what, fix)

    def limits(self, docs: Mapping[str, Sequence[Cap]]) -> tuple[Limit, ...]:
        """The limits, each with its currency and the field that it is counted by."""
        for name, caps in docs.items():
            self._limited(name, caps)
        return tuple(self._limit(name, cap) for name, caps in docs.items() for cap in caps)

    def _limited(self, name: str, caps: Sequence[Cap]) -> None:
        loc, numbers = ("limits", name), self.types.numbers()
        if name != "count" and name not in numbers:
            what = f"{name} is not a number of {self.types.name} that is always there"
            self._fault(loc, what, nearest(name, [*numbers, "count"]))
        whole_count(name, caps, lambda what, fix: self._fault(loc, what, fix))
        units = {cap.unit for cap in caps}
        if name != "count" and len(units) > 1 and not self._has_currency():
            what = f"{self.types.name} has no field {CURRENCY} that tells {name} apart"
            self._fault(loc, what, f"name one currency, or give the action a field {CURRENCY}")
        if name != "count" and None in units and units != {None}:
            what = f"a limit of {name} names a currency, and another none"
            self._fault(loc, what, "name the currency of each")
        choices = self.types.choices_of(f"action.{CURRENCY}")
        for unit in filter(None, units):
            if choices and unit not in choices:
                what = f"{CURRENCY} is never {unit}"
                self._fault(loc, what, nearest(unit, choices))

    def _limit(self, name: str, cap: Cap) -> Limit:
        per = cap.per and self.key(("limits", name), cap.per)
        return Limit(
            field=None if name == "count" else name,
            cap=cap.amount,
            window=cap.window,
            text=f"{name}: at most {cap.text}",
            per=per or None,
            number=bool(per) and self.types.is_number(per),
            unit=cap.unit if self._has_currency() else None,
        )

    def _has_currency(self) -> bool:
        return self.types.is_text(f"action.{CURRENCY}")

    def key(self, loc: Loc, name: str) -> str:
        """A field whose values writes are told apart by: text, a number, a time, yes or no."""
        path = self._path(name)
        if not self.types.tells_apart(path):
            known = [each.removeprefix("action.") for each in self.types.telling_apart()]
            what = f"{name} is no field that is always there and tells writes apart"
            self._fault(loc, what, nearest(name, known))
        return path

    def duplicates(self, doc: ActionDoc) -> Duplicates | None:
        """What makes a write the same as an earlier one."""
        if doc.duplicates is None:
            return None
        fields = tuple(self.key(("duplicates", "same"), name) for name in doc.duplicates.same)
        numbers = frozenset(path for path in fields if self.types.is_number(path))
        return Duplicates(fields, doc.duplicates.within, numbers)

    def normal(self, doc: NormalDoc | None) -> Normal | None:
        """What is learned of a write."""
        if doc is None:
            return None
        loc = ("normal", "watch")
        amounts = [self._amount(loc, field) for kind, field in doc.watch if kind == "amount"]
        targets = [self.key(loc, field) for kind, field in doc.watch if kind == "target"]
        kinds = {kind for kind, _ in doc.watch}
        return Normal(
            learn=doc.learn,
            z=doc.z,
            amounts=tuple(amounts),
            targets=tuple(targets),
            confidence="confidence" in kinds,
            hour="hour" in kinds,
            rate="rate" in kinds,
            mix="mix" in kinds,
        )

    def _amount(self, loc: Loc, name: str) -> str:
        path = self._path(name)
        if not self.types.is_number(path):
            known = [each for each in self.types.telling_apart() if self.types.is_number(each)]
            others = [*(each.removeprefix("action.") for each in known), "confidence", "hour"]
            self._fault(loc, f"{name} is not a number that is always there", nearest(name, others))
        return path

    def _path(self, name: str) -> str:
        return name if name.startswith(("action.", "evidence.")) else f"action.{name}"


def mentioned(
    conditions: Sequence[Condition], limits: Sequence[Limit], same: Duplicates | None
) -> frozenset[str]:
    """The facts that rules, limits and duplicates look at, such as `action.amount`."""
    names = {name for condition in conditions for name in condition.rule.mentions()}
    names |= {f"action.{limit.field}" for limit in limits if limit.field}
    names |= {f"action.{CURRENCY}" for limit in limits if limit.unit}
    names |= {limit.per for limit in limits if limit.per}
    return frozenset(names | set(same.fields if same else ()))


def whole_count(name: str, caps: Sequence[Cap], fault: Callable[[str, str], None]) -> None:
    """Report a number of writes that is none."""
    for cap in caps if name == "count" else ():
        if cap.amount != int(cap.amount):
            fault(f"{cap.amount:f} is no number of writes", "write a whole number")
        elif cap.unit:
            fault(f"a number of writes has no currency {cap.unit}", f"write {cap.amount:f}")
