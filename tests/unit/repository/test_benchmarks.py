"""The arithmetic of the benchmark: ratios of paired rounds, percentiles, verdicts."""

import asyncio
import json

import pytest

from benchmarks.contender import ALL, HANDRAIL, LEAN, LEAN_FINDABLE, LEAN_HELD, ORDINARY
from benchmarks.door import Stage
from benchmarks.measure import Load, Size, at_once
from benchmarks.plan import FULL, QUICK, Results
from benchmarks.report import as_json, goals, markdown, table
from benchmarks.stats import Goal, Ratio, in_turn, paired, percentile


def test_a_ratio_is_taken_within_each_round_and_not_of_the_medians() -> None:
    assert paired([1, 20, 3], [2, 10, 3]) == Ratio(1.0, 0.5, 2.0)


def test_a_ratio_needs_rounds_in_pairs() -> None:
    with pytest.raises(ValueError, match="no rounds"):
        paired([], [])
    with pytest.raises(ValueError, match="shorter"):
        paired([1, 2], [1])


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, p) for p in (0, 20, 21, 50, 95, 100)] == [1, 1, 2, 3, 5, 5]
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_every_contender_comes_first_once() -> None:
    orders = [in_turn("abcd", number) for number in range(4)]
    assert [order[0] for order in orders] == ["a", "b", "c", "d"]
    assert all(sorted(order) == list("abcd") for order in orders)


@pytest.mark.parametrize(("value", "verdict"), [(1.25, "met"), (1.26, "missed")])
def test_a_goal_is_met_at_its_limit(value: float, verdict: str) -> None:
    assert Goal("g", 1.25, value, "").verdict == verdict


async def test_no_more_jobs_run_at_once_than_asked() -> None:
    running = most = done = 0

    async def job() -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done += 1

    await at_once([job] * 10, 3)
    assert (most, done) == (3, 10)


async def test_a_failing_job_ends_the_run() -> None:
    async def job() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("broken")

    with pytest.raises(ExceptionGroup, match="unhandled"):
        await at_once([job] * 3, 2)


def test_a_table_is_markdown_and_aligned() -> None:
    assert table(("a", "value"), [("one", 1)]).splitlines() == [
        "| a   | value |",
        "|-----|-------|",
        "| one | 1     |",
    ]


def test_contenders_have_queues_and_names_of_their_own() -> None:
    assert len({c.name for c in ALL.values()}) == len(ALL)
    assert all(contender.queue == queue for queue, contender in ALL.items())


def _results(worker: float) -> Results:
    """Two rounds: Handrail's worker costs `worker` times the lean one's 10 ms (9 and 11)."""

    def load(name: str, at: int, cost: float) -> Load:
        return Load(name, at, 10, 5.0, 100.0, cost, 20.0, 1.0)

    costs = {HANDRAIL.name: worker * 10, ORDINARY.name: 30.0, LEAN.name: 9.0, "lean again": 11.0}
    held = (HANDRAIL.name, LEAN_HELD.name, LEAN_FINDABLE.name)
    sizes = {"passed": (15, 29, 14), "approved": (24, 20, 22)}
    names = {"passed": (HANDRAIL.name, ORDINARY.name, LEAN.name), "approved": held}
    return Results(
        sizes=[
            Size(name, kind, events, 1000, 2)
            for kind, counts in sizes.items()
            for name, events in zip(names[kind], counts, strict=True)
        ],
        loads=[load(n, at, c) for _ in range(2) for at in FULL.loads for n, c in costs.items()],
        held=[load(name, 16, 10.0) for _ in range(2) for name in held],
        rulings=[{name: [10.0, 12.0, 11.0] for name in held} for _ in range(2)],
        stages=[Stage("the effect itself", 40.0, 41.0)],
    )


def test_goals_are_judged_from_what_was_measured() -> None:
    verdicts = {goal.name: goal.verdict for goal in goals(_results(1.2))}
    assert verdicts == {
        "worker CPU / lean (mean of its two runs)": "met",
        "all CPU / ordinary": "met",
        "events of a case that passes": "met",
        "events of an approved case, more than lean findable": "met",
        "events of an approved case, more than lean waiting": "missed",
        "ruling to write / lean findable": "met",
        "ruling to write / lean waiting": "met",
    }
    assert goals(_results(1.3))[0].verdict == "missed"


def test_the_report_names_every_contender_and_every_goal() -> None:
    results = _results(1.2)
    text = markdown(results, FULL, "a machine", 60)
    assert "1.20 (1.20 to 1.20)" in text
    assert all(f"| {contender.name} " in text for contender in ALL.values())
    assert all(goal.name in text for goal in goals(results))
    assert len(as_json(results, QUICK, "a machine", 60)["loads"]) == len(results.loads)


def test_the_figures_are_strict_json() -> None:
    figures = as_json(_results(1.2), FULL, "a machine", 60)
    assert json.loads(json.dumps(figures, allow_nan=False))["plan"]["time"] == 300
