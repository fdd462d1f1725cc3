"""What exits within an activity ends neither its loop nor its process."""

from __future__ import annotations

from typing import Any, cast

import pytest
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput
from typing_extensions import override

from handrail.runtime.interceptors import SecretScrubber


class Validating(ActivityInboundInterceptor):
    """An activity that looks at a value by a validator of its agent."""

    def __init__(self, raised: BaseException) -> None:
        self.raised = raised

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        raise self.raised


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt()])
async def test_an_exit_is_an_error_of_its_activity(raised: BaseException) -> None:
    of = SecretScrubber().intercept_activity(Validating(raised))
    with pytest.raises(RuntimeError, match=f"the agent's code raised {type(raised).__name__}"):
        await of.execute_activity(cast("ExecuteActivityInput", None))
