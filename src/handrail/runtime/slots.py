"""Slots of a worker: how many workflow tasks it has in hand, by how busy its machine is.

A workflow task is timed out after seconds, and made again. In a burst on a busy machine a hundred
of them were in hand and few were done in time: much was worked twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, cast

from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    FixedSizeSlotSupplier,
    ResourceBasedSlotConfig,
    ResourceBasedSlotSupplier,
    ResourceBasedTunerConfig,
    WorkerConfig,
    WorkerTuner,
)
from typing_extensions import override

_SLOTS: Final = 100
"""Of each kind, as Temporal has it by default: steps mostly wait for others."""

_WHEN_BUSY: Final = 20
_BUSY: Final = 0.8
"""Share of the machine's CPU, and of its memory."""

_RAMP: Final = timedelta(milliseconds=100)
"""Between one more slot and the next, so that what the last one costs is seen."""

_CHOSEN: Final = (
    "tuner",
    "max_concurrent_workflow_tasks",
    "max_concurrent_activities",
    "max_concurrent_local_activities",
    "max_concurrent_nexus_tasks",
)


class BoundedSlots(SimplePlugin):
    """Bounds a worker's slots by the load of its machine, where nobody has chosen them.

    To be the last plugin of a worker: those of others may choose.
    """

    @override
    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Temporal's hook: the tuner."""
        config = super().configure_worker(config)
        given = cast("Mapping[str, Any]", config)
        if all(given.get(name) is None for name in _CHOSEN):
            fixed = FixedSizeSlotSupplier(_SLOTS)
            config["tuner"] = WorkerTuner.create_composite(
                workflow_supplier=ResourceBasedSlotSupplier(
                    ResourceBasedSlotConfig(_WHEN_BUSY, _SLOTS, _RAMP),
                    ResourceBasedTunerConfig(_BUSY, _BUSY),
                ),
                activity_supplier=fixed,
                local_activity_supplier=fixed,
                nexus_supplier=fixed,
            )
        return config
