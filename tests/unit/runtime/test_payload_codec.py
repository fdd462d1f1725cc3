"""Large payloads leave the history, come back whole, and cannot be forged."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload

from handrail.runtime.payload_codec import THRESHOLD, ClaimCheck, PayloadLost

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
