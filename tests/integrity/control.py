"""The control: the same attacks on an engine that was weakened. The counts must rise."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from typing import Any
from unittest import mock

from handrail.actions import Ruling, person
from handrail.guardrails import entitlement
from handrail.oversight import VerifiedRuling
from tests.integrity import offline
from tests.redteam import Report


def _believing(
    ruling: Ruling, verb: str, case: str, keys: Mapping[str, Any], now: datetime, **_: Any
) -> VerifiedRuling:
    """Takes every ruling for proven, whatever its proof is."""
    jti = sha256(f"{verb} {case} {ruling.model_dump_json()}".encode()).hexdigest()[:32]
    return VerifiedRuling(by=person(ruling.by), jti=jti, kid="0" * 16, at=now, until=now)


@contextmanager
def no_signatures() -> Generator[None]:
    """An engine that looks at no signature."""
    with mock.patch.object(entitlement, "verify_ruling", _believing):
        yield


async def attack(number: int, seed: int) -> Report:
    """What the attacks find where signatures are not looked at."""
    with no_signatures():
        return await offline.attack(number, seed, each=7)
