"""What `handrail rollout` shows of builds and their cases."""

from __future__ import annotations

import pytest
from rich.console import Console

from handrail.cli.output import PLAIN
from handrail.cli.rollout import cells, head, rollout
from handrail.client import BuildView, DeploymentView
from handrail.exceptions import InvalidRequest

OLD = BuildView(
    build="b1",
    current=True,
    share="90%",
    workers=2,
    cases=40,
    open=3,
    failed=1,
    refused=2,
    incidents=0,
    bad=0.075,
)


def test_a_build_is_a_row_and_what_goes_on_stands_above() -> None:
    new = OLD.model_copy(
        update={"build": "b2\x1b[31m", "current": False, "share": "10%", "bad": None, "band": "5%"}
    )
    assert cells(OLD) == ("b1 (current)", "90%", "2", "40", "3", "1", "2", "0", "7.5%", "")
    assert "\x1b" not in cells(new)[0]
    assert cells(new)[-2:] == ("", "5%")
    view = DeploymentView(
        deployment="workers",
        agents=("pay",),
        builds=(OLD, new),
        stand="paused",
        build="b2",
        shares=("10%", "100%"),
        by="boss@example.com",
        why="0 of 4 were bad",
    )
    console = Console(width=100, record=True, file=None, quiet=False)
    with console.capture() as said:
        console.print(*head(view), sep="\n")
    assert "b2: paused, by boss@example.com" in said.get()
    assert "10%, 100%" in said.get()


async def test_one_thing_is_ordered_at_a_time_and_by_somebody() -> None:
    with pytest.raises(InvalidRequest, match="one of them"):
        await rollout("b2", back=True, by="boss@example.com", out=PLAIN)
    with pytest.raises(InvalidRequest, match="--by"):
        await rollout("b2", out=PLAIN)
