"""A machine with a ledger and a keyring, and the commands run on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from handrail import Ledger
from handrail.cli.app import run
from handrail.oversight import SigningKey

T = TypeVar("T")


@dataclass
class Machine:
    home: Path
    capture: pytest.CaptureFixture[str]

    @property
    def url(self) -> str:
        return f"sqlite:///{self.home}/ledger.db"

    def run(self, *args: str, code: int = 0) -> str:
        assert run(list(args)) == code
        said = self.capture.readouterr()
        return said.out + said.err

    def json(self, *args: str, code: int = 0) -> Any:
        assert run([*args, "--json"]) == code
        return json.loads(self.capture.readouterr().out)

    def key(self, person: str = "ana@example.com") -> SigningKey:
        kid = self.json("keys", "new", "--person", person, "--trust")["kid"]
        return SigningKey.load(self.home / "keys" / "private" / f"{kid}.json")

    def ledger(self, work: Callable[[Ledger], Coroutine[Any, Any, T]]) -> T:
        async def do() -> T:
            async with Ledger(self.url) as opened:
                return await work(opened)

        return asyncio.run(do())
