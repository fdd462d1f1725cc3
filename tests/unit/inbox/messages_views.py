"""Gates as they are shown, for the unit tests of messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from handrail.inbox.channels.delivery import (
    DeliveryRequest,
    GateSnapshot,
    Notification,
    NotificationKind,
)
from handrail.oversight import GateKind, GateView, NotificationRequest, StageView

OPENED = datetime(2026, 1, 30, 9, tzinfo=UTC)
ANA, BO, CY, BOSS = "ana@example.com", "bo@example.com", "cy@example.com", "boss@example.com"


def stage(role: str, *people: str, hours: int = 8, asked: bool = True) -> StageView:
    until = OPENED + timedelta(hours=hours)
    return StageView(role=role, people=people, until=until, asked=asked)


LEAD = stage("lead", ANA, BO)
LATER = stage("operations", CY, hours=32, asked=False)


def view(*stages: StageView, **changed: Any) -> GateView:
    chain = stages or (LEAD, LATER)
    asked = [s for s in chain if s.asked]
    given: dict[str, Any] = {
        "gate": "0123456789abcdef",
        "case": "orders:1",
        "kind": GateKind.WRITE,
        "step": "pay",
        "title": "Pay for an order.",
        "action": {"order": "1", "amount": "300"},
        "digest": "ab" * 32,
        "why": "costs more than 200 EUR",
        "waiting_for": tuple(s.role for s in asked),
        "people": tuple(p for s in asked for p in s.people),
        "opened": OPENED,
        "deadline": min(s.until for s in asked),
        "then": ("if nobody of lead answers by 17:00, it goes to operations",),
        "stages": chain,
        "next": OPENED + timedelta(hours=2),
    }
    return GateView.model_validate(given | changed)


def look(seen: GateView | None = None, **more: Any) -> GateSnapshot:
    ways = dict.fromkeys((ANA, BO, CY, BOSS), ("mail",))
    given: dict[str, Any] = {"view": seen or view(), "ways": ways, "owner": BOSS}
    return GateSnapshot.model_validate(given | more)


def telling(seen: GateView | None = None, **more: Any) -> DeliveryRequest:
    given: dict[str, Any] = {
        "call": NotificationRequest(case="orders:1", gate="0123456789abcdef"),
        "due": Notification(what=NotificationKind.ASKED, person=ANA, role="lead"),
        "view": seen or view(),
        "channel": "mail",
        "at": OPENED,
    }
    return DeliveryRequest.model_validate(given | more)
