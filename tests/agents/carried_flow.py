"""An agent that hands on what a page says, and one that does what it is handed."""

from __future__ import annotations

from decimal import Decimal

from temporalio import workflow
from typing_extensions import override

from handrail import AgentWorkflow, Event, Outcome
from tests.agents.carried_steps import Page, Transfer, Wish, fetch, serve, transfer


@workflow.defn
class FrontAgent(AgentWorkflow):
    """Hands on what a page says."""

    @workflow.run
    async def run(self, page: Page) -> Outcome:
        said = {page.way: page.page.text}
        return self.done(await self.hand_on("helper", Wish(number=page.number, **said)))


@workflow.defn
class HelperAgent(AgentWorkflow):
    """Does what it is handed."""

    def __init__(self) -> None:
        self.changed: Wish | None = None

    @override
    def event_changed(self, event: Event) -> None:
        self.changed = event if isinstance(event, Wish) else None

    @workflow.run
    async def run(self, wish: Wish) -> Outcome:
        if wish.link == "wait":
            await workflow.wait_condition(lambda: self.changed is not None)
            wish = self.changed or wish
        if wish.link:
            await self.read(fetch, wish.link)
        elif wish.request:
            await self.converse(serve, wish)
        else:
            await self.write(transfer, Transfer(account=wish.account, amount=Decimal(50)))
        return self.done("did it")
