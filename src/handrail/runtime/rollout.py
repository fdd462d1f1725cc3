"""A rollout: the workflow `Rollout`, which gives new cases to a new build while that does well.

It is pinned to the build that was current when it began: the build on trial never judges itself,
and no code changes under it. A share lasts until enough cases of the new build have ended at it.
What they come to is judged in an activity, by the old build's own cases; where they are worse the
new build gets no more cases, and the owners are told. Open cases stay on the build that they began
with, whatever comes of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, Literal

from pydantic import ValidationError
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError
from typing_extensions import TypeVar

from handrail.actions import Wire
from handrail.agent import error_in_words
from handrail.oversight import (
    ROLLOUT_MEMO,
    ROLLOUT_SIGNAL,
    ROLLOUT_WORKFLOW,
    BadSignal,
    Order,
    OrderResult,
    OrderState,
    Ramp,
    RolloutInput,
    RolloutState,
    RolloutWord,
    control_request,
    read_signal,
)
from handrail.text import escape_markdown, percent

BEGIN_ROLLOUT: Final = "handrail.rollout.begin"
"""The activity that says whether a rollout may begin: `RolloutState` to `RolloutStart`."""

JUDGE_ROLLOUT_ORDER: Final = "handrail.rollout.order"
"""The activity that judges an order: `RolloutOrder` to `OrderResult`."""

LOOK_AT_ROLLOUT: Final = "handrail.rollout.look"
"""The activity that judges the new build: `RolloutState` to `RolloutLook`."""

SET_SHARE: Final = "handrail.rollout.share"
"""The activity that gives the new build its share: `RolloutState`."""

TELL_OWNERS: Final = "handrail.rollout.tell"
"""The activity that tells the owners how a rollout ended: `RolloutState`."""

LONGEST = 1_000
"""Events of a history, after which it goes on in a new run."""

WAITING_ORDERS = 20
"""Orders that wait to be judged; of more at once the rest is not heard."""

R = TypeVar("R")

_TRIES = RetryPolicy(
    initial_interval=timedelta(milliseconds=250), maximum_interval=timedelta(seconds=10)
)
_TIME = timedelta(seconds=30)
_TEN = RetryPolicy(maximum_interval=timedelta(seconds=10), maximum_attempts=10)
"""What the server may refuse for good, but refuses for a moment where a worker has just begun."""


class RolloutOrder(Wire):
    """An order on a rollout, to be judged: by the policies of all `agents`."""

    word: RolloutWord
    agents: tuple[str, ...]


class RolloutStart(Wire):
    """The agents of a deployment, and the old build's band; `fault`: why it cannot begin."""

    agents: tuple[str, ...] = ()
    band: str = ""
    fault: str = ""


class RolloutLook(Wire):
    """What the new build's cases come to. `left`: who else changed the deployment."""

    verdict: Literal["worse", "wait", "within"]
    why: str
    allowed: str
    left: str = ""


@workflow.defn(name=ROLLOUT_WORKFLOW)
class Rollout:
    """Gives the new cases of a deployment to a new build, by and by, while that does well."""

    @workflow.init
    def __init__(self, begun: RolloutInput) -> None:
        """Begin, or go on with what an earlier run had come to."""
        order, now = begun.word.order, workflow.now()
        self._state = begun.carried or RolloutState.model_validate(
            {"ramp": order.ramp, "by": order.by, "begun": now, "since": now}
            | {"before": begun.before}
        )
        self._words: list[RolloutWord] = []
        self._ignored = 0

    @workflow.run
    async def run(self, begun: RolloutInput) -> RolloutState:
        """Go from share to share, until the new build is current or has none."""
        if begun.carried is None:
            await self._begin(begun.word)
        while self._state.is_on:
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: bool(self._words),
                    timeout=self._state.ramp.every,
                    timeout_summary="until it looks at the new build's cases",
                )
            while self._words and self._state.is_on:
                await self._obey(self._words.pop(0))
            if self._state.is_on:
                await self._look()
            if self._state.is_on and not self._words and self._is_long():
                workflow.continue_as_new(begun.model_copy(update={"carried": self._state}))
        over = OrderResult(stand=OrderState.REFUSED, why="the rollout has ended")
        for word in self._words:
            self._answer(word, over)
        await self._tell()
        return self._state

    # Raw, for what cannot be read would wedge the workflow.
    @workflow.signal(dynamic=True)
    def _hear(self, name: str, args: Sequence[RawValue]) -> None:
        try:
            word = self._word(name, [each.payload for each in args])
        except (BadSignal, ValidationError) as error:
            self._ignored += 1
            if self._ignored <= WAITING_ORDERS:
                workflow.logger.warning("ignored a signal `%s`: %s", name[:60], error)
            return
        if len(self._words) < WAITING_ORDERS:
            self._words.append(word)

    def _word(self, name: str, payloads: Sequence[Payload]) -> RolloutWord:
        """What a signal says: an order, signed or not; or `back` or `pause` with no more words."""
        ramp = self._state.ramp
        if name == ROLLOUT_SIGNAL:
            word = RolloutWord.model_validate(read_signal(payloads))
            said = word.order.ramp
            if said is None or said.to == "shares" or said.build != ramp.build:
                raise BadSignal(f"it is no order on the rollout of {ramp.build}")
            return word
        if name != "back" and name != "pause":  # noqa: PLR1714  # the type checker reads this
            raise BadSignal("no such signal; there are: back, pause")
        asked = control_request(payloads)
        order = Order(
            id=workflow.uuid4().hex,
            kind="rollout",
            agent="*",
            by=asked.by or "somebody",
            at=workflow.now(),
            why=asked.why,
            ramp=Ramp(deployment=ramp.deployment, build=ramp.build, to=name),
        )
        return RolloutWord(order=order, statements=(order.model_dump_json(),))

    async def _begin(self, word: RolloutWord) -> None:
        start = await self._do(BEGIN_ROLLOUT, self._state, RolloutStart, "may it begin?")
        self._change(agents=start.agents, band=start.band)
        result = await self._judged(word)
        if start.fault:
            result = OrderResult(stand=OrderState.REFUSED, why=start.fault)
        if result.stand is OrderState.REFUSED:
            self._answer(word, result, stand="refused", why=result.why)
            return
        self._state = self._state.model_copy(update={"stand": "on"})
        await self._next()
        if self._state.stand == "left":
            result = OrderResult(stand=OrderState.REFUSED, why=self._state.why)
        self._answer(word, result)

    async def _obey(self, word: RolloutWord) -> None:
        """Do what somebody says, if they may."""
        result, to = await self._judged(word), word.order.ramp and word.order.ramp.to
        if result.stand is OrderState.REFUSED:
            self._answer(word, result)
        elif to == "back":
            why = f": {word.order.why}" if word.order.why else ""
            await self._end("back", f"taken back by {word.order.by}{why}")
            self._answer(word, result)
        else:
            self._answer(word, result, stand="paused" if to == "pause" else "on")

    async def _judged(self, word: RolloutWord) -> OrderResult:
        asked = RolloutOrder(word=word, agents=self._state.agents)
        by = word.order.by
        try:
            return await self._do(JUDGE_ROLLOUT_ORDER, asked, OrderResult, f"an order by {by}")
        except ActivityError as error:
            return OrderResult(stand=OrderState.REFUSED, why=error_in_words(error))

    async def _look(self) -> None:
        """Look at the new build's cases, and give it more of them, or none."""
        look = await self._do(LOOK_AT_ROLLOUT, self._state, RolloutLook, "how does it do?")
        if look.allowed != self._state.allowed:
            self._change(allowed=look.allowed)
        if look.left:
            self._change(stand="left", why=look.left)
        elif look.verdict == "worse":
            await self._end("back", look.why)
        elif look.verdict == "within" and self._state.stand == "on" and not self._words:
            await self._next(look.why)

    async def _next(self, why: str = "") -> None:
        """The next share; after the last of them it is current."""
        state, now = self._state, workflow.now()
        if not state.before or state.stage + 1 == len(state.ramp.shares):
            await self._end("done", why or "there was no build before it")
            return
        moved = state.model_copy(update={"stage": state.stage + 1, "since": now, "why": why})
        await self._set(moved)

    async def _end(self, stand: Literal["back", "done"], why: str) -> None:
        await self._set(self._state.model_copy(update={"stand": stand, "why": why}))

    async def _set(self, wanted: RolloutState) -> None:
        try:
            what = f"{percent(wanted.share)} of the new cases"
            await self._do(SET_SHARE, wanted, None, what, _TEN)
        except ActivityError as error:
            self._change(stand="left", why=f"Temporal did not take it: {error_in_words(error)}")
            return
        # What was said meanwhile stands in the state that is there now.
        self._change(**wanted.model_dump(exclude={"answers", "ramp"}))

    async def _tell(self) -> None:
        """Say so in the worker's log, and to the owners: not of what was never begun."""
        if self._state.stand != "refused":
            with contextlib.suppress(ActivityError):
                await self._do(TELL_OWNERS, self._state, None, "tell the owners", _TEN)

    def _answer(self, word: RolloutWord, result: OrderResult, **changes: Any) -> None:
        self._state = self._state.answered(word.order.id, result)
        self._change(**changes)

    def _change(self, **changes: Any) -> None:
        self._state = self._state.model_copy(update=changes)
        workflow.upsert_memo({ROLLOUT_MEMO: self._state})
        workflow.set_current_details(page(self._state))

    async def _do(
        self,
        name: str,
        given: Any,
        returns: type[R] | None,
        summary: str,
        tries: RetryPolicy = _TRIES,
    ) -> Any:
        return await workflow.execute_activity(
            name,
            given,
            result_type=returns,
            start_to_close_timeout=_TIME,
            retry_policy=tries,
            summary=summary[:200],
        )

    def _is_long(self) -> bool:
        info = workflow.info()
        return info.is_continue_as_new_suggested() or info.get_current_history_length() > LONGEST


def page(state: RolloutState) -> str:
    """The page of a rollout in the Temporal UI, in Markdown."""
    ramp, shares = state.ramp, ", ".join(map(percent, state.ramp.shares))
    name, build = escape_markdown(ramp.deployment), escape_markdown(ramp.build)
    old = escape_markdown(state.before or "none")
    lines = [
        f"### {name}: {build} has {percent(state.share)}, {state.stand}",
        f"Before it: {old}. Shares: {shares}. Begun by {escape_markdown(state.by)}.",
        f"Allowed: {escape_markdown(state.allowed)}" if state.allowed else "",
        escape_markdown(state.why),
        "In a shell: `handrail rollout`, `--back`, `--pause`, `--resume`.",
        "Or press *More Actions*, *Send a Signal*: `back` or `pause`, with or without `by`, `why`.",
    ]
    return "\n\n".join(line for line in lines if line)
