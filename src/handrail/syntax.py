"""Python source as a syntax tree, right where several threads parse at once.

Python 3.11 counts how deep a tree is in one place for all threads. Where the garbage collector lets
another thread in, as one that writes a traceback into a log, which parses too, a good source ends
in a `SystemError` (python/cpython#106905). Parsed again, it is right.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Final, TypeVar

_T = TypeVar("_T")
_TIMES: Final = 20


def syntax_tree(source: str | bytes) -> ast.Module:
    """The syntax tree of a source.

    Raises:
        SyntaxError: if it is none.
    """
    return _again(lambda: ast.parse(source))


def class_source(kind: type) -> tuple[str, int]:
    """The source of a class, and its first line in its file, from 1.

    Raises:
        OSError: if it stands in no file.
        TypeError: if it is a built-in class.
    """
    # To find a class, `inspect` parses its whole file.
    lines, first = _again(lambda: inspect.getsourcelines(kind))
    return "".join(lines), first


def _again(parse: Callable[[], _T]) -> _T:
    for _ in range(_TIMES - 1):
        try:
            return parse()
        except SystemError:
            continue
    return parse()
