"""What is said of a step that goes on failing, in words that name the cause."""

from __future__ import annotations

from temporalio.api.failure.v1 import Failure

from handrail.client.failing import _words  # pyright: ignore[reportPrivateUsage]


def test_an_argument_that_cannot_be_read_is_said_with_its_cause() -> None:
    cause = Failure(message="Input should be a valid string")
    unread = Failure(message="Failed decoding arguments", cause=cause)
    assert _words(unread).endswith("than is declared: Input should be a valid string")
    assert _words(cause) == "Input should be a valid string"
