"""Recorded histories after which signals come all at once: to a worker that was away."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any


def with_signals(text: str, signals: Iterable[tuple[str, Any]]) -> str:
    """A history that waits, with signals and the workflow task that begins with them."""
    history = json.loads(text)
    events, came = history["events"], list(signals)
    if not came:
        return text

    def add(kind: str, name: str, attributes: dict[str, Any]) -> None:
        number = int(events[-1]["eventId"]) + 1
        event = {"eventId": str(number), "eventTime": events[-1]["eventTime"], name: attributes}
        events.append(event | {"eventType": f"EVENT_TYPE_{kind}"})

    encoding = {"encoding": _base64("json/plain")}
    for name, body in came:
        payload = {"metadata": encoding, "data": _base64(json.dumps(body))}
        given = {"signalName": name, "input": {"payloads": [payload]}}
        add("WORKFLOW_EXECUTION_SIGNALED", "workflowExecutionSignaledEventAttributes", given)
    scheduled = {"taskQueue": {"name": "orders"}, "attempt": 1}
    add("WORKFLOW_TASK_SCHEDULED", "workflowTaskScheduledEventAttributes", scheduled)
    started = {"scheduledEventId": events[-1]["eventId"]}
    add("WORKFLOW_TASK_STARTED", "workflowTaskStartedEventAttributes", started)
    return json.dumps(history)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
