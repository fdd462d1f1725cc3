"""What a worker that ends drops from its memory, a case in the midst of a write, breaks nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from pathlib import Path
from typing import Any

import pytest

from handrail.testing import Outside
from handrail.testing.fixtures import RunFleet
from tests.agents.fleets import orders
from tests.agents.orders_steps import Order

pytestmark = pytest.mark.integration


async def test_a_case_dropped_in_the_midst_of_a_write_is_dropped_silently(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    gc.collect()  # what earlier tests left
    said.clear()
    with contextlib.ExitStack() as kept:
        kept.enter_context(outside.kept_waiting("pay"))
        async with run_fleet(orders(tmp_path)) as stage:
            await stage.start("orders", Order(number="1"))
            await outside.arrived("pay")
            # The worker has a second to end. It would wait much longer for this step's thread.
            asyncio.get_running_loop().call_later(2, kept.close)
    gc.collect()
    assert [each.exc_value for each in said] == []
