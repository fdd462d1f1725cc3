"""Whether a new build does as well as the one before it, case by case. Pure.

The cases of the old build, from before the rollout, make the band: the upper end of the confidence
sequence for its share of bad cases. The new build's cases are tested against it by a bet
(`worsening`), so that however often one looks, a build that is as good as the old one is taken for
worse with a chance of at most `error` over the whole of its rollout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from handrail.evidence.estimates import ERROR
from handrail.evidence.worsening import Worsening, worse_than, worse_than_before

FEW = 20
"""With fewer cases of the old build its band would be too wide to say anything."""

DECLARED = 0.1
"""Share of bad cases that is allowed then, unless somebody said which."""


@dataclass(frozen=True)
class BuildJudgement:
    """What is to become of the new build's share of cases.

    `worse`: take it back. `within`: let it have more. `wait`: too few of its cases have ended to
    say, or more of them were bad than the band allows, and too few to say that it is no chance.
    `declared`: the band is what somebody allowed, or `DECLARED`, and not the old build's own.
    """

    verdict: Literal["worse", "wait", "within"]
    test: Worsening
    declared: bool


def judge_build(
    before: Sequence[float],
    after: Sequence[float],
    *,
    fresh: int,
    needed: int,
    allowed: float | None = None,
    error: float = ERROR,
) -> BuildJudgement:
    """Judge a new build: 1 for each bad case and 0 for each good one, as they ended.

    `before`: of the old build, frozen when the rollout began. `after`: of the new one. `fresh`: how
    many of them ended at its present share, of `needed`. `allowed`: the share of bad ones that
    somebody allows instead of the old build's band.

    Raises:
        ValueError: if a share is not between 0 and 1.
    """
    declared = allowed is not None or len(before) < FEW
    test = (
        worse_than(DECLARED if allowed is None else allowed, after, error)
        if declared
        else worse_than_before(before, after, error)
    )
    if test.alarm is not None:
        return BuildJudgement("worse", test, declared)
    enough = fresh >= needed and test.share is not None and test.share <= test.allowed
    return BuildJudgement("within" if enough else "wait", test, declared)
