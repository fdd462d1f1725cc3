"""An SQLite ledger whose file is not there any more is not written into the void."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from handrail import Ledger, LedgerUnavailable


async def _loaded(ledger: Ledger, number: int) -> None:
    await ledger.loaded("payers", number, f"sha{number}", f"v{number}", "text")


@pytest.mark.parametrize("by", ["nothing", "a directory", "an empty file", "a copy"])
async def test_a_file_that_was_replaced_is_not_written_until_it_is_back(
    by: str, tmp_path: Path
) -> None:
    path, kept = tmp_path / "ledger.db", tmp_path / "kept.db"
    async with Ledger(f"sqlite:///{path}") as ledger:
        await _loaded(ledger, 1)
        path.rename(kept)
        if by == "a directory":
            path.mkdir()
        elif by == "an empty file":
            path.touch()
        elif by == "a copy":
            shutil.copy(kept, path)
        for _ in range(2):
            with pytest.raises(LedgerUnavailable, match=r"replaced or deleted.*fix: put the file"):
                await _loaded(ledger, 2)
        assert path.exists() is (by != "nothing")
        if by == "a directory":
            path.rmdir()
        kept.replace(path)
        await _loaded(ledger, 3)
    async with Ledger(f"sqlite:///{path}") as again:
        assert [row.version for row in await again.policies("payers")] == [3, 1]
