"""What the sales agent is asked, what it reads, does and goes by."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field
from typing_extensions import override

from activities.sales_rules import Deal, Due, Ending, Rep, Stage, Task, What
from handrail import Action, Event, Personal

EUR = Field(json_schema_extra={"unit": "EUR"})


class Visit(Event):
    """See to what is due of a deal; without one to all deals of a pipeline, by schedule."""

    on: date
    pipeline: str | None = Field(default=None, max_length=20)
    due: Due | None = None

    @property
    @override
    def key(self) -> str:
        """A deal's case is of what is due and since when, so that no day asks for it again."""
        if self.due is None:
            return f"{self.pipeline or 'all'}-{self.on}"
        return f"{self.due.deal}-{self.due.what}-{self.due.since}"


class Round(BaseModel, frozen=True):
    """What is due of all the deals of a pipeline."""

    due: list[Due]
    looked_at: int
    unread: int
    """Notes that nobody can tell the day and kind of."""


class Situation(BaseModel, frozen=True):
    """A deal, the people it may be of, and the tasks that there are of it."""

    deal: Deal
    reps: list[Rep]
    tasks: list[Task]

    @property
    def lead(self) -> str:
        """Whose calendar takes what its owner leaves undone."""
        return next((rep.code for rep in self.reps if rep.lead), "")


class Assign(Action):
    """Give a deal to somebody of its territory."""

    deal: str
    was: str | None
    owner: str


class Move(Action):
    """Give a deal the stage that it has by what happened."""

    deal: str
    was: Stage
    to: Stage


class Remind(Action):
    """Put a task into somebody's calendar: call the customer of a deal."""

    deal: str
    calendar: str
    due: date
    days: int
    """Without a word."""


class FollowUp(Action):
    """Send the customer of a deal a mail in its owner's name."""

    deal: str
    owner: str
    mail: Annotated[str, Personal]
    since: date


class Close(Action):
    """Close a deal: won makes a sale of it, lost ends it."""

    deal: str
    ending: Ending
    amount: Annotated[Decimal, EUR]

    @property
    def summary(self) -> str:
        """What approvers read first."""
        return f"close {self.deal} as {self.ending}, {self.amount} EUR"


class Standing(BaseModel, frozen=True):
    """The evidence: what rules and approvers see of a deal."""

    what: What | None
    stage: Stage
    amount: Annotated[Decimal, EUR]
    days: int
    """Since the last word with the customer."""
    owner: str | None = None
    load: int = 0
    """Open deals of whoever would get it."""
    steps: int = 0
    """Stages that it would be moved at once."""
    mails: bool = False
    """Whether its owner allows mails in their name."""
    said: date | None = None
    """When the customer ordered or declined."""
