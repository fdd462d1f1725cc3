"""What the processes of one machine are told by their environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail.runtime.dev import _environment  # pyright: ignore[reportPrivateUsage]
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
