"""Cases that anybody who may start workflows can have: what of them is listed cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from temporalio.api.common.v1 import Memo, Payload, SearchAttributes, WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PauseWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    UnpauseWorkflowExecutionRequest,
)
from temporalio.client import Client

from handrail.actions import digest_of
from handrail.testing import eventually

BEYOND = 5_000
"""Digits of a number that Python neither reads nor writes."""


def plain(data: bytes) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=data)


def _gate(**more: str) -> Payload:
    """A gate of `{case}` whose digest is right; `more` is put into it as it is."""
    digest = digest_of("refund", {"order": "R-1"})
    fields = {
        "gate": '"g1"',
        "case": '"{case}"',
        "kind": '"write"',
        "step": '"refund"',
        "title": '"x"',
        "action": '{"order": "R-1"}',
        "digest": f'"{digest}"',
        "why": '"x"',
        "waiting_for": '["lead"]',
        "people": '["ana@example.com"]',
        "opened": '"2026-01-01T00:00:00Z"',
        "deadline": "null",
        "then": "[]",
    } | more
    inner = ", ".join(f'"{name}": {value}' for name, value in fields.items())
    return plain(f"[{{{inner}}}]".encode())


MEMOS: Mapping[str, Payload] = {
    "no JSON": plain(b"{"),
    "unknown encoding": Payload(metadata={"encoding": b"binary/nobody"}, data=b"x"),
    "no encoding": Payload(data=b"x"),
    "encrypted": Payload(metadata={"encoding": b"binary/encrypted"}, data=b"x"),
    "protobuf": Payload(metadata={"encoding": b"binary/protobuf"}, data=b"\xff"),
    "deep": plain(b"[" * 20_000 + b"]" * 20_000),
    "as deep as is read": plain(b"[" * 900 + b"]" * 900),
    "number": plain(b"1"),
    "text": plain(b'"gates"'),
    "object": plain(b'{"gate": 1}'),
    "half a character": plain(b'["\\ud800"]'),
    "bytes": Payload(metadata={"encoding": b"binary/plain"}, data=b"\xff"),
    "null": Payload(metadata={"encoding": b"binary/null"}),
    "json null": plain(b"null"),
    "huge number": plain(b"[" + b"9" * BEYOND + b"]"),
    "of another case": _gate(case='"orders:other"'),
    "of another action": _gate(action='{"order": "R-2"}'),
    "deep evidence": _gate(evidence='{"a": ' * 400 + "1" + "}" * 400),
    "huge evidence": _gate(evidence="9" * BEYOND),
    "infinite evidence": _gate(evidence="1e999"),
    "half evidence": _gate(evidence='"\\udc00"'),
    "a time that is none": _gate(deadline='"0001-01-01T00:00:00+14:00"'),
}
"""Memos `gates` that cannot be read, or are not what they say."""

ODD_ATTRIBUTES: Mapping[str, Mapping[str, tuple[bytes, bytes]]] = {
    "year 0": {"HandrailDeadline": (b"Datetime", b'"0000-01-01T00:00:00Z"')},
    "before time": {"HandrailDeadline": (b"Datetime", b'"0001-01-01T00:00:00+14:00"')},
    "after time": {"HandrailDeadline": (b"Datetime", b'"9999-12-31T23:59:59-14:00"')},
    "half a state": {"HandrailState": (b"Keyword", b'"\\ud800"')},
    "no state": {"HandrailState": (b"Keyword", b'"dancing"')},
    "half a role": {"HandrailWaitingFor": (b"KeywordList", b'["\\ud800"]')},
    "another type": {"HandrailWaitingFor": (b"Keyword", b'["lead"]')},
}
"""Search attributes that the server takes."""


async def forge(
    client: Client,
    case: str,
    memo: Payload | None = None,
    attributes: Mapping[str, tuple[bytes, bytes]] | None = None,
    agent: str = "orders",
    *,
    kind: str = "Nobody",
    name: str = "gates",
    queue: str = "nobody",
) -> None:
    """Start a workflow that nobody runs, which says that it waits for a lead.

    `kind`: its type. `name`: of its memo.
    """
    said = {
        "HandrailWaitingFor": (b"KeywordList", b'["lead"]'),
        "HandrailState": (b"Keyword", b'"waiting"'),
        "HandrailAgent": (b"Keyword", f'"{agent}"'.encode()),
    } | dict(attributes or {})
    if memo is not None:
        own = Payload()
        own.CopyFrom(memo)
        own.data = memo.data.replace(b"{case}", case.encode())
        memo = own
    await client.workflow_service.start_workflow_execution(
        StartWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_id=case,
            workflow_type=WorkflowType(name=kind),
            task_queue=TaskQueue(name=queue),
            request_id=case,
            memo=Memo(fields={name: memo}) if memo is not None else None,
            search_attributes=SearchAttributes(
                indexed_fields={
                    key: Payload(metadata={"encoding": b"json/plain", "type": of}, data=value)
                    for key, (of, value) in said.items()
                }
            ),
        )
    )


async def lost_claim(client: Client, payloads: Path) -> Payload:
    """A value that was too large for a history, and whose file is gone."""
    (claim,) = await client.data_converter.encode(["x" * 200_000])
    for file in list(payloads.rglob("*")):  # noqa: ASYNC240  # a test's own directory
        if file.is_file() and file.name != "key":
            file.unlink()
    return claim


async def until_listed(client: Client, number: int) -> None:
    """Wait until the server lists so many open workflows."""

    async def listed() -> bool:
        return (await client.count_workflows("CloseTime IS NULL")).count >= number

    await eventually(listed)


async def pause_in_temporal(client: Client, case: str, why: str = "look at it") -> None:
    """What the Web UI's button `Pause` does."""
    await client.workflow_service.pause_workflow_execution(
        PauseWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_id=case,
            identity="ann@ui",
            reason=why,
            request_id=f"pause {case}",
        )
    )

    async def listed() -> bool:
        query = f"ExecutionStatus = 'Paused' AND WorkflowId = '{case}'"
        return (await client.count_workflows(query)).count == 1

    await eventually(listed)


async def unpause_in_temporal(client: Client, case: str) -> None:
    """What ends it."""
    await client.workflow_service.unpause_workflow_execution(
        UnpauseWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_id=case,
            identity="ann@ui",
            request_id=f"unpause {case}",
        )
    )
