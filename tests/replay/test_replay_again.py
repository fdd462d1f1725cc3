"""Cases go on in a process with another hash seed, and with another release of pydantic.

Each process that runs tests has a hash seed of its own, and `test_replay.py` replays in it what was
recorded under another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.replay.record import HISTORIES

pytestmark = [pytest.mark.replay, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
OLDER = "2.12"
"""The oldest pydantic that `pyproject.toml` allows."""

SECONDS = 240


def replayed(**environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.replay.again"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert len(found["faults"]) == len(list(HISTORIES.glob("*.json")))
    assert {name: why for name, why in found["faults"].items() if why is not None} == {}
    return found


@pytest.fixture(scope="module")
def older_pydantic(pytestconfig: pytest.Config) -> Path:
    """Where an older pydantic is, installed once and kept; or skip, saying why."""
    place = pytestconfig.cache.mkdir(f"pydantic-{OLDER}-{sys.version_info.minor}")
    if not (place / "pydantic").is_dir():
        uv = Path(sys.executable).with_name("uv")
        if not uv.exists():
            pytest.skip("pydantic is not replaced: there is no uv beside this Python")
        done = subprocess.run(
            [
                *(uv, "pip", "install", "-q", "--python", sys.executable, "--target", place),
                f"pydantic=={OLDER}.*",
            ],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"pydantic {OLDER} cannot be had: {done.stderr.strip()[-300:]}")
    return place


def test_under_the_oldest_pydantic_that_is_allowed(older_pydantic: Path) -> None:
    assert replayed(PYTHONPATH=str(older_pydantic), PYTHONHASHSEED="1")["pydantic"].startswith(
        f"{OLDER}."
    )
