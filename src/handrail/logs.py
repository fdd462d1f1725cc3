"""Logs of a process, to stderr, that can never hold up its work.

A process that logs into a pipe nobody reads hangs as soon as the pipe is full. So lines go
into a bounded queue, and a thread that nothing waits for writes them. While the pipe is
full, lines are dropped, and when it flows again their number is said.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import structlog
from temporalio.runtime import LogForwardingConfig, LoggingConfig, TelemetryFilter
from typing_extensions import override

if TYPE_CHECKING:
    from structlog.typing import Processor

QUEUED = 2_000
"""Lines that wait to be written, at most."""

FLUSH = timedelta(seconds=1)
"""How long the end of a process waits for its last lines."""


class Lines:
    """Writes lines to a file descriptor in a thread of its own; drops what does not fit."""

    def __init__(self, fd: int, size: int = QUEUED) -> None:
        self._dropped = 0
        self._counting = threading.Lock()
        self._fd = fd
        self._queue: queue.Queue[str] = queue.Queue(size)
        self._thread = threading.Thread(target=self._write, name="handrail-log", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Have a line written, or dropped; never wait."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            with self._counting:
                self._dropped += 1

    def flush(self, patience: timedelta = FLUSH) -> bool:
        """Wait until all lines are written, at most `patience`. Whether they are."""
        end = time.monotonic() + patience.total_seconds()
        while self._queue.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.01)
        return not self._queue.unfinished_tasks

    def _write(self) -> None:
        while True:
            line = self._queue.get()
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
            finally:
                self._queue.task_done()


def core_logs(level: Literal["WARN", "ERROR"]) -> LoggingConfig:
    """How Temporal's core shall log, from `level` on: the way of all standard logging.

    By itself it writes to stdout, where data belongs, and would block in a pipe that nobody
    reads.
    """
    return LoggingConfig(
        filter=TelemetryFilter(core_level=level, other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
    )


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


def configure(style: Literal["console", "json"], *, fd: int = 2, size: int = QUEUED) -> Lines:
    """Send the logs of this process to `fd`. Call it once, and `flush` the result at the end.

    Standard logging is taken from warnings on; Handrail's own events from info on.
    """
    lines = Lines(fd, size)
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if style == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=os.isatty(fd),
                pad_event_to=0,
                # By itself it would show what every variable held: secrets, and what was asked.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    structlog.configure(
        processors=[*before, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _Logger(lines),
        cache_logger_on_first_use=False,
    )
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before, processors=[strip, *last]
    )
    root = logging.getLogger()
    root.handlers = [_Handler(lines, formatter)]
    root.setLevel(logging.WARNING)
    return lines
