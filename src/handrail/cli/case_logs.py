"""`handrail logs`: what workers and inbox logged of one case."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from handrail.cli.context import Since, moment_of, settings
from handrail.cli.output import PLAIN, Output
from handrail.exceptions import InvalidRequest

if TYPE_CHECKING:
    from handrail.runtime import Settings

_PREFIX = re.compile(r"^\S+\s+\|\s")
"""What `docker compose logs` writes before a line: of which service it is."""

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_VALUE = r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S+)"""
_CASE = re.compile(rf"\S+ \[\w+ *\] [a-z_]+ agent={_VALUE} case={_VALUE}")
_SECONDS = 19


def logs(
    case: str,
    *,
    file: Annotated[
        tuple[Path, ...],
        Parameter(
            allow_leading_hyphen=True, help="A log, or - for stdin. May be given several times."
        ),
    ] = (),
    since: Since = None,
    out: Output = PLAIN,
) -> None:
    """Show what workers and inbox logged of a case: the logs of `handrail dev`, or others.

    Parameters
    ----------
    case
        The case's id, such as shipments:AWB-1042.
    """
    given = settings()
    begins = moment_of(since)
    stamp = f"{begins:%Y-%m-%dT%H:%M:%S}" if begins else ""
    names = _names(given, case)
    found = 0

    def show(entry: str) -> None:
        nonlocal found
        if (_stamp(entry) or stamp)[:_SECONDS] < stamp:
            return
        found += 1
        out.show(entry)
        out.row(_object(entry) or {"line": entry})

    if file == (Path("-"),):  # as they come: what is piped in may never end
        for entry in entries_of(names, map(_text, sys.stdin.buffer)):
            show(entry)
    else:
        logs_here = [path for path in file or _logs_of(given.home) if path.exists()]
        if len(logs_here) < max(1, len(file)):
            raise InvalidRequest(_nothing_here(given.home, file))
        lines = [list(entries_of(names, _lines(path))) for path in logs_here]
        for entry in sorted((each for one in lines for each in one), key=_stamp):
            show(entry)
    if not found:
        out.say(f"no line names {case}; `handrail show {case}` has what its history says")


def _logs_of(home: Path) -> list[Path]:
    """What `handrail dev` keeps, the part that was put aside before the rest."""
    return [home / f"{name}.log{part}" for name in ("worker", "inbox") for part in (".1", "")]


def _nothing_here(home: Path, file: tuple[Path, ...]) -> str:
    missing = ", ".join(str(path) for path in file if not path.exists())
    return (
        f"{missing or f'{home}/worker.log'} is not there; fix: give the worker's log from where it "
        "runs, such as `kubectl logs -l app=handrail-worker --tail=-1 | handrail logs CASE --file "
        "-` or `journalctl -u handrail-worker -o cat | handrail logs CASE --file -`"
    )


def _names(given: Settings, case: str) -> Callable[[str], bool]:
    """Whether an entry is of a case: by its field `case`, or where it has none by its words."""
    from handrail.guardrails import masker
    from handrail.runtime import mask_with

    key = given.log_key.get_secret_value() if given.log_key else None
    if key is not None or (given.home / "keys" / "pseudonyms").exists():
        mask_with(given.home / "keys", key, clear=given.log_personal == "clear")
        ids = {case, masker().name(case)}
    else:
        ids = {case}
    spelt = {form for each in ids for form in (each, repr(each)[1:-1], json.dumps(each)[1:-1])}
    words = re.compile(rf"(?<![\w.\-])(?:{'|'.join(map(re.escape, spelt))})(?![\w\-]|[.:]\w)")

    def names(entry: str) -> bool:
        said = _object(entry)
        own = said.get("case") if said else _field(entry)
        return own in ids if own else bool(words.search(entry))

    return names


def _field(entry: str) -> str:
    """The field `case` of an entry in the console format; empty if it has none."""
    found = _CASE.match(_PREFIX.sub("", entry))
    if found is None:
        return ""
    said = found[2]
    return str(ast.literal_eval(said)) if said[0] in "'\"" else said


def _object(entry: str) -> dict[str, Any] | None:
    """An entry in the JSON format; None if it is another."""
    try:
        said: Any = json.loads(entry[entry.index("{") :]) if _is_json(entry) else None
    except ValueError:
        return None
    return cast("dict[str, Any]", said) if isinstance(said, dict) else None


def _is_json(entry: str) -> bool:
    return _PREFIX.sub("", entry).startswith("{")


def _stamp(entry: str) -> str:
    found = _STAMP.search(entry)
    return found[0] if found else ""


def entries_of(names: Callable[[str], bool], lines: Iterable[str]) -> Iterator[str]:
    """The entries that `names` takes; what is indented belongs to the line above, by service."""
    begun: dict[str, list[str]] = {}
    for line in lines:
        service = (_PREFIX.match(line) or [""])[0]
        below = line[len(service) :].startswith("    ")
        if not below and (done := begun.pop(service, None)) and names("\n".join(done)):
            yield "\n".join(done)
        if not _is_json(line):
            begun.setdefault(service, []).append(line)
        elif names(line):
            yield line
    yield from (text for text in map("\n".join, begun.values()) if names(text))


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        yield from map(_text, file)


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")
