"""A test that does not end is ended, and says where it waits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

CONFTEST = """
from tests.stuck import StuckTests

def pytest_configure(config):
    config.pluginmanager.register(StuckTests(limit=1))
"""

WAITS = """
import asyncio

async def test_first():
    pass

async def forever():
    await asyncio.Event().wait()

async def test_waits():
    await forever()
"""


def test_it_is_ended_and_says_where_it_waits(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_waits.py").write_text(WAITS)
    command = [sys.executable, "-m", "pytest", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "test_waits.py::test_waits has not ended after 1 s" in ended.stderr
    assert f"{tmp_path}/test_waits.py:8 in forever" in ended.stderr
    assert "passed" not in ended.stdout
