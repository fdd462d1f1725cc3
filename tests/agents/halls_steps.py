"""A step that asks a hall, which is an outside system, and is called back by it."""

from __future__ import annotations

from typing_extensions import override

from handrail import Action, Event
from handrail.actions import Wire
from handrail.integrations.connectors import OutgoingWebhook


class Feast(Event):
    """A feast that needs a hall."""

    number: str
    guests: int = 10
    patience: float = 3_600

    @property
    @override
    def key(self) -> str:
        return self.number


class AskHall(Action):
    """Ask the hall for a day."""

    guests: int


class HallAnswer(Wire):
    """What the hall says."""

    free: bool
    price: int = 0


HALL = OutgoingWebhook(url="HALL_URL", secret="HALL", call_back="http://agents.example")  # noqa: S106
ask_hall = HALL.write("ask_hall", AskHall)
