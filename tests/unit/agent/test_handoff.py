"""Hand-offs without a server: what is declared, how long chains are, and who may not approve."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail import Agent, ConfigurationError, Fleet, HandsTo
from handrail.agent import chain_fault
from handrail.agent.handed import origin_in
from handrail.oversight import GateKind, Question
from handrail.wire import Attempt, HandOffOrigin, HandOffState
from tests.agents import handing_steps
from tests.agents.fleets import handing, one_of_handing
from tests.agents.handing_flow import DeskAgent
from tests.agents.handing_steps import Job
from tests.agents.orders_steps import Order

PAYER = HandsTo("payer", Job)


@pytest.mark.parametrize(
    ("to", "chain", "fault"),
    [
        ("payer", ["desk:1"], None),
        ("clerk", ["desk:1"], "it hands work to payer, and not to clerk"),
        ("payer", ["payer:1", "desk:1"], "payer is in this chain of hand-offs already"),
        ("payer", [f"a{n}:1" for n in range(5)], "5 cases are the longest chain"),
    ],
)
def test_a_chain_is_declared_short_and_no_ring(
    to: str, chain: list[str], fault: str | None
) -> None:
    said = chain_fault([PAYER], to, chain)
    assert (said is None) if fault is None else (said is not None and fault in said)
    again = HandsTo("payer", Job, again=True)
    if fault is not None and "already" in fault:
        assert chain_fault([again], to, chain) is None


def fleet_of(directory: Path, *to: HandsTo) -> Fleet:
    found = one_of_handing(str(directory), "payer").agents["payer"]
    policy = directory / "desk.yaml"
    desk = Agent("desk", DeskAgent, steps=handing_steps, policy=policy, hands_to=to)
    return Fleet(desk, Agent("payer", found.workflow, steps=handing_steps, policy=found.policy))


@pytest.mark.parametrize(
    ("to", "fault"),
    [
        (HandsTo("clerk", Job), "which is no agent of this fleet .desk, payer.; fix"),
        (HandsTo("payer", Order), "as Order, and that takes Job; fix"),
        (HandsTo("payer", Job, elsewhere=True), "leave out elsewhere=True"),
    ],
)
def test_an_agent_that_is_not_there_is_found_before_it_runs(
    to: HandsTo, fault: str, tmp_path: Path
) -> None:
    handing(tmp_path)
    with pytest.raises(ConfigurationError, match=fault):
        fleet_of(tmp_path, to)
    fleet_of(tmp_path, PAYER, HandsTo("clerk", Order, elsewhere=True))


@pytest.mark.parametrize("bad", [("a:b", Job), ("", Job), ("payer", int)])
def test_a_hand_off_is_declared_with_a_name_and_a_class_of_events(bad: tuple[str, type]) -> None:
    with pytest.raises(ConfigurationError):
        HandsTo(*bad)


def test_what_is_handed_on_only_adds_people() -> None:
    mine = HandOffOrigin(chain=("a:1",), askers=("ana",), outside=True)
    more = mine.with_more(HandOffOrigin(chain=("b:1", "a:1"), drafters=("bo",)))
    assert more == HandOffOrigin(
        chain=("a:1", "b:1"), askers=("ana",), drafters=("bo",), outside=True
    )
    attempt = Attempt(case="c:1", key="c:1/pay/1", digest="0", askers=("cy",))
    known = HandOffState(origin=more).people(attempt)
    assert known == {"askers": ("cy", "ana"), "drafters": ("bo",)}
    assert HandOffState().people(attempt) == {}
    for junk in ({"chain": 7}, "x", [1], {"more": 1}):
        assert origin_in(junk) == HandOffOrigin()


def test_who_asked_another_agent_may_not_approve() -> None:
    asked = Question(
        kind=GateKind.WRITE,
        step="pay",
        title="Pay",
        action={},
        digest="0" * 64,
        why="held",
        asks=(),
        requester="Ana@example.com",
        askers=("bo@example.com",),
    )
    assert asked.barred == asked.asked_by == {"ana@example.com", "bo@example.com"}
