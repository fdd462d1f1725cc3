"""An agent that sends parcels, in a build that does it well and in builds that do not."""

from __future__ import annotations

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.rolled_steps import Parcel, Send, send


class _Sends(AgentWorkflow):
    async def sent(self, parcel: Parcel, to: str) -> Outcome:
        await self.write(send, Send(parcel=parcel.number, to=to, valuable=parcel.valuable))
        return self.done("sent")


@workflow.defn(name="Parcels")
class Good(_Sends):
    """Sends parcels."""

    @workflow.run
    async def run(self, parcel: Parcel) -> Outcome:
        return await self.sent(parcel, "home")


@workflow.defn(name="Parcels")
class Refused(_Sends):
    """Sends them where nobody may."""

    @workflow.run
    async def run(self, parcel: Parcel) -> Outcome:
        return await self.sent(parcel, "nowhere")


@workflow.defn(name="Parcels")
class Wrong(_Sends):
    """Sends them, and they go astray."""

    @workflow.run
    async def run(self, parcel: Parcel) -> Outcome:
        return await self.sent(parcel, "astray")


@workflow.defn(name="Parcels")
class Fails(_Sends):
    """Breaks."""

    @workflow.run
    async def run(self, parcel: Parcel) -> Outcome:
        raise RuntimeError(f"no box for {parcel.number}")


@workflow.defn(name="Renamed")
class Stuck(_Sends):
    """Is called otherwise, so that no case of it begins."""

    @workflow.run
    async def run(self, parcel: Parcel) -> Outcome:
        return await self.sent(parcel, "home")
