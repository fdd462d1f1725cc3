"""What `dev` sees of a project that is worked on, and of a worker's log."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from handrail.cli.dev import changed, dev, errors_after, faults, written
from handrail.exceptions import InvalidRequest


def test_code_and_policies_that_came_went_or_were_written(tmp_path: Path) -> None:
    for name in ("kept.py", "gone.yaml", ".venv/lib.py", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    before = written(tmp_path)
    assert sorted(Path(name).name for name in before) == ["gone.yaml", "kept.py"]
    (tmp_path / "gone.yaml").unlink()
    (tmp_path / "new.py").touch()
    now = written(tmp_path) | {str(tmp_path / "kept.py"): 1}
    assert [Path(name).name for name in changed(before, now)] == ["gone.yaml", "kept.py", "new.py"]
    assert changed(now, now) == []


def test_each_error_is_one_line_and_half_a_line_waits(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("1 [info ] ready\n2 [error    ] no\n  Traceback\n3 [err")
    at, errors = errors_after(log, 0)
    assert errors == ["2 [error    ] no"]
    with log.open("a") as file:
        file.write("or    ] again\n")
    at, errors = errors_after(log, at)
    assert errors == ["3 [error    ] again"]
    log.write_text("")
    assert errors_after(log, at) == (0, [])


def test_fresh_leaves_alone_what_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HANDRAIL_FLEET", "workers.fleet:fleet")
    (tmp_path / "home").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("HANDRAIL_TEMPORAL_PORT", str(taken.getsockname()[1]))
        with pytest.raises(InvalidRequest, match="end the other"):
            asyncio.run(dev(fresh=True))
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(3)", "workers.fleet cannot be imported"),
        ("import os; os._exit(7)", "ended with code 7"),
        ("fleet = 1", "workers.fleet:fleet is int, not a handrail.Fleet"),
    ],
)
async def test_what_is_wrong_with_a_change_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HANDRAIL_FLEET", raising=False)
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "fleet.py").write_text(code)
    found = await faults()
    assert said in found
    assert "\n" not in found
