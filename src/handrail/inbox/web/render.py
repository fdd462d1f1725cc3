"""Templates, and how they put values into words.

Everything that a template prints is escaped, and every character in it that could disguise
what it says is spelt out: no template can forget it. Only `exact` leaves characters as they
are, for what a form sends back.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from handrail.text import escape_hidden, moment_in_words

_NUMBER = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_UNITS = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"))


def shown(value: Any) -> Any:
    """A value as it is printed: nothing in it hides."""
    if isinstance(value, Markup) or value is None:
        return "" if value is None else value
    return escape_hidden(str(value))


def exact(value: str) -> Markup:
    """Text as it is, escaped: for the value of a field that is sent back."""
    return escape(value)


def hides(value: str) -> bool:
    """Whether a text has characters that do not show."""
    return escape_hidden(value) != value


def plain(value: Any) -> str:
    """A value of an action as people read it, exactly."""
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(
        value, ensure_ascii=False, indent=2 if isinstance(value, dict | list) else None
    )


def numeric(value: Any) -> bool:
    """Whether a value of an action is a number of 0 or more, or a decimal as text."""
    if isinstance(value, bool):
        return False
    return _NUMBER.fullmatch(str(value)) is not None


def long(value: Any) -> bool:
    """Whether a value is text of several lines."""
    return isinstance(value, str) and "\n" in value


def as_json(value: Any) -> str:
    """A value as JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def words(name: str) -> str:
    """The name of a field or a state as words."""
    return name.replace("_", " ")


def left(until: datetime | None, now: datetime) -> str:
    """How long it is until then, in its two largest units."""
    if until is None:
        return "no deadline"
    return f"{span(until - now)} left" if until > now else "time is over"


def span(length: timedelta) -> str:
    """A length of time in its two largest units."""
    parts: list[str] = []
    for unit, name in _UNITS:
        number, length = divmod(length, unit)
        if number:
            parts.append(f"{number} {name}")
    return " ".join(parts[:2]) or "less than a minute"


def time(at: datetime | None) -> Markup:
    """A point in time: in UTC, and for scripts to show in the reader's own zone."""
    if at is None:
        return Markup("–")  # noqa: RUF001  # a dash for nothing
    iso = at.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}">{}</time>').format(iso, moment_in_words(at))


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("handrail.inbox.web"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cast("dict[str, Any]", made.filters).update(
        exact=exact, plain=plain, as_json=as_json, words=words, left=left, span=span, time=time
    )
    made.tests.update(hiding=hides, numeric=numeric, long=long)
    return made


TEMPLATES = _environment()
