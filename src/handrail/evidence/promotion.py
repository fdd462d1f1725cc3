"""Promotion: what an agent must have shown before it may do more of one write. Pure.

People sign every step up; the system only proposes it, with the evidence. A step down is taken
by itself. Both are judged however often one likes: the bounds hold at every look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from handrail.actions import WHOLE, Level
from handrail.evidence.drift import Drift
from handrail.evidence.estimates import ERROR, AgreementBound, ErrorShare, writes_needed
from handrail.evidence.worsening import worse_than, worse_than_before
from handrail.policy import Setting
from handrail.text import at_least, at_most, one_line, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from handrail.policy import ActionDoc, PromoteDoc


@dataclass(frozen=True)
class PromotionEvidence:
    """What is known of one write since its evidence began (`first`: of the first case since then).

    `agreement`: of what it would have written with what people did, or of what they approved.
    `wrong`: of what ran alone, of `settled` writes. `alone`: how many ran so since the `first`.
    `restarted`: what began the evidence anew, in words.
    """

    first: datetime | None
    agreement: AgreementBound
    wrong: ErrorShare | None = None
    settled: int = 0
    alone: int = 0
    open_incidents: int = 0
    waiting: int = 0
    planted: int = 0
    caught: int = 0
    restarted: str = ""


@dataclass(frozen=True)
class NextStep:
    """How much more the agent may come to do next, and what is lacking for it, in words.

    `to` is None where there is nothing more. With nothing lacking it is to be proposed.
    """

    to: Setting | None
    lacking: tuple[str, ...] = ()

    @property
    def due(self) -> bool:
        """Whether people are to be asked."""
        return self.to is not None and not self.lacking


def next_setting(now: Setting, most: Level, shares: Sequence[int]) -> Setting | None:
    """The step after `now`: a larger share of the cases, as far as the policy lets anything go."""
    if now.level is Level.STOP or not most.exceeds(Level.HUMAN_LED):
        return None
    if most is not Level.FULL:
        return Setting(most) if most.exceeds(now.level) else None
    done = now.rollout if now.level is Level.FULL else 0
    return next((Setting(Level.FULL, share) for share in shares if share > done), None)


def setting_before(now: Setting, shares: Sequence[int]) -> Setting | None:
    """The step before `now`; None where nothing runs alone."""
    if now.level is not Level.FULL:
        return None
    lower = [share for share in shares if share < now.rollout]
    return Setting(Level.FULL, lower[-1]) if lower else Setting(Level.SUPERVISED)


def next_step(
    rule: PromoteDoc, setting: Setting, most: Level, seen: PromotionEvidence, now: datetime
) -> NextStep:
    """Whether an agent has shown what the policy wants before it may do more of a write."""
    to = next_setting(setting, most, rule.shares)
    if to is None:
        return NextStep(None)
    alone = setting.level is Level.FULL
    cases = seen.settled if alone else seen.agreement.n
    shown = _wrong(rule, seen, now) if alone else _agreement(rule, seen, now)
    lacking = [shown] if shown else []
    if cases < rule.cases:
        lacking.append(f"cases: {cases}, {rule.cases - cases} more needed")
    days = (now - seen.first).days if seen.first else 0
    if days < rule.days:
        lacking.append(f"days: {days}, {rule.days - days} more needed")
    if seen.open_incidents:
        lacking.append(f"incidents: {seen.open_incidents} open")
    if seen.waiting > rule.reviews:
        lacking.append(f"reviews: {seen.waiting} wait, {rule.reviews} may")
    if rule.caught and seen.caught * WHOLE < rule.caught * max(seen.planted, 1):
        said = f"{seen.caught} of {seen.planted} planted ones caught"
        lacking.append(f"attention: {said}, {percent(rule.caught)} wanted")
    return NextStep(to, tuple(lacking))


_SLOW = 1_000
"""Who begins wants to know where a ramp takes more writes than these."""


def slow_ramps(actions: Mapping[str, ActionDoc]) -> Iterator[str]:
    """Which writes take long before they are let do more, by the numbers of their policy alone."""
    for step, doc in actions.items():
        if doc.promote is not None:
            for said in _slow(doc, doc.promote):
                yield f"actions.{step}.promote: {said}"


def _slow(doc: ActionDoc, rule: PromoteDoc) -> Iterator[str]:
    review, least, ramp = doc.review, 1 - rule.agreement / WHOLE, len(rule.shares) > 1
    if least <= 0:
        yield "no number of cases shows an agreement of 100%; fix: agreement: 95%"
    elif (n := writes_needed(least)) > _SLOW:
        yield f"agreement: {percent(rule.agreement)} takes {n:,} cases that all agree"
    if not ramp:
        return
    looked = max(review.random, review.ramp) if review else 0
    all_ = f"review: {{random: {percent(review.random if review else 500)}, ramp: 100%}}"
    if not rule.wrong:
        yield "no number of writes shows that none is wrong; fix: wrong: 2%"
    elif not looked:
        said = "nothing that runs alone is looked at, so it goes no further than its first share"
        yield f"{said}; fix: {all_}"
    elif (n := writes_needed(rule.wrong / WHOLE, looked / WHOLE)) > _SLOW:
        bound = f"wrong: {percent(rule.wrong)}"
        said = f"{bound} takes {n:,} writes that run alone, with review: {percent(looked)}"
        fewer = writes_needed(rule.wrong / WHOLE)
        yield f"{said}; all looked at while it is on its ramp ({all_}) it takes {fewer:,}"


def _agreement(rule: PromoteDoc, seen: PromotionEvidence, now: datetime) -> str:
    goal, bound = rule.agreement / WHOLE, seen.agreement
    if bound.low >= goal:
        return ""
    more = ""
    if goal < 1:
        needed = bound.needed(goal)
        more = f": {needed:,} more that agree{_days(needed, bound.n, seen.first, now)}"
    return f"agreement: at least {at_least(bound.low)}%, {percent(rule.agreement)} wanted{more}"


def _days(more: int, n: int, first: datetime | None, now: datetime) -> str:
    """How long so many more take, if they come as `n` did since the first."""
    past = (now - first) / timedelta(days=1) if first else 0.0
    if not n or past < 1:
        return ""
    days = ceil(more / (n / past))
    return f", about {days:,} day{'s' * (days != 1)} as it goes"


def _wrong(rule: PromoteDoc, seen: PromotionEvidence, now: datetime) -> str:
    high = 1.0 if seen.wrong is None else seen.wrong.high
    if high <= rule.wrong / WHOLE:
        return ""
    # One that is right adds to the writes, and not to how many of them may be wrong.
    more = ceil(high * seen.settled * WHOLE / rule.wrong) - seen.settled if rule.wrong else 0
    ahead = _days(more, seen.alone, seen.first, now)
    far = f": {more:,} more that are right{ahead}" if high < 1 and more > 0 else ""
    return f"wrong: at most {at_most(high)}%, {percent(rule.wrong)} wanted{far}"


def why_step_back(
    rule: PromoteDoc,
    before: Iterable[bool],
    after: Iterable[bool],
    incidents: Sequence[str],
    drifts: Mapping[str, Drift],
    *,
    contract: Sequence[str] = (),
    models: Sequence[str] = (),
) -> str | None:
    """Why an agent that does a write alone must do less of it by itself; None if it need not.

    `drifts`: of each field that is watched. `contract`: errors since then that an outside system
    made which describes itself otherwise; `models`: others that decide since then. `before` and
    `after` its last step up: whether each case was wrong, in their order. A false alarm comes with
    a chance of at most `ERROR`, however often one looks.
    """
    if incidents:
        return f"incident: {incidents[0]}"
    if contract:
        return f"drift: a contract has changed: {one_line(contract[-1], 300)}"
    if models:
        return f"drift: another model decides: {one_line(models[-1], 200)}"
    known = list(before)
    if known:
        worse = worse_than_before(known, after, ERROR, margin=rule.worse / WHOLE)
    else:  # what the policy lets be wrong is all that is known
        worse = worse_than(min(max(rule.wrong + rule.worse, 1), WHOLE - 1) / WHOLE, after, ERROR)
    if worse.alarm is not None and worse.share is not None:
        was = f"before {worse.share_before:.1%} of {worse.before}" if known else "nothing before"
        now = f"wrong: {worse.share:.1%} of {worse.n}, {was}"
        more = "" if known else f", and {percent(rule.wrong)} is let be"
        return f"{now}{more}; a false alarm in {ERROR:.0%} of the agents at most"
    for field, drift in drifts.items():
        if drift.drifted and drift.index is not None:
            new = f", new: {', '.join(sorted(drift.new)[:3])}" if drift.new else ""
            return f"drift: {field} has moved (index {drift.index:.2f} of {drift.n}{new})"
    return None
