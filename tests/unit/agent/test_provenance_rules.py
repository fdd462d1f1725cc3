"""What a model says of its own decision takes away, and never adds: confidence and evidence."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from handrail.actions import Basis, Finding, Kind
from handrail.agent import provenance
from handrail.policy import Policy
from tests.agents.policies import Delay, Rebook, facts, policy

UNSURE = """      - when: confidence < 0.5
        why: unsure
"""
CONFIDENT = """      - when: confidence < 0.5 or (confidence < 0.99 and evidence.status != "safe")
        why: not sure enough
"""
DELIVERED = """    refuse:
      - when: evidence.status == "delivered"
        why: it has already arrived
"""

RULED = (policy(), policy((UNSURE, CONFIDENT)))
BARE = policy((UNSURE, ""), (DELIVERED, ""))
RELIED = frozenset({"evidence.status", "action.extra_cost", "confidence"})


def _gravity(judging: Policy, basis: Basis, evidence: Delay | None, cost: int) -> int:
    given_facts = facts(
        action=Rebook.model_validate({"extra_cost": cost}), basis=basis, evidence=evidence
    )
    found: list[Finding] = judging.rules(given_facts)
    source = provenance.source_finding(basis, RELIED)
    kinds = [f.kind for f in (*found, *([source] if source else ()))]
    return max(map([Kind.PASS, Kind.HOLD, Kind.REFUSE].index, kinds), default=0)


WORDS: Any = st.sampled_from(["delivered", "late", "safe", "approved", ""]) | st.text()


@given(st.none() | st.floats(0, 1), WORDS, WORDS, st.integers(0, 400))
def test_no_confidence_rationale_or_evidence_allows_more_than_the_rest_of_the_policy(
    confidence: float | None, rationale: str, status: str, cost: int
) -> None:
    basis = Basis(confidence=confidence, rationale=rationale, evidence={"status": status})
    least = _gravity(BARE, Basis(), None, cost)
    for judging in RULED:
        assert _gravity(judging, basis, Delay(status=status), cost) >= least


@given(st.floats(0, 1), WORDS, st.integers(0, 400))
def test_evidence_that_a_text_may_have_dictated_lets_nothing_pass(
    confidence: float, status: str, cost: int
) -> None:
    dictated = Basis(
        confidence=confidence, evidence={"status": status}, unsourced=("evidence.status",)
    )
    for judging in RULED:
        assert _gravity(judging, dictated, Delay(status=status), cost) > 0


def test_the_confidence_alone_is_what_such_a_rule_goes_by() -> None:
    cheap, sure = 10, Basis(confidence=0.9, evidence={"status": "late"})
    assert _gravity(RULED[0], sure, Delay(), cheap) == 0
    unsure = sure.model_copy(update={"confidence": 0.4})
    assert _gravity(RULED[0], unsure, Delay(), cheap) == 1
    # Without one it cannot be judged, and holds.
    assert _gravity(RULED[0], Basis(), Delay(), cheap) == 1
    assert _gravity(BARE, Basis(), None, cheap) == 0
