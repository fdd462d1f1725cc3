"""An agent that proposes, writes and takes back actions of classes that a property test drew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from typing_extensions import override

from handrail import (
    Action,
    AgentWorkflow,
    Decision,
    Effect,
    Event,
    NoEvidence,
    Outcome,
    decide,
    write,
)

PROPOSED: list[Action] = []
"""What is proposed, each by a case of its own."""

DONE: list[tuple[str, str, Any]] = []
"""Of which case what was done with which action."""

STEPS: dict[str, Any] = {}


class Drawn(Event):
    """Something was drawn."""

    number: int

    @property
    @override
    def key(self) -> str:
        return str(self.number)


def steps(proposed: list[Action]) -> list[Any]:
    """A decide step, a write step and its undo, for each of what is to be proposed."""
    PROPOSED[:] = proposed
    STEPS.clear()
    for number, action in enumerate(proposed):
        STEPS.update(_steps(number, type(action)))
    return list(STEPS.values())


def _steps(number: int, kind: Any) -> dict[str, Any]:
    async def choose(drawn: Drawn) -> Any:
        action: Any = PROPOSED[drawn.number]
        return Decision[kind, NoEvidence](
            action=action, rationale="so", confidence=1, evidence=NoEvidence()
        )

    async def undo(action: Any, effect: Effect) -> Any:
        DONE.append((effect.case, "undo", action))
        return "undone"

    async def do(action: Any, effect: Effect) -> Any:
        DONE.append((effect.case, "do", action))
        return "done"

    returned: dict[Any, Any] = {choose: Decision[kind, NoEvidence], undo: str, do: str}
    for fn, type_ in returned.items():
        fn.__name__ = fn.__qualname__ = f"{fn.__name__}_{number}"
        first = {"drawn": Drawn} if fn is choose else {"action": kind, "effect": Effect}
        fn.__annotations__ = first | {"return": type_}
    undoing: Any = write(idempotent=True)(undo)
    made: list[Any] = [decide(choose), undoing, write(idempotent=True, undo=undoing)(do)]
    return {step.name: step for step in made}


@workflow.defn
class DrawnAgent(AgentWorkflow):
    """Does what was drawn."""

    undo_window = timedelta(days=1)

    @workflow.run
    async def run(self, drawn: Drawn) -> Outcome:
        decision = await self.decide(STEPS[f"choose_{drawn.number}"], drawn)
        await self.write(STEPS[f"do_{drawn.number}"], decision)
        return self.done()
