"""One write that may be promoted: what is known of it, and how a proposal of it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from handrail import policy as policy_files
from handrail.actions import WHOLE, Level
from handrail.ledger import PROPOSED, AlertRow
from handrail.text import at_least, at_most

if TYPE_CHECKING:
    from datetime import datetime

    from handrail.client.views import ChangeView
    from handrail.evidence import NextStep, PilotReport, PromotionEvidence, TrackRecord
    from handrail.policy import ActionDoc, PromoteDoc, Setting


class WriteStand(NamedTuple):
    """How much an agent does of a write by itself, may at most, and what waits for a second."""

    setting: Setting
    most: Level
    waiting: tuple[ChangeView, ...] = ()


@dataclass(frozen=True)
class PromotableWrite:
    """One write that may be promoted, with all that is known of it."""

    agent: str
    step: str
    rule: PromoteDoc
    doc: ActionDoc
    stand: WriteStand
    since: datetime | None
    report: PilotReport
    record: TrackRecord
    seen: PromotionEvidence
    next: NextStep

    @property
    def setting(self) -> Setting:
        """How much the agent does of it by itself."""
        return self.stand.setting

    @property
    def signed(self) -> ChangeView | None:
        """The order for the next step that one person has given, and that waits for another."""
        to = self.next.to
        return next((e for e in self.stand.waiting if to is not None and is_for(e, to)), None)


def falling_among(write: PromotableWrite, proposed: Mapping[str, int], among: range) -> int:
    """How many of what was proposed in each case fall among these of a rollout."""
    share_of = policy_files.share_of
    falls = ((share_of(write.agent, write.step, case), n) for case, n in proposed.items())
    return sum(n for share, n in falls if share in among)


def proposal_id(write: PromotableWrite) -> str:
    """The id of a proposal: one for each step, and anew when there is twice the evidence."""
    alone = write.setting.level is Level.FULL
    n = write.seen.settled if alone else write.seen.agreement.n
    said = [write.agent, write.step, str(write.setting), str(write.next.to), str(write.since)]
    text = "/".join([PROPOSED, *said, str(n.bit_length())])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def is_for(change: ChangeView, to: Setting) -> bool:
    """Whether an order is for this setting."""
    share = WHOLE if change.order.rollout is None else change.order.rollout
    return (change.order.level, share) == (to.level, to.rollout)


def begins_with(write: PromotableWrite) -> str:
    """How a proposal begins."""
    return f"{write.setting} to {write.next.to}: "


def still_stands(row: AlertRow, write: PromotableWrite) -> bool:
    """Whether a proposal is of what is due still."""
    return write.next.due and row.value.startswith(begins_with(write))


def shown_in_words(write: PromotableWrite) -> str:
    """What the write has shown so far, as a proposal ends."""
    if write.setting.level is Level.FULL and write.record.wrong is not None:
        return f"at most {at_most(write.record.wrong.high)}% wrong of {write.record.settled}"
    seen = write.seen.agreement
    return f"at least {at_least(seen.low)}% agreement in {seen.n} cases"
