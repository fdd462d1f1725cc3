"""Logs of a process, to stderr, that can never hold up its work.

A process that logs into a pipe nobody reads hangs as soon as the pipe is full. So lines go
into a bounded queue, and a thread that nothing waits for writes them. While the pipe is
full, lines are dropped, and when it flows again their number is said.

Whoever wrote it, what leaves here is masked (`guardrails.redaction`): personal data and secrets
get into logs by errors and libraries that nobody thought of.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import structlog
from typing_extensions import override

from handrail.guardrails import Masker, audit_write_by, masker, pseudonym_key, use_masker
from handrail.text import escape_hidden, escape_terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from pathlib import Path
    from typing import Any

    from structlog.typing import Processor

QUEUED = 2_000
"""Lines that wait to be written, at most."""

FLUSH = timedelta(seconds=1)
"""How long the end of a process waits for its last lines."""

_PAUSE = 0.02
"""Seconds until the next lines are written: to wake a thread for each costs more than the line."""


class Lines:
    """Writes lines to a file descriptor in a thread of its own; drops what does not fit."""

    def __init__(self, fd: int, size: int = QUEUED) -> None:
        self._dropped = 0
        self._counting = threading.Lock()
        self._fd = fd
        self._size = size
        # Between one that appends and one that takes from the left a deque needs no lock.
        self._lines = deque[str]()
        self._idle, self._wake = False, threading.Event()
        self._thread = threading.Thread(target=self._write, name="handrail-log", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Have a line written, or dropped; never wait."""
        if len(self._lines) >= self._size:
            with self._counting:
                self._dropped += 1
            return
        self._lines.append(line)
        if self._idle:
            self._wake.set()

    def flush(self, patience: timedelta = FLUSH) -> bool:
        """Wait until all lines are written, at most `patience`. Whether they are."""
        end = time.monotonic() + patience.total_seconds()
        while self._lines and time.monotonic() < end:
            time.sleep(0.01)
        return not self._lines

    def _write(self) -> None:
        while True:
            while not self._lines:  # it may be woken late for a line that is written
                self._wait()
            line = self._lines[0]
            with self._counting:
                lost, self._dropped = self._dropped, 0
            if lost:
                line = f"{line}\n({lost} log lines were dropped: nobody read them)"
            try:
                data = f"{line}\n".encode(errors="backslashreplace")
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:
                pass  # the reader is gone for good: there is nobody left to tell
            self._lines.popleft()  # `flush` waits for it until it is written
            if not self._lines:
                time.sleep(_PAUSE)

    def _wait(self) -> None:
        """Wait for the next line."""
        self._wake.clear()
        self._idle = True
        if not self._lines:  # one may have come before anybody saw that this waits
            self._wake.wait()
        self._idle = False


class _Logger:
    """What structlog writes to: every level puts one line."""

    def __init__(self, lines: Lines) -> None:
        self._put = lines.put

    def msg(self, message: str) -> None:
        self._put(message)

    log = debug = info = warn = warning = error = err = critical = exception = fatal = msg


class _Handler(logging.Handler):
    """Takes the lines of libraries, Temporal's above all, which log in the standard way."""

    def __init__(self, lines: Lines, formatter: logging.Formatter) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(formatter)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._lines.put(self.format(record))


# Fields whose digits are no telephone number, and by which lines are joined with the rest.
_NAMES = (
    "agent attempt build case cases digest duration_ms file handrail id key kid level log logger "
    "pid policy run_id server span_id step timestamp trace_id undoes"
)
_IDS = frozenset(_NAMES.split())
_LONG = {"event": 4_000, "exception": 40_000, "stack": 40_000}
_APART = re.compile(r"""[\s="']""")


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask every field by its name and its form. A field that cannot be is left out."""
    for name, value in list(event.items()):
        if name in {"exc_info", "_record", "_from_structlog"}:
            continue
        try:
            event[name] = _masked(name, value)
        except Exception as error:  # noqa: BLE001  # a value's own code may raise anything
            event[name] = f"<not shown: {type(error).__name__}>"
    return event


def _masked(name: str, value: Any) -> Any:
    if name in _IDS:
        if isinstance(value, list | tuple):
            return [masker().name(str(each)) for each in value]  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
        return masker().name(value) if isinstance(value, str) else masker().value(value)
    if name in _LONG:
        return masker().text(str(value), most=_LONG[name])
    return masker().value(value, name)


_BELOW = ("stack", "exception")


def _plain(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Without what would drive a terminal instead of being read on it, or forge a line."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _below(value) if name in _BELOW else escape_terminal(value)
    return {escape_terminal(name): value for name, value in event.items()}


def _below(text: object) -> str:
    """Lines that belong to the one above: what an error says can begin none of its own."""
    return f"    {escape_hidden(str(text))}".replace("\n", "\n    ")


def _line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """What `ConsoleRenderer` makes of an event without colours, at a fraction of its cost."""
    head = f"{event.pop('timestamp')} [{event.pop('level'):<8}] {event.pop('event')}"
    below = [_below(event.pop(name)) for name in _BELOW if name in event]
    fields = [f"{name}={_in_line(value)}" for name, value in event.items()]
    return "\n".join([escape_terminal(" ".join([head, *fields])), *below])


def _in_line(value: Any) -> str:
    plain = isinstance(value, str) and not _APART.search(value)
    return value if plain else repr(value)


def mask_with(keys: Path, key: str | None, *, clear: bool) -> None:
    """Set up the masker of this process: with `key`, else with that of the machine in `keys`."""
    use_masker(Masker(key.encode() if key else pseudonym_key(keys), clear=clear))


def configure_logging(
    style: Literal["console", "json"], *, fd: int = 2, size: int = QUEUED
) -> Lines:
    """Send the logs of this process to `fd`. Call it once, and `flush` the result at the end.

    Standard logging is taken from warnings on; Handrail's own events, whichever way they were
    logged, from info on. All of it is masked.
    """
    lines = Lines(fd, size)
    render, stamp = _render(style, fd), structlog.processors.TimeStamper(fmt="iso", utc=True)
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        stamp,
    ]
    # Errors as text first: what every variable held is never shown, and the rest masked.
    last: list[Processor] = [structlog.processors.format_exc_info, _mask, *render]
    structlog.configure(
        processors=[*before, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _Logger(lines),
        cache_logger_on_first_use=False,
    )
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*before, structlog.stdlib.ExtraAdder()], processors=[strip, *last]
    )

    def direct(event: str, level: str, fields: Mapping[str, Any]) -> None:
        made: Any = stamp(None, level, {**fields, "event": event, "level": level})
        for each in render:
            made = each(None, level, made)
        lines.put(made)

    audit_write_by(direct)
    root = logging.getLogger()
    root.handlers = [_Handler(lines, formatter)]
    root.setLevel(logging.WARNING)
    logging.getLogger("handrail").setLevel(logging.INFO)
    return lines


def _render(style: Literal["console", "json"], fd: int) -> list[Processor]:
    if style == "json":
        return [structlog.processors.JSONRenderer()]
    if not os.isatty(fd):
        return [_line]
    plain = structlog.dev.plain_traceback
    console = structlog.dev.ConsoleRenderer(
        sort_keys=False, pad_event_to=0, exception_formatter=plain
    )
    return [_plain, console]
