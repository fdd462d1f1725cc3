"""Large payloads leave the history, come back whole, and cannot be forged."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import DataConverter, PayloadCodec
from typing_extensions import override

from handrail.runtime import sandbox
from handrail.runtime.payload_codec import THRESHOLD, ClaimCheck, PayloadLost
from handrail.runtime.sandbox import decode_activation, encode_completion

SDK: Any = sandbox
LARGE = Payload(metadata={"encoding": b"json/plain"}, data=b"1" * THRESHOLD)
SMALL = Payload(metadata={"encoding": b"json/plain"}, data=b"1")


def stored(directory: Path) -> list[Path]:
    return list(directory.glob("*/*"))


@pytest.mark.parametrize(("directory", "file"), [(0o755, 0o600), (0o2770, 0o660), (0o2750, 0o640)])
async def test_payloads_are_for_the_group_that_the_directory_is_for(
    tmp_path: Path, directory: int, file: int
) -> None:
    shared = tmp_path / "payloads"
    shared.mkdir()
    shared.chmod(directory)
    await ClaimCheck(shared).encode([LARGE])
    files = [*stored(shared), shared / "key"]
    assert {path.stat().st_mode & 0o7777 for path in files} == {file}
    inner = stored(shared)[0].parent.stat().st_mode & 0o7777
    assert inner == (directory if directory & 0o2000 else 0o700)


async def test_a_large_payload_comes_back_and_a_small_one_stays(tmp_path: Path) -> None:
    kept = await ClaimCheck(tmp_path).encode([LARGE, SMALL, LARGE])
    assert kept[1] == SMALL
    assert kept[0].ByteSize() < 300
    assert await ClaimCheck(tmp_path).decode(kept) == [LARGE, SMALL, LARGE]
    assert len(stored(tmp_path)) == 1


@pytest.mark.parametrize("change", ["gone", "changed"])
async def test_a_payload_that_is_not_what_was_stored_is_lost(tmp_path: Path, change: str) -> None:
    kept = await ClaimCheck(tmp_path).encode([LARGE])
    (file,) = stored(tmp_path)
    if change == "gone":
        file.unlink()
    else:
        file.write_bytes(b"other")
    with pytest.raises(PayloadLost, match="HANDRAIL_PAYLOAD_DIR" if change == "gone" else change):
        await ClaimCheck(tmp_path).decode(kept)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"sha256": "../../../../etc/passwd", "bytes": 1, "mac": ""}',
        b'{"sha256": "%s", "bytes": 1, "mac": "%s"}' % (b"a" * 64, b"b" * 64),
    ],
)
async def test_what_somebody_sent_as_a_claim_stays_what_it_is(tmp_path: Path, data: bytes) -> None:
    forged = Payload(metadata={"encoding": b"json/handrail-claim"}, data=data)
    assert await ClaimCheck(tmp_path).decode([forged]) == [forged]


async def test_anything_can_be_kept_by_its_claim(tmp_path: Path) -> None:
    claim = await ClaimCheck(tmp_path).keep(b"said")
    assert await ClaimCheck(tmp_path).kept(claim) == b"said"
    for forged in ("{}", "", claim.replace('"bytes":4', '"bytes":5').replace('mac":"', 'mac":"0')):
        with pytest.raises(PayloadLost, match="no claim"):
            await ClaimCheck(tmp_path).kept(forged)


def answer(*payloads: Payload) -> WorkflowActivationCompletion:
    """A task's answer that schedules a local activity with these arguments."""
    made = WorkflowActivationCompletion()
    made.successful.commands.add().schedule_local_activity.arguments.extend(payloads)
    return made


def came(*payloads: Payload) -> WorkflowActivation:
    """A signal that came with these arguments."""
    made = WorkflowActivation()
    made.jobs.add().signal_workflow.input.extend(payloads)
    return made


def converter(codec: PayloadCodec) -> DataConverter:
    return dataclasses.replace(DataConverter.default, payload_codec=codec)


@pytest.mark.parametrize("payloads", [[SMALL], [SMALL, LARGE], [LARGE, LARGE], []])
async def test_a_task_is_kept_and_comes_back_as_by_the_sdk(
    tmp_path: Path, payloads: list[Payload]
) -> None:
    ours, theirs = answer(*payloads), answer(*payloads)
    codec = converter(ClaimCheck(tmp_path))
    await encode_completion(ours, codec, encode_headers=False, storage_concurrency_limit=1)
    await SDK._encode_completion(theirs, codec, False, 1)  # as the SDK does
    assert ours == theirs
    kept = ours.successful.commands[0].schedule_local_activity.arguments
    assert max((each.ByteSize() for each in kept), default=0) < 300
    back = came(*kept)
    await decode_activation(back, codec, decode_headers=False, storage_concurrency_limit=1)
    assert list(back.jobs[0].signal_workflow.input) == payloads


class Reversed(PayloadCodec):
    """A codec of one's own, to which no payload is too small."""

    @override
    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload(metadata=each.metadata, data=each.data[::-1]) for each in payloads]

    @override
    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return await self.encode(payloads)


async def test_a_codec_of_ones_own_is_given_every_payload() -> None:
    codec, word = converter(Reversed()), Payload(data=b"word")
    made, back = answer(word), came(word)
    await encode_completion(made, codec, encode_headers=False, storage_concurrency_limit=1)
    await decode_activation(back, codec, decode_headers=False, storage_concurrency_limit=1)
    arguments = made.successful.commands[0].schedule_local_activity.arguments
    assert [each.data for each in (*arguments, *back.jobs[0].signal_workflow.input)] == [
        b"drow"
    ] * 2
