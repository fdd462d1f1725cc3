"""Secrets of steps: each reaches the one step that declares it, and never a history.

    @write(secrets=("CARRIER_TOKEN",))
    async def rebook(action: Rebook, effect: Effect) -> Booking:
        token = handrail.secret("CARRIER_TOKEN").get_secret_value()

The value is `HANDRAIL_SECRET_CARRIER_TOKEN` of the environment, or the content of the file
`CARRIER_TOKEN` in the directory `HANDRAIL_SECRET_DIR`. It is read anew at each use, so a
replaced one is used at once. What the step returns, raises or says in a heartbeat must not
hold it: Temporal would keep it for weeks, where many can read it. It is known again plain, in
base64 (also within a longer text), url-encoded, in hex and as JSON or Python writes it; not
when a step has ciphered or cut it up.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import html
import json
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import WrapperDescriptorType
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote, quote_plus

from pydantic import SecretStr, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python
from temporalio.exceptions import ApplicationError

from handrail import exceptions
from handrail.exceptions import ConfigurationError, NotDone, StepError, fallback

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from pydantic import JsonValue


SECRET_PREFIX: Final = "HANDRAIL_SECRET_"  # noqa: S105  # a prefix
"""Of the environment variables that hold secrets; the secret's name follows."""

SECRETS_DIRECTORY: Final = "HANDRAIL_SECRET_DIR"
"""The variable that names the directory in which secrets are files."""

LARGEST: Final = 64 * 1024
"""Bytes of the largest secret."""

SHORTEST: Final = 8
"""Characters of the shortest secret: a shorter one could not be told from other text."""

MASK: Final = "[secret {}]"
"""What stands in place of a secret's value."""

_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_REMEMBERED = 20_000

log = logging.getLogger("handrail.secrets")


class SecretMissing(ConfigurationError):
    """A secret that a step declares is not there, or cannot be used."""


@dataclass
class StepSecrets:
    """What the running step may have."""

    names: frozenset[str]
    values: dict[str, str] = field(default_factory=dict[str, str])

    def refuse(self, step: str, result: Any) -> None:
        """See that what a step returned holds none of its secrets.

        Raises:
            StepError: if it does. It names the secret and does not contain it.
        """
        found = self.leaked(result)
        if found:
            raise StepError(f"{step} {_says(found)}; return something else")

    def leaked(self, value: Any) -> tuple[str, ...]:
        """The names of the secrets that a value holds, anywhere in its JSON."""
        known = self._known()
        texts = list(_texts(value)) if known else []
        return tuple(sorted({name for form, name in known.items() for t in texts if form in t}))

    def masked(self, value: JsonValue) -> tuple[JsonValue, str | None]:
        """The value without secrets, and what is wrong with it in words; None if nothing is.

        For a write that happened: its receipt must be kept.
        """
        found = self.leaked(value)
        if not found:
            return value, None
        masked = _mapped(value, self.scrub)
        return None if self.leaked(masked) else masked, _says(found)

    def scrub(self, text: str) -> str:
        """The text with the values of the step's secrets masked."""
        return _scrubbed(text, self._known())

    def _known(self) -> dict[str, str]:
        """Each form of each value, with the secret's name."""
        return {form: name for value, name in self._values() for form in forms(value)}

    def _values(self) -> Iterable[tuple[str, str]]:
        # What was handed out, and what is there now, also if the step took it by another way.
        for name in self.names:
            with contextlib.suppress(SecretMissing):
                self.values.setdefault(_read(name), name)
        return self.values.items()


_held: ContextVar[StepSecrets | None] = ContextVar("handrail_secrets", default=None)
_ever: dict[str, str] = {}
"""Each form of what this process has handed out, with its name: for its logs."""


@contextlib.contextmanager
def secrets_given(names: Sequence[str]) -> Generator[StepSecrets]:
    """Give the code within exactly these secrets; mask them in whatever it raises.

    Raises:
        BaseException: what the code raises; another one in its place if it held a secret.
    """
    held = StepSecrets(frozenset(names))
    token = _held.set(held)
    try:
        yield held
    except BaseException as error:
        if not names and not held.values:
            raise
        masked = _without_secrets(error, held.scrub)
        if masked is error:
            raise
        raise masked from None
    finally:
        _held.reset(token)


def secret(name: str) -> SecretStr:
    """The value of a secret that the running step declares, read anew.

    Raises:
        StepError: if the step does not declare it, or none is running.
        SecretMissing: if it is not there, or cannot be used.
    """
    held = _held.get()
    if held is None:
        raise StepError(
            f"no step is running that could have {name}; in a test, call the step within "
            f'`with handrail.testing.secrets_given(["{name}"]):`'
        )
    if name not in held.names:
        raise StepError(
            f"this step may not have {name}: secrets reach only the steps that declare them; "
            f'if it needs it, write secrets=("{name}",) in its declaration'
        )
    value = _read(name)
    held.values[value] = name
    _remember(value, name)
    return SecretStr(value)


def secret_in_use(name: str, value: str) -> None:
    """Treat a value that a library takes from the environment as a secret of the running step."""
    held = _held.get()
    if held is not None:
        held.values[value] = name
    _remember(value, name)


def scrub_secrets(text: str) -> str:
    """The text with every secret masked that this process has handed out to any step: for logs."""
    held = _held.get()
    return _scrubbed(held.scrub(text) if held else text, _ever)


def without_secrets(value: Any) -> Any:
    """A value for others to see: as it is, or its JSON without the running step's secrets."""
    held = _held.get()
    if held is None or not held.leaked(value):
        return value
    return held.masked(_as_json(value))[0]


def declared(step: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names of the secrets of a step, as they were declared.

    Raises:
        StepError: if one cannot be a name.
    """
    if isinstance(names, str):
        raise StepError(f'{step}: write secrets=("{names}",), a tuple, not a text')
    found = tuple(dict.fromkeys(names))
    for name in found:
        if not _NAME.fullmatch(name) or SECRET_PREFIX + name == SECRETS_DIRECTORY:
            raise StepError(
                f"{step}: {name!r} cannot name a secret; use capitals, digits and _, such as "
                "CARRIER_TOKEN, and not DIR"
            )
    return found


def secret_faults(step: str, names: Iterable[str]) -> list[str]:
    """What is wrong with the secrets of a step, each with its fix; the values are not in it."""
    found: list[str] = []
    for name in names:
        try:
            _read(name)
        except SecretMissing as error:
            found.append(f"{step}: {error}")
    return found


# Where the values are


def _read(name: str) -> str:
    """Raises SecretMissing if there is none, or if it cannot be used."""
    value = os.environ.get(SECRET_PREFIX + name) or _from_file(name)
    if not value:
        raise SecretMissing(
            f"the secret {name} is missing\n  fix: set {SECRET_PREFIX}{name}, or "
            f"{SECRETS_DIRECTORY} to a directory with a file {name}"
        )
    if not SHORTEST <= len(value) <= LARGEST:
        raise SecretMissing(
            f"the secret {name} has {len(value)} characters\n"
            f"  fix: use one of {SHORTEST} to {LARGEST}; a shorter one could not be masked"
        )
    return value


def _from_file(name: str) -> str:
    directory = os.environ.get(SECRETS_DIRECTORY)
    path = Path(directory).expanduser() / name if directory else None
    if path is None or not path.exists():
        return ""
    try:
        if not path.is_file():
            raise SecretMissing(f"the secret {name}: {path} is no file\n  fix: make it one")
        _warn_of_mode(path)
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise SecretMissing(
                f"the secret {name}: {path} has more than {LARGEST} bytes\n  fix: make it shorter"
            )
        # One line end is the editor's.
        return data.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise SecretMissing(
            f"the secret {name}: {path} cannot be read ({error.strerror})\n"
            "  fix: let the worker's user read it"
        ) from None
    except UnicodeDecodeError:
        raise SecretMissing(
            f"the secret {name}: {path} is not UTF-8 text\n  fix: write it as text, in base64 say"
        ) from None


_warned: set[Path] = set()


def _warn_of_mode(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and path not in _warned:
        _warned.add(path)
        log.warning("%s can be read or written by others: chmod 600 %s", path, path)


# Finding and masking


def _remember(value: str, name: str) -> None:
    if len(_ever) < _REMEMBERED and value not in _ever:
        _ever.update(dict.fromkeys(forms(value), name))


def _scrubbed(text: str, known: dict[str, str]) -> str:
    # The longest first: one form may be within another.
    for form in sorted((form for form in known if form in text), key=len, reverse=True):
        text = text.replace(form, MASK.format(known[form]))
    return text


def _says(names: Sequence[str]) -> str:
    return f"returned the value of the secret {', '.join(names)}, which must not be kept"


def _texts(value: Any) -> Generator[str]:
    """Every text that JSON of this value holds, and the whole of what has no JSON."""
    json_value = _as_json(value)
    yield from _json_texts(json_value)
    # Also across what JSON puts between two texts.
    yield json.dumps(json_value, ensure_ascii=False, default=repr)


def _as_json(value: Any) -> JsonValue:
    try:
        return to_jsonable_python(value)
    except (PydanticSerializationError, ValueError):
        return repr(value)


def _json_texts(value: JsonValue) -> Generator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _json_texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _json_texts(part)


def _mapped(value: JsonValue, change: Callable[[str], str]) -> JsonValue:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _mapped(part, change) for key, part in value.items()}
    if isinstance(value, list):
        return [_mapped(part, change) for part in value]
    return value


# In which forms the value of a secret may turn up in other text


_LINE = 16
"""Characters of a line of a longer secret, such as a key, from which on it is one itself."""

_LEAST = 8
"""Characters that any form has at least."""


@functools.lru_cache(maxsize=256)
def forms(value: str) -> tuple[str, ...]:
    """The value itself and as programs write it: base64, URLs, hex, JSON, Python, HTML."""
    lines = [line.strip() for line in value.splitlines() if not line.startswith("-----")]
    parts = [value, *(line for line in lines if len(line) >= _LINE)]
    found = [form for part in dict.fromkeys(parts) for form in _spellings(part)]
    return tuple(form for form in dict.fromkeys(found) if len(form) >= _LEAST)


def _spellings(value: str) -> list[str]:
    data = value.encode(errors="surrogatepass")
    bare = value.strip()
    plain = [value, bare, html.escape(value), repr(value)[1:-1]]
    as_json = [json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
    in_urls = [quote(data, safe=""), quote(data), quote_plus(data)]
    in_urls += [re.sub("%..", lambda found: found[0].lower(), url) for url in in_urls]
    return [*plain, *as_json, *in_urls, data.hex(), data.hex().upper(), *_base64(data)]


def _base64(data: bytes) -> list[str]:
    """In base64, wherever in a longer text the value begins: three ways, without the edges."""
    found: list[str] = []
    for before in range(3):
        coded = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        # Characters that also hold bits of what is around the value differ from case to case.
        first = (0, 2, 3)[before]
        last = len(coded) - bool((before + len(data)) % 3)
        found += [coded[first:last], coded[first:last].translate(str.maketrans("+/", "-_"))]
    return found


# Errors that hold a secret, said again without it, and as retryable as they were


_WORTH = (asyncio.CancelledError, exceptions.Final, NotDone, TypeError, AttributeError, NameError)
"""What is treated in its own way where steps are run."""

_Scrub = Callable[[str], str]
"""Masks secrets in a text."""


def _without_secrets(error: BaseException, scrub: _Scrub) -> BaseException:
    """The same error if nothing in it, or in what it came from, is a secret; else a like one.

    What it came from is left out of the new one.
    """
    if not any(
        scrub(text) != text for each in _error_line(error, set()) for text in _error_texts(each)
    ):
        return error
    return _again(error, scrub(_error_text(error))).with_traceback(error.__traceback__)


def _error_line(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """An error with all that it came from or is made of."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    yield from _error_line(error.__cause__, seen)
    yield from _error_line(error.__context__, seen)
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for part in group.exceptions:
            yield from _error_line(part, seen)


def _error_texts(error: BaseException) -> Iterator[str]:
    yield _error_text(error)
    yield from map(_shown, error.args)
    yield from getattr(error, "__notes__", ())
    if isinstance(error, ApplicationError):
        yield from map(_shown, error.details)


def _error_text(error: BaseException) -> str:
    # Anybody's error may fail to say what it is; it is masked all the same.
    message = error.message if isinstance(error, ApplicationError) else None
    return fallback(type(error).__name__, lambda: str(error) if message is None else message)


def _shown(value: object) -> str:
    return fallback(type(value).__name__, lambda: value if isinstance(value, str) else repr(value))


def _again(error: BaseException, text: str) -> BaseException:
    """An error of the same kind, as far as it matters to who catches it."""
    kind = type(error)
    if isinstance(error, ApplicationError):
        return ApplicationError(
            text,
            type=error.type,
            non_retryable=error.non_retryable,
            next_retry_delay=error.next_retry_delay,
        )
    if isinstance(error, (ValidationError, PydanticSerializationError)):
        return StepError(f"{kind.__name__}: {text}")
    # Only where no code of its own runs: it could put the secret back.
    if isinstance(kind.__init__, WrapperDescriptorType):
        with contextlib.suppress(TypeError):
            return kind(text)
    known = next((k for k in _WORTH if isinstance(error, k)), None)
    return RuntimeError(f"{kind.__name__}: {text}") if known is None else known(text)
