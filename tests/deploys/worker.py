"""The fleet of a `handrail worker` of this trial, before or after its deploy."""

import os
from pathlib import Path

from handrail.testing import Outside
from tests.agents import shifting

shifting.BOOKS.append(Outside.current())
fleet = shifting.deployed(
    Path(os.environ["DEPLOYS_ROOM"]),
    after=os.environ["DEPLOYS_CODE"] == "after",
    only=os.environ["DEPLOYS_CHANGES"].split("|"),
)
