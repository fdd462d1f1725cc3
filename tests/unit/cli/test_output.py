"""What is printed for programs: the same JSON, of which nothing can disguise or move anything."""

from __future__ import annotations

import gc
import json
import logging
import subprocess
import sys
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text
from temporalio.runtime import Runtime

from handrail.actions import Basis, Kind
from handrail.cli.context import COLLECTS_AFTER, logs, perform
from handrail.cli.output import PLAIN, Code, Output
from handrail.cli.pilot import as_csv
from handrail.guardrails import audit_order
from handrail.ledger import VerdictRow
from handrail.runtime import Settings, configure_logging

HIDDEN = "".join(
    c for c in map(chr, range(0x110000)) if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"}
)
"""Controls (also C1), bidi, zero-width and tag characters, separators of lines and paragraphs."""


def shows(printed: str) -> set[str]:
    return set(printed) & (set(HIDDEN) - set("\n\t"))


def test_json_is_the_same_and_hides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": HIDDEN, HIDDEN: [HIDDEN, 1]}
    out = Output(json=True)
    out.data(value)
    out.row(value)
    printed = capsys.readouterr().out
    assert shows(printed) == set()
    document, _, row = printed.rstrip("\n").rpartition("\n")
    assert json.loads(document) == json.loads(row) == value


def test_nothing_that_is_said_to_people_can_move_their_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = Output()
    out.show(HIDDEN, Text.assemble(("red", "red"), HIDDEN))
    out.say(HIDDEN)
    out.failed(HIDDEN, "kind", Code.FAILED)
    said = capsys.readouterr()
    assert shows(said.out + said.err) == set()
    assert said.out.count("\\u202e") == 2
    assert said.err.count("\\u202e") == 2


@given(st.dictionaries(st.text(), st.text(st.characters(categories=["Cs", "Cf", "Lo", "Cc"]))))
def test_any_text_is_printed_and_read_back(value: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        written: list[str] = []
        patched.setattr("sys.stdout.write", written.append)
        Output(json=True).data(value)
    printed = "".join(written)
    assert printed.encode()
    assert shows(printed) == set()
    assert json.loads(printed) == value


def test_a_csv_hides_nothing() -> None:
    action: dict[str, Any] = {"note": f"a{HIDDEN}b\nc", f"n{HIDDEN}": [HIDDEN]}
    row = VerdictRow(
        key="k",
        agent="pay",
        step="pay",
        case="pay:1",
        digest="d",
        action=action,
        kind=Kind.PASS,
        at=datetime(2026, 3, 1, tzinfo=UTC),
        basis=Basis(rationale=HIDDEN, evidence={HIDDEN: HIDDEN}),
        findings=(),
        policy="p",
        autonomy="full",
        pilot=True,
        requester=None,
    )
    written = as_csv([row])
    assert shows(written) == {"\r"}  # the ends of lines, as RFC 4180 has them
    assert "b\nc" in written


@pytest.mark.parametrize("style", ["json", "console", "none"])
def test_a_log_hides_nothing(style: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    said: dict[str, Any] = {"by": f"ana{HIDDEN}", "why": f"because{HIDDEN}", "id": f"i{HIDDEN}"}
    if style == "none":
        with caplog.at_level(logging.INFO, "handrail.audit"):
            audit_order("stop", f"pay{HIDDEN}", **said)
        assert shows(caplog.records[-1].getMessage()) == set()
        return
    with (tmp_path / "log").open("w+b") as file:
        lines = configure_logging("json" if style == "json" else "console", fd=file.fileno())
        audit_order("stop", f"pay{HIDDEN}", **said)
        logging.getLogger("handrail.x").warning("of %s", HIDDEN)
        lines.flush()
        file.seek(0)
        text = file.read().decode()
    assert shows(text) == set()


def test_only_a_process_that_stays_looks_for_garbage_soon(tmp_path: Path) -> None:
    before = gc.get_threshold()
    try:
        gc.set_threshold(1_000_000)
        logs(Settings(home=tmp_path))
        assert gc.get_threshold()[0] == COLLECTS_AFTER
    finally:
        gc.set_threshold(*before)


def test_who_reads_no_further_is_no_failure() -> None:
    code = (
        "import sys; from handrail.cli.context import perform; "
        "from handrail.cli.output import PLAIN; "
        "sys.exit(perform(PLAIN, lambda: [PLAIN.show('x' * 150) for _ in range(3000)] and 0))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 141  # as of SIGPIPE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full here")
@pytest.mark.parametrize("command", [["--help"], ["keys", "list"], ["keys", "list", "--json"]])
def test_what_a_full_disk_does_not_take_is_said(command: list[str], tmp_path: Path) -> None:
    code = f"from handrail.cli.entry import main; main({command!r})"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    said = "handrail: not all of it could be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_commands_of_one_process_share_a_runtime() -> None:
    """To put one away can take for ever: it waits for each worker that is left on it."""
    assert perform(PLAIN, lambda: None) == Code.DONE
    first = Runtime.default()
    assert perform(PLAIN, lambda: None) == Code.DONE
    assert Runtime.default() is first
