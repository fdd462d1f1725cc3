"""What rules, scopes and settings have to say of one write, as findings. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from handrail.actions import WHOLE, Finding, Kind, Level
from handrail.policy.parts import Condition, Facts, Setting
from handrail.policy.rules import RuleFailed


def share_of(agent: str, step: str, case: str) -> int:
    """Where a case falls in a rollout, 0 to 9,999: the same in every process, for ever."""
    key = case.partition(":")[2] or case
    digest = hashlib.sha256(f"{agent}/{step}/{key}".encode()).hexdigest()
    return int(digest, 16) % WHOLE


def autonomy(agent: str, facts: Facts, setting: Setting, role: str) -> list[Finding]:
    """Why a human is asked, whatever the rules say: the level in force, or its rollout.

    Below `human_led` nobody is asked: the door does not come to that.
    """
    level, step = setting.level, facts.step
    if not level.exceeds(Level.PILOT):
        return []
    if level is Level.FULL and share_of(agent, step, facts.case) < setting.rollout:
        return []
    share = f"{Decimal(setting.rollout) / 100:f}%"
    why = {
        Level.FULL: f"only {share} of the cases run alone, this one does not",
        Level.SUPERVISED: f"every {step} is held: its autonomy is supervised",
        Level.HUMAN_LED: f"a human decides every {step}: its autonomy is human_led",
    }[level]
    by = f" ({setting.label})" if facts.setting or "instead of" in setting.label else ""
    check = "rollout" if level is Level.FULL else "autonomy"
    return [Finding(check=check, kind=Kind.HOLD, why=f"{why}{by}", role=role)]


def judged(conditions: Sequence[Condition], facts: Facts, kind: Kind) -> list[Finding]:
    """What rules say. One that cannot be judged holds, whatever it would have done."""
    named = facts.named() if conditions else {}
    return [finding for condition in conditions for finding in _judge(condition, named, kind)]


def refuses(finding: Finding) -> bool:
    """Whether it refuses."""
    return finding.kind is Kind.REFUSE


def unmet(conditions: Sequence[Condition], facts: Facts) -> list[Finding]:
    """The scopes that a write is outside of. One that cannot be judged holds."""
    named = facts.named() if conditions else {}
    return [finding for condition in conditions for finding in _unmet(condition, named)]


def _judge(condition: Condition, named: Mapping[str, Any], kind: Kind) -> list[Finding]:
    check = f"rule: {condition.rule.text}"
    try:
        match = condition.rule.evaluate(named)
    except RuleFailed as failed:
        why, kind = str(failed), Kind.HOLD
    else:
        if not match.true:
            return []
        why = f"{condition.why}: {' and '.join(match.because)}"
    roles = condition.roles if kind is Kind.HOLD else (None,)
    return [Finding(check=check, kind=kind, why=why, role=role) for role in roles]


def _unmet(condition: Condition, named: Mapping[str, Any]) -> list[Finding]:
    check = f"only: {condition.rule.text}"
    try:
        match = condition.rule.evaluate(named, want=False)
    except RuleFailed as failed:
        roles = condition.roles
        return [Finding(check=check, kind=Kind.HOLD, why=str(failed), role=r) for r in roles]
    if match.true:
        return []
    why = f"{condition.why}: {' and '.join(match.because)}"
    return [Finding(check=check, kind=Kind.REFUSE, why=why)]
