"""A decision on its way through the history: the action that arrives is the one decided on."""

from typing import Any

from temporalio.contrib.pydantic import pydantic_data_converter

from handrail import Action, Decision, NoEvidence, decide
from handrail.agent.decided import as_decided
from handrail.wire import DecisionResult


class Refund(Action):
    """Pay an order back."""

    order: str


class Cancel(Action):
    """Cancel an order, and pay nothing."""

    order: str


@decide
async def choose(order: str) -> Decision[Refund | Cancel, NoEvidence]:
    return Decision(
        action=Cancel(order=order), rationale="late", confidence=1, evidence=NoEvidence()
    )


async def _arrived(kind: str | None) -> Any:
    sent: DecisionResult[Any] = DecisionResult(decision=await choose("A-1"), kind=kind)
    payloads = await pydantic_data_converter.encode([sent])
    (found,) = await pydantic_data_converter.decode(payloads, [dict[str, Any]])
    return as_decided(choose, found)[1].decision.action


async def test_actions_with_the_same_fields_do_not_turn_into_each_other() -> None:
    assert await _arrived("Cancel") == Cancel(order="A-1")


async def test_a_history_from_before_the_kind_was_kept_is_read_as_it_was() -> None:
    assert await _arrived(None) == Refund(order="A-1")


async def test_an_action_whose_class_was_renamed_since_is_still_read() -> None:
    assert await _arrived("Annul") == Refund(order="A-1")
