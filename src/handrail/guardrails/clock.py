"""The clock of this machine against the server's: no limit opens because one of them is wrong.

What was done in the last hour, and when an attempt is over, is told by the clock of the worker.
One that runs ahead would find every window empty; what is counted by one that is behind would be
gone when it is right again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from temporalio import activity

from handrail.exceptions import HandrailError

TOLERANCE = timedelta(minutes=1)
"""By how much the two may differ. The ledger allows workers as much between each other."""

_skipped = False


class ClockWrong(HandrailError):
    """The clock of this machine is not the server's: nothing is written until it is."""

    def __init__(self, ahead: timedelta) -> None:
        """Say by how much it is `ahead` of the server's, or behind if that is negative."""
        much = timedelta(seconds=round(abs(ahead).total_seconds()))
        where = "ahead of" if ahead > timedelta(0) else "behind"
        super().__init__(
            f"the clock of this machine is {much} {where} the server's, and limits would be "
            "counted wrongly by it; nothing was written; fix: set the clock that is wrong "
            "(`timedatectl` says whether one is synchronised); the step is retried"
        )


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
