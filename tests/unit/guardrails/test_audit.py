"""Audit lines: what they say, what they hide, and that they never get in the way."""

from __future__ import annotations

import inspect
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment
from typing_extensions import override

from handrail.actions import Action, Ask, Finding, Kind, Receipt, RoleStage, Undoes, Verdict
from handrail.guardrails import audit, redaction
from handrail.runtime import configure_logging
from handrail.wire import Attempt, Notice, NotifyResult, WriteResult, WriteResultKind

CASE = "refunds:A-1"
KEY = "refunds:A-1/refund/1"
DIGEST = "ab" * 32


class Refund(Action):
    """Give money back."""

    amount: Decimal
    email: str
    note: str = ""


class Reader:
    """Reads a pipe in a thread, as a collector of logs does."""

    def __init__(self, fd: int) -> None:
        self._fd, self._found = fd, b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError):
            while data := os.read(self._fd, 1 << 16):
                self._found += data

    def text(self) -> str:
        self._thread.join(10)
        return self._found.decode()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


Said = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def said() -> Iterator[Said]:
    """The lines that were said, as objects; logs are those of a worker, in JSON."""
    root, ours = logging.getLogger(), logging.getLogger("handrail")
    before, own = (root.handlers, root.level), ours.level
    reader, writer = os.pipe()
    found = Reader(reader)
    lines = configure_logging("json", fd=writer)
    open_ = [writer]

    def end() -> list[dict[str, Any]]:
        assert lines.flush(timedelta(seconds=10))
        os.close(open_.pop())
        return found.lines()

    yield end
    root.handlers, root.level = before
    ours.setLevel(own)
    structlog.reset_defaults()
    # Closed twice, it would be another's the second time.
    for fd in (*open_, reader):
        os.close(fd)


ATTEMPT = Attempt(case=CASE, key=KEY, digest=DIGEST)
STAGE = RoleStage(role="lead", people=("ana@example.com",), after=timedelta(hours=1))
HELD = Verdict(
    kind=Kind.HOLD,
    findings=(
        Finding(check="hold: action.amount > 100", kind=Kind.HOLD, why="amount 240 > 100"),
        Finding(check="autonomy", kind=Kind.HOLD, why="asked by bo@example.com"),
    ),
    asks=(Ask(stages=(STAGE,)),),
    policy="refunds v3 (ab12cd34ef56)",
    autonomy="full, 25 %",
)
REFUND = Refund(amount=Decimal("240.00"), email="bo@example.com", note="sorry, Bo")


def test_a_verdict_says_why_under_which_version_and_of_what(said: Said) -> None:
    audit.verdict("refunds", "refund", ATTEMPT, HELD, action=REFUND, took=timedelta(microseconds=2))
    (line,) = said()
    expected = {
        "event": "verdict",
        "level": "warning",
        "agent": "refunds",
        "case": CASE,
        "step": "refund",
        "key": KEY,
        "digest": DIGEST[:12],
        "pilot": False,
        "verdict": "hold",
        "checks": ["hold: action.amount > 100", "autonomy"],
        "policy": "refunds v3 (ab12cd34ef56)",
        "autonomy": "full, 25 %",
        "roles": ["lead"],
        "rulings": 0,
        "duration_ms": 0.002,
    }
    assert line | expected == line
    assert line["action"]["amount"] == "240.00"
    assert line["why"].startswith("amount 240 > 100; asked by <mail:")
    assert line["handrail"]
    assert line["build"] == f"handrail-{line['handrail']}"
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)
    assert "example.com" not in json.dumps(line)


@pytest.mark.parametrize("kind", list(WriteResultKind))
def test_an_effect_says_how_it_came_to_be(said: Said, kind: WriteResultKind) -> None:
    receipt = Receipt(key=KEY, step="refund", digest=DIGEST, at=datetime.now(UTC), how="found")
    written = kind is WriteResultKind.WRITTEN
    answer = WriteResult(
        kind=kind,
        verdict=HELD,
        receipt=receipt if written else None,
        why="" if written else "IBAN DE89370400440532013000 is blocked",
    )
    attempt = ATTEMPT.model_copy(update={"undoes": Undoes(key=KEY), "pilot": True})
    audit.effect("refunds", "refund", attempt, answer)
    (line,) = said()
    assert line["event"] == "effect"
    assert line["effect"] == kind.value
    assert line.get("how") == ("found" if written else None)
    assert line["undoes"] == KEY
    assert line["pilot"] is True
    assert (line["level"] == "warning") is (kind.value in {"in_doubt", "failed", "stopped"})
    assert "DE89" not in json.dumps(line)


def test_every_other_event_has_its_line(said: Said) -> None:
    audit.told(
        "refunds", "mail", Notice(case=CASE, key=KEY), NotifyResult(sent=False, why="no server")
    )
    audit.order("stop", "*", by="ana@example.com", why="odd", id="o1", proven=True)
    audit.order("level", "refunds", by="breaker", why="5", step="refund", level="pilot", rollout=1)
    audit.incident("refunds", "refund", CASE, KEY, kind="mismatch", what="200, not 240")
    audit.review("refunds", "refund", CASE, KEY, why="unusual", share=0.5)
    audit.review("refunds", "refund", CASE, KEY, answer="wrong", by="bo@example.com")
    audit.breaker("refunds", None, breaker="5 refusals per hour", then="stop", why="6 refusals")
    lines = said()
    names = ["told", "order", "order", "incident", "review", "review", "breaker"]
    assert [line["event"] for line in lines] == names
    assert lines[1]["by"] == redaction.masker().text("ana@example.com")
    assert lines[2] | {"level": "warning", "to": "pilot", "rollout": 1} == lines[2]
    assert "example.com" not in json.dumps(lines)


async def test_inside_an_activity_a_line_names_its_run_and_try(said: Said) -> None:
    async def run() -> None:
        audit.verdict("refunds", "refund", ATTEMPT, HELD)

    env = ActivityEnvironment()
    await env.run(run)
    (line,) = said()
    assert line["run_id"] == env.info.workflow_run_id
    assert line["attempt"] == env.info.attempt


def test_a_line_names_the_span_it_was_said_in(said: Said) -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("write") as span:
        audit.verdict("refunds", "refund", ATTEMPT, HELD)
        made = span.get_span_context()
    audit.verdict("refunds", "refund", ATTEMPT, HELD)
    within, without = said()
    assert within["trace_id"] == f"{made.trace_id:032x}"
    assert within["span_id"] == f"{made.span_id:016x}"
    assert "trace_id" not in without


class Hostile:
    """Whatever is asked of it fails."""

    @override
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("sk-abcdefghijklmnop1234")

    @override
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "make",
    [
        lambda: None,
        lambda: 5,
        Hostile,
        lambda: SecretStr("s3cr3t"),
        lambda: "\ud800",
        lambda: b"\xff",
        lambda: [["x"]],
        lambda: {"a": Hostile()},
        Attempt.model_construct,
        Verdict.model_construct,
    ],
)
def test_nothing_that_is_given_gets_out_as_an_error(said: Said, make: Callable[[], Any]) -> None:
    bad = make()
    events = ("verdict", "effect", "told", "order", "incident", "review", "breaker")
    for name in events:
        fn = getattr(audit, name)
        fn(**dict.fromkeys((p.name for p in inspect.signature(fn).parameters.values()), bad))
    lines = said()
    assert len(lines) == len(events)
    assert all(line["event"] in {*events, "no line could be made"} for line in lines)
    assert "s3cr3t" not in json.dumps(lines)
    assert "sk-abc" not in json.dumps(lines)


def test_a_line_that_cannot_be_made_says_so(said: Said) -> None:
    audit.verdict("refunds", "refund", Attempt.model_construct(), HELD)
    (line,) = said()
    assert line["event"] == "no line could be made"
    assert line["of"] == "verdict"
    assert line["fault"]


def test_no_line_waits_for_who_does_not_read(said: Said) -> None:
    said()
    reader, writer = os.pipe()
    lines = configure_logging("json", fd=writer, size=10)
    began = time.perf_counter()
    for _ in range(3_000):  # 1.5 MB into a pipe of 64 KiB
        audit.verdict("refunds", "refund", ATTEMPT, HELD, action=REFUND)
    assert time.perf_counter() - began < 60  # whoever waits, waits for ever
    os.close(reader)
    # The rest has nobody to go to. Closed before, the descriptor would be another's by then.
    assert lines.flush(timedelta(seconds=10))
    os.close(writer)


def test_where_no_logs_are_set_up_they_go_to_the_standard_logger(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    structlog.reset_defaults()
    with caplog.at_level(logging.INFO, audit.LOGGER):
        audit.verdict("refunds", "refund", ATTEMPT, HELD, action=REFUND)
    (record,) = caplog.records
    line = json.loads(record.getMessage())
    assert line["event"] == "verdict"
    assert line["case"] == CASE
    assert "example.com" not in record.getMessage()
    assert capfd.readouterr().out == ""


def test_all_other_lines_are_masked_too(said: Said) -> None:
    log = structlog.get_logger("handrail.test")
    log.info("mailed bo@example.com", api_key="x", address="12 Main St, bo@example.com", pid=4711)
    logging.getLogger("handrail.door").info("verdict", extra={"case": CASE, "token": "abc"})
    try:
        raise ValueError("no customer bo@example.com with card 4111111111111111")  # noqa: TRY301
    except ValueError:
        logging.getLogger("temporalio.activity").warning("Completing as failed", exc_info=True)
    mine, door, theirs = said()
    assert mine["api_key"] == "<secret>"
    assert mine["pid"] == 4711
    assert door | {"event": "verdict", "case": CASE, "token": "<secret>"} == door
    assert "ValueError: no customer <mail:" in theirs["exception"]
    text = json.dumps([mine, door, theirs])
    assert "bo@" not in text
    assert "4111" not in text


def test_lines_for_people_cannot_drive_their_terminal() -> None:
    reader, writer = os.pipe()
    found = Reader(reader)
    root, ours = logging.getLogger(), logging.getLogger("handrail")
    before, own = (root.handlers, root.level), ours.level
    try:
        lines = configure_logging("console", fd=writer)
        verdict = HELD.model_copy(update={"policy": "\x1b]0;x\x07\u202e"})
        audit.verdict("refunds", "refund", ATTEMPT, verdict)
        logging.getLogger("other").warning("\x1b[2Jgone\nforged line")
        assert lines.flush(timedelta(seconds=10))
    finally:
        root.handlers, root.level = before
        ours.setLevel(own)
        structlog.reset_defaults()
        os.close(writer)
    text = found.text()
    os.close(reader)
    assert "\\u001b[2Jgone" in text
    assert not any(sign in text for sign in ("\x1b", "\x07", "\u202e"))
