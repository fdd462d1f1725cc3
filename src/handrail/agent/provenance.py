"""Where the values of a decision come from: from a trusted read, or from nobody knows where.

A model that has read a text from outside can be talked into anything by it. So what it
decided is held against what else it was given. When an argument of a decide step holds
`Untrusted` text, or is a decision or an action itself, which is a model's word too:

- each value of the action must be that of a field of the same name among the trusted
  arguments; a field named like a model or a parameter (`order`, `order_id`) must be the `id`
  or `key` of one; one marked `From(Order, "total")` must be the `total` of an `Order`;
- values that stand in one model must not be gathered from several: the order of one and the
  total of another were never together in anything that was read;
- `FreeText` may carry no link, address, account or number of no such source, and no passage of a
  text from outside; true and false, an `Enum`, a `Literal`, and a field that is left out where its
  default is `None` or empty, are choices that the author of the action offers, and need none;
- each value of the evidence must have a source too, whatever its type, for rules rely on it; but
  for the answer of a classifier that was measured (`Classified`), one of a closed set.

The key of an event counts as its `key`, unless a text from outside may have made it.

Values are compared exactly, by type: 10.0 is 10.00, and no text is a number. Texts that
only look alike, or contain one another, are different. Whatever is odd has no source.

Confidence and rationale are always the model's own word. Nothing is decided by the rationale,
and a rule on the confidence can only take away: it holds, refuses, or does nothing.

Note:
    A trusted value is one that stands outside of `Untrusted`. A longer text whose mark a
    workflow took off is known again; what a step picks out of a hostile text and returns as
    plain text, and what was looked up by a number that a hostile text named, is trusted here:
    bind reads to what is known otherwise, such as the sender.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from handrail.actions import (
    Action,
    Basis,
    Decision,
    Event,
    Finding,
    HandedCase,
    Kind,
    Outcome,
    Receipt,
    Wire,
    as_json,
    canonical,
)
from handrail.agent.provenance_values import (
    DecisionValue,
    OwnerModel,
    Source,
    TrustedValues,
    fields,
    given,
    is_many,
    wanted,
)
from handrail.agent.unmeant import unmeant
from handrail.agent.untrusted_text import (
    LONG,
    all_from_outside,
    holds_untrusted,
    marks,
    texts_from_outside,
)
from handrail.agent.wording import contacts, misworded, same
from handrail.exceptions import fallback

if TYPE_CHECKING:
    from handrail.agent.steps import Decide, Step
    from handrail.wire import HandOffOrigin

UNKNOWN = ("*",)
"""Nobody knows where anything of it comes from."""

CARRIED = 100_000
"""Characters of texts from outside that a case takes along when it continues as new."""

_WORD = re.compile(r"[^\W_]+")
_NAMED = 5
_TOLD = 4


def _singles(value: Any) -> Iterator[Any]:
    """The single values within plain ones."""
    if isinstance(value, Mapping):
        for part in cast("Mapping[Any, Any]", value).values():
            yield from _singles(part)
    elif (parts := fields(value)) is not None:
        yield from _singles(parts)
    elif is_many(value):
        for part in value:
            yield from _singles(part)
    elif not isinstance(value, (bool, NoneType)):
        yield value


def laid_bare(args: Sequence[Any], texts: Iterable[str]) -> bool:
    """Whether one of these texts from outside is among the arguments as plain text."""
    plain = fallback(None, lambda: list(given([("", arg) for arg in args]).texts))
    return plain is None or any(text in each for text in texts for each in plain)


class HeardTexts(Wire):
    """What a case that continues as new knows of texts from outside.

    `made`: the values of its event that the workflow has put there.
    """

    texts: tuple[str, ...] = ()
    made: tuple[str, ...] = ()


class CaseSources:
    """Where what one case does comes from, as far as it is known.

    `outside`: whether text from outside came into the case. `texts`: the longer ones it knows.
    """

    def __init__(self) -> None:
        self.outside = False
        self.texts = frozenset[str]()
        # Each text from outside, however short; and what is known otherwise.
        self._outside = list[str]()
        self._inside = list[object]()
        # Of each action that was decided, by its evidence, what has no trusted source.
        self._known: dict[str, dict[str, tuple[str, ...]]] = {}
        self._handed: frozenset[str] | None = None
        # The texts that cases said which had read one, and that work was handed to.
        self._told = frozenset[str]()
        # Whether more came in than this run was told of; and what of its event the workflow made.
        self._forgotten = False
        self._made = frozenset[str]()

    def go_on(self, heard: HeardTexts | None) -> None:
        """Begin with what came in before the case continued as new."""
        self._forgotten = heard is None
        self._outside += heard.texts if heard else ()
        self._made = frozenset(heard.made if heard else ())
        long = map(str.strip, self._outside)
        self.texts = frozenset(text for text in long if len(text) >= LONG)

    def heard(self, event: object) -> HeardTexts | None:
        """What the next run must know of texts from outside; None if it is more than one carries.

        `event`: what the case goes on with. Of its values, those that nothing trusted had are the
        workflow's, which may have them from anywhere.
        """
        values = fallback(None, lambda: [*map(str, _singles(event))])
        own = fallback(None, lambda: {*map(str, self._own())})
        if values is None or own is None:
            return None
        made = {*values} - own
        heard = HeardTexts(texts=tuple(dict.fromkeys(self._outside)), made=tuple(sorted(made)))
        size = sum(map(len, (*heard.texts, *heard.made)))
        return None if self._forgotten or size > CARRIED else heard

    def _own(self) -> list[Any]:
        """Values that came from elsewhere than texts from outside."""
        # Of what a case was renewed with it does not know where that is from, once it forgot.
        inside = [e for e in self._inside if not (self._forgotten and isinstance(e, Event))]
        found = given([("", each) for each in inside]).values
        return [value for value in found if str(value) not in self._made]

    def came_in(self, value: object) -> None:
        """Take note whether text from outside came into the case: with its event, or a read."""
        self._inside.append(value)
        if holds_untrusted(value):
            self.outside = True
            self.texts |= texts_from_outside(value)
            self._outside += all_from_outside(value)

    def chosen_outside(self, step: Step[..., Any], args: Sequence[Any]) -> tuple[str, ...]:
        """Which arguments of a read a text from outside may have chosen, each with why.

        That are such texts, what stands in one and nowhere else, and what a decision has that had
        no source.
        """
        if not self.outside:
            return ()
        known, found = set(map(str, self._own())), list[str]()
        for parameter, arg in zip(step.parameters, args, strict=True):
            texts = {text for value in _singles(arg) if len(text := str(value)) >= _TOLD}
            bad = holds_untrusted(arg) or any(
                text not in known
                and (self._forgotten or any(text in each for each in self._outside))
                for text in texts
            )
            if bad:
                found.append(
                    f"{step.name}.{parameter.name}: a text from outside may have chosen it"
                )
        return tuple(found)

    def passed_on(self, text: str, known: Sequence[str]) -> str:
        """What of a text from outside another one carries, in words; nothing if it has none."""
        told = {same(each) for other in self._outside for each in contacts(other)}
        own = [*known, *(each for each in self._own() if isinstance(each, str))]
        own += [each for each in contacts(text) if same(each) not in told]
        return misworded(text, own, (("it came in", each) for each in self._outside))

    def began(self, event: BaseModel, origin: HandOffOrigin, along: Callable[[], bool]) -> None:
        """Take in an event. `along`: whether text from outside stays that where it is handed on."""
        if not (origin.outside and along()):
            self.came_in(event)
        if origin.outside:
            self.handed(event)

    def handed(self, event: BaseModel) -> None:
        """Take the event for the word of an agent that had read text from outside before."""
        self.outside = True
        self._handed = (self._handed or frozenset()) | frozenset(leaves(as_json(event)))
        self.texts |= texts_from_outside(event)
        self._outside += map(str, _singles(event))

    def came_back(self, outcome: Outcome) -> None:
        """Take the outcome of a case that had read text from outside for such a text."""
        self.outside = True
        said = outcome.model_dump(mode="json", exclude={"status": True, "seconds": True})
        texts = [each for each in _singles(said) if isinstance(each, str) and each.strip()]
        self._told |= frozenset(texts)
        self._outside += texts
        # What it names (a receipt, an order) may be read elsewhere too; its own words may not.
        words = (outcome.why, *(each.why for each in outcome.handed))
        self.texts |= frozenset(each.strip() for each in words if len(each.strip()) >= LONG)

    def lacking(
        self,
        named: Iterable[tuple[str, Any]],
        decision: Decision[Any, Any],
        unsourced: tuple[str, ...],
    ) -> tuple[str, ...]:
        """What of a decision has no trusted source. Such an event is none, nor is a value of it."""
        given = list(named)
        if self._handed is None and not any(self._is_told(value) for _, value in given):
            return unsourced
        lacking = unsourced_values(self.trusted(given), decision)
        return tuple(dict.fromkeys((*unsourced, *lacking)))

    def trusted(self, named: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """What was given by these names, without such an event or outcome, and their values."""
        known = [(n, v) for n, v in named if self._handed is None or not self._is_handed(v)]
        return [(n, v) for n, v in known if not self._is_told(v)]

    def _is_told(self, value: Any) -> bool:
        """Whether it is what such a case said, or was made of it."""
        if not self._told or isinstance(value, BaseModel):
            return bool(self._told) and isinstance(value, (Outcome, HandedCase, Receipt))
        singles = fallback([*self._told], lambda: [*_singles(value)])
        return any(isinstance(each, str) and each in self._told for each in singles)

    def _is_handed(self, value: Any) -> bool:
        if isinstance(value, BaseModel):  # what was read is a source, also where it says the same
            return isinstance(value, Event)
        known = self._handed or ()
        parts = fallback((), lambda: tuple(leaves(to_jsonable_python(value))))
        return all(leaf in known for leaf in parts)

    def decided(
        self,
        action: Action,
        given: Mapping[str, Any],
        basis: Basis,
        unsourced: tuple[str, ...],
        args: Sequence[Any],
    ) -> None:
        """Remember what of a decided action, and of what it rests on, has no trusted source.

        `given`: the action as JSON.

        Nobody knows that of a decision on a text whose mark was taken off before.
        """
        bare = bool(self.texts) and laid_bare(args, self.texts)
        named = {name.partition(": ")[0] for name in unsourced}
        if bare or named:
            every = bare or UNKNOWN[0] in named
            leaves = wanted("action", action, (), choices=False)
            self._outside += [str(each.raw) for each in leaves if every or each.path in named]
        known = self._known.setdefault(_spelt(action, given), {})
        known[canonical(basis.evidence)] = UNKNOWN if bare else unsourced

    def unsourced(
        self, action: Action, given: Mapping[str, Any], basis: Basis | None
    ) -> tuple[str, ...]:
        """What of an action, and of what it rests on, has no trusted source.

        Of what no decision proposed nothing is known, once text from outside has come in. A bare
        action is all that decisions on it were.
        """
        unknown = UNKNOWN if self.outside else ()
        known = self._known.get(_spelt(action, given), {})
        if basis is not None:
            return known.get(canonical(basis.evidence), unknown)
        names = {name for each in known.values() for name in each}
        return tuple(sorted(names)) if known else unknown

    def basis(self, action: Action, given: Mapping[str, Any], basis: Basis | None) -> Basis | None:
        """The basis of a write, saying also what of it has no trusted source."""
        lacking = self.unsourced(action, given, basis)
        return (basis or Basis()).model_copy(update={"unsourced": lacking}) if lacking else basis


def leaves(value: Any) -> Iterator[str]:
    """The single values of JSON, as they are spelt."""
    if isinstance(value, Mapping | list):
        parts = cast("Iterable[Any]", value.values() if isinstance(value, Mapping) else value)
        for part in parts:
            yield from leaves(part)
    else:
        yield canonical(value)


def _spelt(action: Action, given: Mapping[str, Any]) -> str:
    """An action with its kind: as JSON alone, two with the same fields look alike."""
    kind = type(action)
    return f"{kind.__module__}.{kind.__qualname__} {canonical(given)}"


def unsourced(
    step: Decide[..., Any], args: Sequence[Any], decision: Decision[Any, Any]
) -> tuple[str, ...]:
    """What of a decision has no trusted source: `action.account`, `evidence.vip`, or `*`.

    Nothing, where no argument holds text from outside.
    """

    def lacking() -> tuple[str, ...]:
        names = [parameter.name for parameter in step.parameters]
        named = list(zip(names, args, strict=True))
        if not any(True for _ in marks(args)):
            return ()
        found = _lacking(given(named, _trusted_key), decision, named)
        return (*found, *unmeant(decision, given_times(named)))

    return fallback(UNKNOWN, lacking)


def given_times(named: Sequence[tuple[str, Any]]) -> Callable[[DecisionValue], int]:
    """How often a value was given by these names; where several have it, by that with most."""
    known = [given([each], _trusted_key) for each in named]
    return lambda leaf: max((len(each.of(leaf)) for each in known), default=0)


def unsourced_values(
    named: Sequence[tuple[str, Any]], decision: Decision[Any, Any]
) -> tuple[str, ...]:
    """What of a decision is no value of what was given by these names, as `unsourced` has it."""
    return fallback(UNKNOWN, lambda: _lacking(given(named), decision, named))


def unsourced_arguments(
    named: Sequence[tuple[str, Any]], found: Sequence[DecisionValue]
) -> tuple[str, ...]:
    """Which arguments of a read are no value of what was given by these names."""

    def lacking() -> tuple[str, ...]:
        known = given(named)
        paths = [leaf.path for leaf in found if not leaf.free and not known.of(leaf)]
        return tuple(f"{path}: no trusted read has it" for path in dict.fromkeys(paths))

    return fallback(UNKNOWN, lacking)


def source_finding(basis: Basis | None, mentions: Iterable[str]) -> Finding | None:
    """What holds a write because of where its values come from; None if nothing does.

    `mentions`: the facts that the policy's rules rely on (`evidence.vip`, `action.amount`).
    """
    relied = list(mentions)
    found = [
        name
        for name in (basis.unsourced if basis else ())
        if _matters(name.partition(": ")[0].split("."), relied)
    ]
    if not found:
        return None
    names = [name.partition(": ")[0] for name in found]
    shown = ", ".join(names[:_NAMED]) + (" and others" if len(found) > _NAMED else "")
    told = [name for name in found if ": " in name]
    plain = [name for name in found if ": " not in name]
    why = [*told[:_NAMED], *([_words(plain, ", ".join(plain[:_NAMED]))] if plain else [])]
    return Finding(check=f"source: {shown}", kind=Kind.HOLD, why="; ".join(why))


def amended(basis: Basis | None) -> Basis | None:
    """The basis of an action that a human wrote: its values are theirs, the evidence is not."""
    if basis is None:
        return None
    left = tuple(name for name in basis.unsourced if name.partition(".")[0] == "evidence")
    if UNKNOWN[0] in basis.unsourced:
        left = ("evidence",)
    return basis.model_copy(update={"unsourced": left})


def _matters(name: list[str], mentions: Iterable[str]) -> bool:
    """Whether a field without source is the action's, or one that rules rely on."""
    if name[0] != "evidence":
        return True
    parts = (mention.split(".") for mention in mentions)
    return any(name[: len(part)] == part[: len(name)] for part in parts)


def _words(found: Sequence[str], shown: str) -> str:
    if UNKNOWN[0] in found:
        return "it was decided on text from outside, and nobody knows where its values come from"
    verb = "comes" if len(found) == 1 else "come"
    return f"{shown} {verb} from no trusted read, and the decision had read text from outside"


def _lacking(
    sources: TrustedValues, decision: Decision[Any, Any], named: Sequence[tuple[str, Any]]
) -> tuple[str, ...]:
    found = list[DecisionValue]()
    if decision.action is not None:
        found += wanted("action", decision.action, ())
    # What is said of the action must be said of its objects: its own are around the evidence.
    around = found[0].scope[:1] if found else ()
    found += wanted("evidence", decision.evidence, around, choices=False)
    matches = _Matches({leaf: [] if leaf.free else sources.of(leaf) for leaf in found})
    lacking = [
        f"{leaf.path}{sources.elsewhere(leaf)}" for leaf in found if not matches.sourced(leaf)
    ]
    free = [leaf for leaf in found if leaf.free and isinstance(leaf.raw, str)]
    if free:
        own = [str(value) for value in sources.values]
        outside = [(name, text) for name, value in named for text in all_from_outside(value)]
        for leaf in free:
            fault = misworded(leaf.raw, own, outside)
            lacking += [f"{leaf.path}: {fault}"] if fault else []
    return tuple(dict.fromkeys(lacking))


def _trusted_key(event: Event) -> str | None:
    """The key of an event; None where a text from outside in it may have made a part of it."""
    return fallback(None, lambda: _key_without(event, all_from_outside(event)))


def _key_without(event: Event, texts: Iterable[str]) -> str | None:
    known = {word for value in given([("", event)]).values for word in _plainly(value)}
    outside = ["".join(_plainly(text)) for text in texts]
    key = event.key
    for word in _plainly(key):
        if word not in known and any(word in text or text in word for text in outside if text):
            return None
    return key


def _plainly(value: object) -> list[str]:
    return _WORD.findall(str(value).casefold())


class _Matches:
    """The values of a decision with the trusted ones that each may be.

    Of objects of one kind it goes on with those that fit: where `order` is the id of one of two
    orders, no other value may be of the second one.
    """

    def __init__(self, found: Mapping[DecisionValue, Sequence[Source]]) -> None:
        self._found = found
        self._fit: dict[tuple[int, ...], _Fit] = {}
        for leaf, sources in found.items():
            for source in sources:
                if source.owner is not None:
                    fit = self._fit.setdefault(leaf.scope, {}).setdefault(source.owner.kind, {})
                    fit.setdefault(source.name, set()).add(source.owner)

    def sourced(self, leaf: DecisionValue) -> bool:
        """Whether a value needs no source, or has one that fits the others."""
        scopes = [leaf.scope[:length] for length in range(len(leaf.scope), 0, -1)]
        fits = [self._fit[scope] for scope in scopes if scope in self._fit]
        return leaf.free or any(_fits(source, fits) for source in self._found[leaf])


_Fit = dict[type | str, dict[str, set[OwnerModel]]]
"""Of each kind of object, by each field that was asked for, those that fit."""


def _fits(source: Source, fits: Sequence[_Fit]) -> bool:
    owners = source.owner.line() if source.owner is not None else ()
    return all(_may_be(owner, fits) for owner in owners)


def _may_be(owner: OwnerModel, fits: Sequence[_Fit]) -> bool:
    """Whether an object fits in all fields; where a model within asks too, it is heeded first."""
    nearest = dict[str, set[OwnerModel]]()
    for fit in fits:
        nearest = fit.get(owner.kind, {}) | nearest
    return all(owner in fitting for fitting in nearest.values())
