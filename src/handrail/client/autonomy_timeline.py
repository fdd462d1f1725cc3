"""How an agent came to be as free as it is: what was proposed, signed, ordered and taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from handrail.actions import WHOLE
from handrail.client.pilot_views import AutonomyEvent
from handrail.policy import Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from handrail.ledger import OrderRow

_SIGNED = ("signed", "agreed", "step back")
_APART = timedelta(minutes=5)
"""An order and the note of it are not further apart."""


def timeline(
    events: Sequence[AutonomyEvent], orders: Iterable[OrderRow]
) -> tuple[AutonomyEvent, ...]:
    """Everything, the latest first: of a promotion its order is not told a second time."""
    set_ = [_set(row) for row in orders if row.kind in {"level", "stop"} and row.case is None]
    other = [each for each in set_ if not any(_is_of(note, each) for note in events)]
    return tuple(sorted([*events, *other], key=lambda each: each.at, reverse=True))


def _set(row: OrderRow) -> AutonomyEvent:
    what = "stop"
    if row.level is not None:
        what = str(Setting(row.level, WHOLE if row.rollout is None else row.rollout))
    return AutonomyEvent(
        id=row.id,
        event="set",
        step=row.step or "all writes",
        at=row.at,
        what=f"{what}: {row.why}".removesuffix(": "),
        wanted="",
        by=row.by,
        open=row.ended is None,
    )


def _is_of(note: AutonomyEvent, order: AutonomyEvent) -> bool:
    """Whether what is noted is what became of an order."""
    to = order.what.partition(":")[0]
    said = note.what.startswith(f"{to}:") or f" to {to}:" in note.what
    near = abs(note.at - order.at) < _APART
    return note.event in _SIGNED and note.by == order.by and said and near
