"""An agent whom people ask for a trip: an event with a field of each kind, and one by an alias."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator
from temporalio import workflow
from typing_extensions import override

from handrail import AgentWorkflow, Event, Outcome
from handrail.actions import Wire


class Hotel(Wire):
    """Where to stay."""

    town: str
    nights: int = Field(default=1, ge=1, le=30)


class Trip(Event):
    """A trip that somebody wants to make."""

    number: str = Field(alias="tripNumber", description="What you call it.")
    day: date
    budget: Decimal = Field(default=Decimal("100.00"), gt=0)
    by: Literal["rail", "air"] = "rail"
    insured: bool | None = None
    alone: bool = True
    hotel: Hotel
    stops: tuple[str, ...] = ()

    @property
    @override
    def key(self) -> str:
        return self.number

    @model_validator(mode="after")
    def _cheap_by_rail(self) -> Self:
        if self.by == "rail" and self.budget > 500:
            raise ValueError("nobody pays more than 500 for a train")
        return self


@workflow.defn
class TripAgent(AgentWorkflow):
    """Says what a trip would be.

    It books nothing.
    """

    @workflow.run
    async def run(self, trip: Trip) -> Outcome:
        return self.done(trip.model_dump_json())
