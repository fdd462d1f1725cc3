"""The calls of an agent's verbs: none that nobody awaited may end as done, and none goes past."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any, cast

from temporalio import workflow

from handrail.exceptions import NotWritten, StepError

Call = Coroutine[Any, Any, Any]

_FEW = 32
_TO_THE_END = ("write", "converse", "plan", "hand_o")


def require_no_workflow(step: str, verb: str) -> None:
    """See that a step's function is not called past the verbs: each replay would call it again.

    Raises:
        StepError: if it is called in a workflow.
    """
    if workflow.in_workflow():
        raise StepError(f"{step} is called past the case; use `await self.{verb}({step}, ...)`")


def require_awaited(verb: str, given: Iterable[Any]) -> None:
    """See that a verb is given what came of another one, and not the call itself.

    Raises:
        StepError: if it is.
    """
    for each in given:
        if inspect.iscoroutine(each):
            what = f"self.{verb} is given a call that nobody awaited"
            raise StepError(f"{what}, and not what comes of it; fix: `await` that first")


class Calls:
    """The calls that one run of an agent made, as far as they may have been left behind."""

    def __init__(self) -> None:
        self._known: list[tuple[str, Call]] = []
        self._most = _FEW
        self._failed: list[tuple[asyncio.Task[Any], Exception]] = []

    def add(self, what: str, call: Call) -> Call:
        """Keep a call, and return what to await. Those that are over are forgotten now and then."""
        self._known.append((what, call))
        if what.startswith(_TO_THE_END):
            call = self._followed(call)
            self._known.append((what, call))
        if len(self._known) > self._most:
            self._known = [each for each in self._known if not _is_over(each[1])]
            self._most = 2 * len(self._known) + _FEW
        return call

    async def _followed(self, call: Call) -> Any:
        """Keep how a call fails, and in which task: nobody may ever look at how that ended."""
        try:
            return await call
        except Exception as error:
            self._failed = [e for e in self._failed if not e[0].done() or _is_unseen(e[0])]
            if (task := asyncio.current_task()) is not None:
                self._failed.append((task, error))
            raise

    def unseen(self) -> BaseException | None:
        """The first failure that ended a task, and nobody looked at; None if there is none."""
        ended = (error for task, error in self._failed if task.done() and _is_unseen(task))
        return next(ended, None)

    def left_behind(self) -> str | None:
        """What nobody awaited, or, of a write, nobody waited for to its end; None if nothing."""
        for what, call in self._known:
            if inspect.getcoroutinestate(call) == inspect.CORO_CREATED:
                return f"`self.{what}` was never awaited, and not done; write `await self.{what}`"
            if what.startswith(_TO_THE_END) and not _is_over(call):
                return f"`self.{what}` was begun, and nobody waited for its end; await it"
        return None

    async def end(self) -> None:
        """Cancel what goes on beside the agent, wait for it, and let go of what never began."""
        tasks = [task for _, call in self._known if (task := _task_of(call)) is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await workflow.wait(tasks)
        for _, call in self._known:
            if inspect.getcoroutinestate(call) == inspect.CORO_CREATED:
                call.close()


def ungrouped(error: BaseException | None) -> BaseException | None:
    """What ended an agent: of a group, as a TaskGroup makes one, what is in it and weighs most.

    A write that was not made among others ends the case as it does by itself, with its reason.
    """
    # Cases that ended with a group before this was looked at go on as they began.
    parts = [] if error is None else list(_leaves(error))
    if parts in ([], [error]) or not workflow.patched("groups-are-opened"):
        return error
    return next((each for each in parts if not isinstance(each, NotWritten)), parts[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _leaves(each)
    else:
        yield error


def _is_over(call: Call) -> bool:
    return inspect.getcoroutinestate(call) == inspect.CORO_CLOSED


def _is_unseen(task: asyncio.Task[Any]) -> bool:
    """Whether a task failed, and nobody has asked it how: what asyncio itself would log."""
    return bool(task._log_traceback)  # noqa: SLF001


def _task_of(call: Call) -> asyncio.Task[Any] | None:
    """The task that runs a call, itself or in coroutines around it; None if none does."""
    for task in () if _is_over(call) else asyncio.all_tasks():
        part: Any = task.get_coro()
        while part is not None and part is not call:
            part = getattr(part, "cr_await", None)
        if part is call:
            return task
    return None
