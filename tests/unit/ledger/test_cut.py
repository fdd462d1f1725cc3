"""A policy file that breaks off is not taken for one with fewer rules."""

from __future__ import annotations

import pytest

from handrail import Ledger
from handrail.ledger.verdicts import CutShort

WHOLE = "version: 3\nroles: {}\nactions:\n  pay:\n    autonomy: full\n    hold: [all]\n"


async def _load(ledger: Ledger, text: str, version: int = 3) -> str:
    sha = str(hash(text))
    return (await ledger.loaded("payers", version, sha, f"v{version}", text)).text


@pytest.fixture
async def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db")


async def test_the_beginning_of_what_is_in_force_is_refused(ledger: Ledger) -> None:
    async with ledger:
        await _load(ledger, WHOLE)
        for end in range(1, len(WHOLE.rstrip())):
            with pytest.raises(CutShort, match=r"breaks off.*fix: write the file to its end"):
                await _load(ledger, WHOLE[:end])
        assert await _load(ledger, WHOLE) == WHOLE
        assert len(await ledger.policies("payers")) == 1


async def test_what_ends_earlier_on_purpose_has_a_higher_version(ledger: Ledger) -> None:
    shorter = "version: 3\nroles: {}\n"
    async with ledger:
        await _load(ledger, WHOLE)
        assert await _load(ledger, shorter, 4) == shorter


async def test_what_is_longer_or_another_one_is_in_force(ledger: Ledger) -> None:
    async with ledger:
        for text in (WHOLE, f"{WHOLE}  ship:\n", WHOLE.replace("all", "some"), f"{WHOLE}\n\n"):
            assert await _load(ledger, text) == text
