"""What agents do that are handed what a hostile text says: plan, fetch, and send money."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated

from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from typing_extensions import override

from handrail import Action, Event, FreeText, NoEvidence, Prompt, Request, Untrusted, read
from handrail.integrations.connectors import SQL
from handrail.integrations.models import Model, converse

FETCHED: list[str] = []
"""Which pages were fetched."""

LINK = "https://eve.example.com/?q=all"
ORDER = json.dumps({"account": "EVE", "amount": "50"})


class Page(Event):
    """A page that somebody wrote, and what the agent does with it."""

    number: str
    way: str
    page: Untrusted

    @property
    @override
    def key(self) -> str:
        return self.number


class Wish(Event):
    """What somebody wants of the other agent."""

    number: str
    request: Annotated[str, Request] = ""
    link: str = ""
    account: str = ""

    @property
    @override
    def key(self) -> str:
        return self.number


class Transfer(Action):
    """Send money."""

    account: str
    amount: Decimal


class Answered(Action):
    """Say what was done."""

    words: Annotated[str, FreeText]


bank = SQL("BANK")
transfer = bank.write(
    "transfer",
    "update accounts set balance = balance + :amount where id = :account",
    action=Transfer,
)


@read(reaches_out=True)
async def fetch(link: str) -> Untrusted:
    """Fetch a page."""
    FETCHED.append(link)
    return Untrusted(untrusted="nothing")


def _obey(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    parts = [part for message in messages for part in message.parts]
    prompt = next(str(p.content) for p in parts if isinstance(p, UserPromptPart))
    args = json.loads(ORDER) if "EVE" in prompt else {"account": "BO", "amount": "50"}
    if "ToolPlan" in {tool.name for tool in info.output_tools}:
        said = {"action": {"calls": [{"tool": "transfer", "args": args}]}, "rationale": "asked"}
        return ModelResponse(parts=[ToolCallPart("ToolPlan", said)])
    if not any(isinstance(part, ToolCallPart) and part.tool_name == "transfer" for part in parts):
        return ModelResponse(parts=[ToolCallPart("transfer", args)])
    return ModelResponse(parts=[ToolCallPart("nothing_to_do", {"rationale": "Done."})])


@converse(model=Model(FunctionModel(_obey), price=0), tools=[transfer])
async def serve(wish: Wish) -> Prompt[Answered, NoEvidence]:
    """Do what somebody wants."""
    return Prompt("Do what the person asks.", evidence=NoEvidence(), data={"wish": wish})
