"""Ports that tests give to servers."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from handrail.testing import free_ports


def test_no_port_is_given_twice_here_or_to_another_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = free_ports()
    other = next(port for port in range(10_000, 32_000) if port not in {first, second})
    drawn = iter([first, second, first, other, second, other + 1, other + 2, other + 3])

    def draw(*_: object) -> int:
        return next(drawn)

    monkeypatch.setattr(random.SystemRandom, "randrange", draw)
    assert {first, second}.isdisjoint(free_ports())
    code = (
        f"import random; drawn = iter([{first}, {second}, *range({other + 4}, 32000)])\n"
        "random.SystemRandom.randrange = lambda *_: next(drawn)\n"
        "from handrail.testing import free_ports; print(*free_ports())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {str(first), str(second)}.isdisjoint(said.stdout.split())
