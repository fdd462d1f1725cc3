"""The machine of a worker: its clock against the server's, and whose attempts are over.

What was done in the last hour, and when an attempt is over, is told by the clock of the worker.
One that runs ahead would find every window empty; what is counted by one that is behind would be
gone when it is right again. So no limit opens because one of them is wrong.
"""

from __future__ import annotations

import functools
import hmac
import itertools
import os
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio import activity

from handrail.exceptions import HandrailError

TOLERANCE = timedelta(minutes=1)
"""By how much the two may differ. The ledger allows workers as much between each other."""

_skipped = False


class ClockWrong(HandrailError):
    """The clock of this machine is not the server's: nothing is written until it is."""

    def __init__(self, ahead: timedelta) -> None:
        """Say by how much it is `ahead` of the server's, or behind if that is negative.

        Whoever reads it sits at another machine, so this one is named.
        """
        much = timedelta(seconds=round(abs(ahead).total_seconds()))
        where = "ahead of" if ahead > timedelta(0) else "behind"
        super().__init__(
            f"the clock of {socket.gethostname()} is {much} {where} the server's, and limits would "
            "be counted wrongly by it; nothing was written; fix: set the clock that is wrong "
            "(`timedatectl` says whether one is synchronised); the step is retried"
        )


def server_time() -> datetime:
    """When this activity was sent out: the server's time, whatever this machine's clock says.

    Outside an activity, where nothing is written, this machine's.
    """
    if not activity.in_activity():
        return datetime.now(UTC)
    return activity.info().current_attempt_scheduled_time.astimezone(UTC)


def server_start() -> datetime:
    """When this attempt of this activity was begun, by the server's clock."""
    known = activity.in_activity() and activity.info().started_time.timestamp() > 0
    return activity.info().started_time.astimezone(UTC) if known else datetime.now(UTC)


def require_right_clock() -> None:
    """See that this machine and the server have one time. Call it as an ordinary step begins.

    Raises:
        ClockWrong: if they differ by more than `TOLERANCE`.
    """
    if not activity.in_activity():
        return
    started = activity.info().started_time
    if started.timestamp() <= 0:
        return  # no server handed it out: there is nothing to compare with
    ahead = datetime.now(UTC) - started
    if ahead > TOLERANCE or (ahead < -TOLERANCE and not _skipped):
        raise ClockWrong(ahead)


def allow_skipped_time() -> None:
    """Let the server be ahead: where the time of cases is skipped, as in tests, it seems to be."""
    global _skipped  # noqa: PLW0603  # one process, one clock
    _skipped = True


# Who owns an intent: machine, process, its start, a number for each attempt, and until when it may
# begin its effect, by the monotonic clock of its machine. Who has ended says so. Behind it stands a
# keyed mark: without the key of the workers nobody can put an intent there that they believe.

_OVER = "over"
_MARK = "#"
_HIDDEN = "?"
_numbers = itertools.count(1)


def _machine() -> str:
    boot, spaces = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns")
    try:
        # Another space of processes has other numbers of them; one of time has another clock.
        names = [str((spaces / each).readlink()) for each in ("pid", "time")]
        return ".".join([boot.read_text().strip(), *names])
    except OSError:
        return ""


def _process(pid: int) -> tuple[str, str]:
    """The state of a process of this machine, and when it started, in clock ticks.

    The state is a letter of proc(5), empty if there is no such process, and `_HIDDEN` if it is one
    of another user, which systemd's `ProtectProc` and the mount option `hidepid` do not show.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return "", ""
        except OSError:
            pass
        return _HIDDEN, ""
    state, *rest = stat.rpartition(")")[2].split()
    return ("", "") if state in {"Z", "X"} else (state, rest[18])


@functools.cache
def _this_process(pid: int) -> str:
    return f"{_machine()}|{pid}|{_process(pid)[1]}|"


def new_owner(timeout: timedelta) -> str:
    """Name the attempt that begins now, so that others can tell whether it is over.

    It begins no effect after `timeout`.
    """
    until = time.monotonic() + timeout.total_seconds()
    return f"{_this_process(os.getpid())}{next(_numbers)}|{until:.3f}"


def released_owner(owner: str) -> str:
    """Name the same attempt as one that has ended now."""
    return f"{owner.rpartition('|')[0]}|{time.monotonic():.3f}|{_OVER}"


def unknown_owner() -> str:
    """Name an attempt of which nothing is known, not even its machine."""
    return f"unknown|{os.getpid()}|{time.time_ns()}|{next(_numbers)}|"


def sealed(owner: str, seal: bytes, key: str, digest: str) -> str:
    """An owner with its keyed mark: of this very attempt at this very write."""
    said = f"{owner}\n{digest}\n{key}".encode(errors="surrogatepass")
    return f"{owner}{_MARK}{hmac.new(seal, said, 'sha256').hexdigest()[:32]}"


def is_sealed(owner: str, seal: bytes, key: str, digest: str) -> bool:
    """Whether somebody who has the key named this owner, for this write."""
    mine = sealed(owner.rpartition(_MARK)[0], seal, key, digest)
    return hmac.compare_digest(mine.encode(), owner.encode(errors="replace"))


def begins_until(owner: str) -> float | None:
    """Until when an attempt may begin its effect, by this machine's monotonic clock, in seconds.

    None if that cannot be known from here: it is of another machine.
    """
    machine, *rest = owner.partition(_MARK)[0].split("|")
    known = machine == _machine() != "" and bool(rest[3:])
    return float(rest[3]) if known else None


def process_of(owner: str) -> str:
    """Where an attempt runs, in words."""
    machine, pid, *_ = [*owner.split("|"), ""]
    return f"process {pid} of {'this' if machine == _machine() else 'another'} machine"


def _state(owner: str) -> str | None:
    """The state of an owner's process. None if that cannot be known from here."""
    machine, pid, started, *_ = owner.split("|")
    if not machine or machine != _machine():
        return None
    state, since = _process(int(pid))
    if state == _HIDDEN:
        return None
    return state if since == started else ""


def is_over(owner: str) -> bool:
    """Whether an attempt has certainly ended: it said so, or its process is gone."""
    return owner.partition(_MARK)[0].endswith(f"|{_OVER}") or _state(owner) == ""


def stands_still(owner: str) -> bool:
    """Whether the process of an attempt is stopped, and may go on."""
    return not is_over(owner) and _state(owner) in {"T", "t"}
