"""What a person wants of a loop, and so what a model may act on in it.

That a value is real does not say that anybody wants it: once a list of files was read, a hostile
text can name any of them. So where the words of the person who asks are known (`Request`), or a
plan was made before anything from outside was read, each value of a write must be

- one that the words say, or that the plan has fixed for this call;
- of an object that they name, or of the one object that was looked up by what they say;
- of a single object among the arguments of the loop;
- a time that follows from such a day, and the times and spans that the words say;
- what a pure function made of such values.

Names of fields do not matter then. Text that the model words itself may carry no link, address or
account of any other source, and no passage of a text from outside, but the whole of one that was
looked up by what the person says.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

from handrail.actions import Action
from handrail.agent.left_out import left_out, single_values
from handrail.agent.objects import PROSE, Record, records, request_in
from handrail.agent.provenance_values import DecisionValue
from handrail.agent.tool_plan import (
    PlannedCall,
    ToolPlan,
    comparable,
    fits,
    fixed_paths,
    is_fixed,
)
from handrail.agent.unmeant import needed_texts, repeated
from handrail.agent.wording import PersonWords, in_words, misworded, typed
from handrail.marks import Untrusted

UNPLANNED = "it is not in the plan that was made before anything from outside was read"

EMPTY = "nobody who asks said that it be empty"

BRIEF = "all that it says is from a text from outside"

TWICE = "the same stands in it {} times, and nobody who asks said so often"

_PASSAGE = 4
_BRIEF = 3
_WRITTEN = "subject body text content message description comment note review snippet summary"
_BY_OTHERS = frozenset(_WRITTEN.split())
"""Fields that whoever writes to somebody fills in: they name an object only where it is quoted."""


class LoopIntent:
    """What the person who asks wants of one loop. `plan`: made before anything was read."""

    def __init__(
        self,
        given: Sequence[tuple[str, Any]],
        plan: ToolPlan | None = None,
        by: str | None = None,
        called: Callable[[], bool] = lambda: True,
    ) -> None:
        """Begin with the arguments of the loop. `by`: who asked for it.

        `called`: whether "called x" names something; asked where it would.
        """
        self.plan, self._called = plan, called
        values = [value for _, value in given]
        self._words = request_in(values, by)
        self._given = [e for name, value in given for e in records(name, value, whole=True)]
        if not self._words and (said := request_in(values)):
            self._given.append(Record("request", single=False, texts=[said]))
        self._read = list[Record]()
        self._judged = list[Any]()
        self._days = list[date]()
        self._person = PersonWords(self._words)
        self._learn()

    def _learn(self) -> None:
        """Read the person's words anew: "tomorrow" is told from the days that are known."""
        own = [v for each in self._given if each.single for _, v in each.values]
        days = [*self._days, *filter(None, map(_day, own))]
        self._person = PersonWords(self._words, days)

    # What comes in

    def came(self, tool: str, found: Any, *, pointed: bool, pure: bool = False) -> None:
        """Take in what a tool returned. `pointed`: it was asked for what the person says.

        `pure`: it is a pure function, of arguments that have a source.
        """
        made = records(tool, found)
        for each in made:
            each.pointed, each.single = each.pointed or pointed or pure, each.single or pure
        self._read += made
        # What day it is says whoever is asked for nothing else.
        if isinstance(found, (date, datetime)):
            self._days.append(found.date() if isinstance(found, datetime) else found)
            self._learn()

    def wrote(self, tool: str, receipt: Any) -> None:
        """Take in what came of a write that was wanted: what it has made is of the task.

        What it is called, that is, and what it costs: its prose is text like every other.
        """
        for each in records(tool, receipt):
            self._read.append(Record(tool, texts=each.texts))
            each.texts, each.pointed = [], True
            self._read.append(each)

    def keep(self, args: Mapping[str, Any]) -> None:
        """Take in the arguments of a call that nothing from outside has shaped."""
        self._judged.append(args)

    def looked_up(self, tool: str, args: Mapping[str, Any], found: list[DecisionValue]) -> bool:
        """Whether a read asks for what the person says, or for what the plan names."""
        if any(fits(call, tool, args) for call in self._calls):
            return True
        asked = [leaf.raw for leaf in found if not leaf.free]
        return bool(asked) and all(map(self._is_meant, asked))

    def _is_meant(self, value: Any) -> bool:
        """Whether a value is no mere word of the person's, but what they call something."""
        if isinstance(typed(value), str):
            return self._is_name(str(value)) or self._has(value, self._usable(), said=False)
        return self._has(value, self._usable())

    def _is_name(self, text: str, *, quoted: bool = False) -> bool:
        """Whether the person's words call something so."""
        named = self._person.names(text, quoted=quoted)
        return named or (self._person.calls(text) and self._called())

    # What is asked of it

    def lacking(
        self,
        tool: str,
        args: Mapping[str, Any],
        found: Sequence[DecisionValue],
        *,
        clean: bool,
        empties: Callable[[], bool] = lambda: True,
        within: Callable[[], bool] = lambda: True,
        briefs: Callable[[], bool] = lambda: True,
        blanks: Callable[[], bool] = lambda: True,
        action: Action | None = None,
        leaves_out: Callable[[], bool] = lambda: True,
        repeats: Callable[[], bool] = lambda: True,
    ) -> tuple[str, ...]:
        """What of the call of a write has no source that anybody wants, each with why.

        `clean`: it was decided before anything from outside was read. `empties`: whether a text
        that it must have, and that says nothing, lacks a source; asked where there is one.
        `within`: as of `ToolPlan.fitting`. `briefs`: as `empties`, of a text that says next to
        nothing. `blanks`: as `empties`, of a text that it does not word itself. `action`: what
        its arguments make. `leaves_out`: as `empties`, of what it has not, and the person asks for.
        `repeats`: as `empties`, of an object that stands in it more than once.
        """
        at = None if self.plan is None else self.plan.fitting(tool, args, within)
        if self.plan is not None and at is None and not clean:
            return (f"plan: {tool}: {UNPLANNED}",)
        fixed = fixed_paths(self._calls[at].args, args) if at is not None else frozenset[str]()
        lacking = () if clean else self._faults(found, fixed, self._usable(texts=True))
        if not clean and (empty := [*_empty(found, fixed)]) and empties():
            lacking = (*lacking, *empty)
        if not clean and (blank := [*_empty(found, fixed, free=False)]) and blanks():
            lacking = (*lacking, *blank)
        if not clean and (brief := [*self._brief(found, fixed)]) and briefs():
            lacking = (*lacking, *brief)
        if not clean and (out := [*self.left_out(action, args, found, fixed)]) and leaves_out():
            lacking = (*lacking, *out)
        if not clean and (more := [*self.repeated(found, fixed)]) and repeats():
            lacking = (*lacking, *more)
        if not lacking:
            self.keep(args)
        if self.plan is not None and at is not None and not lacking:
            self.plan = self.plan.without(at)
        return lacking

    def arguments(
        self, tool: str, args: Mapping[str, Any], found: Sequence[DecisionValue], *, pure: bool
    ) -> tuple[str, ...]:
        """What of the arguments of a read has no such source, each with why.

        `pure`: whatever was looked up together may go into it.
        """
        usable = self._usable() + [each for each in self._read if pure and each.pointed]
        planned = (call.args for call in self._calls if fits(call, tool, args))
        return self._faults(found, next(planned, ()), usable)

    def left_out(
        self,
        action: Action | None,
        args: Mapping[str, Any],
        found: Sequence[DecisionValue],
        fixed: Collection[str] = (),
    ) -> Iterator[str]:
        """What the person speaks of, and an action leaves out; each with why.

        What it is done to has the words that it is named by.
        """
        own = [comparable(leaf.raw) for leaf in found if not self._person.says(leaf.raw)]
        objects = [
            [value for value in (*record.texts, *(v for _, v in record.values)) if _is_text(value)]
            for record in self._named(texts=True)
            if any(comparable(value) in own for _, value in record.values)
        ]
        calls = [args, *(call.args for call in self._calls), *self._judged, *objects]
        for each in () if action is None else left_out(action, self._person, calls):
            if not is_fixed(each.partition(":")[0].partition(".")[2], fixed):
                yield each

    def repeated(
        self, found: Sequence[DecisionValue], fixed: Collection[str] = ()
    ) -> Iterator[str]:
        """What stands in an action more than once, and nobody said how often; each with why."""
        for path, often, _ in repeated(found):
            inner = path.partition(".")[2]
            # A plan that says a part of each object of a list has fixed how many they are.
            planned = is_fixed(inner, fixed) or any(each.startswith(f"{inner}.") for each in fixed)
            if not (planned or self._person.says(often)):
                yield f"{path}: {TWICE.format(often)}"

    def ending(self, found: Sequence[DecisionValue]) -> tuple[str, ...]:
        """As `lacking`, of the action that the loop comes to."""
        return self._faults(found, (), self._usable(texts=True))

    def unnamed(self, found: Sequence[DecisionValue]) -> tuple[str, ...]:
        """As `ending`, of what the words say and name alone."""
        return self._faults(found, (), self._named(texts=True))

    def _faults(
        self, found: Sequence[DecisionValue], fixed: Collection[str], usable: list[Record]
    ) -> tuple[str, ...]:
        why = [(leaf.path, self._fault(leaf, fixed, usable)) for leaf in found]
        return tuple(dict.fromkeys(f"{path}: {fault}" for path, fault in why if fault))

    @property
    def _calls(self) -> Sequence[PlannedCall]:
        return self.plan.calls if self.plan is not None else ()

    def _fault(self, leaf: DecisionValue, fixed: Collection[str], usable: list[Record]) -> str:
        if is_fixed(leaf.path.partition(".")[2], fixed):
            return ""  # the call fits the plan, and so this is what the plan has
        text = leaf.raw.text if isinstance(leaf.raw, Untrusted) else leaf.raw
        if leaf.free:
            return self._wording(text, usable) if isinstance(text, str) else ""
        if leaf.value == () or self._from(leaf, usable):
            return ""
        if leaf.source is None and self._pointed_prose(text, usable):
            return self._wording(text, usable)
        return "nobody who asks said it, and it is of nothing that they named or had looked up"

    def _from(self, leaf: DecisionValue, usable: list[Record]) -> bool:
        source = leaf.source
        if source is None:
            return self._has(leaf.raw, usable)
        return any(
            issubclass(each.kind, source.model)
            and any(
                n == source.field and comparable(v) == comparable(leaf.raw) for n, v in each.values
            )
            for each in usable
        )

    def _has(self, value: Any, usable: list[Record], *, said: bool = True) -> bool:
        if said and self._person.says(value):
            return True
        form = comparable(value)
        values = [comparable(v) for each in usable for _, v in each.values]
        if form in values:
            return True
        if not isinstance(form, datetime):
            return False
        days = self._person.dates | set(filter(None, map(_day, values)))
        times = self._person.times | {v.time() for v in values if isinstance(v, datetime)}
        times |= {v for v in values if isinstance(v, time)}
        return self._person.moment(form, days, times)

    def _wording(self, text: str, usable: list[Record]) -> str:
        """What a text carries that is not its to carry, in words; nothing if it is fit."""
        own = [self._words, *self._planned(), *(str(v) for r in usable for _, v in r.values)]
        # A link is no more trusted for standing in what they pointed at: it may still be told.
        if fault := misworded(text, own, ()):
            return fault
        # Who passes on all of a text passes on what was pointed at; who picks from it, chooses.
        read = [each for each in self._pointed(usable) if in_words(each) in in_words(text)]
        outside = dict[str, list[str]]()
        for each in (*self._read, *self._given):
            said = [*each.texts, *(str(value) for _, value in each.values)]
            outside.setdefault(each.source, []).extend(said)
        parts = ((source, "\n".join(said)) for source, said in outside.items())
        return misworded(text, [*own, *read], parts)

    def _brief(self, found: Sequence[DecisionValue], fixed: Collection[str]) -> Iterator[str]:
        """The texts that a write must have, of marks alone, or of a few words out of another's.

        They may wipe out what was there, as empty ones may, and are too short to be a passage.
        """
        usable = self._usable(texts=True)
        known = [self._words, *self._planned(), *(str(v) for r in usable for _, v in r.values)]
        own, pointed = [*map(in_words, known)], [*map(in_words, self._pointed(self._read))]
        others = [in_words(text) for each in (*self._read, *self._given) for text in each.texts]
        for leaf in _needed_texts(found, fixed):
            text = str(leaf.raw)
            said = in_words(text)
            if text.strip() and not any(unicodedata.category(each)[0] in "LNS" for each in text):
                yield f"{leaf.path}: {EMPTY}"
            elif not said.strip() or said.count(" ") > _BRIEF:
                continue
            elif said in pointed or any(said in each for each in own):
                continue  # who passes on all of a text passes on what was pointed at
            elif any(said in each for each in others):
                yield f"{leaf.path}: {BRIEF}"

    def _pointed_prose(self, text: Any, usable: list[Record]) -> bool:
        """Whether a text is the whole of one that the person pointed at."""
        if not isinstance(text, str) or in_words(text).count(" ") <= _PASSAGE:
            return False
        return any(in_words(text) == in_words(each) for each in self._pointed(usable))

    def _pointed(self, usable: list[Record]) -> Iterator[str]:
        """The texts that the person pointed at."""
        return (each for record in usable if record.pointed for each in record.texts)

    def _planned(self) -> Iterator[str]:
        for call in self._calls:
            yield from strings(call.args)

    # Which objects

    def _usable(self, *, texts: bool = False) -> list[Record]:
        """The objects that the person means: single ones, given or looked up, and named ones."""
        found = [each for each in self._given if each.single]
        found += [each for each in self._read if each.pointed and each.single]
        return found + [each for each in self._named(texts=texts) if each not in found]

    def _named(self, *, texts: bool) -> list[Record]:
        """The objects that the person's words name. Of two that are called the same, none is.

        `texts`: also by a short text from outside; what is read was not judged so in open cases.
        """
        called = list[tuple[Record, str]]()
        for record in (*self._given, *self._read):
            short = (("text", each) for each in record.texts if texts and len(each) <= PROSE)
            for field_, value in (*record.values, *short):
                quoted = field_.casefold() in _BY_OTHERS
                if isinstance(value, str) and self._is_name(value, quoted=quoted):
                    called.append((record, value.casefold()))
        names = {name for _, name in called}
        found = list[Record]()
        for record, name in called:
            longer = any(name in other and name != other for other in names)
            others = [r for r, n in called if n == name and r.source == record.source]
            twin = any(_identity(other) != _identity(record) for other in others)
            if not longer and not twin and record not in found:
                found.append(record)
        return found


def _empty(
    found: Sequence[DecisionValue], fixed: Collection[str], *, free: bool = True
) -> Iterator[str]:
    """The texts that a write must have, and that say nothing: they may wipe out what was there."""
    for leaf in _needed_texts(found, fixed, free=free):
        if not str(leaf.raw).strip():
            yield f"{leaf.path}: {EMPTY}"


def emptied(found: Sequence[DecisionValue]) -> Iterator[str]:
    """The texts that must be there, and that say nothing, whoever words them; each with why."""
    yield from _empty(found, ())
    yield from _empty(found, (), free=False)


def _needed_texts(
    found: Sequence[DecisionValue], fixed: Collection[str], *, free: bool = True
) -> Iterator[DecisionValue]:
    """The texts that must be there, and that no plan has fixed. `free`: that an agent words."""
    for leaf in needed_texts(found, free=free):
        if not is_fixed(leaf.path.partition(".")[2], fixed):
            yield leaf


def _is_text(value: Any) -> bool:
    return isinstance(typed(value), str)


def _identity(record: Record) -> str:
    return repr(record.values)


def _day(value: Any) -> date | None:
    value = typed(value)
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else None


def strings(value: Any) -> Iterator[str]:
    """All texts and values within a value, as texts; no names of fields."""
    return map(str, single_values(value))
