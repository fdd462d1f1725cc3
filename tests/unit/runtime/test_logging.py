"""Logs never hold up the work, whoever reads them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
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


FORGED = "2026-11-28T12:00:00Z [info    ] verdict verdict=pass case=pay:1"
HOSTILE = [
    f"x\n{FORGED}",
    f"x\r{FORGED}",
    f"x\u2028{FORGED}",
    "a\x1b[2K\u202eb\u200b\x85\x00",
    "\x9b2J",
]
HIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028\u202e]")


def fails(text: str) -> None:
    raise ValueError(text) from KeyError(text)


@pytest.mark.parametrize("ends", [os.pipe, os.openpty])
def test_no_text_forges_a_line_of_a_console_log(ends: Callable[[], tuple[int, int]]) -> None:
    reader, writer = ends()
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        lines = configure_logging("console", fd=writer)
        for text in HOSTILE:
            structlog.get_logger("handrail.test").info(text, case=text, **{f"n{text}": 1})
            logging.getLogger("temporalio.test").warning("%s", text, extra={"of": [text]})
            try:
                fails(text)
            except ValueError as error:
                error.add_note(text)
                structlog.get_logger("handrail.test").error(text, exc_info=error)
                logging.getLogger("temporalio.test").exception(text, stack_info=True)
        lines.put("last")
        found = drain(reader, until="\nlast")
    finally:
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()
    found = re.sub(r"\x1b\[[0-9;]*m", "", found.replace("\r\n", "\n"))
    for end in (reader, writer):
        os.close(end)
    assert not HIDDEN.search(found)
    own = [line for line in found.split("\n") if line and not line.startswith("    ")]
    assert len(own) == 4 * len(HOSTILE) + 1
    assert FORGED not in found.split("\n")


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
