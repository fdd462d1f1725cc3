"""Logs never hold up the work, whoever reads them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import structlog

from handrail.runtime.logging import Lines, configure_logging


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def drain(fd: int, until: str = "last", patience: float = 10) -> str:
    os.set_blocking(fd, False)
    found, end = "", time.monotonic() + patience
    while time.monotonic() < end and until not in found:
        try:
            found += os.read(fd, 1 << 16).decode()
        except BlockingIOError:
            time.sleep(0.01)
    return found


def fill(fd: int) -> None:
    os.set_blocking(fd, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(fd, b"." * 1000)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(fd, b".")
    os.set_blocking(fd, True)


def test_a_pipe_that_nobody_reads_costs_lines_and_no_time(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    fill(writer)
    lines = Lines(writer, size=100)
    began = time.monotonic()
    for number in range(20_000):
        lines.put(f"line {number} of many")
    assert time.monotonic() - began < 60  # whoever waits, waits for ever
    assert not lines.flush(timedelta(milliseconds=100))

    found = drain(reader, until="line 99 ")
    while not lines.flush(timedelta(0)):
        found += drain(reader, patience=0.05)
    lines.put("last")
    found += drain(reader)
    written = found.count(" of many")
    dropped = sum(map(int, re.findall(r"\((\d+) log lines were dropped", found)))
    assert 100 <= written <= 102
    assert written + dropped == 20_000


def test_a_reader_that_is_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    lines = Lines(writer)
    lines.put("to nobody")
    assert lines.flush()
    lines.put("nor to nobody again")
    assert lines.flush()
    os.close(writer)


def test_json_logs_are_one_object_a_line_from_us_and_from_libraries(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        lines = configure_logging("json", fd=writer)
        structlog.get_logger("handrail.test").info("effect", case="pay:1")
        error = ValueError("inside")
        logging.getLogger("temporalio.test").warning("odd\nlines", exc_info=error)
        logging.getLogger("temporalio.test").info("too small")
        lines.put("last")
        assert lines.flush()
    finally:
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()
    ours, theirs, _ = drain(reader).splitlines()
    assert json.loads(ours) | {"event": "effect", "case": "pay:1", "level": "info"} == json.loads(
        ours
    )
    found = json.loads(theirs)
    assert found["event"] == "odd\nlines"
    assert found["level"] == "warning"
    assert "ValueError: inside" in found["exception"]


def test_no_log_shows_what_variables_held(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        lines = configure_logging("console", fd=writer)
        kept = {"password": "hunter2"}
        try:
            kept["other"]
        except KeyError as error:
            structlog.get_logger("handrail.test").error("ours", exc_info=error)
            logging.getLogger("temporalio.test").exception("theirs")
        lines.put("last")
        assert lines.flush()
    finally:
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()
    found = drain(reader)
    assert found.count("KeyError: 'other'") == 2
    assert "hunter2" not in found
