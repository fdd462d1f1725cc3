"""The alerts agent."""

from temporalio import workflow

from activities.alerts import (
    Round,
    add_note,
    close_as,
    close_issue,
    listen,
    look,
    note_as,
    open_as,
    open_issue,
    pace,
)
from activities.alerts_facts import Cause, Heard
from handrail import AgentWorkflow, NotWritten, Outcome


@workflow.defn
class AlertsAgent(AgentWorkflow):
    """Has one issue for each cause of alarms, and closes it when all is quiet."""

    @workflow.run
    async def run(self, heard: Heard) -> Outcome:
        """Sort the alarms of a post by their causes; each cause is a case of its own."""
        if heard.cause is not None:
            return await self._see_to(heard.site, heard.cause)
        found = await self.read(listen, heard, False)
        await self._sorted(heard.site, found)
        noted = list(found.fresh)
        if found.waits:
            await workflow.sleep((await self.read(pace)).hold)
            found = await self.read(listen, heard, True)
            await self._sorted(heard.site, found)
            noted += found.fresh
        alarms = sum(len(each.alarms) for each in noted)
        causes = {each.cause.id for each in noted}
        return self.done(f"{alarms} alarms noted, of {len(causes)} causes")

    async def _sorted(self, site: str, found: Round) -> None:
        for fresh in found.fresh:  # first, so that whoever looks next knows whose they are
            await self.write(add_note, await self.decide(note_as, fresh))
        for cause in found.new:
            await self.hand_on("alerts", Heard(site=site, cause=cause))

    async def _see_to(self, site: str, cause: Cause) -> Outcome:
        """Open the issue of a cause, and close it when nothing of it rings for a while."""
        wait, calm = await self.read(pace), False
        while True:
            now = await self.read(look, site, cause.id)
            if not now.issue:
                await self.write(open_issue, await self.decide(open_as, site, cause, now))
            elif now.closed:
                return self.done("somebody closed it")
            elif calm and now.calm and now.apart:
                apart = tuple(each.cause for each in now.apart)
                await self._sorted(site, Round(new=apart, fresh=now.apart, waits=0))
                continue
            elif calm and now.calm:
                try:
                    await self.write(close_issue, await self.decide(close_as, site, cause, now))
                except NotWritten as error:
                    return self.done(f"stays open: {error}")
                return self.done(f"closed: {now.noted} alarms in {now.minutes} minutes")
            calm = now.calm
            await workflow.sleep(wait.quiet if calm else wait.look)
            await self.renew(Heard(site=site, cause=cause))
