"""Between Temporal and what runs: its sandbox, its failures, signals and heartbeats.

Each class here takes the place of one of the SDK's own, and says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.contrib.pydantic import (
    PydanticJSONPlainPayloadConverter,
    PydanticPayloadConverter,
)
from temporalio.converter import (
    CompositePayloadConverter,
    DefaultFailureConverter,
)
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    HandleQueryInput,
    HandleSignalInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)
from typing_extensions import override

from handrail.actions import Event
from handrail.agent import (
    CASE_SIGNALS,
    AgentWorkflow,
    recalled,
    runner_of,
    without_secrets,
    words_of,
)
from handrail.exceptions import fallback
from handrail.runtime.steward import STEWARD_SIGNALS, AutonomyWorkflow
from handrail.text import exact_json, fit_text
from handrail.wire import fit, json_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from temporalio.api.failure.v1 import Failure
    from temporalio.converter import PayloadConverter

LARGEST_FAILURE = 3_500
"""Bytes of messages and traces of one failure with all its causes."""

DEEPEST = 20
"""Causes beneath one another in one failure: what nests 100 deep no server takes."""

_TRACE = 400
_MESSAGE = 1_500
_TYPE = 200

_depth: ContextVar[int] = ContextVar("handrail_failure_depth", default=0)


# Values and failures as Temporal keeps them


class _Json(PydanticJSONPlainPayloadConverter):
    @override
    def from_payload(self, payload: Payload, type_hint: Any = None) -> Any:
        return json_reader(Any if type_hint is None else type_hint)(payload.data)


_CONVERTERS = tuple(
    _Json() if isinstance(each, PydanticJSONPlainPayloadConverter) else each
    for each in PydanticPayloadConverter().converters.values()
)


class FitPayloads(PydanticPayloadConverter):
    """Pydantic's JSON, of texts too that hold half of a character, as an error's words may.

    Temporal would try for ever to complete what it cannot convert.
    """

    def __init__(self) -> None:
        """Take the converters that all have: Temporal makes one of these ten times a case."""
        CompositePayloadConverter.__init__(self, *_CONVERTERS)

    @override
    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """Convert values, made fit where they are not."""
        try:
            return super().to_payloads(values)
        except PydanticSerializationError:
            return super().to_payloads([fit(value) for value in values])

    @override
    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """Convert payloads; the event of a case also where its class has changed since.

        An event that no client of ours sent may have numbers with more digits than a float.
        """
        hints: list[Any] = type_hints or []
        if not any(isinstance(hint, type) and issubclass(hint, Event) for hint in hints):
            return super().from_payloads(payloads, type_hints)
        exact = [_with_all_digits(payload) for payload in payloads]
        for given in (exact, payloads):
            # The agent's own validators may raise anything.
            with contextlib.suppress(Exception):
                return super().from_payloads(given, type_hints)
        values = super().from_payloads(exact)
        return [recalled(*each) for each in zip(hints, values, strict=False)]


def _with_all_digits(payload: Payload) -> Payload:
    try:
        data = json.dumps(exact_json(payload.data)).encode()
    except (ValueError, RecursionError):
        return payload  # it is of another encoding, or none
    return Payload(metadata=payload.metadata, data=data)


class ShortFailures(DefaultFailureConverter):
    """Temporal's own converter, with traces and messages cut where they are too long to be shown.

    Of a pending activity whose failure is over 4 KB the server shows "Failure exceeds size
    limit." in place of the reason, and a chain of three exceptions with their traces is over
    it at once. The traces are cut then, from the innermost frame's end; the log has them whole.
    """

    @override
    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Convert an exception, and shorten what came of it. Causes come here, too."""
        depth = _depth.get()
        if depth == DEEPEST:
            return
        token = _depth.set(depth + 1)
        try:
            super().to_failure(exception, payload_converter, failure)
        # Its words may hold half of a character, its details anything, or it cannot say what it is.
        except Exception:  # noqa: BLE001
            failure.Clear()
            super().to_failure(_said(exception, payload_converter), payload_converter, failure)
        finally:
            _depth.reset(token)
        info = failure.application_failure_info
        if len(info.type) > _TYPE:
            info.type = info.type[:_TYPE]
        for length in (_TRACE, 0):
            if _size(failure) <= LARGEST_FAILURE:
                return
            for part in _chain(failure):
                part.stack_trace = _end(part.stack_trace, length)
        for depth, part in enumerate(_chain(failure)):
            part.message = part.message[: _MESSAGE if depth < 2 else 100]  # noqa: PLR2004
        _cut_chain(failure)


def _said(error: BaseException, converter: PayloadConverter) -> ApplicationError:
    """What an error says that cannot be sent as it is, without the errors beneath it."""
    known = error if isinstance(error, ApplicationError) else None
    details = known.details if known else ()
    # Those that cannot be sent are left out: whether it is tried again must not hang on them.
    kept = fallback(None, lambda: converter.to_payloads(details))
    return ApplicationError(
        fit_text(known.message) if known else words_of(error),
        *(() if kept is None else details),
        type=fit_text((known.type or "") if known else type(error).__name__),
        non_retryable=known is not None and known.non_retryable,
        next_retry_delay=known.next_retry_delay if known else None,
    )


def _chain(failure: Failure) -> Iterator[Failure]:
    part = failure
    yield part
    while part.HasField("cause"):
        part = part.cause
        yield part


def _size(failure: Failure) -> int:
    """Without the details, which are the outcome of a case and no words."""
    return sum(len(p.message.encode()) + len(p.stack_trace.encode()) for p in _chain(failure))


def _end(text: str, length: int) -> str:
    return text if len(text) <= length else text[len(text) - length :]


def _cut_chain(failure: Failure) -> None:
    """Leave out the deepest causes, of which there may be any number."""
    left = LARGEST_FAILURE
    for part in _chain(failure):
        left -= len(part.message.encode())
        if part.HasField("cause") and left - len(part.cause.message.encode()) < 0:
            part.ClearField("cause")
            return


# Signals and heartbeats


class CaseInterceptor(Interceptor):
    """Keeps signals with a wrong number of values from wedging a case, and shows its page.

    The page is made when somebody looks at it: set at each step, most would be seen by nobody.
    """

    @override
    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # Temporal's name
    ) -> type[WorkflowInboundInterceptor]:
        """The interceptor of each workflow."""
        del input
        return _GuardedInbound


class _GuardedInbound(WorkflowInboundInterceptor):
    @override
    async def handle_query(self, input: HandleQueryInput) -> Any:
        answer, case = await super().handle_query(input), workflow.instance()
        if isinstance(answer, WorkflowMetadata) and isinstance(case, AgentWorkflow):
            answer.current_details = runner_of(case).details()
        return answer

    @override
    async def handle_signal(self, input: HandleSignalInput) -> None:
        instance = workflow.instance()
        if isinstance(instance, AgentWorkflow | AutonomyWorkflow) and len(input.args) > 1:
            # A dynamic handler takes the name and all values; a named one takes one value.
            names = CASE_SIGNALS if isinstance(instance, AgentWorkflow) else STEWARD_SIGNALS
            named = input.signal in names
            input.args = input.args[:1] if named else input.args
        await super().handle_signal(input)


class SecretScrubber(Interceptor):
    """Masks secrets in the heartbeats of activities, which everybody sees, and lets none exit."""

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Stand before what Temporal sends."""
        return _ScrubbedInbound(next)


class _ScrubbedInbound(ActivityInboundInterceptor):
    @override
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        super().init(_ScrubbedOutbound(outbound))

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        # Of an agent's own validators, say: it would end this process, and all that runs in it.
        except (SystemExit, KeyboardInterrupt) as error:
            raise RuntimeError(f"the agent's code raised {type(error).__name__}") from error


class _ScrubbedOutbound(ActivityOutboundInterceptor):
    def __init__(self, after: ActivityOutboundInterceptor) -> None:
        super().__init__(after)
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    @override
    def heartbeat(self, *details: Any) -> None:
        said = tuple(map(without_secrets, details))
        if threading.get_ident() == self._thread:
            super().heartbeat(*said)
        else:  # of a step: the SDK sends them from its own loop only
            self._loop.call_soon_threadsafe(super().heartbeat, *said)
