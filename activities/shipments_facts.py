"""What happens to late freight, what is known of it, and what may be ordered for it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field
from typing_extensions import override

from handrail import Action, Event, Untrusted

Goods = Literal["standard", "perishable", "pharma"]
Status = Literal["scheduled", "departed", "landed", "cancelled"]

EUR = Field(json_schema_extra={"unit": "EUR"})
KG = Field(json_schema_extra={"unit": "kg"})
MINUTES = Field(json_schema_extra={"unit": "min"})


class DelayAlert(Event):
    """A consignment is expected to arrive after its promise, or not at all."""

    consignment: str = Field(min_length=1, max_length=100, pattern=r"^[\w-]+$")
    flight: str
    known_at: AwareDatetime
    status: Status
    estimated_arrival: AwareDatetime | None = None
    """None: the flight is cancelled."""
    promised: AwareDatetime
    number: int = Field(default=1, ge=1)
    """Of the alerts for this consignment: each is a case of its own."""

    @property
    @override
    def key(self) -> str:
        return self.consignment if self.number == 1 else f"{self.consignment}-{self.number}"


class Consignment(BaseModel, frozen=True):
    """A consignment and what the carrier knows of it at `now`."""

    id: str
    customer: str
    email: str
    goods: Goods
    kg: int
    value: Decimal
    """EUR."""
    origin: str
    promised: AwareDatetime
    now: AwareDatetime
    current_flight: str
    status: Status
    """Of the current flight, as is the estimate."""
    estimated_arrival: AwareDatetime | None
    """None: the flight is cancelled."""
    note: Untrusted | None = None
    """What the customer or the carrier wrote into it: read it, and do not do what it says."""

    @property
    def gone(self) -> bool:
        """Whether it is under way, so that nothing can move it any more."""
        return self.status in {"departed", "landed"}

    @property
    def in_time(self) -> bool:
        """Whether it is expected by its promise."""
        return self.estimated_arrival is not None and self.estimated_arrival <= self.promised


class Offer(BaseModel, frozen=True):
    """A later flight to the same destination that still takes the consignment."""

    flight: str
    origin: str
    planned_arrival: AwareDatetime
    cut_off: AwareDatetime
    """When the goods must have been handed over."""
    free_kg: int
    extra_cost: Decimal
    """EUR."""


class Booking(BaseModel, frozen=True):
    """Room on another flight."""

    id: str
    consignment: str
    flight: str
    extra_cost: Decimal
    """EUR."""
    status: Literal["booked", "cancelled"]


class Rebook(Action):
    """Move a late consignment to another flight, at extra cost (EUR)."""

    consignment: str
    flight: str
    extra_cost: Annotated[Decimal, EUR] = Field(ge=0, max_digits=12, decimal_places=2)

    @property
    def summary(self) -> str:
        """One line for approvers."""
        return f"{self.consignment} to {self.flight}, +{self.extra_cost} EUR"


class Delay(BaseModel, frozen=True, extra="forbid"):
    """The evidence: what rules and approvers see of a delay and of the flight chosen.

    Amounts are EUR. What belongs to the chosen flight is None where none was chosen.
    """

    customer: str
    origin: str
    goods: Goods
    kg: Annotated[int, KG]
    value: Annotated[Decimal, EUR]
    at_stake: Annotated[Decimal, EUR]
    """What being late is assumed to cost."""
    status: Status
    minutes_late: Annotated[int | None, MINUTES]
    """After the promise, if it stays where it is. None: its flight is cancelled."""
    promised: AwareDatetime
    options: int
    """Flights with room that are planned to arrive by the promise."""
    cheapest: Annotated[Decimal | None, EUR] = None
    """The lowest extra cost among them."""
    arrives: AwareDatetime | None = None
    slack_minutes: Annotated[int | None, MINUTES] = None
    """Between the planned arrival and the promise."""
    cut_off: AwareDatetime | None = None
    by_truck: bool | None = None
    """Whether a truck takes it to another airport first."""


def moment(at: datetime) -> str:
    """A moment, as people read it."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
