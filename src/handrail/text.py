"""Escaping of texts for people, and times and shares in words.

Whatever an agent or the outside world wrote goes through `escape_hidden` before anybody reads
it: on a page, in a mail, a terminal or a log. Escaping for Markdown, HTML and terminals is built
on it, so that there is one table of what could disguise a text.
"""

from __future__ import annotations

import codecs
import html
import json
import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidationError

LONGEST_QUOTED: Final = 80
"""Characters of a text that `quoted` shows."""

CUT: Final = " […]"
"""What stands at the end of a text that was cut short."""

# Controls, what changes direction or has no width, private and unassigned characters, half of
# a pair, separators of lines and paragraphs.
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
# Letters, marks and signs by their category, and nothing to see: joiners, fillers, selectors.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_UNUSUAL = re.compile(r"[^\n\t -~]")
_OTHER_SPACE = re.compile(r"[^\S ]")
_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>#|!&~"})
_LINE_START = re.compile(r"^(\d*)([-+=.)])")
_HALF = re.compile("[\ud800-\udfff]")


def whole_text(text: str) -> str:
    """The text without halves of characters, which no UTF-8, and so no JSON, holds.

    Two that belong together are one; any other becomes U+FFFD, the sign for what is not readable.
    """
    if not _HALF.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def fit_text(text: str) -> str:
    """The text as every wire and database takes it: whole, and without the character 0."""
    whole = whole_text(text)
    # What is a text and more, as an enumeration's member is, stays what it is.
    return whole.replace("\x00", "\ufffd") if "\x00" in whole else whole


_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def decode_text(content: bytes) -> str:
    """The text of a file: UTF-8, or whatever its byte-order mark says (PowerShell's `>` has one).

    Raises:
        UnicodeDecodeError: if it is neither.
    """
    named = (encoding for mark, encoding in _MARKS.items() if content.startswith(mark))
    return content.decode(next(named, "utf-8"))


def exact_json(text: str | bytes, constant: Callable[[str], Any] | None = None) -> Any:
    """What JSON says, with each number's every digit: one that no float keeps is its text.

    Raises:
        ValueError: if it is none.
    """
    return json.loads(text, parse_float=exact_number, parse_constant=constant)


def exact_number(text: str) -> float | str:
    """A number of JSON, or its text where a float would lose digits of it.

    Raises:
        ValueError: if no number has such an exponent.
    """
    try:
        return text if Decimal(repr(number := float(text))) != Decimal(text) else number
    except InvalidOperation:
        raise ValueError(f"{text[:40]} is no number") from None


def escape_hidden(text: str) -> str:
    """The text with every invisible or direction-changing character shown as its code.

    Line feeds and tabs stay.
    """
    return _UNUSUAL.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    return _code(found) if _is_hidden(found[0]) else found[0]


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN or bool(_BLANK.match(character))


def _code(found: re.Match[str]) -> str:
    # As JSON spells it, so that what is shown of an action is what is in it.
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def same_text(text: str) -> str:
    """The text without what makes no other one of it to who reads it.

    Spaces around it, what has no width, another form of the same character, another dash. Letters
    that look alike stay different ones.
    """
    if not (text.isascii() and text.isprintable()):
        forms = unicodedata.normalize("NFKC", text)
        seen = (c for c in forms if c.isspace() or not _is_hidden(c))
        text = "".join("-" if unicodedata.category(c) == "Pd" else c for c in seen)
    return " ".join(text.split())


def one_line(text: str, most: int = 2_000) -> str:
    """Text on one line, no longer than `most`."""
    shown = escape_hidden(" ".join(text.split()))
    return shown if len(shown) <= most else f"{shown[: most - len(CUT)]}{CUT}"


def first_line(text: str) -> str:
    """The first line of a text that may be empty."""
    return "".join(text.strip().splitlines()[:1])


def shown_file(name: str | None) -> str:
    """A file as faults name it: by its way from where the command runs, if it lies there."""
    path = Path(name or "")
    here = path.is_relative_to(Path.cwd())
    return str(path.relative_to(Path.cwd())) if here else path.name


def quoted(value: str) -> str:
    """A text in quotes, cut short; spaces that are not the usual one are spelt out, too."""
    shown = escape_hidden(json.dumps(value[:LONGEST_QUOTED], ensure_ascii=False))
    return _OTHER_SPACE.sub(_code, shown) + ("..." if len(value) > LONGEST_QUOTED else "")


def escape_terminal(value: object) -> str:
    """Text on one line of a terminal, of which it can move nothing."""
    return escape_hidden(str(value)).replace("\n", "\\n").replace("\t", " ")


def escape_html(text: str, *, quote: bool = True) -> str:
    """Text in HTML. Without `quote`: in Slack's messages, where quotes mean nothing."""
    return html.escape(escape_hidden(text), quote)


def escape_markdown(text: str, most: int = 500) -> str:
    """Text on one line of Markdown, in which it means nothing; cut off after `most`."""
    return _in_markdown(escape_hidden(text[:most]).replace("\n", " "))


def _in_markdown(line: str) -> str:
    # A marker at the start of a line is that of a list, a rule or a heading.
    return _LINE_START.sub(r"\1\\\2", line.strip().translate(_MARKDOWN))


def markdown_quote(text: str, most: int = 2_000) -> str:
    """Text as a Markdown quotation that it cannot leave."""
    shown = escape_hidden(text[:most]) + (CUT if len(text) > most else "")
    return "\n".join(f"> {_in_markdown(line)}" for line in shown.splitlines() or [""])


def markdown_code(text: str, most: int = 500) -> str:
    """Text in a Markdown code span that it cannot close."""
    ticks = "`"
    shown = escape_hidden(text[:most]).replace("\n", " ")
    while ticks in shown:
        ticks += "`"
    return f"{ticks} {shown} {ticks}" if len(ticks) > 1 else f"`{shown}`"


def markdown_json(value: Any) -> str:
    """A value as indented JSON in a Markdown fence that its own text cannot close."""
    text = escape_hidden(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True))
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}json\n{text}\n{fence}"


def first_fault(error: ValidationError) -> str:
    """The first thing that a model refused, and where; never the value, which may be a secret."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what


def moment_in_words(at: datetime, to: Literal["auto", "seconds", "minutes"] = "seconds") -> str:
    """A time as people read it, in UTC. `auto`: with what it has of a second."""
    # Not by strftime: that imports a module at each call, which the sandbox makes slow.
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(' ', to)} UTC"


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)")


def moment_of_json(value: Any) -> datetime | None:
    """The point in time that a value is, as models write one in JSON; None if it is none."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def value_in_words(value: Any, unit: str = "") -> str:
    """A value of an action or of evidence as people read it: exactly, and with its unit."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, str):
        at = moment_of_json(value)
        said = value if at is None else moment_in_words(at, "auto")
    else:
        said = json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict | list) and len(said) > LONGEST_QUOTED:
            said = json.dumps(value, ensure_ascii=False, indent=2)
    return f"{said} {unit}" if unit else said


def at_least(share: float) -> str:
    """A lower bound in percent, rounded down: what is wanted is not said to be met before it is."""
    return f"{floor(share * 1_000 + _ROUNDING) / 10:.1f}"


def at_most(share: float) -> str:
    """An upper bound in percent, rounded up."""
    return f"{ceil(share * 1_000 - _ROUNDING) / 10:.1f}"


_ROUNDING = 1e-9


def percent(share: int) -> str:
    """A share in hundredths of a percent as people read it: 2,550 is 25.5%."""
    return f"{Decimal(share) / 100:f}%"


def unproven(*, proven: bool, via: str) -> str:
    """What to add to the name of whoever ruled, where nobody knows that it was they."""
    if proven:
        return ""
    return " (signed in by name)" if via == "name" else " (unproven)"
