"""@read @decide @write @notify: declare an activity and its posture.

A step is a function with types: `async def`, or a plain `def`, which runs in a thread. Its name is
the activity's name in the history, so it is a promise: rename it only with a Temporal patch.

    read     looks at the world and changes nothing; repeated freely
    decide   returns a `Decision`; repeated freely until it has answered
    write    changes the world; only ever runs behind the door, and once for each key
    notify   tells somebody; behind the door, under a key, and never fails the case
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import (
    Any,
    Generic,
    ParamSpec,
    TypedDict,
    Unpack,
    get_type_hints,
    overload,
)

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation
from temporalio.common import RetryPolicy
from typing_extensions import TypeVar

from handrail.actions import Action, Decision, Effect
from handrail.agent.calls import require_no_workflow
from handrail.agent.prompts import (
    DecisionModel,
    Prompt,
    asked_by,
    decision_of,
    decision_types,
)
from handrail.agent.recovery import TakeOver, require_recovery, require_verify
from handrail.agent.secrets import declared, secrets_given
from handrail.agent.step_calls import call_directly, no_step
from handrail.agent.tries import TAKEN_OVER, TRIES, UNDECIDED
from handrail.exceptions import StepError
from handrail.text import first_line
from handrail.wire import DecisionResult

LOCAL_LIMIT = timedelta(seconds=10)
"""A step that may take longer runs as an ordinary activity."""

DEFAULT_TIMEOUT = timedelta(seconds=10)
WRITE_TIMEOUT = timedelta(seconds=30)

LOCAL_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    backoff_coefficient=2,
    maximum_attempts=3,
    non_retryable_error_types=[UNDECIDED, TAKEN_OVER],
)
"""Local activities are invisible in the Web UI: after three tries a step goes on as an
ordinary one, where its error can be seen."""

RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=5),
    non_retryable_error_types=[UNDECIDED],
)
"""Until it works: an outside system that is away must not cost a case. Steps end the
retries themselves by raising `Final`; the tries of a decide step the case counts itself."""

NOTIFY_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=5),
    maximum_attempts=20,
)
"""About a minute and a half; then the case goes on and its outcome names what is unsent."""


Contract = Callable[[], Awaitable[Sequence[str]]]
"""Says, at a worker's start, how an outside system differs from what steps were made of."""


class Posture(StrEnum):
    """What a step does to the world."""

    READ = "read"
    DECIDE = "decide"
    WRITE = "write"
    NOTIFY = "notify"


P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A", bound=Action)
D = TypeVar("D", bound=Decision[Any, Any])
E = TypeVar("E", bound=BaseModel)


@dataclass(frozen=True, eq=False)
class Step(Generic[P, R]):
    """A declared activity: its function, posture and limits.

    `timeout` is the longest one attempt may take. `local` steps run inside the
    workflow task: cheap, without an entry in the UI's list of pending activities. `secrets`:
    those that it may have, and no other step. `contract`: as `Contract`. `outside`: what a server
    says of it.
    """

    fn: Callable[P, Any]
    name: str
    posture: Posture
    timeout: timedelta
    local: bool
    parameters: tuple[inspect.Parameter, ...]
    returns: Any
    adapter: TypeAdapter[Any]
    summary: str
    secrets: tuple[str, ...] = field(default=(), kw_only=True)
    contract: Contract | None = field(default=None, kw_only=True)
    outside: str = field(default="", kw_only=True)

    def bind(self, *args: P.args, **kwargs: P.kwargs) -> list[Any]:
        """The arguments in order, defaults filled in.

        Raises:
            TypeError: if they do not fit the step's signature.
        """
        bound = inspect.Signature(self.parameters).bind(*args, **kwargs)
        bound.apply_defaults()
        return list(bound.args)


@dataclass(frozen=True, eq=False)
class Read(Step[P, R]):
    """A step that only looks. `reaches_out` and `pure`: as `read` has them."""

    reaches_out: bool = field(default=False, kw_only=True)
    pure: bool = field(default=False, kw_only=True)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself: for tests, and from other steps.

        Raises:
            StepError: if it is called in a workflow.
        """
        require_no_workflow(self.name, self.posture)
        with secrets_given(self.secrets):
            return await call_directly(self.fn, *args, **kwargs)


@dataclass(frozen=True, eq=False)
class Decide(Step[P, D]):
    """A step that returns a decision, in so many `tries`. `model`: decides on its prompt."""

    tries: int = field(default=TRIES, kw_only=True)
    model: DecisionModel | None = field(default=None, kw_only=True)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> D:
        """Call the function itself, as of a `Read`."""
        require_no_workflow(self.name, self.posture)
        with secrets_given(self.secrets):
            return await call_directly(self.fn, *args, **kwargs)

    @functools.cached_property
    def actions(self) -> tuple[type[Action], ...]:
        """The action classes it may return."""
        return decision_types(self.returns)[0]

    @property
    def proposes(self) -> tuple[type[Action], ...]:
        """The action classes that people may be asked about."""
        return self.actions

    def require_own(self, action: Action | None) -> None:
        """See that what it decided on is of a class that it names, and of no subclass.

        Raises:
            StepError: if it is not: its fields were marked by another class.
        """
        if action is not None and type(action) not in self.actions:
            names = ", ".join(kind.__name__ for kind in self.actions)
            raise StepError(
                f"{self.name}: it decided on {type(action).__name__}, and is declared to decide on "
                f"{names}"
            )

    @functools.cached_property
    def evidence(self) -> type[BaseModel]:
        """The model of its evidence."""
        return decision_types(self.returns)[1]


class Notify(Step[P, R]):
    """A step that tells somebody. Not callable: it reaches the outside world through the door."""


@dataclass(frozen=True, eq=False)
class Write(Step[[A, Effect], R], Generic[A, R]):
    """A step that changes the world. Not callable: it is only ever run by the door.

    `idempotent`: the outside system takes `effect.key` and does nothing twice.
    `find`: asks the outside system whether this very effect is there; returns what the
    write would have returned, or None. `plant`: makes of an action a bad one, which a person
    who looks rejects; None if it cannot. `stand_in`: makes of an action what the write would
    have returned, for a case in pilot to go on with; pure, and run in the workflow. `verify`:
    reads back, after the receipt, what was written; None where it is as it should be, else what
    is wrong with it. `settles`: how long after it was sent a request may take effect. `keeps`: how
    long the outside system knows a key; None is for ever. `take_over`: whether an attempt of
    another machine, of which nobody knows whether it goes on, is waited for or asked about.
    """

    action: type[A]
    undo: Write[A, Any] | None = None
    find: Callable[[A, Effect], Awaitable[R | None]] | None = None
    idempotent: bool = False
    plant: Callable[[A], A | None] | None = None
    stand_in: Callable[[A], R] | None = None
    verify: Callable[[A, Effect, R], Awaitable[str | None]] | None = None
    settles: timedelta | None = None
    keeps: timedelta | None = None
    take_over: TakeOver = "wait"

    @property
    def marked(self) -> bool:
        """Whether Temporal is told before each request: nobody could tell afterwards."""
        return self.take_over == "ask" or (self.find is None and not self.idempotent)


class StepOptions(TypedDict, total=False):
    """What may be said of a step: see `Step`."""

    timeout: timedelta
    local: bool | None
    secrets: Sequence[str]


@overload
def read(fn: Callable[P, Awaitable[R] | R], /) -> Read[P, R]: ...
@overload
def read(
    *, reaches_out: bool = ..., pure: bool = ..., **options: Unpack[StepOptions]
) -> Callable[[Callable[P, Awaitable[R] | R]], Read[P, R]]: ...
def read(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    reaches_out: bool = False,
    pure: bool = False,
    **options: Unpack[StepOptions],
) -> Any:
    """Declare a step that looks at the world and changes nothing.

    `reaches_out`: somebody outside sees what it is asked, and people are asked before it is sent
    what a text from outside may have chosen. `pure`: it makes a sum, a date or a format of its
    arguments alone, and its result comes from where they come from.

    Raises:
        StepError: if it is not a function with types, or `timeout` is not positive.
    """

    def declare(fn: Callable[..., Any]) -> Read[..., Any]:
        return Read(**_declare(fn, Posture.READ, **options), reaches_out=reaches_out, pure=pure)

    return declare if fn is None else declare(fn)


@overload
def decide(fn: Callable[P, Awaitable[D] | D], /) -> Decide[P, D]: ...
@overload
def decide(
    *, tries: int = ..., **options: Unpack[StepOptions]
) -> Callable[[Callable[P, Awaitable[D] | D]], Decide[P, D]]: ...
@overload
def decide(
    *, model: DecisionModel, tries: int = ..., **options: Unpack[StepOptions]
) -> Callable[[Callable[P, Awaitable[Prompt[A, E]] | Prompt[A, E]]], Decide[P, Decision[A, E]]]: ...
def decide(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    tries: int = TRIES,
    model: DecisionModel | None = None,
    **options: Unpack[StepOptions],
) -> Any:
    """Declare a step that returns a `Decision`. Give one that asks a model minutes.

    It is tried `tries` times, with growing pauses: whatever it raises is one, an answer that
    does not validate too. Then people are asked whether to try again. `Final`, and mistakes in
    the program, end it at once. `handrail.spent` keeps what a try used up that fails. `model`: the
    step returns a `Prompt`, and the engine has this model decide.

    Raises:
        StepError: as `read`, or if it is not declared to return `Decision[...]`, or if it is
            not to be tried once.
    """

    def declare(fn: Callable[..., Any]) -> Decide[..., Any]:
        if tries < 1:
            raise StepError(f"{fn.__name__}: its tries must be 1 or more, not {tries}")
        if model is not None:
            options.setdefault("timeout", model.patience)
            options["secrets"] = (*options.get("secrets", ()), *model.secrets)
        parts = _declare(fn, Posture.DECIDE, **options)
        parts["fn"] = asked_by(fn, model, parts["returns"])
        return Decide(**parts, tries=tries, model=model)

    return declare if fn is None else declare(fn)


@overload
def notify(fn: Callable[P, Awaitable[R] | R], /) -> Notify[P, R]: ...
@overload
def notify(
    **options: Unpack[StepOptions],
) -> Callable[[Callable[P, Awaitable[R] | R]], Notify[P, R]]: ...
def notify(fn: Callable[..., Any] | None = None, /, **options: Unpack[StepOptions]) -> Any:
    """Declare a step that tells somebody something.

    `handrail.current_effect().key` inside it is the same in every retry: make the
    message's id of it where the channel can tell doubles.

    Raises:
        StepError: as `read`.
    """

    def declare(fn: Callable[..., Any]) -> Notify[..., Any]:
        return Notify(**_declare(fn, Posture.NOTIFY, **options))

    return declare if fn is None else declare(fn)


@overload
def write(fn: Callable[[A, Effect], Awaitable[R] | R], /) -> Write[A, R]: ...
@overload
def write(
    *,
    undo: Write[Any, Any] | None = ...,
    find: Callable[[Any, Effect], Any] | None = ...,
    settles: timedelta | None = ...,
    idempotent: bool | timedelta = ...,
    take_over: TakeOver = ...,
    plant: Callable[[Any], Action | None] | None = ...,
    stand_in: Callable[[Any], Any] | None = ...,
    verify: Callable[[Any, Effect, Any], Awaitable[str | None]] | None = ...,
    timeout: timedelta = ...,
    secrets: Sequence[str] = ...,
) -> Callable[[Callable[[A, Effect], Awaitable[R] | R]], Write[A, R]]: ...
def write(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    undo: Write[Any, Any] | None = None,
    find: Callable[..., Any] | None = None,
    settles: timedelta | None = None,
    idempotent: bool | timedelta = False,
    take_over: TakeOver = "wait",
    plant: Callable[..., Any] | None = None,
    stand_in: Callable[..., Any] | None = None,
    verify: Callable[..., Any] | None = None,
    timeout: timedelta = WRITE_TIMEOUT,
    secrets: Sequence[str] = (),
) -> Any:
    """Declare a step that changes the world: `async def name(action, effect) -> result`.

    As a plain `def` it runs in a thread, which no time-out ends: it is awaited to its end.

    Declare how a crash between the effect and its receipt is dealt with: `idempotent`
    runs it again under the same key, for as long as the outside system knows a key (True: for
    ever); `find` asks the outside system first; with neither, a human is asked, and nothing is
    repeated blindly. `settles`: how long after it was sent a request may take effect, also when
    whoever sent it is gone; until then it is looked for, and never done again. `take_over`: `ask`
    has a human asked where an attempt of another machine may go on. `undo` is another write
    of the same action; it must do nothing when there is nothing to take back. `plant` makes
    the bad proposals of a policy that has any `planted`: they are asked about, never done.
    `stand_in` gives a case in pilot something to go on with; without it the case ends there.
    `verify`, `async def name(action, effect, result) -> str | None`, reads back what was written:
    None is right, a text says what is wrong, and makes an incident of it; while it raises it is
    called again. `secrets`: as of
    `read`; `find` and `verify` may have them too.

    Raises:
        StepError: if the signature is another one, or both or wrong options are given.
    """

    def declare(fn: Callable[..., Any]) -> Write[Any, Any]:
        parts = _declare(fn, Posture.WRITE, timeout, local=False, secrets=secrets)
        action = _action_type(fn.__name__, parts["parameters"])
        require_recovery(fn.__name__, find, settles, idempotent, take_over)
        if undo is not None and undo.action is not action:
            raise StepError(
                f"{fn.__name__}: its undo `{undo.name}` takes {undo.action.__name__}, "
                f"not {action.__name__}; an undo takes the action that it undoes"
            )
        require_verify(fn.__name__, verify)
        return Write(
            **parts,
            action=action,
            undo=undo,
            find=_with_secrets(find, secrets),
            settles=settles,
            idempotent=idempotent is not False,
            keeps=idempotent if isinstance(idempotent, timedelta) else None,
            take_over=take_over,
            plant=plant,
            stand_in=stand_in,
            verify=_with_secrets(verify, secrets),
        )

    return declare if fn is None else declare(fn)


def _declare(
    fn: Callable[..., Any],
    posture: Posture,
    timeout: timedelta = DEFAULT_TIMEOUT,
    local: bool | None = None,  # noqa: FBT001  # as `StepOptions` has them
    secrets: Sequence[str] = (),
) -> dict[str, Any]:
    if fault := no_step(fn):
        raise StepError(f"{getattr(fn, '__name__', fn)}: {fault}")
    if timeout <= timedelta(0):
        raise StepError(f"{fn.__name__}: its timeout must be longer than zero")
    try:
        hints = get_type_hints(fn)
    except NameError as error:
        raise StepError(
            f"{fn.__name__}: {error}; import its types at run time, not under TYPE_CHECKING"
        ) from error
    returns = decision_of(hints.get("return", inspect.Signature.empty))
    if returns is inspect.Signature.empty:
        raise StepError(f"{fn.__name__}: declare what it returns (`-> None` if nothing)")
    return {
        "fn": fn,
        "name": fn.__name__,
        "posture": posture,
        "timeout": timeout,
        "local": timeout <= LOCAL_LIMIT if local is None else local,
        "parameters": _parameters(fn, hints),
        "returns": returns,
        "adapter": _adapter(fn.__name__, returns),
        "summary": _first_line(fn),
        "secrets": declared(fn.__name__, secrets),
    }


def _with_secrets(fn: Callable[..., Any] | None, secrets: Sequence[str]) -> Any:
    """What belongs to a step may have the secrets of the step."""
    if fn is None or not secrets:
        return fn

    @functools.wraps(fn)
    async def entrusted(*args: Any) -> Any:
        with secrets_given(secrets) as held:
            result = await call_directly(fn, *args)
        # What reads a write back says in words what is wrong: they are kept.
        return held.scrub(result) if isinstance(result, str) else result

    return entrusted


def _parameters(fn: Callable[..., Any], hints: dict[str, Any]) -> tuple[inspect.Parameter, ...]:
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(fn).parameters.values():
        if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            raise StepError(f"{fn.__name__}: `{parameter.name}` must be an ordinary parameter")
        if parameter.name not in hints:
            raise StepError(f"{fn.__name__}: declare the type of `{parameter.name}`")
        parameters.append(parameter.replace(annotation=hints[parameter.name]))
    return tuple(parameters)


def _adapter(name: str, returns: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(returns)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation) as error:
        raise StepError(f"{name}: what it returns cannot be stored as JSON: {error}") from error


def _action_type(name: str, parameters: tuple[inspect.Parameter, ...]) -> type[Action]:
    wanted = f"{name}: a write takes exactly `(action: YourAction, effect: Effect)`"
    match [p.annotation for p in parameters]:
        case [type() as action, kind] if issubclass(action, Action) and kind is Effect:
            return action
        case _:
            raise StepError(wanted)


def decided_type(step: Decide[Any, Any]) -> Any:
    """The wire type of what a decide step returns through the door."""
    return DecisionResult[step.returns]


def _first_line(fn: Callable[..., Any]) -> str:
    return (first_line(fn.__doc__ or "") or fn.__name__.replace("_", " ")).rstrip(".")[:120]
