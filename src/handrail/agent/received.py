"""What comes with a signal or an update of a case, before anything is known of it."""

from __future__ import annotations

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from handrail.actions import RulingRecord
from handrail.oversight import BadSignal, read_signal

NOTHING = RawValue(Payload())
"""What a handler gets from the UI's Submit on an empty box. A union with None would not do:
Temporal hands over undecoded payloads only to a parameter that is exactly a RawValue."""


def refusal(record: RulingRecord) -> ApplicationError:
    """What a ruling that is not accepted is answered with."""
    return ApplicationError(record.note, type="RulingRefused", non_retryable=True)


def payloads(raw: object) -> list[Payload]:
    """What came with a signal or update.

    Temporal hands over several values decoded, whatever the type: no ruling, only counted.
    """
    if not isinstance(raw, RawValue):
        return [Payload(), Payload()]
    return [] if raw is NOTHING else [raw.payload]


def verb_and_ruling(came: list[Payload]) -> tuple[str, list[Payload]]:
    """Take the verb out of an update's JSON. What is wrong with the rest is said later."""
    try:
        ruling = read_signal(came)
    except BadSignal:
        return "rule", came
    verb = str(ruling.pop("verb", "rule"))
    return verb, [workflow.payload_converter().to_payload(ruling)]
