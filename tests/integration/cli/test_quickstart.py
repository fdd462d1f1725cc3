"""The quickstart, line by line, from the built wheel in an empty folder."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.cli_tools import environment, free_port, until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "quickstart.md"
UV = Path(sys.executable).with_name("uv")
NO_INDEX = re.compile(r"network|offline|connect|dns|fetch|time", re.IGNORECASE)


def typed() -> Sequence[str]:
    found = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return "".join(found).splitlines()


def test_it_takes_at_most_fifteen_lines() -> None:
    assert len(typed()) <= 15


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [
        UV,
        "build",
        "--quiet",
        "--wheel",
        "--no-build-isolation",
        "--python",
        sys.executable,
    ]
    subprocess.run([*command, "--out-dir", out], cwd=ROOT, check=True)
    return next(out.glob("*.whl"))


@pytest.fixture
def shop_port() -> int:
    return free_port()


class Shell:
    """Somebody who types: each line in the same folder, with the same environment."""

    def __init__(self, folder: Path, wheel: Path, **env: object) -> None:
        own = environment(**env)
        path = f"{folder / '.venv' / 'bin'}:{own['PATH']}"
        self.env = own | {"PATH": path, "VIRTUAL_ENV": str(folder / ".venv")}
        self.folder, self.wheel = folder, wheel

    def type(self, line: str) -> str:
        if line.startswith("python3 -m venv"):
            return self._run([UV, "venv", "--quiet", "--python", sys.executable, ".venv"])
        if line.startswith("pip install"):
            return self._install()
        if line.startswith("cd "):
            self.folder /= line.removeprefix("cd ")
            return ""
        return self._run(["bash", "-c", line])

    def _install(self) -> str:
        asked = [UV, "pip", "install", "--quiet", f"handrail[dev] @ {self.wheel.as_uri()}"]
        for more in (["--offline"], []):
            done = self._done([*asked, *more])
            if done.returncode == 0:
                return done.stdout
        if NO_INDEX.search(done.stderr):
            pytest.skip(f"the package index is not reachable: {done.stderr[-300:]}")
        raise AssertionError(done.stderr)

    def _run(self, command: Sequence[str | Path]) -> str:
        done = self._done(command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def _done(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )


@pytest.fixture
def shell(tmp_path: Path, wheel: Path, shop_port: int) -> Shell:
    ports = {
        "HANDRAIL_TEMPORAL_PORT": free_port(),
        "HANDRAIL_UI_PORT": free_port(),
        "SHOP_URL": f"http://127.0.0.1:{shop_port}",
    }
    return Shell(tmp_path, wheel, **ports)


@contextlib.contextmanager
def left_running(shell: Shell, line: str) -> Generator[None]:
    log = shell.folder / "dev.log"
    with log.open("w") as file:
        told: dict[str, Any] = {"stdout": file, "stderr": file}
        running = subprocess.Popen(line.split(), cwd=shell.folder, env=shell.env, **told)
    try:
        until(lambda: "Ctrl-C ends it" in log.read_text() or running.poll() is not None)
        yield
    finally:
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 0, log.read_text()


def test_it_leads_to_a_first_approved_write(shell: Shell, shop_port: int) -> None:
    began, said = time.monotonic(), ""
    with contextlib.ExitStack() as stack:
        for line in typed():
            if line == "handrail dev":
                # This machine may run another shop on 8090.
                fleet = shell.folder / "workers" / "fleet.py"
                own = f'"world.shop", "--port", "{shop_port}"'
                fleet.write_text(fleet.read_text().replace('"world.shop"', own))
                stack.enter_context(left_running(shell, line))
            else:
                if line.startswith("handrail approve"):
                    until(lambda: "refunds:2" in shell.type("handrail inbox"))
                said += shell.type(line)
        until(lambda: "refund-2" in shell.type("handrail show refunds:2"))
        sys.stdout.write(f"the quickstart took {time.monotonic() - began:.0f} s\n")
        with urllib.request.urlopen(f"http://127.0.0.1:{shop_port}/refunds") as answer:
            paid = json.load(answer)
        # The rest of the page: what is saved is in force, and what is broken is not taken up.
        steps = shell.folder / "activities" / "refunds.py"
        good, log = steps.read_text(), shell.folder / "dev.log"
        steps.write_text(f"{good}\nclass Broken(\n")
        until(lambda: "goes on as it was" in log.read_text())
        steps.write_text(good.replace("> 100", "> 50"))
        until(lambda: "a new worker takes over" in log.read_text())
    assert "refunds:1 is done: paid back" in said
    assert "no faults" in said
    assert [each["order"] for each in paid] == ["A-1", "A-2"]
    shell.type("pytest -q -p no:cacheprovider -k alone")
