"""Reading the text of a policy file: plain YAML, the line of every key, and faults.

Tags, anchors and repeated keys are faults, so that what a file says is what stands there,
and no file grows when it is read.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from time import time_ns
from typing import Any, BinaryIO

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from typing_extensions import override

from handrail.exceptions import PolicyError
from handrail.text import decode_text

MAX_BYTES = 256 * 1024
"""Bytes of the largest policy file."""

_SETTLED_NS = 2_000_000_000
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_TAG = "tag:yaml.org,2002:"
_TAGS = {f"{_TAG}{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "merge")}

Loc = tuple[str | int, ...]
"""Where in the file: the keys and positions that lead there."""

Stamp = tuple[int, ...]


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a policy file, where, and what to do about it."""

    path: str
    line: int
    what: str
    fix: str

    @override
    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}\n  fix: {self.fix}"


@dataclass
class Faults:
    """The faults found so far in the file at `path`, and the line of each of its keys."""

    path: str
    found: list[Fault] = field(default_factory=list[Fault])
    lines: dict[Loc, int] = field(default_factory=dict[Loc, int])
    broken: set[Loc] = field(default_factory=set[Loc])

    def add(self, loc: Loc, what: str, fix: str) -> None:
        """Report `what` is wrong at `loc`; its line is that of the nearest key there is."""
        at = loc
        while at and at not in self.lines:
            at = at[:-1]
        self.at_line(self.lines.get(at, 1), what, fix)

    def at_line(self, line: int, what: str, fix: str) -> None:
        """Report what is wrong at a line."""
        self.found.append(Fault(self.path, line, what, fix))

    def texts(self) -> list[str]:
        """Every fault in the order of the file."""
        return [str(fault) for fault in sorted(self.found, key=lambda fault: fault.line)]


def file_content(path: Path) -> tuple[str, Stamp | None]:
    """The text of a file, and by which stamp to know it again (None: too young to tell).

    Raises:
        PolicyError: if it cannot be read, or is no text of sensible size.
    """
    faults = Faults(str(path))
    try:
        with open_file(path) as file:
            # Of the open file, and before it is read: never a later file's.
            stamp = _stamped(os.fstat(file.fileno()))
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        faults.at_line(1, f"it cannot be read: {error.strerror}", "put the policy file there")
        raise PolicyError(str(path), faults.texts()) from error
    if len(content) > MAX_BYTES:
        faults.at_line(1, "it is too large", f"keep it under {MAX_BYTES // 1024} KiB")
    try:
        text = decode_text(content)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        faults.at_line(line, "it is not UTF-8 text", "save it as UTF-8")
        text = ""
    if faults.found:
        raise PolicyError(str(path), faults.texts())
    # A file that changed just now may change again within one tick of its clock.
    return text, stamp if time_ns() - stamp[0] > _SETTLED_NS else None


def open_file(path: Path) -> BinaryIO:
    """Open a file to read; never wait for who may write to a pipe.

    Raises:
        OSError: if it cannot be opened, or is no file.
    """
    # Path.open takes no opener.
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(errno.EINVAL, "it is no file")


def file_stamp(path: Path) -> Stamp:
    """By what to know that a file is still the same.

    Raises:
        OSError: if it is gone.
    """
    return _stamped(path.stat())


def _stamped(status: os.stat_result) -> Stamp:
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


_CORRECT = "correct it; a condition that starts with a quote goes whole into single quotes"
_FIXES = {
    "\\t": "correct it: indent with spaces",
    "mapping values": "correct it: quote a text with a colon in it, or indent it as the rest",
}


def parse_yaml(text: str, faults: Faults) -> dict[str, Any] | None:
    """The keys and values of a file; None if it cannot be read as YAML at all."""
    yaml: Any = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
    except MarkedYAMLError as marked:
        error: Any = marked
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        what = f"{error.problem or error.context}"
        fixes = (fix for said, fix in _FIXES.items() if said in what)
        faults.at_line(line, f"this is not YAML: {what}", next(fixes, _CORRECT))
        return None
    except (YAMLError, RecursionError) as bare:
        what = f"this is not YAML: {getattr(bare, 'reason', 'it is nested too deeply')}"
        faults.at_line(1, what, "write plain text, at most five levels deep")
        return None
    if node is not None and node.id == "mapping":
        return _plain(node, (), faults)
    faults.at_line(1, "this is no policy", "start with agent: and the name of the agent")
    return None


def _plain(node: Any, at: Loc, faults: Faults) -> Any:
    """Plain values for a node, and the line of each key in `faults.lines`."""
    line: int = node.start_mark.line + 1
    if node.anchor:
        what = f"anchors such as &{node.anchor} are not allowed"
        faults.at_line(line, what, "write the value out at each place")
    elif node.id == "mapping" and node.tag == f"{_TAG}map":
        return _plain_mapping(node, at, faults)
    elif node.id == "sequence" and node.tag == f"{_TAG}seq":
        for position, item in enumerate(node.value):
            faults.lines[*at, position] = item.start_mark.line + 1
        return [_plain(item, (*at, position), faults) for position, item in enumerate(node.value)]
    elif node.id == "scalar" and node.tag in _TAGS:
        return _scalar(node)
    else:
        faults.at_line(line, f"the tag {node.tag} is not allowed", "leave it out")
    faults.broken.add(at)
    return None


def _plain_mapping(node: Any, at: Loc, faults: Faults) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        line: int = key.start_mark.line + 1
        if key.id != "scalar" or key.anchor:
            faults.at_line(line, "a key must be plain text", "write a name")
        elif key.value in found:
            first = faults.lines[*at, key.value]
            what = f"{key.value} stands here twice (first in line {first})"
            faults.at_line(line, what, "keep one of them")
        else:
            loc = (*at, str(key.value))
            faults.lines[loc] = line
            found[key.value] = _plain(value, loc, faults)
    return found


def _scalar(node: Any) -> Any:
    value = str(node.value)
    if node.tag == f"{_TAG}null":
        return None
    if node.tag == f"{_TAG}bool":
        return value.lower() == "true"
    if node.tag == f"{_TAG}int" and _INTEGER.fullmatch(value):
        return int(value)
    return value
