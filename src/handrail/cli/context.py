"""What commands share: their options, how they run and end, and what they work with.

What is heavy (Temporal, SQL, models) is imported late here, and by commands whose modules are
imported late themselves (see `handrail.cli.app`): `--help` and completion are quick.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import gc
import importlib
import inspect
import re
import shlex
import sys
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from handrail.cli.output import PIPE, Code, Output, program
from handrail.exceptions import (
    ConfigurationError,
    HandrailError,
    InvalidRequest,
    LedgerUnavailable,
    NotFound,
    NotPermitted,
)
from handrail.text import decode_text, exact_json, first_line

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.runtime import Runtime
    from temporalio.service import RPCError

    from handrail.client import Operator
    from handrail.ledger import Ledger
    from handrail.oversight import SigningKey
    from handrail.runtime import Agent, Fleet, Lines, Settings

PATIENCE = timedelta(seconds=5)
"""How long a command looks for the server."""


# Options that several commands take


@Parameter(name="*")
@dataclass(frozen=True)
class Waiting:
    """Waiting for what comes of it."""

    wait: Annotated[
        bool,
        Parameter(negative=(), help="Wait until the case ends, or waits for a human (exit 4)."),
    ] = False
    timeout: Annotated[
        timedelta | None, Parameter(help="With --wait: at most so long, such as 30s or 5m.")
    ] = None


AT_ONCE = Waiting()

COLLECTS_AFTER = 20_000
"""Objects after which processes that stay look for garbage: it is a hundredth of a worker's CPU."""

By = Annotated[str, Parameter(help="Who says so: your address, as the policy knows it.")]
SomeBody = Annotated[str | None, Parameter(help="Who says so.")]
TimeFormat = Annotated[
    str | None, Parameter(help="How times are written, such as '%d.%m.%Y %H:%M'.")
]
Why = Annotated[str, Parameter(help="The reason, for the record.")]
Digest = Annotated[
    str | None,
    Parameter(help="The action you mean: `handrail inbox` shows it. Another one is not ruled on."),
]
Gate = Annotated[
    str, Parameter(help="The gate's id, its beginning, or the case if it has one gate only.")
]
Since = Annotated[
    timedelta | datetime | None,
    Parameter(help="Not older than this: 7d, or a date such as 2026-11-01."),
]
OfAgent = Annotated[str | None, Parameter(help="Of this agent only.")]


# How commands run and end


def perform(out: Output, work: Callable[[], Awaitable[int | None] | int | None]) -> int:
    """Run what a command does, and turn how it ends into an exit code."""
    from temporalio.runtime import Runtime
    from temporalio.service import RPCError

    from handrail.oversight import NotProven
    from handrail.runtime import run

    Runtime.set_default(_quiet(), error_if_already_set=False)
    try:
        result = work()
        if inspect.isawaitable(result):
            result = run(_finish(result))
    except (InvalidRequest, NotFound, NotPermitted) as error:
        return out.failed(str(error), "usage", Code.USAGE)
    except (ConfigurationError, NotProven) as error:
        return out.failed(str(error), "configuration", Code.USAGE)
    except HandrailError as error:
        return out.failed(str(error), _kind(error), Code.FAILED)
    except RPCError as error:
        return out.failed(_explain(error), "server", Code.FAILED)
    except BrokenPipeError:
        return PIPE
    except KeyboardInterrupt:
        return 130
    return int(Code.DONE) if result is None else int(result)


@functools.cache
def _quiet() -> Runtime:
    """Temporal's runtime, whose log keeps out of the data on stdout.

    One for all commands of a process: it has threads of its own, and to put it away waits for
    whatever still works on it, and keeps every other thread waiting meanwhile.
    """
    from temporalio.runtime import Runtime, TelemetryConfig

    from handrail.runtime import core_logs

    return Runtime(telemetry=TelemetryConfig(logging=core_logs("ERROR")))


async def _finish(work: Awaitable[int | None]) -> int | None:
    return await work


def _kind(error: HandrailError) -> str:
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _explain(error: RPCError) -> str:
    if error.status.name == "INVALID_ARGUMENT" and "Handrail" in str(error):
        return (
            f"the server does not know Handrail's search attributes ({error}); "
            "fix: start a worker once, it registers them"
        )
    return f"the Temporal server refused: {error} ({error.status.name})"


# What commands work with


def settings() -> Settings:
    """The settings of this process.

    Raises:
        ConfigurationError: if they are wrong.
    """
    from handrail.runtime import Settings

    return Settings.from_environment()


def logs(given: Settings, fd: int = 2) -> Lines:
    """Send the logs of this process to `fd`, as the settings have it; flush the result at its end.

    Only for commands that stay: others would make a key for pseudonyms that they never need.
    """
    from handrail.runtime import configure_logging, mask_with

    gc.set_threshold(COLLECTS_AFTER)
    key = given.log_key.get_secret_value() if given.log_key else None
    mask_with(given.home / "keys", key, clear=given.log_personal == "clear")
    return configure_logging(given.log_format, fd=fd)


@contextlib.asynccontextmanager
async def operator(
    out: Output,
    by: str | None = None,
    *,
    signs: bool = False,
    ledger: Literal["needed", "if there", "none"] = "if there",
    fleet: Fleet | None = None,
    lacking: list[str] | None = None,
) -> AsyncGenerator[Operator]:
    """Whoever acts, on the server, the ledger and with the key of this machine.

    `ledger`: "none" of what asks the server alone, and is spared the SQL.
    `lacking`: what cannot be used, a ledger or a key, is said there, and done without.

    Raises:
        ConfigurationError: if the settings, a key or the keyring are wrong.
        InvalidRequest: if the key that was named is another's, or a ledger is needed and none is.
        LedgerUnavailable: if it is there and cannot be used.
    """
    from handrail.client import Operator
    from handrail.oversight import Keyring

    given, keyring, no_ledger = settings(), None, ""
    key: SigningKey | None = None
    async with contextlib.AsyncExitStack() as stack:
        found: Ledger | None = None
        try:
            if ledger != "none":
                opening = ledger_here() if ledger == "needed" else ledger_if_there(given)
                found = await stack.enter_async_context(opening)
        except LedgerUnavailable as error:
            if lacking is None:
                raise
            no_ledger = str(error)
            lacking.append(no_ledger)
        try:
            keyring = Keyring(given.keyring)
            key = _key(out, given, by) if signs and by is not None else None
        except (ConfigurationError, InvalidRequest) as error:
            if lacking is None:
                raise
            lacking.append(f"not signed: {error}")
            keyring = None
        yield Operator(
            lambda: client(given),
            found,
            key,
            by=by,
            keyring=keyring,
            agents=fleet.agents if fleet is not None else None,
            ui_url=given.ui_url,
            no_ledger=no_ledger,
        )


def _key(out: Output, given: Settings, by: str) -> SigningKey | None:
    """The key that `by` signs with here; said, if what it signs will not count yet."""
    from handrail.actions import person
    from handrail.oversight import Keyring, private_keys
    from handrail.runtime import key_of

    key, trusted = key_of(given, by), Keyring(given.keyring).current()
    if key is not None and trusted and key.kid not in trusted:
        out.say(
            f"your key {key.kid} is not in {given.keyring}: have it added where the workers' "
            f"keyring is (`{program()} keys public {key.kid}`)",
            "yellow",
        )
    if key is None:
        mine = [k for k in private_keys(given.key_dir).values() if k.person == person(by)]
        if over := [each.kid for each in mine if each.kid in trusted]:
            out.say(
                f"not signed: your key {', '.join(over)} signs nothing any more; fix: make another "
                f"(`{program()} keys new --person {shlex.quote(by)}`), and have it trusted",
                "yellow",
            )
    return key


async def client(given: Settings) -> Client:
    """A client for commands.

    Raises:
        ConfigurationError: if Temporal's settings are wrong.
        ServerUnavailable: if no server answers.
    """
    from handrail.runtime import connect, converter

    return await connect(given, data_converter=converter(given.payload_dir), patience=PATIENCE)


@contextlib.asynccontextmanager
async def ledger_if_there(given: Settings) -> AsyncGenerator[Ledger | None]:
    """The ledger, or None where there is none yet on this machine.

    Raises:
        LedgerUnavailable: if it is there and cannot be used.
    """
    if ledger_file_is_missing(given):
        yield None
        return
    from handrail.ledger import Ledger

    async with Ledger(given.ledger_url.get_secret_value()) as ledger:
        yield ledger


@contextlib.asynccontextmanager
async def ledger_here() -> AsyncGenerator[Ledger]:
    """The ledger that the workers use.

    Raises:
        InvalidRequest: if there is none here.
        LedgerUnavailable: if it cannot be used.
    """
    given = settings()
    async with ledger_if_there(given) as opened:
        if opened is None:
            raise InvalidRequest(
                f"there is no ledger at {given.ledger_shown}; "
                "fix: run this where the worker runs, or set HANDRAIL_LEDGER_URL to its ledger"
            )
        yield opened


def ledger_file_is_missing(given: Settings) -> bool:
    """Whether the ledger is a file of this machine that nobody has made yet."""
    return given.ledger_file is not None and not given.ledger_file.exists()


def load_fleet(name: str) -> Fleet:
    """Import the fleet that `module:variable` names.

    Raises:
        ConfigurationError: if it cannot be imported, or is no Fleet, with where and why.
    """
    from handrail.runtime import Fleet

    found = load(name, "HANDRAIL_FLEET")
    if not isinstance(found, Fleet):
        raise ConfigurationError(f"{name} is {type(found).__name__}, not a handrail.Fleet")
    return found


def load(name: str, variable: str = "") -> Any:
    """Import what `module:variable` names; `variable`: which setting says so, if one does.

    Raises:
        ConfigurationError: if there is no such thing, or its import fails.
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise ConfigurationError(f"{name!r} must be module:variable, such as workers.fleet:fleet")
    other = f", or set {variable} to module:variable" if variable else ""
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ConfigurationError(
                f"there is no {module_name.replace('.', '/')}.py in {Path.cwd()}; "
                f"fix: run this in the directory of your project{other}"
            ) from error
        raise ConfigurationError(_import_fault(module_name, error)) from error
    # Importing runs the project's own code, which may raise anything, and may end everything.
    except (Exception, SystemExit) as error:
        raise ConfigurationError(_import_fault(module_name, error)) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ConfigurationError(
            f"{module_name} has no `{attribute}`; fix: define it there{other}"
        ) from None


def _import_fault(module: str, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(Path.cwd())]
    mine = [f for f in own if ".venv" not in Path(f.filename).parts] or own
    where = f"{mine[-1].filename}:{mine[-1].lineno}: " if mine else ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}: "
    # Ours says in its further lines what to do about it.
    ours = isinstance(error, HandrailError)
    text = str(error) if ours else first_line(str(error))
    text = error.msg if isinstance(error, SyntaxError) else text
    kind = "" if ours else f"{type(error).__name__}: "
    cure = _import_cure(error)
    return f"{module} cannot be imported: {where}{kind}{text}{f'; fix: {cure}' if cure else ''}"


_CURES = {
    "circular import": "steps import no workflow: what both need goes into a file of its own",
    "Workflow run method must be an async function": "`async def run`",
    "Missing @workflow.run method": "put @workflow.run on `async def run`",
    "must be a subclass of AgentWorkflow": "`class ...(AgentWorkflow)`",
    "'int' and 'datetime.timedelta'": "a time, such as timeout=timedelta(seconds=...)",
    "'Read' object has no attribute 'action'": "an undo is a write: put @write on it",
    "'list' object has no attribute 'name'": "no list: `Fleet(Agent(...), Agent(...))`",
    "Not in workflow event loop": "name the class of the workflow; only Temporal makes one of it",
    "_declare() got an unexpected": "a step has the name of its function; it may take timeout=, "
    "local= and secrets=",
    "Unable to generate pydantic-core schema": "make its class a pydantic.BaseModel",
    "Multiple signal methods found": "the engine has a signal of that name: give yours another",
    "must take exactly one event": "`async def run(self, event: YourEvent) -> Outcome`",
}


def _import_cure(error: BaseException) -> str:
    """What to do about an import that fails, where that is known."""
    for said, cure in _CURES.items():
        if said in str(error):
            return cure
    if isinstance(error, KeyError) and str(error.args[0]).isupper():
        return f"export {error.args[0]}=..., or look it up in the step that needs it"
    if isinstance(error, ModuleNotFoundError) and error.name:
        here = [path.stem for path in Path.cwd().iterdir() if path.suffix in {"", ".py"}]
        near = difflib.get_close_matches(error.name.partition(".")[0], here, n=1)
        return f"did you mean {near[0]}?" if near else f"install what brings {error.name}"
    if isinstance(error, ImportError) and (missing := _NAME.match(str(error))):
        there = dir(sys.modules.get(error.name or ""))
        near = difflib.get_close_matches(missing[1], there, n=1)
        return f"did you mean {near[0]}?" if near else ""
    return ""


_NAME = re.compile("cannot import name '([^']+)'")


def agent_named(name: str) -> Agent:
    """One agent of the fleet of this project.

    Raises:
        ConfigurationError: if the fleet cannot be imported.
        InvalidRequest: if it has no such agent.
    """
    agents = load_fleet(settings().fleet).agents
    if name not in agents:
        raise InvalidRequest(f"there is no agent {name}; there are: {', '.join(agents)}")
    return agents[name]


# What was typed


def moment_of(since: datetime | timedelta | None) -> datetime | None:
    """A time that was given as one, or as how long ago."""
    if isinstance(since, timedelta):
        return datetime.now(UTC) - since
    return None if since is None else since.astimezone(UTC)


def text_of(argument: str) -> str:
    """The text that an argument stands for: itself, @file, or `-` for stdin.

    Raises:
        InvalidRequest: if the file cannot be read.
    """
    try:
        if argument == "-":
            return decode_text(sys.stdin.buffer.read())
        if argument.startswith("@"):
            return decode_text(Path(argument[1:]).expanduser().read_bytes())
    except OSError as error:
        raise InvalidRequest(f"{argument} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"{argument} is no text in UTF-8, nor in UTF-16 with its mark: {error}; "
            "fix: save it as UTF-8"
        ) from error
    return argument


def write_file(file: Path, text: str, encoding: str = "utf-8") -> None:
    """Write a file that was asked for, with its ends of lines as they are.

    Raises:
        InvalidRequest: if it cannot be written.
    """
    try:
        file.expanduser().write_text(text, encoding=encoding, newline="")
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be written: {error.strerror or error}") from error


def json_of(argument: str, what: str) -> Any:
    """The JSON that an argument stands for.

    Raises:
        InvalidRequest: if it is none.
    """
    try:
        return exact_json(text_of(argument))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{what} is not JSON: {error}") from error


def value_of(before: Any, text: str) -> Any:
    """Text stays text: an order number 00123 is no number. Anything else is read as JSON."""
    if isinstance(before, str):
        return text
    try:
        return exact_json(text)
    except (ValueError, RecursionError):
        return text
