"""Event logs in XES (IEEE 1849), the XML that tools of process mining exchange. Pure.

Read as a stream. A declaration of a document type is refused: with its entities a small file
grows without end, and XES needs none.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from xml.parsers.expat import ExpatError, ParserCreate

from handrail.evidence.event_log import (
    BadRow,
    EventLog,
    Lifecycle,
    logged_event,
    require_events,
)
from handrail.exceptions import InvalidRequest

_ATTRIBUTES = frozenset({"string", "date", "int", "float", "boolean", "id"})
_TAKEN = frozenset(
    {
        "concept:name",
        "time:timestamp",
        "org:resource",
        "lifecycle:transition",
        "cost:total",
    }
)


def read_xes_log(chunks: Iterable[bytes], name: str) -> EventLog:
    """An event log in XES; what comes before a fault of its XML is kept.

    Raises:
        InvalidRequest: if it is no XES.
    """
    reader = _XesReader(EventLog(name))
    try:
        for each in chunks:
            reader.parser.Parse(each, False)
        reader.parser.Parse(b"", True)
    except ExpatError as error:
        if not reader.is_log:
            raise InvalidRequest(f"{name} is no XES: {error}") from error
        reader.log.bad.append(BadRow(error.lineno, f"is no XML from here on: {error}"))
    if not reader.is_log:
        raise InvalidRequest(f"{name} is no XES: it has no <log>")
    reader.joined.end()
    return require_events(reader.log)


class _XesReader:
    """What is open at the moment: a trace, an event, and what was said of each."""

    def __init__(self, log: EventLog) -> None:
        self.log, self.joined = log, Lifecycle(log)
        self.is_log = False
        self.trace: dict[str, str] = {}
        self.event: dict[str, str] = {}
        self.path: list[str] = []
        self.traces = 0
        self.parser = ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._begins
        self.parser.EndElementHandler = self._ends
        self.parser.StartDoctypeDeclHandler = self._refused

    def _refused(self, *_: object) -> None:
        raise InvalidRequest(f"{self.log.name} declares a document type, which no XES needs")

    def _begins(self, tag: str, given: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        inside, self.path = self.path, [*self.path, tag]
        if tag == "log" and not inside:
            self.is_log = True
        elif inside == ["log"] and tag == "trace":
            self.trace, self.traces = {}, self.traces + 1
        elif inside == ["log", "trace"] and tag == "event":
            self.event = {}
        elif tag in _ATTRIBUTES and "key" in given:
            # An attribute within another one says something about that one only.
            if inside == ["log", "trace"]:
                self.trace[given["key"]] = given.get("value", "").strip()
            elif inside == ["log", "trace", "event"]:
                self.event[given["key"]] = given.get("value", "").strip()

    def _ends(self, _: str) -> None:
        if self.path == ["log", "trace", "event"]:
            try:
                self._add()
            except ValueError as error:
                self.log.bad.append(BadRow(self.parser.CurrentLineNumber, str(error)))
        self.path.pop()

    def _add(self) -> None:
        said = self.event
        event = logged_event(
            # A trace without a name is a case all the same.
            self.trace.get("concept:name") or f"trace {self.traces}",
            said.get("concept:name", ""),
            _moment(said.get("time:timestamp", "")),
            who=said.get("org:resource", ""),
            cost=said.get("cost:total", ""),
            facts={
                **{f"case:{k}": v for k, v in self.trace.items() if k not in _TAKEN and v},
                **{k: v for k, v in said.items() if k not in _TAKEN and v},
            },
        )
        self.joined.add(event, said.get("lifecycle:transition", ""))


def _moment(text: str) -> datetime:
    if not text:
        raise ValueError("has no time")
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"has a time that cannot be read: {text[:40]}") from None
