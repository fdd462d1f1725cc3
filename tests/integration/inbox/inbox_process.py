"""An inbox as a process of its own, so that it can be killed: `python FILE JSON`."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client

from handrail.inbox.channels import digest_workflow, workflow
from handrail.inbox.channels.worker import running
from handrail.inbox.web.tokens import Links
from handrail.runtime import Settings
from tests.agents.fleets import orders_in


async def main(given: dict[str, Any]) -> None:
    # What the killed process had begun is begun again after this time.
    workflow.ATTEMPT = digest_workflow.ATTEMPT = timedelta(seconds=5)
    home = Path(given["home"])
    client = await Client.connect(
        given["address"],
        namespace=given["namespace"],
        plugins=[orders_in(str(home)).plugin(home / "payloads")],
    )
    settings = Settings.model_validate(given["settings"])
    links = Links(given["secret"], given["base"])
    async with running(client, settings, links=links, secret=given["secret"]):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
