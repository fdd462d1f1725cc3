"""Calls of an agent's own functions: on which loop or thread, for how long, and until when.

An `async def` function runs on the event loop that its fleet was started in, with whatever else
is bound to it; the engine has a loop of its own. One that blocks keeps no other part waiting than
those: and the time in which their loop stood still is not counted as theirs, so that an answer
that came meanwhile is taken. A plain `def` runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any

from typing_extensions import override

from handrail.exceptions import Final, NotDone

THREADS = 100
"""Threads for plain steps at most: as many as Temporal gives a worker activities at once."""

TURN = 0.1
"""Seconds after which a loop shows that it turns."""

_LAST_TURNS = 20
"""Turns of the loop in which a function whose time is over may take an answer that has come."""

log = logging.getLogger("handrail.worker")

_CLEAN_UP = 0.5
_LOOK = 0.05

Extend = Callable[[float], Awaitable[bool]]
"""Lets a call go on for so many seconds; False if it may not."""


class StepTimeout(TimeoutError):
    """A function of the agent took longer than it may."""


class LoopEnded(RuntimeError):
    """The loop that steps run on ended under a function, and its worker with it."""


class StepThreads(ThreadPoolExecutor):
    """Threads that know of which call they are: no time-out ends them."""

    def __init__(self, number: int, name: str) -> None:
        """Have at most so many of that name."""
        super().__init__(number, name)
        self._plain: dict[Future[Any], str] = {}

    def call(self, fn: Callable[..., Any], args: Sequence[Any]) -> Future[Any]:
        """Run a plain step, and know until it ends that it holds a thread."""
        future = self.submit(copy_context().run, _contained_plain, fn, args)
        self._plain[future] = getattr(fn, "__name__", "it")
        future.add_done_callback(lambda ended: self._plain.pop(ended, None))
        return future

    def held_by(self) -> str:
        """Which plain steps hold threads now, and how many each."""
        running = Counter(name for each, name in list(self._plain.items()) if each.running())
        return ", ".join(f"{name} {number}" for name, number in running.most_common(3))

    @override
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it in a thread, for the call that runs now."""
        threads, future = _threads.get(None), super().submit(fn, *args, **kwargs)
        if threads is not None:
            threads.add(future)
            future.add_done_callback(threads.discard)
        return future


_threads: ContextVar[set[Future[Any]]] = ContextVar("handrail_threads")


class StepLoop:
    """The running event loop, as the one that steps run on. `thread`: the id of its thread."""

    def __init__(self) -> None:
        """Watch from now on how it turns."""
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self._main = asyncio.current_task()
        self.threads = StepThreads(THREADS, "handrail-step")
        if getattr(self.loop, "_default_executor", None) is None:
            # Of whatever steps give to a thread it must be known how long that goes on.
            self.loop.set_default_executor(self.threads)
        self._factory = self.loop.get_task_factory()
        self.loop.set_task_factory(self._task)
        self._seen = (time.monotonic(), 0.0)
        self._next = self.loop.call_soon(self._turn)

    def _task(self, loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> Any:
        """A task; of a step's own one its exit ends no loop."""
        if _threads.get(None) is not None and inspect.iscoroutine(coro):
            coro = _Contained(coro)
        if self._factory is None:
            return asyncio.Task(coro, loop=loop, **more)
        return self._factory(loop, coro, **more)

    def _turn(self) -> None:
        self._seen = (time.monotonic(), self.stood_still())
        self._next = self.loop.call_later(TURN, self._turn)

    def late(self) -> float:
        """For how many seconds it has not turned."""
        return max(0.0, time.monotonic() - self._seen[0] - TURN)

    def stood_still(self) -> float:
        """For how many seconds in all it did not turn so far."""
        turned, lost = self._seen
        since = time.monotonic() - turned
        return lost + since if since > 2 * TURN else lost

    def ends(self) -> bool:
        """Whether all of it is being cancelled: an exit in a callback does that, or `stop`."""
        return self._main is not None and self._main.cancelling() > 0

    def close(self) -> None:
        """Watch it no longer."""
        self._next.cancel()
        self.loop.set_task_factory(self._factory)


_steps_on: ContextVar[StepLoop] = ContextVar("handrail_step_loop")


@contextlib.contextmanager
def steps_on(place: StepLoop) -> Generator[None]:
    """Have the steps that are called in this context run there."""
    token = _steps_on.set(place)
    try:
        yield
    finally:
        _steps_on.reset(token)


async def call_step(
    fn: Callable[..., Any], args: Sequence[Any], seconds: float, extend: Extend | None = None
) -> Any:
    """Call a function of the agent, and give it so many seconds.

    `extend`: what it does may have an effect, so it is awaited until it has ended, and asked for
    more time as long as that lasts. Without it a thread, and who does not heed its cancellation,
    is left alone when its time is over.

    Raises:
        StepTimeout: if its time is over.
        NotDone: if it was over before a thread was free for it.
        LoopEnded: if the loop that it runs on ended.
    """
    place = _steps_on.get(None)
    call = (_InThread if not inspect.iscoroutinefunction(fn) else _OnLoop)(place)
    call.begin(fn, args)
    try:
        await _until_ended(call, getattr(fn, "__name__", "it"), seconds, extend)
    except asyncio.CancelledError:
        call.cancel()
        await asyncio.wait([call.ended], timeout=_CLEAN_UP if extend is None else None)
        raise
    try:
        result = call.result()
    except (Final, NotDone, asyncio.CancelledError) as error:
        name = getattr(fn, "__name__", "it")
        if call.cut_off:
            raise LoopEnded(f"{name} was cut off: the loop that steps run on ended") from error
        if not call.cancelled:
            raise
        # It was broken off, and what it did until then is not known.
        said = f": {error}" if str(error) else ""
        raise StepTimeout(f"{name} took too long{said}") from error
    if isinstance(call, _InThread) and inspect.iscoroutine(
        result
    ):  # of a plain function around an `async def` one
        return await call_step(_awaited, [result], seconds, extend)
    return result


async def _until_ended(
    call: _OnLoop | _InThread, name: str, seconds: float, extend: Extend | None
) -> None:
    clock = time.monotonic
    began, still = clock(), call.stood_still()
    until = began + seconds
    while True:
        lost = call.stood_still() - still
        left = seconds + lost - (clock() - began)
        if left <= 0 and not call.cancelled and not (extend and call.in_threads()):
            call.cancel()
        pause = _LOOK if left <= 0 else left
        if extend is not None:
            pause = min(pause, max(until - clock(), _LOOK))
        await asyncio.wait([call.ended], timeout=pause)
        if call.ended.done():
            return
        if extend is None and left <= -_CLEAN_UP:
            raise StepTimeout(f"it took longer than {seconds:g} s")
        if extend is not None and clock() >= until:
            log.error("%s has gone on for %.0f s, and is awaited", name, clock() - began)
            more = max(seconds, 1.0)
            until = clock() + more
            if not await extend(more):
                call.cancel()


class _Call:
    """One call, seen from the loop that waits for it. `ended`: is done when it has ended."""

    def __init__(self, place: StepLoop | None) -> None:
        self.place = place
        self.waits = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self.waits.create_future()
        self.cancelled = self.cut_off = False

    def stood_still(self) -> float:
        return 0.0

    def _end(self, _: object = None) -> None:
        with contextlib.suppress(RuntimeError):  # nobody waits any more: the loop is closed
            self.waits.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class _OnLoop(_Call):
    """A call of an `async def` function, on the loop of the steps."""

    _task: asyncio.Task[Any]

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return self.waits if self.place is None else self.place.loop

    @override
    def stood_still(self) -> float:
        return 0.0 if self.place is None else self.place.stood_still()

    def begin(self, fn: Callable[..., Any], args: Sequence[Any]) -> None:
        context = copy_context()
        self._threads = set[Future[Any]]()
        context.run(_threads.set, self._threads)

        def begin() -> None:
            self._task = self._loop.create_task(_contained(fn, args))
            self._task.add_done_callback(self._done)

        self._loop.call_soon_threadsafe(begin, context=context)

    def _done(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self.cut_off = not self.cancelled and self.place is not None and self.place.ends()
        else:
            task.exception()  # nobody may ask for it any more
        self._end()

    def in_threads(self) -> bool:
        return bool(self._threads)

    def cancel(self) -> None:
        self.cancelled = True
        self._loop.call_soon_threadsafe(self._cancel, _LAST_TURNS)

    def _cancel(self, turns: int) -> None:
        if turns and not self._task.done():
            self._loop.call_soon(self._cancel, turns - 1)
        else:
            self._task.cancel()

    def result(self) -> Any:
        return self._task.result()


class _InThread(_Call):
    """A call of a plain function, in a thread."""

    _future: Future[Any]

    def begin(self, fn: Callable[..., Any], args: Sequence[Any]) -> None:
        self._threads = _plain if self.place is None else self.place.threads
        self._future = self._threads.call(fn, args)
        self._future.add_done_callback(self._end)

    def in_threads(self) -> bool:
        return self._future.running()

    def cancel(self) -> None:
        self.cancelled = True
        self._future.cancel()

    def result(self) -> Any:
        self.cancelled = False  # what it says is so: nothing broke it off
        if self._future.cancelled():
            held = self._threads.held_by()
            raise NotDone(
                f"its time was over before a thread was free for it; they are held by: {held}; "
                "fix: give what blocks there a time-out of its own"
            )
        return self._future.result()


_plain = StepThreads(THREADS, "handrail-plain-step")


async def _contained(fn: Callable[..., Any], args: Sequence[Any]) -> Any:
    try:
        return await fn(*args)
    # They would end this process, and every other case's work with it.
    except (SystemExit, KeyboardInterrupt) as error:
        raise _exit(fn, error) from error


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine that a step has made a task of: asyncio ends its loop where a task exits."""

    def __init__(self, coro: Coroutine[Any, Any, Any]) -> None:
        self._coro = coro

    @override
    def send(self, value: Any, /) -> Any:
        try:
            return self._coro.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            raise _exit(self._coro, error) from error

    @override
    def throw(self, *error: Any) -> Any:
        try:
            return self._coro.throw(*error)
        except (SystemExit, KeyboardInterrupt) as exits:
            raise _exit(self._coro, exits) from exits

    @override
    def close(self) -> None:
        self._coro.close()

    @override
    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coro.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coro, name)  # its name and frame, for who shows the task


def _contained_plain(fn: Callable[..., Any], args: Sequence[Any]) -> Any:
    try:
        return fn(*args)
    except (SystemExit, KeyboardInterrupt, StopIteration) as error:
        raise _exit(fn, error) from error


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def no_step(fn: Callable[..., Any]) -> str:
    """Why no step can be made of something; nothing if one can."""
    generates = inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn)
    if inspect.isclass(fn) or generates or not hasattr(fn, "__name__"):
        return "a step must be an `async def` or a `def` that returns"
    if fn.__name__ == "<lambda>":
        return "histories know a step by its name; fix: a `def`"
    if hasattr(fn, "cache_info") and inspect.iscoroutinefunction(inspect.unwrap(fn)):
        return "a cache gives the same coroutine again, which is awaited once; fix: leave it away"
    first = next(iter(inspect.signature(fn).parameters.values()), None)
    if first is not None and first.name in {"self", "cls"} and first.annotation is first.empty:
        return "a step is no method; fix: a function of the module"
    return ""


def _exit(fn: object, error: BaseException) -> RuntimeError:
    return RuntimeError(f"{getattr(fn, '__name__', 'it')} raised {type(error).__name__}")


async def in_thread(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a plain function of the agent in a thread, where it can neither exit nor never end.

    Of a `StopIteration`, as of a `next()` that finds nothing, Python 3.11 never tells who waits.
    """
    plain = functools.partial(fn, **kwargs)
    return await asyncio.to_thread(_contained_plain, functools.update_wrapper(plain, fn), args)


async def call_directly(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function of the agent from another one, or in a test."""
    if inspect.iscoroutinefunction(fn):
        return await fn(*args, **kwargs)
    result = await in_thread(fn, *args, **kwargs)
    return await result if inspect.iscoroutine(result) else result
