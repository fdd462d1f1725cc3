"""What the processes of one machine are told by their environment, and say when they end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
import structlog.testing

from handrail.runtime.dev import (
    Child,
    ChildFailed,
    _environment,  # pyright: ignore[reportPrivateUsage]
)
from handrail.runtime.settings import Settings
from handrail.runtime.temporal_server import EmbeddedServer


@pytest.mark.parametrize(
    ("said", "proof"), [(None, "unproven"), ("", "unproven"), ("required", "required")]
)
def test_rulings_need_no_proof_on_one_machine_unless_that_is_said(
    said: str | None, proof: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HANDRAIL_PROOF", raising=False)
    if said is not None:
        monkeypatch.setenv("HANDRAIL_PROOF", said)
    env = _environment(tmp_path, EmbeddedServer(tmp_path, port=1, ui_port=2), "http://localhost:3")
    assert Settings.from_environment(env).proof == proof


async def test_a_worker_that_does_not_fit_open_cases_says_so_each_time_it_ends() -> None:
    code = "print('worker does not fit: 1 case does not replay; fix: dev --anyway'); exit(1)"
    child = Child("the worker", [sys.executable, "-c", code], ready="worker is ready")
    with pytest.raises(ChildFailed):
        await child.start()
    with structlog.testing.capture_logs() as said:
        watching = asyncio.ensure_future(child.supervise())
        for _ in range(100):
            await asyncio.sleep(0 if len(said) > 1 else 0.05)
        watching.cancel()
        await child.stop()
    assert {each["event"].partition(";")[0] for each in said} == {
        "worker does not fit: 1 case does not replay"
    }
