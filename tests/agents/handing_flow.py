"""Agents that hand work to each other, by what the job says."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

from handrail import AgentWorkflow, Outcome
from tests.agents.handing_steps import Job, Pay, judge, letter, obey, pay, plan


class _Works(AgentWorkflow):
    async def work(self, job: Job) -> Outcome:
        said = list[str]()
        for part in job.parts:
            verb, _, to = part.partition(" ")
            if verb == "pay":
                await self.write(pay, Pay(order=job.number, amount=job.amount))
            elif verb == "plan":
                await self.write(pay, await self.decide(plan, job))
            elif verb == "judge":
                book = await self.read(letter, job.number)
                await self.write(pay, await self.decide(judge, job, book))
            elif verb == "read":
                await self.read(letter, job.number)
            elif verb == "quote":
                said.append((await self.read(letter, job.number)).text.text)
            elif verb == "break":
                raise RuntimeError("something broke")
            elif verb == "wait":
                await workflow.sleep(timedelta(hours=1))
            elif to:
                said.append(await self.hand(verb, to, job))
        return self.done(", ".join(said))

    async def hand(self, verb: str, to: str, job: Job) -> str:
        if verb == "on":
            return await self.hand_on(to, job.then or {})
        outcome = await self.hand_off(to, job.then or {})
        if verb == "obey":
            await self.write(pay, await self.decide(obey, outcome.why))
        return f"{to} {outcome.status}"


@workflow.defn
class DeskAgent(_Works):
    """Takes in what customers send back."""

    @workflow.run
    async def run(self, job: Job) -> Outcome:
        return await self.work(job)


@workflow.defn
class PayerAgent(_Works):
    """Gives money back, and can take that back for an hour."""

    undo_window = timedelta(hours=1)

    @workflow.run
    async def run(self, job: Job) -> Outcome:
        return await self.work(job)
