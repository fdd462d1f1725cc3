"""The class of an error, by what Temporal keeps of it; what the door says of a write is one too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
import uvloop
from anyio.abc import SocketAttribute
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as TimedOut

from handrail.actions import Kind, Verdict
from handrail.agent.activities import hopeless
from handrail.agent.case_notes import CaseNotes, error_kind
from handrail.agent.tries import UNDECIDED
from handrail.wire import WriteResult, WriteResultKind

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def failed(*types: str) -> BaseException:
    """An activity that failed with errors of these types, each because of the next."""
    cause: BaseException | None = None
    for each in reversed(types):
        error = ApplicationError("why", type=each)
        error.__cause__, cause = cause, error
    return activity_error(cause)


def activity_error(cause: BaseException | None) -> BaseException:
    named = {"scheduled_event_id": 1, "started_event_id": 2, "identity": "w"}
    error = ActivityError(
        "failed",
        activity_type="look",
        activity_id="1",
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
        **named,  # pyright: ignore[reportArgumentType]
    )
    error.__cause__ = cause
    return error


LATE = TimedOut("late", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (failed("Final"), "refused_by_system"),
        (failed("ContractChanged"), "contract_changed"),
        (failed("StepTimeout"), "time_out"),
        (activity_error(LATE), "time_out"),
        (failed("BadAnswer"), "bad_data"),
        (failed("ValidationError"), "bad_data"),
        (failed(UNDECIDED), "model"),
        (failed(UNDECIDED, "ValueError"), "model"),
        (failed(UNDECIDED, "StepTimeout"), "time_out"),
        (failed("KeyError"), "bug"),
        (KeyError("x"), "bug"),
    ],
)
def test_each_error_has_a_class(error: BaseException, kind: str) -> None:
    assert error_kind(error) == kind


@pytest.mark.parametrize(
    ("answer", "fault", "kind"),
    [
        (WriteResultKind.FAILED, "", "refused_by_system"),
        (WriteResultKind.FAILED, "contract_changed", "contract_changed"),
        (WriteResultKind.IN_DOUBT, "", "in_doubt"),
    ],
)
def test_so_has_a_write_that_failed_or_is_in_doubt(
    answer: WriteResultKind, fault: str, kind: str
) -> None:
    notes = CaseNotes()
    verdict = Verdict(kind=Kind.PASS, findings=(), policy="a v1")
    notes.came_to("pay", WriteResult(kind=answer, verdict=verdict, why="no", fault=fault), NOW)
    assert [(each.step, each.kind, each.what) for each in notes.errors] == [("pay", kind, "no")]


async def asked_too_late() -> Exception:
    """What a library says of a connection that ended while it looked at it."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no Django
        stream = await anyio.connect_tcp("127.0.0.1", port)
        await stream.aclose()
        with pytest.raises(AttributeError) as said:
            stream.extra(SocketAttribute.remote_port, None)  # noqa: S610 - as above
    return said.value


def test_a_connection_that_ended_meanwhile_is_tried_again() -> None:
    said = uvloop.run(asked_too_late())
    assert str(said) == "'NoneType' object has no attribute 'getpeername'"
    assert not hopeless(said)


def test_a_mistake_of_the_program_is_not() -> None:
    nothing: Any = None
    with pytest.raises(AttributeError) as said:
        nothing.getpeername()
    assert hopeless(said.value)
    assert hopeless(TypeError("x"))
    assert not hopeless(OSError("away"))
