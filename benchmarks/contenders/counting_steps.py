# ruff: noqa: INP001  # a module of a user's project: its directory is on the path
"""The steps of an agent that does as many as it is told."""

from typing_extensions import override

from handrail import Action, Decision, Effect, Event, NoEvidence, read, write


class Task(Event):
    """So many steps of a kind; or one write that waits."""

    number: str
    steps: int
    writes: bool = False
    held: bool = False

    @property
    @override
    def key(self) -> str:
        return self.number


class Put(Action):
    """Put a number."""

    number: int
    held: bool = False


@read
async def look(number: int) -> int:
    """Look at a number."""
    return number


@write(idempotent=True)
async def put(action: Put, effect: Effect) -> int:
    """Put it."""
    del effect
    return action.number


def decided(number: int, *, held: bool = False) -> Decision[Put, NoEvidence]:
    """The decision to put it."""
    action = Put(number=number, held=held)
    return Decision(action=action, rationale="told so", confidence=1.0, evidence=NoEvidence())
