# ruff: noqa: INP001  # a module of a user's project: its directory is on the path
"""The lean workflow that waits for a human, and says so in a search attribute."""

from freight import Alert
from plain_held import Held
from plain_steps import Result
from temporalio import workflow
from temporalio.common import SearchAttributeKey
from typing_extensions import override

WAITING_FOR = SearchAttributeKey.for_keyword_list("HandrailWaitingFor")


@workflow.defn
class LeanFindable(Held):
    """Rebooks freight that runs late, after a human's approval."""

    @override
    def begins_to_wait(self) -> None:
        workflow.upsert_search_attributes([WAITING_FOR.value_set(["lead"])])  # pyright: ignore[reportUnknownMemberType]  # Temporal's own signature is

    @override
    def ceases_to_wait(self) -> None:
        workflow.upsert_search_attributes([WAITING_FOR.value_unset()])  # pyright: ignore[reportUnknownMemberType]  # Temporal's own signature is

    @workflow.run
    async def run(self, alert: Alert) -> Result:
        """Carry one alert to its end."""
        return await self.carry(alert)
