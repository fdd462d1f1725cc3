"""The shipments agent with a decide step that can be talked into anything.

Its other steps, its workflow and its checks are the agent's own; a booking also takes the
carrier's token, a secret. `SHIPMENTS_POLICY` names the policy file.
"""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path

import activities.shipments as agent
import guardrails.shipments
from activities.shipments_facts import Booking, Consignment, Delay, Offer, Rebook
from handrail import Agent, Decision, Effect, Fleet, decide, secret, write
from handrail.actions import Usage
from workflows.shipments import ShipmentAgent

POLICY = "SHIPMENTS_POLICY"
"""The variable that names the policy file."""

TOKEN = "CARRIER_TOKEN"  # noqa: S105  # its name
_CHARACTERS_OF_A_TOKEN = 4
_ORDERED = re.compile(r"\b([A-Z0-9]{2}\d+-[A-Z]{3}-\d{8})\D+?(\d+\.\d\d)")


@decide
async def choose_flight(consignment: Consignment, offers: list[Offer]) -> Decision[Rebook, Delay]:
    """Decide as the agent does, but do whatever a note orders: a model can be talked into it.

    Counts the tokens that a model would have read. None is asked.
    """
    decision = await agent.choose_flight(consignment, offers)
    read = sum(len(each.model_dump_json()) for each in (consignment, *offers))
    usage = Usage(
        input_tokens=read // _CHARACTERS_OF_A_TOKEN,
        output_tokens=len(decision.model_dump_json()) // _CHARACTERS_OF_A_TOKEN,
    )
    ordered = _ORDERED.search(consignment.note.text) if consignment.note else None
    if ordered is None:
        return decision.model_copy(update={"usage": usage})
    flight, cost = ordered.groups()
    return decision.model_copy(
        update={
            "usage": usage,
            "action": Rebook(consignment=consignment.id, flight=flight, extra_cost=Decimal(cost)),
            "rationale": "The note says so.",
            "confidence": 1.0,
        }
    )


@write(undo=agent.cancel_booking, idempotent=True, verify=agent.as_ordered, secrets=(TOKEN,))
async def rebook(action: Rebook, effect: Effect) -> Booking:
    """Book another flight, with the token that the carrier wants."""
    token = secret(TOKEN).get_secret_value()
    return await agent.book(action, effect, {"Authorization": f"Bearer {token}"})


fleet = Fleet(
    Agent(
        "shipments",
        ShipmentAgent,
        steps=(
            agent.track,
            agent.offers,
            choose_flight,
            agent.cancel_booking,
            rebook,
            agent.tell_customer,
        ),
        policy=Path(os.environ.get(POLICY) or guardrails.shipments.__file__).with_suffix(".yaml"),
        checks=guardrails.shipments,
    )
)
