"""What a policy says of a promotion: what it takes, what takes it back, and what it rests on."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from handrail.actions import Level
from handrail.policy import known_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from handrail.ledger import PolicyRow
    from handrail.policy import ActionDoc, PromoteDoc


def judged_by(row: PolicyRow, step: str) -> object:
    """What of a policy agreement with people rests on: all of a write but how free it is."""
    mine = reviewed_by(row, step)
    return None if mine is None else mine.model_copy(update={"review": None})


def reviewed_by(row: PolicyRow, step: str) -> ActionDoc | None:
    """What of it the share of wrong ones rests on: also how much of what runs alone is reviewed."""
    doc = known_policy(row.text)
    mine = None if doc is None else doc.actions.get(step)
    free = {"autonomy": Level.PILOT, "rollout": None, "promote": None}
    return None if mine is None else mine.model_copy(update=free)


def last_change(
    seen: Sequence[tuple[str, str, datetime]],
    policies: Sequence[PolicyRow],
    step: str,
    rests_on: Callable[[PolicyRow, str], object],
) -> tuple[datetime | None, str]:
    """Since when the evidence of a write counts, and what began it anew: the latest change.

    `seen`: when which other build or model came; `policies`: the latest first; `rests_on`: what of
    one the evidence rests on.
    """
    changes = [(at, f"another {kind}: {value}") for kind, value, at in seen]
    docs = ((row, rests_on(row, step)) for row in policies)
    for (row, doc), (_, before) in pairwise(docs):
        if doc != before:
            changes.append((row.first, f"another policy: {row.label}"))
            break
    return max(changes, default=(None, ""))


def wanted(rule: PromoteDoc) -> str:
    """What a promotion takes, in words."""
    share = f"{rule.agreement / 100:g}% agreement, {rule.wrong / 100:g}% wrong"
    return f"{share}, {rule.cases} cases in {rule.days} days"


def takes_back(doc: ActionDoc, rule: PromoteDoc) -> tuple[str, ...]:
    """What takes a step up back by itself, in words."""
    watched = [*(["what it decides"] if doc.pilot.kind else []), *rule.watch]
    drift = [f"drift of {', '.join(watched)} since the last step"] if watched else []
    return (
        "an incident",
        f"more wrong than before by over {rule.worse / 100:g}% (a false alarm in 5% at most)",
        *drift,
        "another model, or another contract of its outside system",
        "a breaker of the policy, a stop, or anybody who lowers it",
    )
