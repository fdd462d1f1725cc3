"""A deployment that cannot be looked at hides no other."""

from __future__ import annotations

from typing import Any
from unittest.mock import sentinel

import pytest

from handrail import Ledger
from handrail.client import DeploymentView, Operator, rollouts
from handrail.exceptions import HandrailError

NAMES = [f"d{number:02}" for number in range(11)]


async def test_one_poisoned_among_ten_is_named(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect() -> Any:
        return sentinel.client

    async def names(_: Any) -> list[str]:
        return NAMES

    async def view(_: Any, name: str) -> DeploymentView:
        if name == "d05":
            raise HandrailError("its memo is gone")
        return DeploymentView.model_construct(deployment=name)

    monkeypatch.setattr(rollouts, "deployments", names)
    monkeypatch.setattr(rollouts, "_view", view)
    found = await Operator(connect, ledger).rollouts()
    assert [each.deployment for each in found.deployments] == [n for n in NAMES if n != "d05"]
    assert found.lacking == ("d05: its memo is gone",)
