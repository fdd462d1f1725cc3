"""What retraining is told, what it goes by, and what it may do."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field
from typing_extensions import override

from handrail import Action, Event

EUR = Field(json_schema_extra={"unit": "EUR"})
SECONDS = Field(json_schema_extra={"unit": "s"})


class Retraining(Event):
    """Look after an agent's model on a day."""

    agent: str = Field(max_length=40)
    on: date

    @property
    @override
    def key(self) -> str:
        return f"{self.agent}-{self.on}"


class Moved(BaseModel, frozen=True):
    """The evidence for learning anew: how far each input has moved since `since`."""

    in_use: str
    since: date
    moved: tuple[str, ...]
    """The inputs that have, each with its index."""
    index: float
    """The largest."""
    seen: int
    """What was shown to the version in use."""
    labelled: int
    """Decisions of people since."""


class LearnVersion(Action):
    """Learn a model from what people have said until a day, and keep it on the shelf."""

    agent: str
    until: date
    replaces: str


class Judged(BaseModel, frozen=True):
    """The evidence for a version: past decisions, made again by it and by the one in use."""

    decisions: int
    as_people_before: int
    as_people_now: int
    acted_before: int
    """With an action, or an answer, and no question to people."""
    acted_now: int
    wrong_before: int
    """It acted, and people did something else."""
    wrong_now: int
    failed: int
    seconds: Annotated[float, SECONDS]
    cost: Annotated[float, EUR]
    """Of thinking, as the steps say it themselves."""
    differ: tuple[str, ...]
    """Where the two differ: how often, and the latest of them."""

    declined: str = ""
    """What people did not want last in the place of the version in use, and what spoke for it."""
    lead_declined: int = 0
    wrong_declined: int = 0

    @property
    def lead(self) -> int:
        """By how many decisions more it is as people."""
        return self.as_people_now - self.as_people_before

    @property
    def was_declined(self) -> bool:
        """Whether people have said no to as much as speaks for it now.

        More is a lead that is twice as large, or fewer that are wrong.
        """
        more = self.lead >= 2 * self.lead_declined or self.wrong_now < self.wrong_declined
        return bool(self.declined) and not more


class PutIntoUse(Action):
    """Have an agent decide by another version of its model."""

    agent: str
    version: str
    replaces: str
    on: date


class Decline(Action):
    """Keep that people did not want a version used, so that it is not proposed night by night."""

    agent: str
    version: str
    replaces: str
    on: date
    lead: int
    wrong: int
