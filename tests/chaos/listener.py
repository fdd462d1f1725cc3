"""Carries out the faults that are planned for a case, in the process that reaches them.

Everything that happens is a line in one journal, written before the process dies.
"""

import json
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from tests.chaos.plan import Fault, Trial

CLOCK_AHEAD = "CHAOS_CLOCK_AHEAD"
"""The variable that says by how much the monotonic clock of this machine is ahead."""

_AHEAD = float(os.environ.get(CLOCK_AHEAD, "0"))


class Listener:
    """What `handrail.failpoints.listen` takes."""

    def __init__(self, room: Path, actor: str, trials: Iterable[Trial]) -> None:
        self._actor = actor
        self._arrivals = room / "arrivals"
        self._arrivals.mkdir(exist_ok=True)
        self._journal = os.open(room / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._faults = {trial.key: trial.faults for trial in trials if trial.faults}

    def __call__(self, boundary: str, case: str) -> None:
        fault = self._due(boundary, case)
        line = {
            "at": time.monotonic() - _AHEAD,
            "actor": self._actor,
            "case": case,
            "boundary": boundary,
            "fault": None if fault is None else fault.id,
        }
        os.write(self._journal, json.dumps(line).encode() + b"\n")
        if fault is not None:
            if fault.what == "block":
                time.sleep(fault.lasting.total_seconds())
            else:
                os.kill(os.getpid(), signal.SIGKILL if fault.what == "kill" else signal.SIGSTOP)

    def _due(self, boundary: str, case: str) -> Fault | None:
        due: Fault | None = None
        for fault in self._faults.get(case.partition(":")[2], ()):
            if fault.boundary == boundary and self._arrived(fault) == fault.nth:
                due = fault
        return due

    def _arrived(self, fault: Fault) -> int:
        """How often a boundary was reached, over all processes that ever lived."""
        counter = os.open(self._arrivals / fault.id, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(counter, b".")
            return os.fstat(counter).st_size
        finally:
            os.close(counter)
