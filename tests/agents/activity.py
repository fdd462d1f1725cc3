"""An activity environment of one case: what runs in it was asked for by that case's workflow."""

from __future__ import annotations

import dataclasses
from typing import Any

from temporalio.testing import ActivityEnvironment


def activity_of(case: str, **info: Any) -> ActivityEnvironment:
    """An environment as the activities of a case find it; `info` as Temporal names it."""
    env = ActivityEnvironment()
    env.info = dataclasses.replace(env.info, workflow_id=case, **info)
    return env
