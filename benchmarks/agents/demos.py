"""Each demonstration from a fresh clone: its seconds, and the memory of all its processes.

``python -m benchmarks.agents.demos [NAME ...] [--write]`` clones the repository, plays
`handrail demo NAME --once` in a home and on ports of its own, one after the other, with the
packages that are installed here, and prints a table; `--write` puts it into docs/agents/README.md.
Memory is what the processes have of their own and their part of what they share (PSS), together,
at its highest; seconds are from the command to its end, and to the first write that begins.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from workers.apart import environ

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "agents" / "README.md"
BEGIN, END = "<!-- demonstrations: by benchmarks.agents.demos -->\n", "<!-- end of them -->"
HEAD = "| demonstration | seconds | to the first write | CPU seconds | memory | processes | cases |"
LOOK_S, MOST_S = 0.5, 900.0


class Played(NamedTuple):
    """What a demonstration took."""

    name: str
    seconds: float
    first: float
    cpu: float
    peak: float
    processes: int
    cases: int
    code: int


def names() -> list[str]:
    """All demonstrations, the company last."""
    found = sorted(path.stem for path in (ROOT / "workers" / "demos").glob("[a-z]*.py"))
    return [*(name for name in found if name != "company"), "company"]


def play(name: str, clone: Path, home: Path) -> Played:
    """Play one, and look at its processes meanwhile."""
    given = {**os.environ, **environ(home), "PYTHONPATH": f"{clone / 'src'}{os.pathsep}{clone}"}
    argv = [sys.executable, "-m", "handrail", "demo", name, "--once", "--json"]
    if name == "shipments":
        argv.remove(name)
    began, first, peak, most = time.monotonic(), 0.0, 0.0, 0
    said, errors = home / "said.jsonl", home / "errors.log"
    with said.open("wb") as out, errors.open("wb") as err:
        demo = psutil.Popen(argv, cwd=clone, env=given, stdout=out, stderr=err)
        spent = dict[int, float]()
        while demo.poll() is None and time.monotonic() < began + MOST_S:
            time.sleep(LOOK_S)
            every = _tree(demo)
            peak, most = max(peak, _memory(every)), max(most, len(every))
            for each in every:
                with contextlib.suppress(psutil.Error):
                    spent[each.pid] = sum(each.cpu_times()[:2])
            if not first and _writes(home / "ledger.db"):
                first = time.monotonic() - began
        with contextlib.suppress(psutil.Error):
            demo.terminate()
        code = demo.wait()
    seconds = time.monotonic() - began
    return Played(name, seconds, first, sum(spent.values()), peak, most, _cases(said), code)


def _tree(demo: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return [demo, *demo.children(recursive=True)]
    return []


def _memory(every: Sequence[psutil.Process]) -> float:
    """Megabytes, each page counted once."""
    total = 0
    for each in every:
        with contextlib.suppress(psutil.Error):
            total += each.memory_full_info().pss
    return total / 1e6


def _writes(ledger: Path) -> int:
    """How many writes have begun, by the ledger."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
            return int(db.execute("select count(*) from handrail_effects").fetchone()[0])
    except sqlite3.OperationalError:  # there is none yet
        return 0


def _cases(said: Path) -> int:
    """How many cases the demonstration last spoke of."""
    lines = said.read_text("utf-8", errors="replace").splitlines()
    for line in reversed(lines):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            told: Any = json.loads(line)
            return len(told["cases"])
    return 0


def table(played: Sequence[Played]) -> str:
    """The figures, as Markdown."""
    rows = [
        f"| {each.name} | {each.seconds:.0f} | {each.first:.0f} | {each.cpu:.0f} "
        f"| {each.peak:,.0f} MB | {each.processes} | {each.cases} |"
        for each in played
    ]
    return "\n".join([HEAD, "|---" * HEAD.count(" | ") + "|---|", *rows])


def main() -> None:
    """Play some demonstrations, or all."""
    parser = argparse.ArgumentParser(description="Seconds and memory of the demonstrations.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--write", action="store_true", help="put the table into the gallery")
    given = parser.parse_args()
    found: list[Played] = []
    with tempfile.TemporaryDirectory() as kept:
        clone = Path(kept) / "clone"
        quiet = ["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", str(clone)]
        subprocess.run(quiet, check=True)  # noqa: S603 - our own
        for name in given.names or names():
            home = Path(kept) / name
            home.mkdir()
            found.append(play(name, clone, home))
            print(found[-1], flush=True)
            if found[-1].code not in {0, 4}:
                print((home / "errors.log").read_text("utf-8")[-2000:])
    print(table(found))
    if given.write:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        PAGE.write_text(before + BEGIN + table(found) + "\n" + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
