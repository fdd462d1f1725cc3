"""Failures stay under the size over which the server does not show them."""

from __future__ import annotations

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from typing_extensions import override

from handrail.runtime.interceptors import DEEPEST, LARGEST_FAILURE, ShortFailures


def failure_of(error: BaseException) -> Failure:
    failure = Failure()
    ShortFailures().to_failure(error, pydantic_data_converter.payload_converter, failure)
    return failure


def raised(depth: int, words: str) -> BaseException:
    """An exception with as many causes, each from deep in the program."""
    try:
        _deep(30, depth, words)
    except ValueError as error:
        return error
    raise AssertionError


def _deep(frames: int, depth: int, words: str) -> None:
    if frames:
        return _deep(frames - 1, depth, words)
    if depth == 0:
        raise ValueError(words)
    try:
        _deep(30, depth - 1, words)
    except ValueError as error:
        raise ValueError(f"{depth}: {words}") from error


def test_a_short_failure_is_left_as_it_is() -> None:
    failure = failure_of(ValueError("the bank is closed"))
    assert failure.message == "the bank is closed"
    assert failure.application_failure_info.type == "ValueError"


@pytest.mark.parametrize("depth", [0, 1, 3, 20])
@pytest.mark.parametrize("words", ["the bank is closed", "ä" * 5_000, ""])
def test_a_long_one_is_cut_and_keeps_its_reason(depth: int, words: str) -> None:
    failure = failure_of(raised(depth, words))
    assert failure.ByteSize() < 4_096
    assert failure.message.startswith(f"{depth}: {words[:50]}" if depth else words[:50])


def test_the_end_of_a_trace_is_kept_where_it_fits() -> None:
    failure = failure_of(raised(1, "the bank is closed"))
    assert "raise ValueError" in failure.stack_trace
    assert "raise ValueError" in failure.cause.stack_trace
    assert failure.cause.message == "the bank is closed"


def test_details_are_never_cut() -> None:
    error = ApplicationError("x" * 10_000, "y" * 10_000)
    failure = failure_of(error)
    assert len(failure.message) < LARGEST_FAILURE
    assert failure.application_failure_info.details.payloads[0].data == b'"' + b"y" * 10_000 + b'"'


class SilentError(Exception):
    """Cannot say what it is."""

    @override
    def __str__(self) -> str:
        raise RuntimeError


def chained(depth: int) -> BaseException:
    error = ValueError("the end")
    for number in range(depth):
        above = ValueError(f"{number}")
        above.__cause__ = error
        error = above
    return error


def circle() -> BaseException:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one


@pytest.mark.parametrize("cause", [chained(90), chained(5_000), circle(), SilentError()])
def test_whatever_is_beneath_an_error_it_stays_what_it_is(cause: BaseException) -> None:
    error = ApplicationError("the bank is closed", 7, type="Closed", non_retryable=True)
    error.__cause__ = cause
    failure = failure_of(error)
    assert failure.message == "the bank is closed"
    info = failure.application_failure_info
    assert (info.type, info.non_retryable, len(info.details.payloads)) == ("Closed", True, 1)
    part, depth = failure, 0
    while part.HasField("cause"):
        part, depth = part.cause, depth + 1
    assert 0 < depth <= DEEPEST


def test_what_an_error_cannot_send_along_is_left_out() -> None:
    failure = failure_of(
        ApplicationError("gone", object(), type="\ud83d" * 999, non_retryable=True)
    )
    info = failure.application_failure_info
    assert (failure.message, info.non_retryable, info.details.payloads) == ("gone", True, [])
    assert 0 < len(info.type) < LARGEST_FAILURE
    assert failure_of(SilentError()).application_failure_info.type == "SilentError"
    named = type("A" * 3_000_000, (ValueError,), {})("it is long")
    assert failure_of(named).ByteSize() < LARGEST_FAILURE
