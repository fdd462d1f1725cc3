"""`make figures`: plays all alerts, and writes what came out into docs/demonstration.md.

Twice: with nobody answering, and with somebody who approves everything that is asked.
The figures are those that the demonstration itself reports.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError

from handrail.client import Operator
from handrail.runtime import Settings, connect
from workers.fleet import fleet

PAGE = Path(__file__).parents[1] / "docs" / "demonstration.md"
BEGIN = "<!-- figures: written by `make figures` from a run, not by hand -->\n"
END = "<!-- end of figures -->"


async def main() -> None:
    """Play the alerts twice in a home of their own, and rewrite the table of the page."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"HANDRAIL_HOME": home, "SHIPMENTS_ALERTS": "328"}
        alone = await _report(await _demo())
        demo = await _demo()
        assisted, _ = await asyncio.gather(_report(demo), _approve_everything(demo))
    rows = [f"| {label} | {value} | {assisted[label]} |" for label, value in alone.items()]
    head = ["| | nobody answers | everything asked is approved |", "|---|---|---|"]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + "\n".join([*head, *rows]) + "\n" + END + after)


async def _demo() -> Process:
    handrail = Path(".venv/bin/handrail")
    return await asyncio.create_subprocess_exec(handrail, "demo", "--once", "--json", stdout=PIPE)


async def _report(demo: Process) -> dict[str, str]:
    output, _ = await demo.communicate()
    return dict(json.loads(output)["report"])


async def _approve_everything(demo: Process) -> None:
    settings = Settings.from_environment()
    client = await connect(settings, plugins=[fleet.plugin(settings.payload_dir)])
    while demo.returncode is None:
        # The server ends with the demonstration.
        with contextlib.suppress(RPCError):
            for gate in (await Operator(client).gates()).gates:
                for person in gate.people:
                    await _approve(client, gate.case, gate.gate, gate.digest, person)
        await asyncio.sleep(0.2)


async def _approve(client: Client, case: str, gate: str, digest: str, person: str) -> None:
    ruling = {"verb": "approve", "gate": gate, "digest": digest, "by": person}
    # The second person of a quorum of one comes too late; that is no fault.
    with contextlib.suppress(WorkflowUpdateFailedError):
        await client.get_workflow_handle(case).execute_update(  # pyright: ignore[reportUnknownMemberType]  # Temporal's own signature is
            "rule", ruling
        )


if __name__ == "__main__":
    asyncio.run(main())
