"""Keys: the private ones that people sign with, and the public ones that workers trust.

A person's private key is a file that only they can read. Its public half goes into the
keyring, one file that every worker reads and none can sign with. The inbox has a key of its
own kind: what it signs, it signs for whoever has signed in to it.

A key is replaced by letting it expire: what it signed before still counts. A key that is
lost is revoked: then nothing that it signed counts, whenever it says that it did.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import tempfile
import unicodedata
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import time_ns
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, JsonValue, ValidationError, model_validator
from pydantic_core import to_json

from handrail.actions import Aware, Wire
from handrail.actions import person as one_spelling
from handrail.exceptions import ConfigurationError
from handrail.oversight.jwk import PrivateJwk, PublicJwk, jwk
from handrail.policy import Stamp, file_stamp, open_file
from handrail.text import first_fault

MAX_BYTES = 1024 * 1024
"""Bytes of the largest keyring: room for some thousand keys."""

log = logging.getLogger("handrail.keys")

_MAX_KEY_BYTES = 4096
_SETTLED_NS = 2_000_000_000

_T = TypeVar("_T")

Kind = Literal["person", "inbox"]
"""Whose key it is: it speaks for one person, or for everybody who signed in to the inbox."""


class KeyringError(ConfigurationError):
    """A keyring or a private key cannot be used. The message names the file and the fix."""


def _address(text: str) -> str:
    if "@" not in text or not all(c.isprintable() and not c.isspace() for c in text):
        raise ValueError("is not an address; write it like ana@example.com")
    if text != unicodedata.normalize("NFC", one_spelling(text)):
        raise ValueError(f"write it in small letters: {one_spelling(text)}")
    return text


Address = Annotated[str, Field(max_length=200), AfterValidator(_address)]
"""A person, in the one spelling by which the gate compares people."""


class _Key(Wire):
    """What both halves of a key say: its name, and whom it speaks for."""

    kid: str
    kind: Kind
    person: Address | None = None

    @model_validator(mode="after")
    def _names_its_person(self) -> Self:
        if (self.kind == "person") != (self.person is not None):
            raise ValueError("a key of kind person names its person; one of kind inbox names none")
        return self

    @property
    def owner(self) -> str:
        """Whom it speaks for, in words."""
        return self.person or "the inbox"


class TrustedKey(_Key):
    """A public key, and whom it speaks for, as the keyring holds it.

    `expires`: it signs nothing from then on. `revoked`: nothing that it signed counts; `why`
    says for which reason either was done.
    """

    public: PublicJwk
    made: Aware
    expires: Aware | None = None
    revoked: Aware | None = None
    why: str = Field(default="", max_length=1_000)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kid != self.public.kid:
            raise ValueError(f"the kid of this key is {self.public.kid}, not {self.kid}")
        return self

    def over(self, now: datetime) -> bool:
        """Whether it signs nothing any more."""
        return self.revoked is not None or (self.expires is not None and self.expires <= now)


class SigningKey(_Key):
    """A private key. It belongs on the machine of its person, or of the inbox; nowhere else."""

    private: PrivateJwk = Field(repr=False)
    made: Aware

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kid != PublicJwk(x=self.private.x).kid:
            raise ValueError("the kid is not that of this key")
        return self

    @classmethod
    def new(cls, person: str | None, made: datetime) -> Self:
        """Make a key of `person`; of the inbox if that is None.

        Raises:
            KeyringError: if `person` is no address.
        """
        secret = jwk().generate_key("Ed25519").as_dict(private=True)
        private = PrivateJwk.model_validate(secret)
        kind: Kind = "inbox" if person is None else "person"
        owner = None if person is None else one_spelling(person)
        kid = PublicJwk(x=private.x).kid
        try:
            return cls(kid=kid, kind=kind, person=owner, private=private, made=made)
        except ValidationError as error:
            raise KeyringError(f"{person!r}: {first_fault(error)}") from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a private key.

        Raises:
            KeyringError: if it cannot be read, is none, or if others can read it too.
        """
        content, status = _content(path, _MAX_KEY_BYTES)
        if status.st_mode & 0o077:
            raise KeyringError(
                f"{path} is a private key that others can read; fix: chmod 600 {path}, and "
                "if somebody may have read it: `handrail keys rotate`"
            )
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise KeyringError(
                f"{path} is no private key of Handrail: {first_fault(error)}; "
                "fix: `handrail keys new` makes one"
            ) from None

    def save(self, path: Path) -> None:
        """Write it to a new file that only its owner can read, in a directory likewise.

        Raises:
            KeyringError: if the file exists, or cannot be written.
        """
        text = self.model_dump_json(indent=2, exclude_none=True)
        _write(path, text, mode=0o600, new=True)

    def public(self) -> TrustedKey:
        """The half that others may have."""
        public = PublicJwk(x=self.private.x)
        return TrustedKey(
            kid=self.kid, kind=self.kind, person=self.person, public=public, made=self.made
        )


class _Doc(Wire):
    version: Literal[1] = 1
    keys: tuple[TrustedKey, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({key.kid for key in self.keys}) < len(self.keys):
            raise ValueError("a key stands in it twice")
        return self


class _Entries(Wire):
    """The same, before any entry is looked at."""

    version: Literal[1] = 1
    keys: tuple[JsonValue, ...] = ()


class Keyring:
    """The keys that are trusted. It follows its file, which is replaced whole when it changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[Stamp, Mapping[str, TrustedKey]] | None = None

    def current(self) -> Mapping[str, TrustedKey]:
        """The keys in the file now, by kid, revoked ones too; none if there is no file.

        One that cannot be read is trusted by nobody, and takes no other with it.

        Raises:
            KeyringError: if it cannot be read, is broken, or if anybody may write it.
        """
        try:
            stamp = file_stamp(self.path)
        except FileNotFoundError:
            self._seen = None
            return {}
        except OSError as error:
            raise KeyringError(f"the keyring {self.path} cannot be read: {error}") from error
        if self._seen is None or self._seen[0] != stamp:
            keys = self._sound()
            # A file that changed just now may change again within one tick of its clock.
            settled = time_ns() - stamp[0] > _SETTLED_NS
            self._seen = (stamp, keys) if settled else None
            return keys
        return self._seen[1]

    def _sound(self) -> Mapping[str, TrustedKey]:
        """The keys that can be read; the log says what is wrong with the others.

        Raises:
            KeyringError: if there are none.
        """
        try:
            return self._read()
        except KeyringError as error:
            sound = self._entries()
            if not sound:
                raise
            log.error("%s, by it; the %s others count on", error, len(sound))  # noqa: TRY400  # it says all
            return {key.kid: key for key in sound}

    def _entries(self) -> list[TrustedKey]:
        """Those entries of a faulty file that are whole, each of a key that no other is of."""
        content, status = _content(self.path, MAX_BYTES)
        try:
            listed = _Entries.model_validate_json(content).keys
        except ValidationError:
            return []
        sound: list[TrustedKey] = []
        for entry in listed:
            with contextlib.suppress(ValidationError):
                sound.append(TrustedKey.model_validate_json(to_json(entry)))
        # What is faulty may be the entry by which a key is revoked.
        text, writable = to_json(listed).decode(), status.st_mode & 0o002
        return [] if writable else [key for key in sound if text.count(key.public.x) == 1]

    def _read(self) -> Mapping[str, TrustedKey]:
        content, status = _content(self.path, MAX_BYTES)
        if status.st_mode & 0o002:
            raise KeyringError(
                f"the keyring {self.path} can be written by anybody, so nobody is trusted; "
                f"fix: chmod 644 {self.path}, and look at what is in it: `handrail keys list`"
            )
        try:
            return {key.kid: key for key in _Doc.model_validate_json(content).keys}
        except ValidationError as error:
            raise KeyringError(
                f"the keyring {self.path} is broken: {first_fault(error)}; "
                "fix: put back its last good copy. Until then nobody's ruling is proven"
            ) from None

    def trust(self, key: TrustedKey) -> bool:
        """Add a key. False if it is there already.

        Raises:
            KeyringError: if it was revoked, or the keyring cannot be used.
        """

        def add(keys: dict[str, TrustedKey]) -> bool:
            there = keys.get(key.kid)
            if there is not None and there.revoked is not None:
                raise KeyringError(f"{key.kid} was revoked: {there.why}; it is never trusted again")
            keys.setdefault(key.kid, key)
            return there is None

        return self._edit(add)

    def revoke(self, kid: str, at: datetime, why: str) -> TrustedKey:
        """Let nothing that a key signed count any more. Revoked once, it stays as it is.

        Raises:
            KeyringError: if it is not there, or the keyring cannot be used.
        """

        def revoked(key: TrustedKey) -> TrustedKey:
            changes = {} if key.revoked else {"revoked": at, "why": why[:1_000]}
            return key.model_copy(update=changes)

        return self._edit(lambda keys: self._change(keys, kid, revoked))

    def expire(self, kid: str, at: datetime, why: str) -> TrustedKey:
        """Let a key sign nothing from `at` on. One that expires earlier stays as it is.

        Raises:
            KeyringError: if it is not there, or the keyring cannot be used.
        """

        def expiring(key: TrustedKey) -> TrustedKey:
            sooner = key.expires is not None and key.expires <= at
            changes = {} if sooner or key.revoked else {"expires": at, "why": why[:1_000]}
            return key.model_copy(update=changes)

        return self._edit(lambda keys: self._change(keys, kid, expiring))

    def _change(
        self, keys: dict[str, TrustedKey], kid: str, change: Callable[[TrustedKey], TrustedKey]
    ) -> TrustedKey:
        if kid not in keys:
            raise KeyringError(f"no key {kid} in {self.path}; `handrail keys list` shows them")
        keys[kid] = change(keys[kid])
        return keys[kid]

    def _edit(self, change: Callable[[dict[str, TrustedKey]], _T]) -> _T:
        with _alone(self.path):
            keys = dict(self._read()) if self.path.exists() else {}
            before = dict(keys)
            result = change(keys)
            if keys != before:
                doc = _Doc(keys=tuple(keys.values()))
                _write(self.path, doc.model_dump_json(indent=2, exclude_none=True), mode=0o644)
        return result


@dataclass(frozen=True)
class Trust:
    """Whose rulings a worker takes for proven.

    `proof`: whether a ruling needs one, where the policy does not say. `inbox`: the address
    of the inbox whose people are told, or empty. `by_name`: whether a name alone counts, too.
    """

    keyring: Keyring | None = None
    proof: Literal["required", "unproven"] = "required"
    inbox: str = ""
    by_name: bool = False

    def keys(self) -> Mapping[str, TrustedKey]:
        """The keys that are trusted now.

        Raises:
            KeyringError: if the keyring cannot be used.
        """
        return {} if self.keyring is None else self.keyring.current()


def private_keys(directory: Path) -> dict[Path, SigningKey]:
    """The private keys in a directory, the newest first; none if there is no directory.

    Raises:
        KeyringError: if one of them cannot be used.
    """
    try:
        files = [p for p in directory.glob("*.json") if not p.name.startswith(".")]
    except OSError as error:
        raise KeyringError(f"the keys in {directory} cannot be read: {error}") from error
    keys = {path: SigningKey.load(path) for path in sorted(files)}
    return dict(sorted(keys.items(), key=lambda each: each[1].made, reverse=True))


def signing_key(
    directory: Path, person: str | None, trusted: Mapping[str, TrustedKey], now: datetime
) -> SigningKey | None:
    """The key to sign with for `person`, or of the inbox if that is None; None if there is none.

    Of several the newest that is in `trusted`, else the newest; never one that is over.

    Raises:
        KeyringError: if a key in the directory cannot be used.
    """
    wanted = None if person is None else one_spelling(person)
    own = [key for key in private_keys(directory).values() if key.person == wanted]
    fit = [key for key in own if key.kid not in trusted or not trusted[key.kid].over(now)]
    return next((key for key in fit if key.kid in trusted), next(iter(fit), None))


def _content(path: Path, most: int) -> tuple[bytes, os.stat_result]:
    try:
        with open_file(path) as file:
            # Of the file that is read, whatever comes in its place meanwhile.
            status = os.fstat(file.fileno())
            content = file.read(most + 1)
    except OSError as error:
        raise KeyringError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > most:
        raise KeyringError(f"{path} is larger than {most // 1024} KiB: it is no file of Handrail")
    return content, status


def _write(path: Path, text: str, *, mode: int, new: bool = False) -> None:
    """Write a file whole or not at all. With `new` it must not exist, and stays private."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if new else 0o755)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".") as file:
            file.write(f"{text}\n".encode())
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            aside = Path(file.name).with_suffix(".new")
            os.link(file.name, path if new else aside)
            if not new:
                aside.replace(path)
        _settle(path.parent)
    except FileExistsError as error:
        raise KeyringError(f"{path} is there already; keys are never written over") from error
    except OSError as error:
        raise KeyringError(f"{path} cannot be written: {error.strerror}") from error


def _settle(directory: Path) -> None:
    """Let the names in a directory outlive a loss of power."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _alone(path: Path) -> Generator[None]:
    """Keep others from changing the file meanwhile, in whichever process."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise KeyringError(f"{lock} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
