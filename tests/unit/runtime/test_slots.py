"""How many tasks a worker takes at once."""

from __future__ import annotations

from typing import Any, cast

import pytest
from temporalio.worker import FixedSizeSlotSupplier, WorkerConfig, WorkerTuner

from handrail.runtime.slots import BoundedSlots

OWN = WorkerTuner.create_composite(
    workflow_supplier=FixedSizeSlotSupplier(7),
    activity_supplier=FixedSizeSlotSupplier(7),
    local_activity_supplier=FixedSizeSlotSupplier(7),
    nexus_supplier=FixedSizeSlotSupplier(7),
)


def configured(**given: Any) -> dict[str, Any]:
    config = cast("WorkerConfig", {"activities": [], "workflows": [], **given})
    return cast("dict[str, Any]", BoundedSlots("handrail.slots").configure_worker(config))


def test_workflow_tasks_are_bounded_by_the_load_of_the_machine() -> None:
    tuner = configured(tuner=None, max_concurrent_activities=None)["tuner"]
    tasks = tuner._to_bridge_tuner().workflow_slot_supplier
    assert (tasks.minimum_slots, tasks.maximum_slots) == (20, 100)
    assert tuner._get_activities_max() == 100


@pytest.mark.parametrize(
    "chosen",
    [
        {"max_concurrent_workflow_tasks": 7},
        {"max_concurrent_activities": 7},
        {"max_concurrent_local_activities": 7},
        {"max_concurrent_nexus_tasks": 7},
        {"tuner": OWN},
    ],
)
def test_who_chooses_slots_has_them(chosen: dict[str, Any]) -> None:
    config = configured(**chosen)
    assert chosen.items() <= config.items()
    assert config.get("tuner") in {None, chosen.get("tuner")}
