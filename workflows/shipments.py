"""The shipments agent."""

from temporalio import workflow

from activities.shipments import choose_flight, offers, rebook, tell_customer, track
from activities.shipments_facts import Booking, Delay, DelayAlert, Rebook
from handrail import AgentWorkflow, Decision, Failed, NotWritten, Outcome, Refused

TRIES = 3
"""How often it decides: flights fill up and change their price while people think."""


@workflow.defn
class ShipmentAgent(AgentWorkflow):
    """Moves late freight to a flight that keeps the promise, and tells the customer."""

    @workflow.run
    async def run(self, alert: DelayAlert) -> Outcome:
        """Handle one delay."""
        try:
            decision, booking = await self._move(alert.consignment)
        except NotWritten:
            await self.notify(tell_customer, alert.consignment, None)
            raise
        await self.notify(tell_customer, alert.consignment, booking)
        if booking is None:
            return self.done(f"left where it is: {decision.rationale}")
        return self.done(f"moved to {booking.flight} for {booking.extra_cost} EUR extra")

    async def _move(self, consignment: str) -> tuple[Decision[Rebook, Delay], Booking | None]:
        decision = await self._decide(consignment)
        for tries_left in reversed(range(TRIES)):
            if decision.action is None:
                break
            try:
                return decision, await self.write(rebook, decision)
            except (Refused, Failed):
                if not tries_left:
                    raise
                before, decision = decision, await self._decide(consignment)
                # The same again: the world has not changed meanwhile, so the no stands.
                if decision.action == before.action:
                    raise
        return decision, None

    async def _decide(self, consignment: str) -> Decision[Rebook, Delay]:
        known = await self.read(track, consignment)
        return await self.decide(choose_flight, known, await self.read(offers, known))
