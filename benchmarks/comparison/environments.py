"""The environments of the contenders: `python -m benchmarks.comparison.environments` makes all.

Each is a folder in `.cache/comparison`, which git ignores, with exactly what its list in
`requirements/` names. Restate's server comes from npm.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import uv

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "comparison"
LISTS = {path.stem: path for path in sorted((HERE / "requirements").glob("*.txt"))}

RESTATE_SERVER = "@restatedev/restate-server@1.7.12"
_SERVER_HOME = CACHE / "restate-server"

HOW = "python -m benchmarks.comparison.environments"
"""What makes them."""


def python(name: str) -> Path | None:
    """The Python of an environment; None if it is not there as its list has it."""
    found = CACHE / name / "bin" / "python"
    stamp = CACHE / name / "made-of"
    fresh = stamp.exists() and stamp.read_text(encoding="utf-8") == _digest(LISTS[name])
    return found if fresh and found.exists() else None


def restate_server() -> Path | None:
    """Restate's server; None if it is not there."""
    programs = _SERVER_HOME.glob("node_modules/@restatedev/restate-server-*/bin/restate-server")
    return next(programs, None)


def make(name: str) -> None:
    """Make an environment, or make it anew where its list has changed.

    Raises:
        subprocess.CalledProcessError: if it cannot be made.
    """
    if python(name) is None:
        program = uv.find_uv_bin()
        where = str(CACHE / name)
        _run(program, "venv", "--quiet", "--clear", "--python", sys.executable, where)
        into = str(CACHE / name / "bin" / "python")
        _run(program, "pip", "sync", "--quiet", "--python", into, str(LISTS[name]))
        stamp = CACHE / name / "made-of"
        stamp.write_text(_digest(LISTS[name]), encoding="utf-8")
    if name == "restate" and restate_server() is None and (npm := shutil.which("npm")):
        _SERVER_HOME.mkdir(parents=True, exist_ok=True)
        where = str(_SERVER_HOME)
        _run(npm, "install", "--silent", "--no-save", "--ignore-scripts", "--prefix", where,
             RESTATE_SERVER)  # fmt: skip


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603  # our own


def main() -> None:
    """Make all of them."""
    for name in LISTS:
        print(f"comparison: {name}", file=sys.stderr, flush=True)
        make(name)


if __name__ == "__main__":
    main()
