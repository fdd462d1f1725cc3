"""What a tool answers as plain text, read as objects with fields.

    tasks = desk.read(
        "list_tasks",
        reading=TextLines("- {id}: {title}", head="Found {count} tasks:"),
        trusted=("id",),
    )

A text says less than JSON does: whoever names an object may put a line break into the name, and
behind it a line that looks like another object's. So a text is read as a whole and in one way only,
or not at all; then all of it stays text from outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from string import Formatter
from typing import Any

from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from handrail.exceptions import ConfigurationError
from handrail.integrations.connectors.schemas import as_object

LONGEST = 2_000
"""Characters of the longest line that is read."""

_COUNT, _ANY = "count", ".*"

Reading = Callable[[str], JsonValue]
"""A pure function of a text: the objects in it, as JSON. It raises where it is not of its form."""

_Part = tuple[str, str | None, re.Pattern[str]]


class TextLines:
    r"""Objects of one line each, or of as many as `line` has: `"[{kind:FILE|DIR}] {name}"`.

    A field is `{name}`; one that is trusted may have the form that the system gives it, a regular
    expression: `{id:\d+}`. What stands around them stands so in each line. `head` and `foot`: what
    stands before and after, which may say how many objects there are: `{count}`.
    Empty lines are skipped.
    """

    def __init__(
        self, line: str, *, head: str = "", foot: str = "", unbroken: bool = False
    ) -> None:
        """Say how each object is written. `unbroken`: no line break gets into what others write.

        Raises:
            ConfigurationError: if a field stands twice, or `head` or `foot` have one but `count`.
        """
        self._head, self._foot = _rows(head), _rows(foot)
        self._line, self._unbroken = _rows(line), unbroken
        self.fields = [name for row in self._line for _, name, _ in row if name]
        around = [name for row in self._head + self._foot for _, name, _ in row if name]
        self._counted = _COUNT in around
        if not self.fields or len({*self.fields}) < len(self.fields):
            raise ConfigurationError(
                f"TextLines({line!r}): name each field once: '- {{id}}: {{title}}'"
            )
        if [*around] not in ([], [_COUNT]):
            raise ConfigurationError(
                f"TextLines({line!r}): beside the objects only {{count}} is read, once; it has: "
                f"{', '.join(around)}; fix: write what stands there"
            )

    def require(self, tool: str, trusted: Sequence[str]) -> None:
        """See that nobody who may fill in a field can make up an object by it.

        Raises:
            ConfigurationError: if so, or if there is no such field.
        """
        if unknown := {*trusted} - {*self.fields}:
            raise ConfigurationError(
                f"{tool}: its lines have no {', '.join(sorted(unknown))}; "
                f"they have: {', '.join(self.fields)}"
            )
        formed = [n for row in self._line for _, n, form in row if n and form.pattern != _ANY]
        if loose := [name for name in formed if name not in trusted]:
            raise ConfigurationError(
                f"{tool}: {', '.join(loose)} has a form, and is not trusted: what others write "
                "keeps to none; fix: leave the form away, or trust what the system fills in"
            )
        open_ = [name for name in self.fields if name not in trusted]
        if open_ and not (self._counted or self._unbroken):
            raise ConfigurationError(
                f"{tool}: others fill in {', '.join(open_)}, and a line break in it would be an "
                "object that is not there; fix: name the line that says how many there are "
                "(head='Found {count} tasks:'), or try a name with a line break, and where the "
                "system lets none through say unbroken=True"
            )

    def __call__(self, text: str) -> JsonValue:
        """The objects, each with its fields.

        Raises:
            ValueError: if the text is not of this form, as a whole and in one way only.
        """
        plain = text.replace("\r\n", "\n")
        if len(plain.splitlines()) > plain.count("\n") + 1:
            raise ValueError("it has line breaks of another kind")
        lines = [each for each in plain.split("\n") if each.strip()]
        before, after, size = len(self._head), len(self._foot), len(self._line)
        between = lines[before : len(lines) - after]
        if len(lines) < before + after or len(between) % size:
            raise ValueError("it has too few lines")
        around = _read(self._head, lines[:before]) | _read(self._foot, lines[len(lines) - after :])
        found = [_read(self._line, between[n : n + size]) for n in range(0, len(between), size)]
        if self._counted and int(around[_COUNT]) != len(found):
            raise ValueError(f"it says {around[_COUNT]}, and has {len(found)}")
        return [dict[str, JsonValue](each) for each in found]


def require_reading(tool: str, trusted: Sequence[str], reading: Reading | None) -> None:
    """See that a reading is of use, and that nobody makes up objects by it.

    Raises:
        ConfigurationError: if not.
    """
    if reading is not None and not trusted:
        raise ConfigurationError(f"{tool}: `reading` is for fields that are `trusted`; name them")
    if isinstance(reading, TextLines):
        reading.require(tool, trusted)


def as_objects(answer: Any, reading: Reading) -> Any:
    """What a tool answered as one text, as objects; as it is where it is none of this form."""
    parts = as_object(answer)
    text = parts["result"] if [*parts] == ["result"] else answer
    if not isinstance(text, str):
        return answer
    try:
        return to_jsonable_python(reading(text))
    except Exception:  # noqa: BLE001  # a text from outside may break any reader; then it stays one
        return answer


def _rows(template: str) -> list[list[_Part]]:
    return [[*_parts(row)] for row in template.split("\n") if row.strip()]


def _parts(row: str) -> Iterator[_Part]:
    for literal, name, form, _ in Formatter().parse(row):
        usual = r"\d+" if name == _COUNT else _ANY
        yield literal, name, re.compile(form or usual)
    yield "", None, re.compile("")


def _read(rows: Sequence[Sequence[_Part]], lines: Sequence[str]) -> dict[str, str]:
    """The fields of an object.

    Raises:
        ValueError: if a line is not of its form, or is in two ways.
    """
    found = dict[str, str]()
    for row, line in zip(rows, lines, strict=True):
        ways = [] if len(line) > LONGEST else [*islice(_ways(row, line, 0, 0, set()), 2)]
        if len(ways) != 1:
            raise ValueError(f"a line can be read in {len(ways) or 'no'} ways")
        found |= ways[0]
    return found


def _ways(
    row: Sequence[_Part], line: str, part: int, at: int, dead: set[tuple[int, int]]
) -> Iterator[dict[str, str]]:
    """Each way to read a line from here on. `dead`: from where there is none."""
    if part == len(row):
        if at == len(line):
            yield {}
        return
    literal, name, form = row[part]
    if (part, at) in dead or not line.startswith(literal, at):
        return
    start, any_ = at + len(literal), False
    following = row[part + 1][0] if name is not None else ""
    for end in [start] if name is None else range(start, len(line) + 1):
        if not (
            line.startswith(following, end) and (name is None or form.fullmatch(line, start, end))
        ):
            continue
        for rest in _ways(row, line, part + 1, end, dead):
            any_ = True
            yield ({} if name is None else {name: line[start:end]}) | rest
    if not any_:
        dead.add((part, at))
