"""How long a rule may take: what would take longer is broken off, and cannot be judged.

Three things in a rule can take long: matching a pattern, which some texts make exponential; a
list made of a list made of a list; and numbers shifted by numbers. Patterns are matched by
`regex`, which looks at the clock within its own matching loop. Lists are made element by
element, and the time is looked at with each. Shifts are no part of rules. All else takes a time
that the length of the rule and of the facts bounds.

Time is what this thread has worked, so that a busy machine breaks nothing off.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import regex
from rule_engine import ast
from typing_extensions import override

from handrail.policy.rules.explain import children

MOST = timedelta(milliseconds=100)
"""How long a rule may take."""

_LEAST = 0.001
_REGEX: Any = regex


class TooLong(Exception):  # named for what happened
    """The rule took longer than it may."""

    @override
    def __str__(self) -> str:
        return f"it took longer than {MOST // timedelta(milliseconds=1)} ms"


class BadPattern(ValueError):
    """A pattern that cannot be matched within a time."""


class _Until(threading.local):
    at: float | None = None


_until = _Until()


@contextlib.contextmanager
def in_time() -> Generator[None]:
    """Let what is timed here take no longer than `MOST`.

    Raises:
        TooLong: if it would.
    """
    _until.at = time.thread_time() + MOST.total_seconds()
    try:
        yield
    except TimeoutError as error:
        raise TooLong from error
    finally:
        _until.at = None


def timed(root: Any) -> None:
    """Make every part of a rule that can take long look at the time.

    Raises:
        BadPattern: if a pattern is not written out in the rule, or is none.
    """
    if isinstance(root, ast.FuzzyComparisonExpression):
        _time_pattern(root)
    if isinstance(root, ast.ComprehensionExpression):
        for part in filter(None, (root.result, root.condition)):
            _time_each(part)
    for child in children(root):
        timed(child)


def _time_pattern(node: Any) -> None:
    if not isinstance(node.right, ast.StringExpression):
        raise BadPattern("a pattern must stand in the rule itself, in quotes")
    try:
        node._right = _Pattern(node.right.value)  # noqa: SLF001  # the one place where it is kept
    except _REGEX.error as error:
        raise BadPattern(f"the pattern cannot be read: {error}") from error


def _time_each(node: Any) -> None:
    evaluate: Callable[[Any], Any] = node.evaluate

    def timely(thing: Any) -> Any:
        if _left() <= 0:
            raise TooLong
        return evaluate(thing)

    node.evaluate = timely


def _left() -> float:
    """Seconds that are left; all of them while a rule is only read."""
    until = _until.at
    return MOST.total_seconds() if until is None else until - time.thread_time()


class _Pattern:
    """A pattern as rule-engine uses one, that is matched in the time that is left."""

    def __init__(self, text: str) -> None:
        self._pattern = _REGEX.compile(text, _REGEX.VERSION0)

    def match(self, text: str) -> Any:
        """Match from the beginning.

        Raises:
            TimeoutError: if that takes too long.
        """
        return self._pattern.match(text, timeout=max(_left(), _LEAST))

    def search(self, text: str) -> Any:
        """Match anywhere.

        Raises:
            TimeoutError: if that takes too long.
        """
        return self._pattern.search(text, timeout=max(_left(), _LEAST))
