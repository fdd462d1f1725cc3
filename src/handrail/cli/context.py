"""What commands share: settings, the fleet, a client, and how errors end them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
import inspect
import json
import sys
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode

from handrail.cli.output import Code, Output, UsageError
from handrail.client.gates import ImpossibleName
from handrail.exceptions import ConfigurationError, HandrailError
from handrail.runtime import (
    ClaimCheck,
    Lines,
    Settings,
    configure_logging,
    connect,
    core_logs,
    mask_with,
)

if TYPE_CHECKING:
    from handrail.ledger import Ledger
    from handrail.runtime import Fleet

PATIENCE = timedelta(seconds=5)
"""How long a command looks for the server."""

Action = Callable[[Output], Awaitable[int | None] | int | None]


def perform(out: Output, action: Action) -> int:
    """Run what a command does, and turn how it ends into an exit code."""
    # Temporal's own log must not get into the data on stdout.
    quiet = TelemetryConfig(logging=core_logs("ERROR"))
    Runtime.set_default(Runtime(telemetry=quiet), error_if_already_set=False)
    try:
        result = action(out)
        if inspect.isawaitable(result):
            result = asyncio.run(_finish(result))
    except (UsageError, ImpossibleName) as error:
        return out.failed(str(error), "usage", Code.USAGE)
    except ConfigurationError as error:
        return out.failed(str(error), "configuration", Code.USAGE)
    except HandrailError as error:
        return out.failed(str(error), _kind(error), Code.FAILED)
    except RPCError as error:
        return out.failed(_explain(error), "server", Code.FAILED)
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        return 130
    return int(Code.DONE) if result is None else int(result)


async def _finish(work: Awaitable[int | None]) -> int | None:
    return await work


def _kind(error: HandrailError) -> str:
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _explain(error: RPCError) -> str:
    if error.status is RPCStatusCode.INVALID_ARGUMENT and "Handrail" in str(error):
        return (
            f"the server does not know Handrail's search attributes ({error}); "
            "fix: start a worker once, it registers them"
        )
    return f"the Temporal server refused: {error} ({error.status.name})"


def settings() -> Settings:
    """The settings of this process.

    Raises:
        ConfigurationError: if they are wrong.
    """
    return Settings.from_environment()


def logs(given: Settings, fd: int = 2) -> Lines:
    """Send the logs of this process to `fd`, as the settings have it; flush the result at its end.

    Only for commands that stay: others would make a key for pseudonyms that they never need.
    """
    key = given.log_key.get_secret_value() if given.log_key else None
    mask_with(given.home / "keys", key, clear=given.log_personal == "clear")
    return configure_logging(given.log_format, fd=fd)


def load_fleet(name: str) -> Fleet:
    """Import the fleet that `module:variable` names.

    Raises:
        ConfigurationError: if it cannot be imported, or is no Fleet, with where and why.
    """
    from handrail.runtime import Fleet  # noqa: PLC0415  # imports everything

    found = load(name, "HANDRAIL_FLEET")
    if not isinstance(found, Fleet):
        raise ConfigurationError(f"{name} is {type(found).__name__}, not a handrail.Fleet")
    return found


def load(name: str, variable: str) -> Any:
    """Import what `module:variable` names; `variable`: which setting says so.

    Raises:
        ConfigurationError: if there is no such thing, or its import fails.
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise ConfigurationError(f"{name!r} must be module:variable, such as workers.fleet:fleet")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ConfigurationError(
                f"there is no {module_name.replace('.', '/')}.py in {Path.cwd()}; "
                f"fix: run this in the directory of your project, or set {variable} to "
                "module:variable"
            ) from error
        raise ConfigurationError(_import_fault(module_name, error)) from error
    # Importing runs the project's own code, which may raise anything.
    except Exception as error:
        raise ConfigurationError(_import_fault(module_name, error)) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ConfigurationError(
            f"{module_name} has no `{attribute}`; fix: define it there, or set {variable}"
        ) from None


def _import_fault(module: str, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(Path.cwd())]
    mine = [f for f in own if ".venv" not in Path(f.filename).parts] or own
    where = f"{mine[-1].filename}:{mine[-1].lineno}: " if mine else ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}: "
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    kind = "" if isinstance(error, HandrailError) else f"{type(error).__name__}: "
    return f"{module} cannot be imported: {where}{kind}{text}"


def plugin(payload_dir: Path) -> SimplePlugin:
    """What a client needs that starts nothing: it reads what workers wrote."""

    def converter(_: DataConverter | None) -> DataConverter:
        return dataclasses.replace(pydantic_data_converter, payload_codec=ClaimCheck(payload_dir))

    return SimplePlugin("handrail-client", data_converter=converter)


async def client(given: Settings) -> Client:
    """A client for commands.

    Raises:
        ConfigurationError: if Temporal's settings are wrong.
        ServerUnavailable: if no server answers.
    """
    return await connect(given, plugins=[plugin(given.payload_dir)], patience=PATIENCE)


@contextlib.asynccontextmanager
async def ledger_if_there(given: Settings) -> AsyncGenerator[Ledger | None]:
    """The ledger, or None where there is none yet on this machine.

    Raises:
        LedgerUnavailable: if it is there and cannot be used.
    """
    from handrail.ledger import Ledger  # noqa: PLC0415  # imports SQLAlchemy

    if ledger_file_is_missing(given):
        yield None
        return
    async with Ledger(given.ledger_url.render_as_string(hide_password=False)) as ledger:
        yield ledger


def ledger_file_is_missing(given: Settings) -> bool:
    """Whether the ledger is a file of this machine that nobody has made yet."""
    url = given.ledger_url
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").exists()


def text_of(argument: str) -> str:
    """The text that an argument stands for: itself, @file, or `-` for stdin.

    Raises:
        UsageError: if the file cannot be read.
    """
    try:
        if argument == "-":
            return sys.stdin.read()
        if argument.startswith("@"):
            return Path(argument[1:]).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{argument} cannot be read: {error}") from error
    return argument


def json_of(argument: str, what: str) -> Any:
    """The JSON that an argument stands for.

    Raises:
        UsageError: if it is none.
    """
    try:
        return json.loads(text_of(argument))
    except ValueError as error:
        raise UsageError(f"{what} is not JSON: {error}") from error
