"""Event logs that a command was given: files in CSV or XES, packed or not."""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from handrail.cli.context import TimeFormat
from handrail.cli.output import Output, plain
from handrail.evidence import EventLog, LogColumns, read_csv_log, read_xes_log
from handrail.exceptions import InvalidRequest
from handrail.text import decode_text

_NAMED = 10
_WHAT = ("case", "activity", "at", "begun", "who", "cost", "lifecycle")


@Parameter(name="*")
@dataclass(frozen=True)
class LogOptions:
    """How a log in CSV is written; what is not said is found."""

    column: Annotated[
        tuple[str, ...],
        Parameter(
            negative=(),
            help="Which column is what, such as case=Order (case, activity, at; where there are "
            "any: begun, who, cost, lifecycle).",
        ),
    ] = ()
    delimiter: Annotated[str | None, Parameter(help="What parts the cells, such as ;")] = None
    time_format: TimeFormat = None

    def columns(self) -> LogColumns:
        """What was said.

        Raises:
            InvalidRequest: if it is said of something that a log does not have.
        """
        named = dict[str, str]()
        for each in self.column:
            what, equals, name = each.partition("=")
            if what not in _WHAT or not equals:
                raise InvalidRequest(f"--column {each}: write one of {', '.join(_WHAT)}, = and it")
            named[what] = name
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise InvalidRequest(f"--delimiter is one character, not {self.delimiter!r}")
        return LogColumns(named, self.delimiter, self.time_format)


AS_FOUND = LogOptions()


def read_log(path: Path, options: LogOptions) -> EventLog:
    """The log in a file.

    Raises:
        InvalidRequest: if it cannot be read, or is no log.
    """
    name = path.name.removesuffix(".gz")
    try:
        content = path.expanduser().read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from error
    if name.lower().endswith(".xes"):
        return read_xes_log([content], name)
    if not name.lower().endswith(".csv"):
        raise InvalidRequest(f"{path} is no event log; they end in .csv or .xes (or these and .gz)")
    try:
        text = decode_text(content)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path} is no text in UTF-8: {error}; fix: save it so") from error
    return read_csv_log(io.StringIO(text, newline=""), name, options.columns())


def say_bad_rows(out: Output, log: EventLog) -> None:
    """Name the rows that were left out."""
    for each in log.bad[:_NAMED]:
        out.say(f"{plain(log.name)}:{each.line}: left out: it {plain(each.why)}", "yellow")
    if len(log.bad) > _NAMED:
        out.say(f"{plain(log.name)}: {len(log.bad) - _NAMED:,} more rows were left out", "yellow")
