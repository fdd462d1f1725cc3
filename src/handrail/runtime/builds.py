"""How a worker's code is called: by Temporal's deployment variables, or by Handrail's version."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig


def deployment() -> WorkerDeploymentConfig | None:
    """Worker versioning, where Temporal's deployment variables are set: cases are pinned."""
    name = os.environ.get("TEMPORAL_DEPLOYMENT_NAME")
    build = os.environ.get("TEMPORAL_WORKER_BUILD_ID")
    if not name or not build:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=name, build_id=build),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


def worker_build() -> dict[str, Any]:
    """How a worker's code is called, as options of Temporal's `Worker`.

    Left out, Temporal reads and hashes every imported module at each start: up to two
    seconds in which an interrupted case waits.
    """
    versioned = deployment()
    if versioned is not None:
        return {"deployment_config": versioned}
    return {"build_id": f"handrail-{version('handrail')}"}
