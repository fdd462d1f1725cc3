"""Python 3.11 loses count of a syntax tree's depth where another thread parses within it."""

from __future__ import annotations

import ast
import gc
import inspect
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from handrail.syntax import class_source, syntax_tree

SOURCE = inspect.getsource(ast)


@contextmanager
def another_parses() -> Generator[None]:
    """While garbage is collected, and so within the next parse, another thread parses too."""
    others = [threading.Thread(target=ast.parse, args=("x",)) for _ in range(20)]

    def collecting(_phase: str, _info: dict[str, int]) -> None:
        if others:
            other = others.pop()
            other.start()
            other.join()

    before = gc.get_threshold()
    gc.callbacks.append(collecting)
    gc.set_threshold(1)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(collecting)


def deeper(parse: Callable[[], object], frames: int = 30) -> None:
    """Parse at another depth of the stack than a thread that has just begun."""
    deeper(parse, frames - 1) if frames else parse()


def test_what_is_parsed_while_another_thread_parses_is_right() -> None:
    try:
        with another_parses():
            deeper(lambda: ast.parse(SOURCE))
    except SystemError:
        pass
    else:
        pytest.skip("this Python does not lose count")
    whole = ast.dump(ast.parse(SOURCE))
    trees: list[ast.Module] = []
    with another_parses():
        deeper(lambda: trees.append(syntax_tree(SOURCE)))
    assert ast.dump(trees[0]) == whole
    with another_parses():
        deeper(lambda: class_source(ast.NodeVisitor))


def test_a_source_that_is_none_is_said_at_once() -> None:
    with pytest.raises(SyntaxError):
        syntax_tree("def")
    with pytest.raises(TypeError):
        class_source(int)


def test_the_source_of_a_class_begins_at_its_line() -> None:
    source, first = class_source(ast.NodeVisitor)
    assert source.startswith("class NodeVisitor(object):")
    assert SOURCE.splitlines()[first - 1] == source.splitlines()[0]
