"""How a worker's code is called."""

import importlib.metadata

import pytest

from handrail.runtime import fleet


@pytest.fixture
def no_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPORAL_DEPLOYMENT_NAME", raising=False)
    monkeypatch.delenv("TEMPORAL_WORKER_BUILD_ID", raising=False)


def test_an_unversioned_worker_says_what_it_is_instead_of_hashing_every_module(
    no_deployment: None,
) -> None:
    assert fleet.worker_build() == {
        "build_id": f"handrail-{importlib.metadata.version('handrail')}"
    }


def test_a_versioned_worker_says_its_deployment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_DEPLOYMENT_NAME", "shipments")
    monkeypatch.setenv("TEMPORAL_WORKER_BUILD_ID", "2026-11-22")
    assert list(fleet.worker_build()) == ["deployment_config"]
