"""Counts what happened against the outside systems' books, and finds what must not be."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby

from tests.chaos.lab import Blow, Ended, Journal, Lane, Mark
from tests.chaos.outside import REACH_OPS, Books, Count
from tests.chaos.plan import Trial


@dataclass(frozen=True)
class Recovery:
    """How long a case stood still after what had hit it was healed."""

    after: str
    seconds: float


@dataclass
class Verdict:
    """One case: what it met, what became of it, and what is wrong with that."""

    case: str
    trial: Trial
    count: Count
    ended: Ended
    fired: int
    asked: int
    false: int = 0
    """Questions that need not have been asked: it could be known."""
    faults: list[str] = field(default_factory=list[str])
    recoveries: list[Recovery] = field(default_factory=list[Recovery])


@dataclass
class Row:
    """One line of the table."""

    target: str
    kind: str
    what: str
    cases: int = 0
    planned: int = 0
    fired: int = 0
    asked: int = 0
    false: int = 0
    lost: int = 0
    doubled: int = 0
    recoveries: list[Recovery] = field(default_factory=list[Recovery])


def judge(journal: Journal, lane: Lane, trials: Iterable[Trial]) -> list[Verdict]:
    """Judge every case of a lane."""
    books = Books(lane.books)
    fired = {mark.fault for mark in journal.marks if mark.fault}
    verdicts: list[Verdict] = []
    for trial in trials:
        case = f"{lane.name}:{trial.key}"
        verdict = Verdict(
            case=case,
            trial=trial,
            count=books.count(case),
            ended=journal.ended.get(case, Ended()),
            fired=sum(fault.id in fired for fault in trial.faults),
            asked=sum(a.case == case and a.kind == "in_doubt" for a in journal.asked),
        )
        if not lane.naive:
            verdict.false = _asked_falsely(verdict, journal)
            verdict.faults = list(_faults(verdict, journal))
        verdicts.append(verdict)
    return verdicts


def _faults(verdict: Verdict, journal: Journal) -> Iterable[str]:
    yield from _of_the_case(verdict, journal)
    yield from _of_the_effects(verdict)
    trial = verdict.trial
    if verdict.false:
        yield f"asked falsely: {verdict.false} questions, though it could be known"
    if verdict.fired < len(trial.faults):
        yield "not reached: a planned fault did not fire"
    elif trial.must_ask and not verdict.asked:
        yield "not asked: nobody could know whether it happened"
    # Whether or not it did any harm: a write in doubt goes out again for each "do it" alone.
    ordered = sum(
        a.case == verdict.case and a.step == "do_plain" and a.answer == "do it"
        for a in journal.asked
    )
    if trial.kind == "plain" and verdict.count.tried > 1 + ordered:
        yield f"repeated: sent {verdict.count.tried} times, {ordered} of them by order"


def _asked_falsely(verdict: Verdict, journal: Journal) -> int:
    trial = verdict.trial
    if trial.target != "random":
        return 0 if trial.may_ask else verdict.asked
    if trial.kind != "plain":
        return verdict.asked
    # In the storm nobody could know where something was struck while the write was on its way.
    mine = [mark for mark in journal.marks if mark.case == verdict.case]
    sent = [mark.at for mark in mine if mark.boundary.endswith(("after-intent", "before-effect"))]
    asks = [mark.at for mark in mine if mark.boundary == "doubt:asking"]
    struck = [blow.at for blow in journal.blows if blow.what != "block"]
    since = min(sent, default=math.inf)
    return 0 if any(since < at < max(asks, default=0) for at in struck) else verdict.asked


def _of_the_case(verdict: Verdict, journal: Journal) -> Iterable[str]:
    trial, ended = verdict.trial, verdict.ended
    if ended.status is None:
        yield "wedged: it never ended"
    elif ended.status != trial.ends:
        yield f"lost: it ended {ended.status} instead of {trial.ends}: {ended.why}"
    if verdict.case in journal.reported:
        yield "wedged: the server reported it"
    if trial.ends == "done" and (verdict.count.message_keys != 1 or ended.unsent):
        yield "lost: nobody was told"


def _of_the_effects(verdict: Verdict) -> Iterable[str]:
    ends, count = verdict.trial.ends, verdict.count
    happened = f"written {count.done} times, undone {count.undone} times"
    if count.done > 1 or count.undone > 1:
        yield f"doubled: {happened}"
    if count.message_keys > 1:
        yield f"doubled: told under {count.message_keys} keys"
    if verdict.trial.world == "reach":
        for op, times in zip(REACH_OPS, count.reach, strict=True):
            if times != 1:
                yield f"{'doubled' if times else 'lost'}: {op} {times} times"
    if ends == "rolled_back" and count.done != count.undone:
        yield f"not undone: {happened}"
    undone = {"done": 0, "failed": 1}.get(ends, count.undone)
    if ends != "rolled_back" and (count.done < 1 or count.undone != undone):
        yield f"lost: {happened}"


def recover(journal: Journal, verdicts: Sequence[Verdict]) -> None:
    """Find for every blow how long the cases that it hit stood still after it was healed."""
    by_case = {v.case: v for v in verdicts}
    marks = sorted(journal.marks, key=lambda mark: (mark.case, mark.at))
    for case, group in groupby(marks, key=lambda mark: mark.case):
        if case in by_case:
            by_case[case].recoveries = list(_recoveries(by_case[case], list(group), journal))


def _recoveries(verdict: Verdict, marks: Sequence[Mark], journal: Journal) -> Iterable[Recovery]:
    gates = [asked.at for asked in journal.asked if asked.case == verdict.case]
    ends = [mark.at for mark in marks[1:]]
    if verdict.ended.status is not None:
        ends.append(verdict.ended.at)
    worker = ""
    for mark, until in zip(marks, ends, strict=False):
        worker = worker if mark.boundary.startswith("outside:") else mark.actor
        hits = [b for b in journal.blows if mark.at - 0.05 <= b.at < until]
        stood = _stood_still(mark, until, [b for b in hits if _hits(b, mark, worker)], gates)
        if stood is not None:
            yield stood


def _stood_still(
    mark: Mark, until: float, hits: Sequence[Blow], gates: Sequence[float]
) -> Recovery | None:
    """From the healing of what had hit a case between two of its marks to the later one.

    From the last healing, where several blows hit it; from the human's answer, where it
    waited for one. None if nothing hit it.
    """
    healed = [(b.healed, b) for b in hits if b.healed is not None]
    if not healed or len(healed) < len(hits):
        return None
    last, blow = max(healed, key=lambda pair: pair[0])
    answered = [at for at in gates if mark.at < at < until]
    what = f"{blow.what} of {blow.actor.split()[-2 if blow.actor[-1].isdigit() else -1]}"
    return Recovery(what, max(0.0, until - max([last, *answered])))


def _hits(blow: Blow, mark: Mark, worker: str) -> bool:
    """Whether a blow hit a case that had last reached `mark`, in the hands of `worker`."""
    if blow.actor == "server":
        return True
    if blow.actor.endswith("outside"):
        lane = mark.case.partition(":")[0]
        places = ("client:", "outside:", "write:before-effect", "find:before", "undo:before-effect")
        return blow.actor.startswith(f"{lane} ") and mark.boundary.startswith(places)
    return blow.actor == worker


def table(verdicts: Iterable[Verdict]) -> list[Row]:
    """One row for each boundary, kind of write and kind of fault."""
    rows: dict[tuple[str, str, str], Row] = {}
    for verdict in verdicts:
        trial = verdict.trial
        what = trial.faults[-1].what if trial.faults else "all"
        key = (trial.target, trial.kind, what)
        row = rows.setdefault(key, Row(*key))
        row.cases += 1
        row.planned += len(trial.faults)
        row.fired += verdict.fired
        row.asked += verdict.asked
        row.false += verdict.false
        row.lost += any(f.startswith(("lost", "wedged", "not undone")) for f in verdict.faults)
        row.doubled += max(verdict.count.done, verdict.count.undone, *verdict.count.reach) > 1
        row.recoveries += verdict.recoveries
    return [rows[key] for key in sorted(rows)]


def percentile(values: Sequence[float], share: float) -> timedelta:
    """The smallest value that `share` of all do not exceed; zero of none."""
    if not values:
        return timedelta()
    ordered = sorted(values)
    return timedelta(seconds=ordered[max(0, math.ceil(share * len(ordered)) - 1)])
