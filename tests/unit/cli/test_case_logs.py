"""What `handrail logs` finds of a case, in logs of all kinds."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from handrail.cli.app import run
from handrail.cli.case_logs import logs
from handrail.exceptions import InvalidRequest
from handrail.guardrails import masker
from handrail.runtime import mask_with

HEAD = "2026-03-01T10:00:0{n}.000001Z [{level:<8}] "


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))
    return tmp_path


def line(n: int, text: str, level: str = "info") -> str:
    return HEAD.format(n=n, level=level) + text


def seen(capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    assert run(["logs", *argv]) == 0
    return [text[27:].strip() or text for text in capsys.readouterr().out.splitlines()]


def test_a_case_is_told_from_those_that_begin_or_are_named_like_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = ("shop:10", "shop:1-a", "shop:1.5", "shop:1:x", "myshop:1", "a.shop:1")
    own = line(1, "effect agent=shop case=shop:1 step=pay why='as case=shop:2 was'")
    told = line(3, "it failed ({'workflow_id': 'shop:1', 'attempt': 3})", "warning")
    kept = [
        *(line(2, f"effect agent=shop case={each} why='unlike shop:1'") for each in others),
        *(line(2, f"read {each} again") for each in others),
        *(told, "    Traceback (most recent call last):", "    KeyError: 'iban'"),
        *(line(4, "of another"), "    Traceback of that"),
    ]
    (home / "worker.log").write_text("\n".join([*kept, ""]))
    (home / "worker.log.1").write_text(own + "\n")
    (home / "inbox.log").write_text(line(5, "messages:shop:1/g/3 could not be told") + "\n")
    assert run(["logs", "shop:1"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        own,
        *kept[kept.index(told) :][:3],
        line(5, "messages:shop:1/g/3 could not be told"),
    ]


def test_json_lines_of_several_services_as_they_are_piped_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = {"event": "verdict", "case": "café:'1'", "timestamp": "2026-03-01T10:00:00.1Z"}
    other = {"event": "verdict", "case": "café:2", "why": "as café:'1' was"}
    task = {"event": "failed", "temporal_workflow": {"workflow_id": "café:'1'"}}
    piped = [f"worker-{n}  | {json.dumps(each)}" for n, each in enumerate((mine, other, task))]
    text = "\n".join([*piped, "worker-1  | plain, of nobody", "\xff"]).encode("latin-1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run(["logs", "café:'1'", "--file", "-", "--json"]) == 0
    assert [json.loads(each) for each in capsys.readouterr().out.splitlines()] == [mine, task]


def test_an_id_that_logs_mask_is_found_under_its_pseudonym(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask_with(home / "keys", None, clear=False)
    masked = masker().name("shop:ana@example.com")
    assert "ana" not in masked
    (home / "worker.log").write_text(line(1, f"effect agent=shop case={masked} step=pay") + "\n")
    assert seen(capsys, "shop:ana@example.com") == [
        f"[info    ] effect agent=shop case={masked} step=pay"
    ]
    assert seen(capsys, "shop:bo@example.com") == []


def test_what_is_older_is_left_out_and_a_log_that_is_missing_is_said(home: Path) -> None:
    with pytest.raises(InvalidRequest, match="kubectl logs"):
        logs("shop:1")
    with pytest.raises(InvalidRequest, match=r"nowhere\.log is not there"):
        logs("shop:1", file=(home / "nowhere.log",))


def test_since(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "worker.log").write_text(line(1, "read shop:1") + "\n")
    assert seen(capsys, "shop:1", "--since", "2026-03-01T10:00:02+00:00") == []
    assert len(seen(capsys, "shop:1", "--since", "2026-03-01T10:00:01+00:00")) == 1
    assert len(seen(capsys, "shop:1", "--since", "36500d")) == 1
