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
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice, pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from pydantic import BaseModel, SecretBytes, SecretStr

from handrail.agent import scrub_secrets
from handrail.marks import Personal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
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

SECRET = "secret"  # noqa: S105  # what it is called, not one
"""Kind of what nobody may read. It has no pseudonym: a guess could be tried on that."""


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
        # A token may look like any word: what was handed out is known, whatever its form.
        text = scrub_secrets(text)
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
    return {
        name: "personal" if _marked(field.metadata, field.annotation) else ""
        for name, field in model.model_fields.items()
    }


def _marked(marks: Sequence[Any], annotation: Any, depth: int = 6) -> bool:
    """Whether these marks, or those at any depth of the type, say that it is personal."""
    if any(mark is Personal or isinstance(mark, Personal) for mark in marks):
        return True
    inner: Sequence[Any] = getattr(annotation, "__args__", ())
    return depth > 0 and any(_marked(getattr(i, "__metadata__", ()), i, depth - 1) for i in inner)


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


# Personal data and secrets as they look in a text. Found is what a checksum, a fixed prefix or an
# unmistakable form gives away. Names of people and postal addresses have no form: they are masked
# where a field says that it holds one.


# Lengths by country: the registry of ISO 13616.
_LENGTHS = (
    "15:NO 16:BE 18:DK,FI,FK,FO,GL,NL,SD 19:MK,SI 20:AT,BA,EE,KZ,LT,LU,MN,XK "
    "21:CH,HR,LI,LV 22:BG,BH,CR,DE,GB,GE,IE,ME,RS,VA 23:AE,GI,IL,IQ,OM,SO,TL "
    "24:AD,CZ,ES,MD,PK,RO,SA,SE,SK,TN,VG 25:LY,PT,ST 26:IS,TR 27:BI,DJ,FR,GR,IT,MC,MR,SM "
    "28:AL,AZ,BY,CY,DO,GT,HN,HU,LB,NI,PL,SV 29:BR,EG,PS,QA,UA 30:JO,KW,MU,YE "
    "31:MT,SC 32:LC 33:RU"
)
_IBAN_LENGTHS = {
    country: int(length)
    for length, _, countries in (part.partition(":") for part in _LENGTHS.split())
    for country in countries.split(",")
}

_IBAN = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9])")
_MAIL = re.compile(r"(?<![\w.+-])[\w.+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_CARD = re.compile(r"(?<![\w+])\d(?:[ -]?\d){12,18}(?!\w)")
_PHONE = re.compile(
    r"(?<![\w+.:/-])(?:"
    r"\+\d(?:[ ()./-]{0,2}\d){7,14}"  # international
    r"|00[1-9](?:[ ()./-]{0,2}\d){7,14}"
    r"|\(?0\d{1,5}\)?[ /-]{1,3}\d(?:[ -]?\d){4,11}"  # national, with its area set off
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}"
    r"|\d{3}[.-]\d{3}[.-]\d{4}"
    r")(?![\w@:-]|[.,]\d)"
)
_PEM = re.compile(
    r"-----BEGIN ([A-Z ]{0,40}PRIVATE KEY)-----.{0,20000}?(?:-----END \1-----|\Z)", re.DOTALL
)
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*){0,3}"  # JSON web tokens, signed or encrypted
    r"|sk-[\w-]{16,}|[sr]k_(?:live|test)_\w{10,}|xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}"
    r"|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_\w{20,}|npm_\w{30,}"
    r"|pypi-[\w-]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])|AIza[\w-]{35}|ya29\.[\w-]{20,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|dop_v1_\w{32,}|AGE-SECRET-KEY-1\w{20,}"
    r")"
)
# Only the value goes: what is said of it stays.
_SAID = re.compile(
    r"(?i)(?<![A-Za-z])(?:(?:bearer|basic)[ ]+(?=[\w+/=.~-]*[\d=])"
    r"|(?:[a-z0-9]{0,20}[_-])?(?:password|passwd|passphrase|pwd|secret|token|credentials?"
    r"|api[_-]?key|access[_-]?key|private[_-]?key|authorization|cookie)"
    r"[\"']?[ ]{0,3}(?:=|:)[ ]{0,3}(?:(?:bearer|basic)[ ]+)?[\"']?)"
    r"(?P<value>[^\s\"'&,;<>{}\[\]()]{3,})"
)
# How `handrail.Untrusted` shows itself in an error's text.
_UNTRUSTED_SHOWN = re.compile(
    r"(?<=Untrusted\()(?:untrusted=)?(?P<value>'(?:[^'\\]|\\.){0,9000}'|\"(?:[^\"\\]|\\.){0,9000}\")"
)
_URL = re.compile(r"(?<=://)[^\s/@:]{0,200}:(?P<value>[^\s/@]{1,200})(?=@)")


@dataclass(frozen=True)
class PatternMatch:
    """One thing in a text: where it is, what it is, and its one spelling."""

    start: int
    end: int
    kind: str
    value: str


def find(text: str) -> list[PatternMatch]:
    """Everything in a text that must not be read, from left to right, none overlapping."""
    return list(_apart([*_secrets(text), *ibans(text), *mails(text), *_numbers(text)]))


@functools.lru_cache(maxsize=1_024)
def find_in_id(text: str) -> tuple[PatternMatch, ...]:
    """The same for ids, whose digits look like cards and telephones: mail and IBAN alone."""
    return tuple(_apart([*ibans(text), *mails(text)]))


def ibans(text: str) -> Iterator[PatternMatch]:
    """Account numbers with a right checksum, in groups or not."""
    for begun in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(begun[0][:2].upper())
        taken = None if length is None else _take(text, begun.start(), length)
        if taken is not None and _is_iban(taken[0]):
            yield PatternMatch(begun.start(), taken[1], "iban", taken[0])


def mails(text: str) -> Iterator[PatternMatch]:
    """Addresses of mail."""
    for found in _MAIL.finditer(text):
        yield PatternMatch(found.start(), found.end(), "mail", found[0].lower())


def digits(text: str) -> str:
    """Its digits, of any script, as 0 to 9."""
    return "".join(str(int(sign)) for sign in text if sign.isdecimal())


def _secrets(text: str) -> Iterator[PatternMatch]:
    for pattern in (_PEM, _TOKEN):
        for found in pattern.finditer(text):
            yield PatternMatch(found.start(), found.end(), SECRET, "")
    for pattern in (_SAID, _URL, _UNTRUSTED_SHOWN):
        for found in pattern.finditer(text):
            yield PatternMatch(found.start("value"), found.end("value"), SECRET, "")


def _numbers(text: str) -> Iterator[PatternMatch]:
    for found in _CARD.finditer(text):
        number = digits(found[0])
        if number[0] in "23456" and _luhn(number):
            yield PatternMatch(found.start(), found.end(), "card", number)
    for found in _PHONE.finditer(text):
        yield PatternMatch(found.start(), found.end(), "phone", phone(found[0]))


def phone(text: str) -> str:
    """One spelling of a telephone number: 00 and + are the same."""
    number = digits(text)
    if text.lstrip().startswith("+"):
        return f"+{number}"
    return f"+{number[2:]}" if number.startswith("00") else number


def _take(text: str, start: int, length: int) -> tuple[str, int] | None:
    """`length` letters and digits from `start` on, over single blanks; and where they end."""
    taken: list[str] = []
    for at, sign in enumerate(text[start : start + 2 * length], start):
        if sign.isascii() and sign.isalnum():
            taken.append(sign.upper())
        elif sign not in " -\u00a0":
            return None
        if len(taken) == length:
            whole = not text[at + 1 : at + 2].isalnum()
            return ("".join(taken), at + 1) if whole else None
    return None


def _is_iban(compact: str) -> bool:
    """ISO 7064, modulus 97-10."""
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def _luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = (2 * int(sign) if at % 2 else int(sign) for at, sign in enumerate(number[::-1]))
    return sum(sum(divmod(each, 10)) for each in doubled) % 10 == 0


def _apart(found: Iterable[PatternMatch]) -> Iterator[PatternMatch]:
    """Of what overlaps, one that covers all of it; a secret before anything else."""
    ordered = sorted(found, key=lambda each: (each.start, -each.end))
    merged: list[PatternMatch] = []
    for each in ordered:
        if not merged or each.start >= merged[-1].end:
            merged.append(each)
            continue
        last = merged.pop()
        first = last if last.kind == SECRET or each.kind != SECRET else each
        merged.append(PatternMatch(last.start, max(last.end, each.end), first.kind, first.value))
    assert all(a.end <= b.start for a, b in pairwise(merged))  # noqa: S101  # by construction
    yield from merged
