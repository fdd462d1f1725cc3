"""What people are told when a question is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.actions import person
from handrail.inbox.channels.delivery import DeliveryStatus, Notification, NotificationKind, enter

if TYPE_CHECKING:
    from handrail.inbox.channels.delivery import DeliveryLog

_OPEN = frozenset({DeliveryStatus.GOING, DeliveryStatus.HELD})
_MAIL = "mail"


def closing(log: DeliveryLog, *, everybody: bool = True) -> DeliveryLog:
    """Enter the last messages of a gate that has closed, and drop those not sent yet.

    Messages in Slack are locked instead. Who was told by mail, and did not end it themselves,
    gets one more mail: else they open a link to what another has ruled on. `everybody`: not
    only those who let its time pass.
    """
    letters = tuple(
        each.model_copy(update={"fate": DeliveryStatus.DROPPED}) if each.fate in _OPEN else each
        for each in log.letters
    )
    log = log.model_copy(update={"letters": letters})
    if log.ended is None or log.view is None:
        return log
    if everybody:
        ruled = {person(each) for each in log.ended.by}
        asked = {each.due.person for each in letters} - ruled
    elif log.ended.how == "expired":
        asked = {person(p) for stage in log.view.stages if stage.asked for p in stage.people}
    else:
        return log
    told = [p for p in dict.fromkeys(each.due.person for each in letters) if p in asked]
    mailed = (p for p in told if (root := log.root(p)) and root.channel == _MAIL)
    return enter(log, (Notification(what=NotificationKind.CLOSED, person=p) for p in mailed))
