# ruff: noqa: INP001  # a contender's program
"""What the contenders on Temporal have in common: a case is a workflow of that id."""

from decimal import Decimal
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from work import Alert


class Cases:
    """The cases of one type of workflow."""

    def __init__(self, client: Client, workflow: str, queue: str) -> None:
        self._client = client
        self._workflow = workflow
        self._queue = queue

    def handle(self, key: str) -> WorkflowHandle[Any, Any]:
        """The case of a key."""
        return self._client.get_workflow_handle(f"{self._queue}:{key}")

    async def start(self, key: str, cost: Decimal) -> None:
        """Begin."""
        await self._client.start_workflow(
            self._workflow,
            Alert(consignment=key, extra_cost=cost),
            id=f"{self._queue}:{key}",
            task_queue=self._queue,
        )

    async def result(self, key: str) -> str:
        """What it returned."""
        try:
            return await self.handle(key).result()
        except WorkflowFailureError as error:
            return f"failed: {error.cause}"

    async def approve(self, key: str) -> None:
        """Send the signal."""
        await self.handle(key).signal("approve")

    forge = approve

    async def resume(self, key: str) -> None:
        """The server does it by itself."""

    async def asked(self, key: str) -> bool:
        """It asks nobody."""
        del key
        return False

    async def history(self, key: str) -> int:
        """Events."""
        return len((await self.handle(key).fetch_history()).events)
