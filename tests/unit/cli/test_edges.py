"""What comes in and goes out of a shell as the world has it: marks, encodings, closed streams."""

from __future__ import annotations

import codecs
import io
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from handrail.cli.cases import _lines_in  # pyright: ignore[reportPrivateUsage]
from handrail.cli.context import json_of, load_fleet, text_of, value_of
from handrail.cli.pilot import _cell  # pyright: ignore[reportPrivateUsage]
from handrail.exceptions import ConfigurationError, InvalidRequest

EVENT = '{"id": "日本 ü"}'
FILES = {
    "UTF-8": EVENT.encode(),
    "UTF-8 with a mark": codecs.BOM_UTF8 + EVENT.encode(),
    "UTF-16, little end first": codecs.BOM_UTF16_LE + EVENT.encode("utf-16-le"),
    "UTF-16, big end first": codecs.BOM_UTF16_BE + EVENT.encode("utf-16-be"),
}
FORMULAS = [
    *("=1", "+1", "@A1", "-A1", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "\uff1d1", "\ufeff=1"),
    *("\u200b=1", "'=1", '"=1"', " \u200b\uff0b1", "\ufe6211", "+49301", "=\u202e1", "\x00=1"),
]
PLAIN = ("-1", "-5.00", "-1e5", "1", "a=1", "", "O'Brien", "2026-01-01", "00123")
PRINTS = """
import sys
from handrail.cli import app, entry

def run(argv):
    from handrail.cli.output import Output
    out = Output(json={json})
    out.show({text!a})
    out.data({{'text': {text!a}}})
    sys.stdin.read()
    return 0

app.run = run
entry.main([])
"""


def test_json_of_any_depth_is_no_trace() -> None:
    deep = "[" * 100_000
    assert value_of(None, deep) == deep
    with pytest.raises(InvalidRequest, match="is not JSON"):
        json_of(deep, "the event")


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_file_is_read_as_its_mark_says(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "event.json").write_bytes(content)
    assert text_of(f"@{tmp_path}/event.json") == EVENT
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert text_of("-") == EVENT


class Named(BaseModel):
    id: str


TEN_LINES = [f'{{"id": "{n}\u2028\x85ü"}}' for n in range(10)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_one_line_is_one_event_whatever_it_holds(
    encoding: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = end.join(TEN_LINES).encode(encoding)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    assert [line.strip("\ufeff\r\n") for line in _lines_in()] == TEN_LINES


def test_one_line_that_is_no_text_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line.encode() for line in TEN_LINES]
    content = b"\n".join([*lines[:5], b'{"id": "\xff\xfe"}', *lines[5:]])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    found = [line.rstrip("\n") for line in _lines_in()]
    assert found[:5] + found[6:] == TEN_LINES
    with pytest.raises(ValidationError):
        Named.model_validate_json(found[5])


@pytest.mark.parametrize("encoding", ["utf-16-le", "latin-1"])
def test_what_is_no_text_is_refused_with_what_to_do(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_bytes("ü\ud7ff".encode(encoding, "replace"))
    with pytest.raises(InvalidRequest, match="save it as UTF-8"):
        text_of(f"@{tmp_path}/event.json")


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_a_formula_in_a_spreadsheet(text: str) -> None:
    # What cannot be seen is spelt out, and what stands first then is a letter of no formula.
    assert _cell(text).strip().startswith(("'", "\\"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a;=1", "a;'=1"),
        ("a\t+1", "a\t'+1"),
        ("b\n-A1", "b\n'-A1"),
        ("-1; @A1", "-1;' @A1"),
        ('x; "=1', "x;' \"=1"),
        (["a;=1", 'b; "=2'], '["a;\'=1", "b;\' \\"=2"]'),
    ],
)
def test_no_part_of_it_is_one_where_semicolons_tabs_or_lines_part_cells(
    text: str | list[str], shown: str
) -> None:
    assert _cell(text) == shown


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert _cell(text) == text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("as_json", [True, False])
def test_a_terminal_that_has_not_every_character_ends_no_command(
    encoding: str, *, as_json: bool
) -> None:
    text = "Grüße 日本 😀"
    done = subprocess.run(
        [sys.executable, "-c", PRINTS.format(text=text, json=as_json)],
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    if as_json:
        assert json.loads(done.stdout.decode(encoding)) == {"text": text}


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "| head -c 0"])
def test_a_stream_that_is_closed_ends_no_command(closed: str) -> None:
    code = PRINTS.format(text="x", json=False).replace("'x'", "'x' * 100_000")
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, code],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode in {0, 1, 141}
    assert "Traceback" not in done.stderr


UNFIT = {
    "from handrail import read\n@read(name='a')\nasync def a() -> int: ...": "may take timeout=",
    "import os\nTOKEN = os.environ['NOBODY_SET_THIS']": "fix: export NOBODY_SET_THIS=...",
    "from handrail import Fleet\nfleet = Fleet([1])": "no list: `Fleet(Agent(...), Agent(...))`",
    "from handrail import read\nclass A: ...\n@read\nasync def a() -> A: ...": "pydantic.BaseModel",
    "from handrail.integrations.connectors import MCP\nMCP('empty.json', '', 'http://h')": (
        'and then write digest="4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"'
    ),
    "from tests.agents.careless_flow import SoundAgent\nSoundAgent()": "name the class",
}


@pytest.mark.parametrize(("code", "cure"), UNFIT.items())
def test_what_does_not_import_is_said_with_its_cure(
    code: str, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"unfit_{zlib.crc32(code.encode())}"
    (tmp_path / f"{name}.py").write_text(code)
    (tmp_path / "empty.json").write_text("[]")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ConfigurationError) as said:
        load_fleet(f"{name}:fleet")
    assert cure in str(said.value)
