"""The onboarding agent."""

from typing import cast

from temporalio import workflow

from activities.onboarding import (
    Application,
    AttachApplication,
    OpenCustomer,
    alike,
    attach_application,
    judge,
    open_customer,
)
from activities.onboarding_match import Match
from handrail import AgentWorkflow, Decision, Outcome, Refused, Rejected

TRIES = 4
"""How often it decides: people may say no, and others apply meanwhile."""


@workflow.defn
class OnboardingAgent(AgentWorkflow):
    """Finds out whether who applies is a customer already, and opens one if not."""

    @workflow.run
    async def run(self, application: Application) -> Outcome:
        """Handle one application."""
        apart_from: list[str] = []
        for tries_left in reversed(range(TRIES)):
            person = application.person
            on_file = await self.read(alike, person)
            decision = await self.decide(judge, application.number, person, on_file, apart_from)
            action = decision.action
            if action is None:
                return self.done(f"set aside: {decision.rationale}")
            try:
                return self.done(await self._settle(decision))
            except Rejected:
                # People looked at the two: it is somebody else.
                if not isinstance(action, AttachApplication) or not tries_left:
                    raise
                apart_from = [*apart_from, action.customer]
            except Refused:
                # Somebody alike came on file meanwhile.
                if not tries_left:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _settle(self, decision: Decision[OpenCustomer | AttachApplication, Match]) -> str:
        if isinstance(decision.action, AttachApplication):
            known = cast("Decision[AttachApplication, Match]", decision)
            return f"known: it is {await self.write(attach_application, known)}"
        new = cast("Decision[OpenCustomer, Match]", decision)
        return f"new: {await self.write(open_customer, new)}"
