"""In which forms the value of a secret may turn up in other text."""

from __future__ import annotations

import base64
import functools
import html
import json
import re
from urllib.parse import quote, quote_plus

_LINE = 16
"""Characters of a line of a longer secret, such as a key, from which on it is one itself."""

_LEAST = 8
"""Characters that any form has at least."""


@functools.lru_cache(maxsize=256)
def forms(value: str) -> tuple[str, ...]:
    """The value itself and as programs write it: base64, URLs, hex, JSON, Python, HTML."""
    lines = [line.strip() for line in value.splitlines() if not line.startswith("-----")]
    parts = [value, *(line for line in lines if len(line) >= _LINE)]
    found = [form for part in dict.fromkeys(parts) for form in _of(part)]
    return tuple(form for form in dict.fromkeys(found) if len(form) >= _LEAST)


def _of(value: str) -> list[str]:
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
