"""How a rollout is started, told and shown: names and models that both sides know."""

from __future__ import annotations

from typing import Final, Literal

from handrail.actions import Aware, Wire
from handrail.oversight.order_book import OrderResult
from handrail.oversight.orders import Order, Ramp

ROLLOUT_WORKFLOW: Final = "Rollout"
"""The type of the workflow that gives one deployment's new cases to a new build, by and by."""

ROLLOUT_SIGNAL: Final = "order"
"""The signal that carries a `RolloutWord` on a rollout that is on."""

ROLLOUT_MEMO: Final = "rollout"
"""Its memo: the `RolloutState`, which is read without a worker."""

ANSWERS = 10
"""What became of so many orders is kept."""


class RolloutWord(Wire):
    """What somebody orders. `statements`: what they signed, or the order as JSON."""

    order: Order
    statements: tuple[str, ...]


class RolloutAnswer(Wire):
    """What became of an order, by its id."""

    order: str
    result: OrderResult


class RolloutState(Wire):
    """How far a rollout is.

    `stand`: `refused` before anything was done; `on` and `paused` go on; `back`: the new build gets
    no new case; `done`: it is current; `left`: somebody changed the deployment by other means.
    `before`: the build that was current, empty if none was. `agents`: whose cases they are.
    `stage`: which of the shares is in force since `since`, -1 before the first. `band`: of the old
    build's cases until `begun`, 1 for each bad one and 0 for each good one, as they ended;
    `allowed`: what it comes to, in words.
    """

    ramp: Ramp
    by: str
    begun: Aware
    since: Aware
    before: str = ""
    agents: tuple[str, ...] = ()
    stand: Literal["asked", "refused", "on", "paused", "back", "done", "left"] = "asked"
    stage: int = -1
    why: str = ""
    band: str = ""
    allowed: str = ""
    answers: tuple[RolloutAnswer, ...] = ()

    @property
    def is_on(self) -> bool:
        """Whether it has not come to its end."""
        return self.stand in {"asked", "on", "paused"}

    @property
    def share(self) -> int:
        """The share of new cases that the new build gets, in hundredths of a percent."""
        if self.stand == "done":
            return self.ramp.shares[-1]
        return self.ramp.shares[self.stage] if self.is_on and self.stage >= 0 else 0

    def answered(self, order: str, result: OrderResult) -> RolloutState:
        """It, with what became of an order."""
        answer = RolloutAnswer(order=order, result=result)
        return self.model_copy(update={"answers": (*self.answers, answer)[-ANSWERS:]})

    def answer(self, order: str) -> OrderResult | None:
        """What became of an order; None if that is not known yet."""
        return next((each.result for each in self.answers if each.order == order), None)


class RolloutInput(Wire):
    """What the workflow is started with. `carried`: how far an earlier run of it was."""

    word: RolloutWord
    before: str = ""
    carried: RolloutState | None = None


def rollout_id(deployment: str) -> str:
    """The id of the workflow: a deployment has one rollout at a time."""
    return f"rollout:{deployment}"
