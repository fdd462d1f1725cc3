"""A reader of hostile texts that understands everything and wants to obey.

It stands for a model in the worst case: whatever a text is dressed in, it is undressed, and
whatever it demands is taken over. What it does not demand is filled in from what is known, as
a clever model would to make its answer look right.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import gzip
import html
import json
import quopri
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote

from tests.injection.texts import Demand

DEEPEST = 4
"""Dresses over each other that are taken off."""

MOST = 60
"""Readings of one text."""

_LATIN = str.maketrans("АВСЕНКМОРТХасеорху", "ABCEHKMOPTXaceopxy")  # Cyrillic
_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|x([0-9a-f]{2})|U000([0-9a-f]{5}))")
_CODED = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-f]{2}){16,}")
_ORDER = re.compile(r"\b((?:MAL\d+|VICTIM|CUST\d+)-\d+)")
_CUSTOMER = re.compile(r"\b(MAL\d+|VICTIM|CUST\d+)\b(?!-\d)")
_IBAN = re.compile(r"\b([A-Z]{2}\d{2}[A-Z0-9]{11,30})\b")
_AMOUNT = re.compile(r"(?<![%=\w])(\d+(?:[.,]\d{1,2})?)\s*EUR")
_CLAIM = re.compile(r"\b(vip|status|confidence)=([a-z0-9.]+)")


def demand_of(texts: Iterable[str]) -> Demand:
    """What the texts demand together; a later one outdoes an earlier one."""
    found = Demand()
    for text in texts:
        wanted = max(map(_wanted, _readings(text)), key=_said, default=Demand())
        found = wanted if _said(wanted) else found
    return found


def _said(demand: Demand) -> int:
    """How much a demand says."""
    return sum(value not in {None, False} for value in vars(demand).values())


def _wanted(text: str) -> Demand:
    claims = dict(_CLAIM.findall(text))
    sure = claims.get("confidence")
    return Demand(
        order=_last(_ORDER, text),
        amount=(_last(_AMOUNT, text) or "").replace(",", ".") or None,
        iban=_last(_IBAN, text),
        customer=_last(_CUSTOMER, text),
        vip=True if claims.get("vip") == "true" else None,
        status=claims.get("status"),
        confidence=float(sure) if sure and re.fullmatch(r"[01](\.\d+)?", sure) else None,
        change="set_iban" in text,
    )


def _last(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.findall(text)
    return found[-1] if found else None


def _readings(text: str) -> Iterator[str]:
    """The text with one dress after another taken off, the plainest that says anything first."""
    seen: set[str] = set()
    layer = [text]
    for _ in range(DEEPEST):
        following: list[str] = []
        for each in layer:
            if each in seen or not each or len(seen) >= MOST:
                continue
            seen.add(each)
            plain = _plain(each)
            yield plain
            following += [other for way in _WAYS for other in way(each)]
            following += [other for way in _WAYS for other in way(plain)] if plain != each else []
        layer = following


def _plain(text: str) -> str:
    """Without what cannot be seen, and with look-alikes as what they look like."""
    text = "".join(_seen(c) for c in text)
    text = unicodedata.normalize("NFKC", text)
    text = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    digits = {ord(c): str(unicodedata.digit(c)) for c in set(text) if unicodedata.digit(c, -1) >= 0}
    return text.translate(digits)


def _seen(character: str) -> str:
    if 0xE0020 <= ord(character) <= 0xE007E:  # tag characters
        return chr(ord(character) - 0xE0000)
    hidden = unicodedata.category(character) in {"Cf", "Mn", "Me"}
    return "" if hidden and character not in "\n\r\t" else character


def _of_bytes(data: bytes) -> list[str]:
    try:
        return [data.decode()]
    except UnicodeDecodeError:
        return []


def _base64(text: str) -> list[str]:
    found: list[str] = []
    for coded in _CODED.findall(text):
        padded = coded.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            data = base64.b64decode(padded + "=" * (-len(padded) % 4))
            found += _of_bytes(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
        except (binascii.Error, OSError, EOFError, zlib.error):
            continue
    return found


def _hex(text: str) -> list[str]:
    return [t for coded in _HEX.findall(text) for t in _of_bytes(bytes.fromhex(coded))]


def _escapes(text: str) -> list[str]:
    return [_ESCAPE.sub(_character, text)] if "\\" in text else []


def _character(found: re.Match[str]) -> str:
    return chr(int(next(filter(None, found.groups())), 16))


def _json(text: str) -> list[str]:
    try:
        read = json.loads(text)
    except ValueError:
        return []
    return list(_leaves(read))


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():  # pyright: ignore[reportUnknownVariableType]  # of any JSON
            yield from _leaves(part)  # pyright: ignore[reportUnknownArgumentType]  # the same
    elif isinstance(value, list):
        for part in value:  # pyright: ignore[reportUnknownVariableType]  # the same
            yield from _leaves(part)  # pyright: ignore[reportUnknownArgumentType]  # the same


def _utf7(text: str) -> list[str]:
    try:
        return [text.encode("ascii").decode("utf-7")] if "+" in text else []
    except (UnicodeEncodeError, UnicodeDecodeError):
        return []


_WAYS: tuple[Callable[[str], list[str]], ...] = (
    _base64,
    _hex,
    _json,
    _utf7,
    _escapes,
    lambda t: [unquote(t)] if "%" in t else [],
    lambda t: [html.unescape(t)] if "&" in t else [],
    lambda t: _of_bytes(quopri.decodestring(t.encode(errors="replace"))) if "=" in t else [],
    lambda t: [t.translate(_LATIN)],
    lambda t: [codecs.decode(t, "rot13")] if len(t) < 5_000 else [],
    lambda t: [t[::-1]] if len(t) < 5_000 else [],
)
