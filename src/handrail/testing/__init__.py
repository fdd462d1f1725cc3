"""Testing: what users test their agents with, and Handrail itself is tested with.

    from handrail.testing import Human, running

    async def test_a_large_payment_waits_for_ana(handrail_server, tmp_path):
        ana = Human("ana@example.com")
        async with running(fleet, handrail_server, tmp_path) as stage:
            case = await stage.start("payments", Invoice(number="1", amount=Decimal(300)))
            seen = await case.gate()                      # what Ana is shown
            await case.pass_time(timedelta(hours=7))      # seven hours, at once
            assert (await ana.approve(case, seen)).accepted
            assert (await case.outcome()).status is State.DONE

The server is the real one. `Outside` is a fake world with a ledger of its own calls,
`crashing_worker` a process that dies where you say, `record` and `replay` keep histories.
Fixtures for pytest are in `handrail.testing.fixtures`.
"""

from handrail.agent import secrets_given
from handrail.testing.crash import (
    Crash,
    CrashingWorker,
    Interrupted,
    WorkerPlan,
    crash_at,
    crashing_worker,
    interrupted,
)
from handrail.testing.histories import record, replay
from handrail.testing.human import Human
from handrail.testing.outside import Call, Outside, OutsideError
from handrail.testing.stage import (
    UNPROVEN,
    CaseHandle,
    Stage,
    eventually,
    free_ports,
    new_namespace,
    running,
    server,
    serving,
)
from handrail.testing.steps import call_find, call_notify, call_write

__all__ = [
    "UNPROVEN",
    "Call",
    "CaseHandle",
    "Crash",
    "CrashingWorker",
    "Human",
    "Interrupted",
    "Outside",
    "OutsideError",
    "Stage",
    "WorkerPlan",
    "call_find",
    "call_notify",
    "call_write",
    "crash_at",
    "crashing_worker",
    "eventually",
    "free_ports",
    "interrupted",
    "new_namespace",
    "record",
    "replay",
    "running",
    "secrets_given",
    "server",
    "serving",
]
