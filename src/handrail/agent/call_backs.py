"""What other systems answer to a write later: a call-back is taken, waited for, and shown.

This is workflow code. It is deterministic, and the order of its commands is a wire
format: recorded histories are replayed in the tests.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError
from temporalio import workflow
from typing_extensions import TypeVar

from handrail.exceptions import Expired
from handrail.oversight import BadSignal, CalledBack, read_signal
from handrail.text import first_fault, moment_in_words, one_line

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload

    from handrail.actions import CallBack
    from handrail.agent.case import Case

M = TypeVar("M", bound=BaseModel)

MOST_CALLED = 1_000
"""Call-backs that one case keeps: whoever reaches Temporal can send any."""


class CallBacks:
    """The call-backs of one case.

    `case.called` has what came and was not looked at, by the key of its write; or, when that is
    over, whether an answer came in time.
    """

    def __init__(
        self, case: Case, note: Callable[[str], None], boundary: Callable[[], Awaitable[None]]
    ) -> None:
        """`note`: adds to the log of the case. `boundary`: waits while it is paused."""
        self.case = case
        self.note = note
        self.boundary = boundary
        self._kept = 0

    def called(self, payloads: Sequence[Payload]) -> None:
        """Take a call-back: the first that is an answer counts, and what comes later is shown."""
        try:
            said = CalledBack.model_validate(read_signal(payloads))
        except (BadSignal, ValidationError) as error:
            why = first_fault(error) if isinstance(error, ValidationError) else str(error)
            self.note(f"ignored a call-back: {why}")
            return
        case, key = self.case, said.key
        came = case.called.get(key, [])
        if isinstance(came, list):
            if not key.startswith(f"{case.id}/") or self._kept >= MOST_CALLED:
                self.note("ignored a call-back for nothing that this case has written")
                return
            self._kept += 1
            case.called[key] = [*came, said.body]
            self.note(f"called back for {key}")
        else:
            how = "once more" if came else "too late"
            words = one_line(json.dumps(said.body, ensure_ascii=False), 500)
            self.note(f"called back {how} for {key}: {words}")

    async def awaited(self, due: CallBack, model: type[M], within: timedelta) -> M:
        """Wait until another system answers a write.

        Raises:
            Expired: if it did not within this time.
        """
        case, until = self.case, workflow.now() + within
        step = due.key.rpartition("/")[0].rpartition("/")[2]
        self.note(f"waits for the call-back of {step} until {moment_in_words(until)}")
        while True:
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: bool(case.called.get(due.key)),
                    timeout=max(until - workflow.now(), timedelta(milliseconds=1)),
                    timeout_summary=f"until the system of {step} calls back",
                )
            await self.boundary()
            came = case.called.get(due.key)
            if came is True:
                raise Expired(step, "what it was called back with was taken already")
            if not isinstance(came, list) or not came:
                case.called[due.key] = False
                raise Expired(step, f"nobody called back within {within}")
            try:
                answer = model.model_validate_json(
                    json.dumps(came.pop(0)), by_alias=True, by_name=True
                )
            # The author's own validators may raise anything: another answer may still come.
            except Exception as error:  # noqa: BLE001
                why = first_fault(error) if isinstance(error, ValidationError) else str(error)
                self.note(f"the call-back of {step} is no {model.__name__}: {one_line(why, 500)}")
                continue
            case.called[due.key] = True
            for more in came:
                self.called(
                    [workflow.payload_converter().to_payload({"key": due.key, "body": more})]
                )
            case.sources.came_in(answer)
            return answer
