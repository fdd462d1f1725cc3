"""Personal data and secrets, as they look in a text: where they begin and end, and what they are.

Found is what a checksum, a fixed prefix or an unmistakable form gives away. Names of people
and postal addresses have no form: they are masked where a field says that it holds one.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SECRET = "secret"  # noqa: S105  # what it is called, not one
"""Kind of what nobody may read. It has no pseudonym: a guess could be tried on that."""

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
_UNTRUSTED = re.compile(
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
    for pattern in (_SAID, _URL, _UNTRUSTED):
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
    return sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0  # noqa: PLR2004


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
