"""Which part of a manual process is worth an agent, and which can be handed to one? Pure.

A candidate is a log as a whole, or a decision point in it: an activity after which people go on
in two ways or more. It has an impact (what there is to be won) and a feasibility (how likely an
agent does it as people do), each from 0 to 1 and from figures of the log that stand beside it.

What people decided is predicted by a shallow tree from what was known before they did: the facts
that stand with the events so far, what was done, how often, and since when. The tree is grown on
three cases of four and judged on the others. How long people then waited is not among the facts:
it is known only when they have decided.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from math import log10
from statistics import fmean, median
from typing import TypeAlias

from handrail.evidence.decision_tree import FactValue, LearnedRule, facts_of, grow, predict, rules
from handrail.evidence.estimates import AgreementBound, measure_agreement
from handrail.evidence.event_log import EventLog, LoggedEvent
from handrail.evidence.process_figures import LogFigures, LoggedCase, log_figures, logged_case
from handrail.exceptions import InvalidRequest

END = "(end of the case)"
"""What follows the last activity of a case: nothing more was done."""

RARE = "(rare)"
"""What people did in fewer than one of a hundred such decisions, together."""

FEWEST = 100
"""Of fewer decisions nothing is learned, and nothing is said."""

_HELD_OUT = 4
"""One case in so many is not learned from: what was learned is judged on it."""

_MOST = 8_000
"""From so many decisions of a kind it is learned: what was known is kept of no more."""

_ROUTINE = 0.98
_POOR, _SOME, _ALIKE = 0.7, 0.1, 0.5
_TOO_RARE, _LONG = 10.0, timedelta(days=30)
_CHANCE = 2.33
"""Standard errors that chance passes once in a hundred."""
_HOUR = timedelta(hours=1)
_COMMON, _COUNTED = 10, 40
_WORD, _STEM, _MOSTLY = 3, 5, 0.9
"""Letters of a word, and of its stem; in so much a fact bears a name to be said to do so."""


@dataclass(frozen=True)
class Predicted:
    """How well few facts say what people did `after` it, on cases that it was not learned from.

    `right`: of the held-out decisions. `usual`: of these, the share that always saying the most
    common one gets right. `skill`: how much of what that gets wrong the facts set right, 0..1.
    `named`: the facts that name what was done then, and so may have been written after it.
    """

    after: str
    right: AgreementBound
    usual: float
    skill: float
    facts: tuple[str, ...]
    rules: tuple[LearnedRule, ...]
    named: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """One workflow, or one decision in it (`after` an activity), and what speaks for it.

    `impact`, `feasibility`: 0..1. `cases`: in which it occurs; `per_month`: how often. `waiting`:
    until it was decided, or of a workflow in all (median). `reworked`: the share of its cases in
    which something was done again, after it. `cost` of one. `repetition`: the share of them that
    came by the ten most common ways. `why`: what speaks for it; `against`: what makes it a bad
    target, none if nothing does.
    """

    name: str
    log: str
    after: str | None
    choices: Mapping[str, int]
    cases: int
    per_month: float | None
    waiting: timedelta | None
    reworked: float
    cost: Decimal | None
    people: int
    repetition: float
    predicted: Predicted | None
    paths: tuple[tuple[str, ...], ...] = ()
    """Of a workflow: the ten most common ways through it."""
    impact: float = 0.0
    feasibility: float = 0.0
    why: tuple[str, ...] = ()
    against: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What it is: a `workflow` or a `decision`."""
        return "workflow" if self.after is None else "decision"


@dataclass(frozen=True)
class Discovery:
    """The candidates of some logs, the best first; and how many decisions were too few to judge."""

    figures: tuple[LogFigures, ...]
    candidates: tuple[Candidate, ...]
    too_few: int


@dataclass(frozen=True)
class _Decision:
    """One time that people decided how to go on, and what was known before they did.

    `facts`: None where it is counted and not learned from.
    """

    case: str
    choice: str
    path: tuple[str, ...]
    facts: Mapping[str, FactValue] | None
    waited: timedelta | None
    who: str
    cost: Decimal | None
    reworked: bool


_Known: TypeAlias = "tuple[Mapping[str, FactValue], str]"
"""What was known, and what was decided."""


def discover(logs: Iterable[EventLog], without: Collection[str] = ()) -> Discovery:
    """Score the workflows and decisions of these logs. `without`: facts that are left out.

    Raises:
        InvalidRequest: if no log has such a fact.
    """
    logs = list(logs)
    known = {name for log in logs for each in log.events for name in each.facts}
    if unknown := sorted({*without} - known):
        names = ", ".join(sorted(known)) or "none"
        raise InvalidRequest(f"no row has {', '.join(unknown)} beside it; there are: {names}")
    figures, candidates, too_few = list[LogFigures](), list[Candidate](), 0
    for log in (_bare(each, without) if without else each for each in logs):
        cases = log.cases()
        done = [logged_case(case, events) for case, events in cases.items()]
        found = log_figures(log, done)
        figures.append(found)
        months = found.cases / found.per_month if found.per_month else None
        points = _points(log, cases)
        kept = {after: each for after, each in points.items() if len(each) >= FEWEST}
        too_few += len(points) - len(kept)
        own = [
            _decision_point(log.name, after, each, months)
            for after, each in kept.items()
            if _is_choice(each)
        ]
        candidates += [*own, _workflow(found, done, own)] if done else []
    candidates.sort(key=lambda c: (bool(c.against), -c.impact * c.feasibility, c.name))
    return Discovery(tuple(figures), tuple(candidates), too_few)


def _bare(log: EventLog, without: Collection[str]) -> EventLog:
    events = [
        replace(each, facts={n: v for n, v in each.facts.items() if n not in without})
        for each in log.events
    ]
    return EventLog(log.name, events, log.bad)


# Decisions


def _points(
    log: EventLog, cases: Mapping[str, Sequence[LoggedEvent]]
) -> dict[str, list[_Decision]]:
    """What was decided after each activity."""
    common = Counter(each.activity for each in log.events).most_common(_COUNTED)
    activities = frozenset(name for name, _ in common)
    numbers = _numeric(log.events)
    found: dict[str, list[_Decision]] = {}
    for case, events in sorted(cases.items(), key=lambda each: _place(each[0])):
        for after, decision in _decisions(case, events, activities, numbers):
            point = found.setdefault(after, [])
            point.append(decision if len(point) < _MOST else replace(decision, facts=None))
    return found


def _numeric(events: Iterable[LoggedEvent]) -> frozenset[str]:
    """The facts that are numbers wherever they are known."""
    known, texts = set[str](), set[str]()
    for each in events:
        for name, value in each.facts.items():
            if name not in texts:
                (texts if _number(value) is None else known).add(name)
    return frozenset(known - texts)


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    # Not a number is not equal to itself, and is in no order.
    return found if found - found == 0 else None


def _decisions(
    case: str,
    events: Sequence[LoggedEvent],
    activities: frozenset[str],
    numbers: frozenset[str],
) -> Iterator[tuple[str, _Decision]]:
    facts: dict[str, FactValue] = {f"times {name}": 0.0 for name in activities}
    path, done = list[str](), Counter[str]()
    first = events[0].begun or events[0].at
    later = _done_again(events)
    for n, event in enumerate(events):
        path.append(event.activity)
        done[event.activity] += 1
        if event.activity in activities:
            facts[f"times {event.activity}"] = float(done[event.activity])
        for name, value in event.facts.items():
            facts[name] = _number(value) if name in numbers else value
        if event.who:
            facts["by"] = event.who
        facts["what was done before"] = path[-2] if n else None
        facts["hours so far"] = (event.at - first) / _HOUR
        facts["hour"], facts["weekday"] = float(event.at.hour), event.at.strftime("%A")
        then = events[n + 1] if n + 1 < len(events) else None
        yield (
            event.activity,
            _Decision(
                case=case,
                choice=then.activity if then else END,
                path=tuple(path),
                facts=dict(facts),
                waited=(then.begun or then.at) - event.at if then else None,
                who=then.who if then else "",
                cost=then.cost if then else None,
                reworked=later[n],
            ),
        )


def _done_again(events: Sequence[LoggedEvent]) -> list[bool]:
    """Of each event whether one that was done up to it is done again after it."""
    first = dict[str, int]()
    last = {each.activity: n for n, each in enumerate(events)}
    found, until = list[bool](), -1
    for n, each in enumerate(events):
        first.setdefault(each.activity, n)
        until = max(until, last[each.activity])
        found.append(until > n)
    return found


def _is_choice(decisions: Sequence[_Decision]) -> bool:
    """Whether people went on in two ways at least, neither of them rare."""
    return len(_choices(decisions).keys() - {RARE}) > 1


def _choices(decisions: Sequence[_Decision]) -> dict[str, int]:
    counts = Counter(each.choice for each in decisions)
    often = {name: n for name, n in counts.most_common() if n * 100 >= len(decisions)}
    rare = len(decisions) - sum(often.values())
    return often | ({RARE: rare} if rare else {})


def _decision_point(
    log: str, after: str, decisions: Sequence[_Decision], months: float | None
) -> Candidate:
    choices = _choices(decisions)
    predicted = _predicted(after, decisions, choices)
    waits = [each.waited for each in decisions if each.waited is not None]
    costs = [each.cost for each in decisions if each.cost is not None]
    paths = Counter(each.path for each in decisions)
    return _scored(
        Candidate(
            name=f"{log}: after {after}",
            log=log,
            after=after,
            choices=choices,
            cases=len({each.case for each in decisions}),
            per_month=len(decisions) / months if months else None,
            waiting=_median(waits),
            reworked=fmean(each.reworked for each in decisions),
            cost=sum(costs, Decimal(0)) / len(costs) if costs else None,
            people=len({each.who for each in decisions if each.who}),
            repetition=sum(n for _, n in paths.most_common(_COMMON)) / len(decisions),
            predicted=predicted,
        )
    )


def _median(spans: Sequence[timedelta]) -> timedelta | None:
    return timedelta(seconds=median(e.total_seconds() for e in spans)) if spans else None


def _predicted(
    after: str, decisions: Sequence[_Decision], choices: Mapping[str, int]
) -> Predicted | None:
    """What few facts say, on cases held out; None where too few are left to learn or judge."""
    learned, judged = list[_Known](), list[_Known]()
    for each in decisions:
        if each.facts is not None:
            choice = each.choice if each.choice in choices else RARE
            part = learned if _place(each.case) % _HELD_OUT else judged
            part.append((each.facts, choice))
    if len(judged) < FEWEST // _HELD_OUT // 2 or not learned:
        return None
    said = [choice for _, choice in learned]
    tree = grow([facts for facts, _ in learned], said)
    right = [predict(tree, facts) == choice for facts, choice in judged]
    common = Counter(said).most_common(1)[0][0]
    most = [choice == common for _, choice in judged]
    bound, skill = measure_agreement(right), _skill(right, most)
    facts = tuple(sorted(facts_of(tree)))
    named = tuple(each for each in facts if _names([*learned, *judged], each))
    return Predicted(after, bound, fmean(most), skill, facts, tuple(rules(tree)), named)


def _names(known: Sequence[_Known], fact: str) -> bool:
    """Whether a fact mostly bears the name of what was done then: `refused` before `refuse`."""
    said = [(value, choice) for facts, choice in known if (value := facts.get(fact)) is not None]
    pairs = ((_letters(str(value)), _letters(choice)) for value, choice in said)
    alike = sum(
        min(len(value), len(choice)) >= _WORD
        and (value.startswith(choice[:_STEM]) or choice.startswith(value[:_STEM]))
        for value, choice in pairs
    )
    return len(said) > 0 and alike >= _MOSTLY * len(said)


def _letters(text: str) -> str:
    return "".join(each for each in text.lower() if each.isalpha())


def _skill(right: Sequence[bool], usual: Sequence[bool]) -> float:
    """How much of what the `usual` gets wrong is set right; 0 where chance explains it.

    By McNemar's test: of those on which the two differ, half would go each way by chance.
    """
    better = sum(a and not b for a, b in zip(right, usual, strict=True))
    worse = sum(b and not a for a, b in zip(right, usual, strict=True))
    if better - worse <= _CHANCE * (better + worse) ** 0.5:
        return 0.0
    return (better - worse) / usual.count(False)


def _place(case: str) -> int:
    """Where a case stands in an order that has nothing to do with what became of it."""
    return int.from_bytes(hashlib.sha256(f"handrail discover {case}".encode()).digest()[:8])


# Workflows


def _workflow(
    found: LogFigures, cases: Sequence[LoggedCase], points: Sequence[Candidate]
) -> Candidate:
    """The log as a whole. Who does all of it is as good as its worst decision that is not rare."""
    paths = Counter(each.path for each in cases)
    return _scored(
        Candidate(
            name=f"{found.name}: all of it",
            log=found.name,
            after=None,
            choices={" > ".join(path): n for path, n in paths.most_common(_COMMON)},
            paths=tuple(path for path, _ in paths.most_common(_COMMON)),
            cases=found.cases,
            per_month=found.per_month,
            waiting=found.waiting,
            reworked=found.reworked or 0.0,
            cost=found.cost,
            people=found.people,
            repetition=found.common or 0.0,
            predicted=min(
                (e.predicted for e in points if e.predicted and e.cases >= found.cases * _SOME),
                key=lambda each: each.right.share or 0,
                default=None,
            ),
        )
    )


# Scores


def _scored(found: Candidate) -> Candidate:
    """The candidate with its scores and its reasons.

    Impact: how often, from 3 (0) to 3,000 a month (1) by its logarithm; half of that for certain,
    half times the mean of waiting, from an hour (0) to 30 days (1), rework, from none (0) to half
    of the cases (1), and cost, where it is known, from 100 (0) to 1,000,000 a month (1).
    Feasibility: 0.7 of it how well it is predicted (the mean of the share that is right and of the
    skill), 0.3 repetition.
    """
    waits = found.waiting / _HOUR if found.waiting is not None else None
    rest = [_scale(waits, 1, _LONG / _HOUR), min(found.reworked / 0.5, 1.0)]
    if found.cost is not None and found.per_month is not None:
        rest.append(_scale(float(found.cost) * found.per_month, 100, 1_000_000))
    seen = found.predicted
    ruled = fmean([seen.right.share or 0.0, seen.skill]) if seen else 0.0
    return replace(
        found,
        impact=_scale(found.per_month, 3, 3_000) * (0.5 + 0.5 * fmean(rest)),
        feasibility=0.7 * ruled + 0.3 * found.repetition,
        why=tuple(_why(found)),
        against=tuple(_against(found)),
    )


def _scale(amount: float | None, least: float, most: float) -> float:
    if amount is None or amount <= least:
        return 0.0
    return min(log10(amount / least) / log10(most / least), 1.0)


def _why(found: Candidate) -> Iterator[str]:
    if found.per_month is not None:
        yield f"{found.per_month:,.0f} a month"
    if found.waiting is not None and found.waiting >= _HOUR:
        until = "to its end" if found.after is None else "until it goes on"
        yield f"half of them take {length_in_words(found.waiting)} or more {until}"
    if found.reworked >= _SOME:
        yield f"in {found.reworked:.0%} something is done again"
    if found.cost is not None:
        yield f"{found.cost:,.2f} each"
    if found.repetition >= _ALIKE:
        yield f"{found.repetition:.0%} come by the {_COMMON} most common ways"
    seen = found.predicted
    if seen is not None and seen.skill >= _SOME and (seen.right.share or 0) >= _POOR:
        say = "says" if len(seen.facts) == 1 else "say"
        yield (
            f"{_place_of(found)}{', '.join(seen.facts)} {say} what people did in "
            f"{seen.right.share:.1%} of {seen.right.n:,} that were held out (always the most "
            f"common: {seen.usual:.1%})"
        )


def _against(found: Candidate) -> Iterator[str]:
    seen = found.predicted
    if seen is None:
        yield (
            "nothing in it is decided: a plain workflow does it, without an agent"
            if found.after is None
            else "too few cases are left to judge what was learned from the others"
        )
    elif seen.usual >= _ROUTINE:
        yield f"a routine, not a decision: {seen.usual:.0%} go the same way, by a plain rule"
    elif (seen.right.share or 0) < _POOR:
        yield (
            f"{_place_of(found)}what the log has says what people did in "
            f"{seen.right.share:.0%} only: they know something that is not in it"
        )
    elif seen.skill < _SOME:
        yield (
            f"{_place_of(found)}what the log has says little more than always the most common "
            f"({seen.usual:.0%}): what makes the difference is not in it"
        )
    if seen is not None and seen.named:
        yield (
            f"{_place_of(found)}{', '.join(seen.named)} bears the name of what was done then, and "
            "may have been written after it: see what is left without it (--without)"
        )
    if found.per_month is not None and found.per_month < _TOO_RARE:
        yield f"{found.per_month:.1f} a month are few: building it costs more than it frees"
    if found.repetition < _ALIKE / 2:
        yield f"each goes its own way: the {_COMMON} most common ways are {found.repetition:.0%}"
    if not found.people:
        yield "the log names nobody who does it: it may be done by a machine already"


def _place_of(found: Candidate) -> str:
    """Where in a whole workflow its worst decision is."""
    seen = found.predicted
    return f"after {seen.after}: " if seen is not None and found.after is None else ""


def length_in_words(span: timedelta) -> str:
    """A length of time in its largest unit, as figures of a process are said."""
    for unit, name in ((timedelta(days=1), "days"), (_HOUR, "hours")):
        if span >= unit:
            return f"{span / unit:,.1f} {name}"
    return f"{span / timedelta(minutes=1):,.0f} minutes"
