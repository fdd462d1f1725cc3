"""The cases of a build, counted by what the server lists of each."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from handrail.agent import INCIDENT, PROBLEM_ATTRIBUTE, RISK_ATTRIBUTE, STATE_ATTRIBUTE
from handrail.client.deployments import BuildCases

Keyword = SearchAttributeKey[str]


@pytest.mark.parametrize(
    ("said", "bad"),
    [
        ({}, 0),
        ({PROBLEM_ATTRIBUTE: INCIDENT}, 1),
        ({RISK_ATTRIBUTE: INCIDENT}, 1),  # as cases said it that ended long ago
        ({RISK_ATTRIBUTE: "irreversible"}, 0),
    ],
)
def test_a_case_with_an_incident_is_a_bad_one(said: dict[Keyword, str], bad: int) -> None:
    pairs = [SearchAttributePair(key, value) for key, value in said.items()]
    known = TypedSearchAttributes([SearchAttributePair(STATE_ATTRIBUTE, "done"), *pairs])
    ended: Any = SimpleNamespace(
        typed_search_attributes=known,
        close_time=datetime(2026, 1, 1, tzinfo=UTC),
        status=None,
    )
    counted = BuildCases()
    counted.add(ended)
    assert (counted.incidents, counted.ended) == (bad, [bad])
