"""Masking: what leaves a process in a log line holds no personal data and no secret.

Personal data become pseudonyms, `<mail:3f9a1c20d4>`: the same value gives the same one, so
that lines can be joined, and only who has the key could try out whose it is. Secrets become
`<secret>`, and texts from outside `<untrusted>` with their length.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from pydantic import BaseModel, SecretBytes, SecretStr

from handrail.guardrails.patterns import SECRET, PatternMatch, find, find_in_id, phone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pydantic import JsonValue

LONGEST = 500
"""Characters of one text in a line."""

MOST = 50
"""Fields or items of one value in a line."""

_DEEPEST = 8
_READ = 10_000
_UNTRUSTED = "untrusted"

KEY_BYTES = 32


class Personal:
    """Marks a field of an action or of evidence as personal: `Annotated[str, Personal]`."""


class Masker:
    """Masks texts and values with one key.

    `clear`: personal data are left as they are; secrets never are.
    """

    def __init__(self, key: bytes | None = None, *, clear: bool = False) -> None:
        self._key = key or secrets.token_bytes(KEY_BYTES)
        self._clear = clear

    def text(self, text: str, *, most: int = LONGEST) -> str:
        """A text without what has the form of personal data or of a secret, cut at `most`."""
        if not text:
            return ""
        shown = self._without(text[:_READ], find)
        if len(text) > _READ:
            shown = shown[:-64]  # what stood across the cut may not have been known for it
        return shown if len(shown) <= most else f"{shown[: most - 1]}…"

    def name(self, text: str) -> str:
        """An id, such as a case's: mail addresses and account numbers in it are masked."""
        return self._without(text[:_READ], find_in_id)

    def value(self, value: Any, field: str = "") -> JsonValue:
        """A value as JSON: each field by its name, its declaration and its form."""
        return self._value(value, _kind_of(field), _DEEPEST)

    def pseudonym(self, kind: str, value: str) -> str:
        """What stands for a value: always the same under one key."""
        if kind == SECRET:
            return "<secret>"
        digest = hmac.new(self._key, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()
        return f"<{kind}:{digest[:10]}>"

    def _without(self, text: str, search: Callable[[str], Sequence[PatternMatch]]) -> str:
        parts, at = list[str](), 0
        for found in search(text):
            if self._clear and found.kind != SECRET:
                continue
            parts += text[at : found.start], self.pseudonym(found.kind, found.value)
            at = found.end
        return "".join([*parts, text[at:]])

    def _value(self, value: Any, kind: str, depth: int) -> JsonValue:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, SecretStr | SecretBytes):
            return "<secret>"
        if depth <= 0:
            return "…"
        if kind == _UNTRUSTED:
            return f"<untrusted, {len(str(value))} characters>"
        if isinstance(value, BaseModel):
            return self._model(value, kind, depth)
        if isinstance(value, Mapping):
            return self._mapping(cast("Mapping[Any, Any]", value), kind, depth)
        if isinstance(value, list | tuple | set | frozenset):
            items = list(cast("Sequence[Any]", value))
            shown = [self._value(item, kind, depth - 1) for item in items[:MOST]]
            return [*shown, f"… {len(items) - MOST} more"] if len(items) > MOST else shown
        return self._leaf(value, kind)

    def _model(self, model: BaseModel, kind: str, depth: int) -> JsonValue:
        declared = _declared(type(model))
        return {
            name: self._value(value, declared.get(name) or _within(kind, name), depth - 1)
            for name, value in islice(model, MOST)
        }

    def _mapping(self, given: Mapping[Any, Any], kind: str, depth: int) -> JsonValue:
        return {
            self.text(str(key), most=100): self._value(item, _within(kind, str(key)), depth - 1)
            for key, item in list(given.items())[:MOST]
        }

    def _leaf(self, value: Any, kind: str) -> JsonValue:
        if isinstance(value, Enum):
            value = value.value
        if kind == SECRET:
            return "<secret>"
        if kind and not self._clear:
            return self.pseudonym(kind, _spelling(kind, str(value)))
        if isinstance(value, int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Decimal | datetime | date | time | timedelta | UUID | PurePath):
            return str(value)
        return f"<{type(value).__name__}>"


def _spelling(kind: str, text: str) -> str:
    """One spelling, the same as where the value is found by its form."""
    if kind == "phone":
        return phone(text)
    if kind in {"iban", "card"}:
        return re.sub(r"[\W_]", "", text).upper()
    return text.strip().lower()


# What the name of a field says

_WORDS_OF = {
    SECRET: (
        "password passwd passphrase pwd secret secrets token apikey authorization cookie cookies "
        "credential credentials pin cvv cvc otp"
    ),
    "mail": "email emails mail mailbox",
    "phone": "phone telephone mobile fax msisdn",
    "iban": "iban",
    "card": "pan",
    "personal": (
        "firstname lastname fullname surname forename birthday birthdate dob ssn passport nino "
        "street postcode zipcode"
    ),
    _UNTRUSTED: _UNTRUSTED,
}
_PAIRS_OF = {
    SECRET: "api-key access-key private-key signing-key",
    "mail": "mail-address email-address",
    "phone": "phone-number",
    "iban": "account-number bank-account",
    "card": "card-number",
    "personal": (
        "birth-date date-birth home-address postal-address delivery-address billing-address "
        "street-address ip-address tax-id national-id social-security first-name last-name "
        "full-name given-name family-name middle-name maiden-name person-name customer-name "
        "contact-name recipient-name sender-name patient-name employee-name passenger-name "
        "guest-name user-name holder-name owner-name client-name member-name traveller-name"
    ),
}
_KINDS = {
    words: kind
    for table in (_WORDS_OF, _PAIRS_OF)
    for kind, listed in table.items()
    for words in listed.split()
}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@functools.lru_cache(maxsize=4_096)
def _kind_of(field: str) -> str:
    """What a field holds by its name; empty when the name says nothing."""
    words = [word.lower() for word in _WORDS.findall(field[:100])]
    pairs = [f"{a}-{b}" for apart in (1, 2) for a, b in zip(words, words[apart:], strict=False)]
    kinds = [_KINDS[each] for each in (*pairs, *words) if each in _KINDS]
    return SECRET if SECRET in kinds else next(iter(kinds), "")


def _within(kind: str, field: str) -> str:
    """What a field within one of `kind` holds: the same, unless its own name says worse."""
    own = _kind_of(field)
    return own if not kind or own in {SECRET, _UNTRUSTED} else kind


@functools.lru_cache(maxsize=1_024)
def _declared(model: type[BaseModel]) -> Mapping[str, str]:
    """What the declarations of a model say of its fields, by their names."""
    return {name: _as_declared(field) for name, field in model.model_fields.items()}


def _as_declared(field: Any) -> str:
    """`personal` where the declaration says so, at any depth of its type."""
    metadata: Sequence[Any] = field.metadata
    if any(mark is Personal or isinstance(mark, Personal) for mark in metadata):
        return "personal"
    return "personal" if _marked(field.annotation, 6) else ""


def _marked(annotation: Any, depth: int) -> bool:
    marks: Sequence[Any] = getattr(annotation, "__metadata__", ())
    if any(mark is Personal or isinstance(mark, Personal) for mark in marks):
        return True
    inner: Sequence[Any] = getattr(annotation, "__args__", ())
    return depth > 0 and any(_marked(each, depth - 1) for each in inner)


# The masker of this process

_current = Masker()


def masker() -> Masker:
    """The masker of this process: with a key of its own until `use` gives it another."""
    return _current


def use_masker(other: Masker) -> None:
    """Mask with another masker from now on."""
    global _current  # noqa: PLW0603  # one process, one log
    _current = other


def pseudonym_key(directory: Path) -> bytes | None:
    """The key of a machine: `directory`/pseudonyms, made when it is missing.

    None where it can neither be read nor made: then every process has a key of its own, and
    its pseudonyms mean nothing to another.
    """
    path = directory / "pseudonyms"
    with contextlib.suppress(OSError):
        if not path.exists():
            _make_key(path)
        found = path.read_bytes().strip()
        return found if len(found) >= KEY_BYTES else None
    return None


def _make_key(path: Path) -> None:
    """Whole or not at all: processes that start together must agree on one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".pseudonyms-{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_hex(KEY_BYTES).encode())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
