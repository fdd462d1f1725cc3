"""What each process begins with, a command too: its event loop, and where Temporal's core logs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Literal, TypeVar

from temporalio.runtime import LogForwardingConfig, LoggingConfig, TelemetryFilter

try:
    from uvloop import new_event_loop
except ImportError:  # there is none for this system: only slower
    from asyncio import new_event_loop

T = TypeVar("T")


def run(main: Coroutine[object, object, T]) -> T:
    """Run a program's coroutine on the fastest event loop there is: `asyncio.run`, and cheaper."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def core_logs(level: Literal["WARN", "ERROR"]) -> LoggingConfig:
    """How Temporal's core shall log, from `level` on: the way of all standard logging.

    By itself it writes to stdout, where data belongs, and would block in a pipe that nobody
    reads.
    """
    return LoggingConfig(
        filter=TelemetryFilter(core_level=level, other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
    )
