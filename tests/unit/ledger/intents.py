"""An intent to write, of which a test says only what it is about."""

from datetime import UTC, datetime
from typing import Any

from handrail.ledger import Intent

DEADLINE = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)


def intent(key: str = "a:1/pay/1", **more: Any) -> Intent:
    given: dict[str, Any] = {
        "key": key,
        "case": key.partition("/")[0],
        "agent": "a",
        "step": "pay",
        "digest": "d" * 64,
        "action": {"amount": "10"},
        "policy": "a v1",
        "owner": "one",
        "deadline": DEADLINE,
    }
    return Intent(**given | more)
