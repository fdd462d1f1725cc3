"""Texts for people: quoted, cut short, and without what hides or moves them on a screen."""

from __future__ import annotations

import json

LONGEST_QUOTED = 80
"""Characters of a text that `quoted` shows."""


def quoted(value: str) -> str:
    """A text in quotes, with everything that cannot be seen spelt out."""
    text = json.dumps(value[:LONGEST_QUOTED], ensure_ascii=False)
    clean = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(clean) + ("..." if len(value) > LONGEST_QUOTED else "")
