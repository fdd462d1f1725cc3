"""A process that has imported everything, and becomes a `handrail` command when it forks.

The imports would be nearly all of the time of these tests. Jobs come in by lines, as JSON; the
exit code of each goes out, or the id of its process where it is to stay. Whatever a line is, only
the child that reads it can fail over it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import Any, TextIO

import rule_engine

from handrail import client
from handrail.cli import doctor, keys, main, pilot, policy, processes
from handrail.runtime import worker
from handrail.wire import build_models

IMPORTED = (client, doctor, keys, pilot, policy, processes, worker, rule_engine)
"""Commands import these only when they run. The last makes its grammar then."""

build_models()

# No fork looks through what is there for good.
gc.freeze()

WRITTEN = os.O_WRONLY | os.O_CREAT | os.O_APPEND

STAYS = '{"stays": true'
"""How the line of a job begins that is not waited for."""


def become(job: dict[str, Any]) -> None:
    """Be the command of a job, to its end."""
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    sys.path[:0] = filter(None, job["env"].get("PYTHONPATH", "").split(os.pathsep))
    for fd, (path, how) in enumerate(zip(job["io"], (os.O_RDONLY, WRITTEN, WRITTEN), strict=True)):
        os.dup2(os.open(path, how, 0o600), fd)
    sys.stdin = os.fdopen(0)
    sys.argv = ["handrail", *job["argv"]]
    main()


def serve(jobs: TextIO, codes: TextIO) -> None:
    """Do one job after the other, until there are no more."""
    for line in jobs:
        child = os.fork()
        if child == 0:
            become(json.loads(line)["job"])
        said = child if line.startswith(STAYS) else _ended(child)
        codes.write(f"{said}\n")
        codes.flush()


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
