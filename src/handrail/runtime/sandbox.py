# ruff: noqa: SLF001  # it is what this file is for
# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false, reportUnknownMemberType=false
"""Temporal's workflow sandbox, for as little as it must cost.

Each class here takes the place of one of the SDK's own, of whose private names it knows, and says
why. They are put there when the first sandbox of a process is made.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from typing import TYPE_CHECKING, Any, ClassVar, cast

from temporalio import workflow
from temporalio.bridge import worker
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import (
    DataConverter,
    SerializationContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)
from temporalio.converter._extstore import StorageOperationMetrics
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    WorkflowInstance,
    WorkflowInstanceDetails,
)
from temporalio.worker.workflow_sandbox import (
    SandboxedWorkflowRunner,
    SandboxRestrictions,
    _importer,
    _runner,
)
from temporalio.worker.workflow_sandbox._restrictions import (
    RestrictionContext,
    _RestrictedProxy,
)
from temporalio.workflow import _definition
from typing_extensions import override

from handrail.runtime.payload_codec import CLAIM, THRESHOLD, ClaimCheck

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType


def import_error(module: str, restrictions: SandboxRestrictions) -> Exception | None:
    """Why a module cannot be imported in a workflow as it runs; None if it can."""
    importer = _importer.Importer(restrictions, RestrictionContext())
    try:
        with importer.applied():
            importlib.import_module(module)
    # A module may raise anything as it is imported.
    except Exception as error:  # noqa: BLE001
        return error
    return None


@dataclass(frozen=True)
class ContextFreeSandbox(SandboxedWorkflowRunner):
    """Temporal's workflow sandbox, not entered to learn what nobody asks.

    For every payload on its way into or out of a workflow the SDK (1.35) asks the workflow in
    which context it is serialized: four times for each that leaves, and each time it compiles
    and runs code inside the sandbox to know. Only a codec or a storage that is a
    `WithSerializationContext` does anything with the answer, and Handrail has none. Not to ask
    takes the workflow's share of a worker's CPU from 14 to 10 ms for a case that passes.

    Note:
        A codec or an external storage that is a `WithSerializationContext` would be given
        none: use Temporal's own runner then.

    `before_eviction`: is called while a workflow is still what its history made of it: to put it
    away is to cancel it.
    """

    before_eviction: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        """Whoever has none of these sandboxes has the SDK as it is."""
        _prepare_sandboxes()

    @override
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Make the sandboxed instance, and answer in its stead."""
        made = _Sandbox(det, self.runner_class, self.restrictions)
        return _ContextFree(made, self.before_eviction)


class Unsandboxed(UnsandboxedWorkflowRunner):
    """Temporal's own, whose workflows do not end their worker either."""

    @override
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Make the instance, and answer in its stead."""
        return _ContextFree(super().create_instance(det), None)


@functools.cache
def _compiled(code: str) -> CodeType:
    return compile(code, "<sandbox>", "exec")


class _Sandbox(_runner._Instance):
    """The SDK's own, entered in 6 microseconds in place of 25.

    The SDK (1.35) enters one twice for each case and once for each activation: by a few lines of
    code, which it gives to `exec` as text, and by eight context managers within each other.
    """

    @override
    def _run_code(self, code: Any, **extra_globals: Any) -> None:
        extra_globals["__temporal_importer"] = SandboxEntrance(self.importer)
        super()._run_code(cast("Any", _compiled(code)), **extra_globals)


class SandboxEntrance:
    """What a sandbox has in the place of the builtins, while it is entered in this thread."""

    def __init__(self, importer: _importer.Importer) -> None:
        self._importer = importer
        restricted = cast("list[tuple[str, Any, Any]]", importer.restricted_builtins)
        self._overrides: list[tuple[Any, Any, str, Any]] = [
            (_importer._thread_local_sys_modules, sys, "modules", importer.new_modules),
            (_importer._thread_local_import, builtins, "__import__", importer.import_func),
            *((own, builtins, name, of) for name, own, of in restricted),
        ]
        self._before: list[Any] = []

    def applied(self) -> SandboxEntrance:
        """By the name by which the SDK's code enters."""
        return self

    def __enter__(self) -> None:
        local: Any = _importer.Importer._thread_local_current
        self._before.append(local.__dict__.get("importer"))
        local.importer = self._importer
        for own, place, name, of in self._overrides:
            mine = own.thread_local.__dict__
            self._before.append(mine.get("data"))
            with own.applied_counter_lock:
                own.applied_counter += 1
                if getattr(place, name) is not own:
                    setattr(place, name, own)
            mine["data"] = of

    def __exit__(self, *_: object) -> None:
        for own, place, name, _of in reversed(self._overrides):
            mine, before = own.thread_local.__dict__, self._before.pop()
            if before is None:
                mine.pop("data", None)
            else:
                mine["data"] = before
            with own.applied_counter_lock:
                own.applied_counter -= 1
                if not own.applied_counter:
                    setattr(place, name, own.orig)
        cast("Any", _importer.Importer._thread_local_current).importer = self._before.pop()


class _ContextFree(WorkflowInstance):
    def __init__(
        self, sandboxed: WorkflowInstance, before_eviction: Callable[[], None] | None
    ) -> None:
        self._sandboxed = sandboxed
        self._before_eviction = before_eviction

    @override
    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        if self._before_eviction and any(job.HasField("remove_from_cache") for job in act.jobs):
            self._before_eviction()
        try:
            return self._sandboxed.activate(act)
        except (SystemExit, KeyboardInterrupt) as error:
            # It would end this process, and each one that has the case after it.
            why = f"the workflow's code raised {type(error).__name__}"
            raise RuntimeError(why) from error

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


_DEFINED: dict[tuple[str, str], tuple[Any, Any]] = {}
_define = _definition._Definition._apply_to_class


def define_workflow(cls: type, **given: Any) -> None:
    """Define a workflow by what was found of it for the case before, where only its `run` is new.

    The sandbox makes the class anew for each case, and the SDK (1.35) looks through all members of
    it and of each of its bases. What those of the same bases have is the same, and an agent's own
    body has no handlers as a rule.
    """
    which, shape = (cls.__module__, cls.__qualname__), (cls.__bases__, *cls.__dict__)
    before, known = _DEFINED.get(which, (None, None))
    if before != shape or _importer.Importer.current_importer() is None:
        _define(cls, **given)
        made: Any = _definition._Definition.must_from_class(cls)
        handlers = (*made.signals.values(), *made.queries.values(), *made.updates.values())
        of_bases = all(each.fn.__module__ != cls.__module__ for each in handlers)
        if of_bases and made.dynamic_config_fn is None and "__init__" not in cls.__dict__:
            _DEFINED[which] = shape, made
        return
    run: Any = cls.__dict__[known.run_fn.__name__]
    handlers = {name: getattr(known, name) for name in ("signals", "queries", "updates")}
    name = given.pop("workflow_name")
    made = _definition._Definition(name=name, cls=cls, run_fn=run, **handlers, **given)
    for each in (cls, run):
        each.__temporal_workflow_definition = made


class QuickBuiltin(_importer._ThreadLocalCallable[..., Any]):
    """`isinstance` and `issubclass` while a sandbox is entered, in all threads of the process.

    The SDK (1.35) takes what may be a proxy of its own out of each argument by five calls, and a
    case asks 340 times. Here only a proxy is given to those.
    """

    @override
    def __call__(self, value: Any, kind: Any, /) -> Any:
        """What the builtin answers, of what a proxy stands for."""
        if type(value) is _RestrictedProxy or type(kind) is _RestrictedProxy:
            return self.current(value, kind)
        return self.orig(value, kind)


class _AsLoaded(SourceFileLoader):
    """A module of a sandbox, of the code that it had when it was loaded first."""

    _code: CodeType | None = None

    @override
    def get_code(self, fullname: str) -> CodeType | None:
        if self._code is None:
            self._code = super().get_code(fullname)
        return self._code


class _SandboxFinder(MetaPathFinder):
    """Finds a workflow's module for each case as it was when the worker began.

    The sandbox imports it anew for each case, from its file: one that was changed meanwhile would
    be code that nothing has checked, that no build is named after, and by which cases that are
    open do not replay.
    """

    loaders: ClassVar[dict[str, _AsLoaded]] = {}

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if _importer.Importer.current_importer() is None:
            return None
        loader = self.loaders.get(fullname)
        if loader is None:
            found = PathFinder.find_spec(fullname, path, target)
            if found is None or not isinstance(found.loader, SourceFileLoader):
                return None
            loader = self.loaders[fullname] = _AsLoaded(fullname, found.loader.path)
        return spec_from_file_location(fullname, loader=loader)


_encode_completion, _decode_activation = worker.encode_completion, worker.decode_activation


async def encode_completion(completion: Any, data_converter: Any, *rest: Any, **more: Any) -> Any:
    """What the SDK does to the payloads of a task's answer, where one may be too large.

    The SDK (1.35) goes through all of them three times, for a storage that there is not and for a
    codec to which they are too small: 24 microseconds for one payload, which are 2 here.
    """
    if _only_claims(data_converter) and completion.ByteSize() < THRESHOLD:
        return StorageOperationMetrics()
    return await _encode_completion(completion, data_converter, *rest, **more)


async def decode_activation(activation: Any, data_converter: Any, *rest: Any, **more: Any) -> Any:
    """What the SDK does to the payloads of what happened, where one may be a claim."""
    if _only_claims(data_converter) and CLAIM not in activation.SerializeToString():
        return StorageOperationMetrics()
    return await _decode_activation(activation, data_converter, *rest, **more)


def _only_claims(data_converter: DataConverter) -> bool:
    return type(data_converter.payload_codec) is ClaimCheck and not data_converter.external_storage


def _prepare_sandboxes() -> None:
    """Put these in the place of the SDK's own, in this process; modules are loaded anew."""
    _SandboxFinder.loaders.clear()
    if not any(isinstance(finder, _SandboxFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _SandboxFinder())
    worker.encode_completion = encode_completion
    worker.decode_activation = decode_activation
    _DEFINED.clear()
    cast("Any", _definition._Definition)._apply_to_class = define_workflow
    for name in ("isinstance", "issubclass"):
        # It stays the same object: it counts the sandboxes that are entered now.
        builtin = cast("Any", _importer._get_thread_local_builtin(name))
        builtin.__class__ = QuickBuiltin
