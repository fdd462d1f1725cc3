"""What is sent once more when no channel took it at first: a mail server that was away is back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from handrail.inbox.channels.delivery import DeliveryStatus, NotificationKind, early

if TYPE_CHECKING:
    from datetime import datetime

    from handrail.inbox.channels.delivery import Delivery, DeliveryLog

AGAIN: Final = timedelta(minutes=10)
"""How long after all channels have failed a message is tried again, while its gate is open.

Open workflows replay by it: a change of it is one of histories, and takes a patch.
"""

# A reminder or a note that is late by an hour says nothing that the first message does not.
_OWED = frozenset({NotificationKind.ASKED, NotificationKind.QUESTION, NotificationKind.ANSWER})
_INSTEAD = frozenset({NotificationKind.EARLY, NotificationKind.OWNER})
_GIVEN_UP = frozenset({DeliveryStatus.LOST, DeliveryStatus.DROPPED})


def next_round(log: DeliveryLog) -> datetime | None:
    """When something is to be tried again; None if nothing is."""
    return min((each.tries[-1].at + AGAIN for each in _lost(log)), default=None)


def again(log: DeliveryLog, now: datetime) -> DeliveryLog:
    """Have people told after all whom every channel failed to reach for a while.

    What a channel has refused for good is not offered to it again. Whoever was to be told in the
    place of those who are asked is told only when none of these is tried again.
    """
    due = [each for each in _lost(log) if each.tries[-1].at + AGAIN <= now]
    for number, each in enumerate(log.letters):
        if each in due:
            log = log.with_letter(number, _revived(each))
    needed = _needed(log)
    for number, each in enumerate(log.letters if due else ()):
        lost = each.fate is DeliveryStatus.LOST and each.due.what in _INSTEAD
        if lost and each.due.key("") not in needed:
            dropped = each.model_copy(update={"fate": DeliveryStatus.DROPPED})
            log = log.with_letter(number, dropped)
    return log


def _lost(log: DeliveryLog) -> list[Delivery]:
    """The messages that reached nobody, by channels of which one may work later."""
    lost = [each for each in log.letters if each.fate in _GIVEN_UP and _may_reach(each)]
    owed = [each for each in lost if each.due.what in _OWED]
    needed = _needed(log) if lost and not owed else set[str]()
    return owed or [each for each in lost if each.due.key("") in needed]


def _needed(log: DeliveryLog) -> set[str]:
    """Who must be told in the place of others, by the keys of these messages."""
    return {each.key("") for each in early(log)}


def _may_reach(letter: Delivery) -> bool:
    return any(not each.final and not each.back for each in letter.tries)


def _revived(letter: Delivery) -> Delivery:
    kept = tuple(each for each in letter.tries if each.final or each.back)
    known = {"fate": DeliveryStatus.GOING, "tries": kept, "again": True}
    return letter.model_copy(update=known)
