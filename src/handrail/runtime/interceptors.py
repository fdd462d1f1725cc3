"""Temporal's workflow sandbox, not entered to learn what nobody asks.

For every payload on its way into or out of a workflow the SDK (1.35) asks the workflow in
which context it is serialized: four times for each that leaves, and each time it compiles
and runs code inside the sandbox to know. Only a codec or a storage that is a
`WithSerializationContext` does anything with the answer, and Handrail has none. Not to ask
takes the workflow's share of a worker's CPU from 14 to 10 ms for a case that passes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import (
    SerializationContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from typing_extensions import override


@dataclass(frozen=True)
class ContextFreeSandbox(SandboxedWorkflowRunner):
    """The sandbox for workers whose data converter has no use for a context.

    Note:
        A codec or an external storage that is a `WithSerializationContext` would be given
        none: use Temporal's own runner then.
    """

    @override
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Make the sandboxed instance, and answer in its stead."""
        return _ContextFree(super().create_instance(det))


class _ContextFree(WorkflowInstance):
    def __init__(self, sandboxed: WorkflowInstance) -> None:
        self._sandboxed = sandboxed

    @override
    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        return self._sandboxed.activate(act)

    @override
    def get_info(self) -> workflow.Info:
        return self._sandboxed.get_info()

    @override
    def get_thread_id(self) -> int | None:
        return self._sandboxed.get_thread_id()

    @override
    def get_serialization_context(self, command_info: object) -> SerializationContext | None:
        return None

    @override
    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        return self._store_context

    @functools.cached_property
    def _store_context(self) -> StorageDriverStoreContext:
        info = self.get_info()
        return StorageDriverStoreContext(
            target=StorageDriverWorkflowInfo(
                id=info.workflow_id,
                run_id=info.run_id,
                type=info.workflow_type,
                namespace=info.namespace,
            )
        )
