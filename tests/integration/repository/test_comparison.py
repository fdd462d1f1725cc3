"""One small round of each contender that is installed, and what it keeps of a killed write."""

from pathlib import Path

import pytest

from benchmarks.comparison.contenders import ALL, HANDRAIL, Contender
from benchmarks.comparison.keeps import Trial, killed
from benchmarks.comparison.measure import Plan, rounds
from benchmarks.comparison.process import Running
from benchmarks.comparison.servers import backend

SMALL = Plan(rounds=1, alone=1, many=4, held=2, rest=0.1, kills=2)


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("contender", ALL, ids=lambda each: each.name)
async def test_a_contender_does_the_work(contender: Contender, tmp_path: Path) -> None:
    if contender.missing is not None:
        pytest.skip(f"{contender.name} needs {contender.missing}")
    async with backend(contender, tmp_path) as started:
        running = await Running.start(contender, started, tmp_path)
        found = await rounds(SMALL, [running], lambda _: None)
        (one,) = found[contender.name].rounds
        effects = await started.outside.behave()
        await running.stop()
    assert one.rate > 0
    # CPU is counted in hundredths of a second, of which plain Python may need none.
    assert one.passes.all > 0 or contender.name == "plain Python"
    # Each case wrote once: the warm-up's, and those of the round.
    assert set(effects.values()) == {1}
    assert len(effects) == 32 + 16 + 1 + 4 + 2


@pytest.mark.integration
@pytest.mark.slow
async def test_handrail_asks_a_human_where_nobody_else_can_know(tmp_path: Path) -> None:
    if HANDRAIL.missing is not None:
        pytest.skip(f"Handrail needs {HANDRAIL.missing}")
    async with backend(HANDRAIL, tmp_path) as started:
        kill = await killed(Trial(HANDRAIL, started, tmp_path), "bare", 2)
    assert (kill.effects, kill.asks) == (2, 2)
