"""An agent whose later step takes what an earlier one read, by a class that deploys change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from temporalio import workflow
from typing_extensions import override

from handrail import Action, Agent, AgentWorkflow, Effect, Event, Fleet, Outcome, read, write
from tests.agents.fleets import LEAD, put_policy


class Counted(Event):
    """Something is to be counted."""

    number: str

    @property
    @override
    def key(self) -> str:
        return self.number


class Stock(BaseModel):
    """What was read."""

    count: int = 3


class Placed(BaseModel):
    """What is read by now."""

    count: int
    place: str


class PerhapsPlaced(BaseModel):
    """The same, also of what had no place when it was read."""

    count: int
    place: str | None = None


class Keep(Action):
    """Keep it."""

    number: str = "1"


STEPS: dict[str, Any] = {}
"""Those of the code that is deployed."""


def deployed(directory: Path, kind: type[BaseModel]) -> Fleet:
    """The fleet with the class that is read, and its policy in `directory`."""

    async def look(number: str) -> Any:
        return kind()

    async def say(stock: Any) -> str:
        return f"{stock.count} {stock.place}"

    async def keep(action: Keep, effect: Effect) -> str:
        return "kept"

    look.__annotations__ = {"number": str, "return": kind}
    say.__annotations__ = {"stock": kind, "return": str}
    keep.__annotations__ = {"action": Keep, "effect": Effect, "return": str}
    STEPS.clear()
    STEPS.update(look=read(look), say=read(say), keep=write(keep))
    document: dict[str, Any] = {"agent": "outgrown", "version": 1, "owner": "boss@example.com"}
    actions = {"keep": {"autonomy": "supervised"}}
    policy = put_policy(directory, document | {"actions": actions, "roles": {"lead": LEAD}})
    agent = Agent("outgrown", OutgrownAgent, steps=STEPS.values(), policy=policy)
    return Fleet(agent, passthrough=[__name__])


@workflow.defn
class OutgrownAgent(AgentWorkflow):
    """Reads, asks people, and has another step say what it has read."""

    @workflow.run
    async def run(self, counted: Counted) -> Outcome:
        stock = await self.read(STEPS["look"], counted.number)
        await self.write(STEPS["keep"], Keep(number=counted.number))
        return self.done(await self.read(STEPS["say"], stock))
