# ruff: noqa: INP001  # a contender's program
"""pydantic-ai on Temporal: an agent with three tools, one of which may need an approval.

Requests and tools are activities, and an approval is a deferred call, as its documentation has
it. The model is a script, so that only what stands around it is measured. The key of the write
is the id of the tool's call.
"""

import contextlib
from collections.abc import AsyncGenerator
from datetime import timedelta

from drive import main
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from pydantic_ai import (
        Agent,
        ApprovalRequired,
        DeferredToolRequests,
        DeferredToolResults,
        RunContext,
    )
    from pydantic_ai.durable_exec.temporal import (
        PydanticAIPlugin,
        PydanticAIWorkflow,
        TemporalDurability,
    )
    from pydantic_ai.messages import (
        ModelMessage,
        ModelResponse,
        TextPart,
        ToolCallPart,
        ToolReturnPart,
    )
    from pydantic_ai.models.function import AgentInfo, FunctionModel
    from temporal_case import Cases
    from work import (
        DEADLINE,
        HELD_ABOVE,
        SERVER,
        Alert,
        Booking,
        Consignment,
        booked,
        chosen_flight,
        looked_up,
        told,
    )

QUEUE = "pydantic-ai"


def script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Look, rebook, tell, and come to an end: what a model would say, at no cost."""
    del info
    returned = {
        part.tool_name: part.content
        for message in messages
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    }
    if "look" not in returned:
        return ModelResponse(parts=[ToolCallPart("look", {})])
    consignment = Consignment.model_validate(returned["look"])
    if "rebook" not in returned:
        flight = chosen_flight(consignment)
        return ModelResponse(parts=[ToolCallPart("rebook", {"flight": flight})])
    if "tell" not in returned:
        booking = Booking.model_validate(returned["rebook"])
        said = {"shipper": consignment.shipper, "booking": booking.model_dump()}
        return ModelResponse(parts=[ToolCallPart("tell", said)])
    return ModelResponse(parts=[TextPart("done")])


agent = Agent(
    FunctionModel(script),
    name="freight",
    deps_type=Alert,
    output_type=[str, DeferredToolRequests],
    capabilities=[TemporalDurability()],
)


@agent.tool
async def look(ctx: RunContext[Alert]) -> Consignment:
    """Look up the consignment and the flights that could carry it."""
    return await looked_up(ctx.deps.consignment)


@agent.tool
async def rebook(ctx: RunContext[Alert], flight: str) -> Booking:
    """Book the flight."""
    if ctx.deps.extra_cost > HELD_ABOVE and not ctx.tool_call_approved:
        raise ApprovalRequired
    return await booked(ctx.deps.consignment, flight, str(ctx.tool_call_id))


@agent.tool
async def tell(ctx: RunContext[Alert], shipper: str, booking: Booking) -> str:
    """Tell the shipper."""
    del ctx
    await told(shipper, booking)
    return "told"


@workflow.defn
class AgentFreight(PydanticAIWorkflow):
    """Rebooks freight that runs late, and tells the shipper."""

    __pydantic_ai_agents__ = (agent,)

    def __init__(self) -> None:
        self._approved = False

    @workflow.signal
    def approve(self) -> None:
        """Take an approval."""
        self._approved = True

    @workflow.run
    async def run(self, alert: Alert) -> str:
        """Carry one alert to its end."""
        result = await agent.run(f"{alert.flight} is late", deps=alert)
        while isinstance(asked := result.output, DeferredToolRequests):
            try:
                await workflow.wait_condition(
                    lambda: self._approved, timeout=timedelta(seconds=DEADLINE)
                )
            except TimeoutError:
                return "expired"
            approved = DeferredToolResults(
                approvals={call.tool_call_id: True for call in asked.approvals}
            )
            result = await agent.run(
                message_history=result.all_messages(), deferred_tool_results=approved, deps=alert
            )
        return asked


@contextlib.asynccontextmanager
async def opened(works: bool) -> AsyncGenerator[Cases]:  # noqa: FBT001  # drive's
    """A client, and a worker if it is asked for."""
    client = await Client.connect(SERVER, plugins=[PydanticAIPlugin()])
    cases = Cases(client, "AgentFreight", QUEUE)
    if not works:
        yield cases
        return
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[AgentFreight],
        graceful_shutdown_timeout=timedelta(seconds=1),
    ):
        yield cases


if __name__ == "__main__":
    main(opened)
