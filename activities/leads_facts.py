"""What the leads agent is asked, what it reads, does and goes by."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, Field
from typing_extensions import override

from activities.leads_quality import Record, Same
from activities.leads_score import VERSION
from handrail import Action, Event


class Visit(Event):
    """See to a customer of the shop, or to a record of the CRM; without either to all of them."""

    on: date
    customer: str | None = Field(default=None, max_length=40)
    record: str | None = Field(default=None, max_length=40)

    @property
    @override
    def key(self) -> str:
        return f"{self.customer or self.record or 'round'}-{self.on}"


class Entry(BaseModel, frozen=True):
    """What the directory says of a person: some of it is missing, some is wrong."""

    name: str
    mail: str = ""
    city: str = ""


class Round(BaseModel, frozen=True):
    """Whom a round sees to, and how many it looked at."""

    customers: list[str]
    records: list[str]
    looked_at: int


class OpenLead(Action):
    """Open a lead in the CRM."""

    customer: str
    name: str
    mail: str
    city: str


class FollowUp(Action):
    """Have a person call a lead."""

    party: str
    customer: str
    until: date


class MendRecord(Action):
    """Put right what a record of the CRM has wrong."""

    was: Record
    now: Record


class RetireDouble(Action):
    """Take a record out of use whose person is in the CRM under another code."""

    code: str
    kept: str


class Worth(BaseModel, frozen=True):
    """The evidence for a lead: what rules and approvers see."""

    score: float
    model: str = VERSION
    fits: bool = False
    """Whether the directory's mail address is the one of somebody of that name."""
    same: Same = "no"
    on_file: str = ""
    """The record that is the same person."""
