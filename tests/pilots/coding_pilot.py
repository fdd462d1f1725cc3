"""The pilot of the coding agent on a log: through the ledger, in the order of time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from handrail import Ledger
from handrail.actions import Kind, digest_of
from handrail.client import Operator, PilotView, PromotionDone, PromotionView
from handrail.ledger import VerdictRow
from tests.agents.coding import coding
from tests.agents.coding_steps import Coder, RuledPackage, is_learnt_from, ruled_packages

LOOK = timedelta(days=30)


@dataclass(frozen=True)
class Looked:
    """What was known at one moment, and what was done about it."""

    at: datetime
    pilot: PilotView
    write: PromotionView
    done: PromotionDone


def halves(folder: Path) -> tuple[Coder, list[RuledPackage]]:
    """What was learnt from one half of the cases, and the other half in the order of time."""
    ruled = ruled_packages(folder)
    learnt = Coder.learnt(each for each in ruled if is_learnt_from(each.package.number))
    return learnt, [each for each in ruled if not is_learnt_from(each.package.number)]


async def piloted(
    coder: Coder, measured: Sequence[RuledPackage], home: Path, **policy: Any
) -> AsyncGenerator[Looked]:
    """Propose and take rulings in, month by month, and look after each."""
    agents = coding(home, **policy).agents
    text = agents["coding"].policy.read_text("utf-8")
    at = measured[0].at
    async with Ledger(f"sqlite:///{home}/pilot.db") as ledger:
        await ledger.loaded("coding", 1, "0" * 64, "coding v1", text)
        somebody = Operator(None, ledger, by="pilot", agents=agents, clock=lambda: at)
        left = list(measured)
        while left:
            at += LOOK
            month = [each for each in left if each.at < at]
            left = left[len(month) :]
            for each in month:
                await ledger.record_verdict(_proposal(coder, each))
            said = [
                {
                    "case": each.package.number,
                    "at": each.at,
                    "by": each.by,
                    "action": {"ruling": each.ruling},
                }
                for each in month
            ]
            taken = await somebody.import_outcomes("coding", said, "the log")
            assert not taken.bad, taken.bad[:3]
            done = await somebody.evaluate_promotions("coding")
            (write,) = (await somebody.promotions("coding")).writes
            yield Looked(at, await somebody.pilot("coding"), write, done)


def _proposal(coder: Coder, each: RuledPackage) -> VerdictRow:
    """What the agent would have ruled, just before people did."""
    ruling, _ = coder.rule(each.package)
    action: dict[str, Any] = {"package": each.package.number, "ruling": ruling}
    case = f"coding:{each.package.number}"
    return VerdictRow(
        case=case,
        agent="coding",
        step="rule",
        key=f"{case}/rule/1",
        digest=digest_of("rule", action),
        at=each.at - timedelta(minutes=1),
        kind=Kind.PASS,
        findings=(),
        policy="coding v1",
        autonomy="pilot",
        pilot=True,
        action=action,
        basis=None,
        requester=None,
    )
