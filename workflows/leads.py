"""The leads agent."""

from typing import cast

from temporalio import workflow

from activities.leads import (
    enrich,
    follow_up,
    mend_record,
    namesakes,
    open_lead,
    orders_of,
    plan_call,
    qualify,
    record_of,
    repair,
    retire_double,
    survey,
)
from activities.leads_facts import MendRecord, RetireDouble, Visit
from activities.leads_quality import Repair, faults
from handrail import AgentWorkflow, Decision, Outcome


@workflow.defn
class LeadsAgent(AgentWorkflow):
    """Finds who is worth a call, has them called, and keeps the CRM's records right."""

    @workflow.run
    async def run(self, visit: Visit) -> Outcome:
        """See to one customer or one record, or by schedule to all: each is a case of its own."""
        if visit.customer is not None:
            return await self._lead(visit, visit.customer)
        if visit.record is not None:
            return await self._record(visit.record)
        seen = await self.read(survey, visit.on)
        for record in seen.records:
            await self.hand_on("leads", Visit(on=visit.on, record=record))
        for customer in seen.customers:
            await self.hand_on("leads", Visit(on=visit.on, customer=customer))
        found = f"{len(seen.customers)} worth a call, {len(seen.records)} records with a fault"
        return self.done(f"{found}, of {seen.looked_at} looked at")

    async def _lead(self, visit: Visit, customer: str) -> Outcome:
        orders = await self.read(orders_of, customer, visit.on)
        entry = await self.read(enrich, customer)
        decision = await self.decide(
            qualify, visit, orders, entry, await self.read(namesakes, entry.name)
        )
        worth = decision.evidence
        if decision.action is not None:
            party, kind = await self.write(open_lead, decision), "new"
        elif worth.same == "sure":
            party, kind = worth.on_file, "known"
        else:
            return self.done(f"set aside: {decision.rationale}")
        call = await self.write(follow_up, await self.decide(plan_call, visit, party, worth))
        return self.done(f"{kind}: {call}")

    async def _record(self, code: str) -> Outcome:
        record = await self.read(record_of, code)
        others = await self.read(namesakes, record.name)
        # The directory is slow: it is asked only where the record does not say it itself.
        lacks = any("missing" in fault or "broken" in fault for fault in faults(record))
        entry = await self.read(enrich, record.name) if lacks else None
        decision = await self.decide(repair, record, others, entry)
        if isinstance(decision.action, RetireDouble):
            double = cast("Decision[RetireDouble, Repair]", decision)
            return self.done(f"retired: it is {await self.write(retire_double, double)}")
        if decision.action is None:
            return self.done(f"set aside: {decision.rationale}")
        await self.write(mend_record, cast("Decision[MendRecord, Repair]", decision))
        return self.done(f"mended: {decision.rationale}")
