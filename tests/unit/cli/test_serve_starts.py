"""What `handrail serve` says before it takes anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.machine import Machine


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Machine:
    monkeypatch.setenv("HANDRAIL_HOME", str(tmp_path))
    return Machine(tmp_path, capsys)


def test_it_does_not_listen_where_nobody_could_sign_in(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    for name in ("HANDRAIL_INBOX_DEV", "HANDRAIL_OIDC_ISSUER", "HANDRAIL_SMTP_URL"):
        monkeypatch.delenv(name, raising=False)
    said = machine.run("serve", "--port", str(unused_tcp_port), code=2)
    assert "nobody could sign in to the inbox" in said
    assert "serve is ready" not in said
