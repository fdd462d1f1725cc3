"""What words say: the dates, times, numbers and names in them, and the links and accounts.

A sentence of the person who asks is a source of values: "the invoice of 15 May, 12 EUR, to
bob@example.com" says a day, a number and an address. And a text that an agent words itself may
carry what no source has: a link, an account, a passage out of a text from outside.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from handrail.agent.times_in_words import (
    COUNT,
    DATES,
    DAYS,
    NUMERALS,
    SLASHED,
    SPAN,
    dates_in,
    spans_in,
    times_in,
)
from handrail.text import one_line

RUN = 4
"""Words in a row, out of a text from outside, that are a passage of it."""

LONGEST = 50_000
"""Characters of the longest text of a model's own that is looked through."""

_SHOWN = 20
_SHORTEST_NAME = 3

_CLOCKED = re.compile(r"\b\d{1,2}(?::\d{2}\S*|\s*[ap]\.?m\b\.?)", re.IGNORECASE)
_COMMAED = re.compile(r"(?<![\w.,])\d{1,3}(?:\.\d{3})*,\d{2}(?![\w,]|\.\d)")
_NUMBER = re.compile(r"(?<![\w.,/:-])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w/:]|[.,-]\d)")

_LINK = re.compile(
    r"\b(?:h(?:tt|xx)ps?|ftp|www|mailto|data|javascript)\s?(?:\[?:\]?)?\s?[./]\S+"
    r"|(?<![\w@.-])[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?:[/?#:]\S*)?(?!\w)"
    r"|(?<![\w-])[\w-]+\s+\.\s*(?:com|net|org|io|info|example)\b"
    r"|(?<![\w-])[\w-]+\s*(?:\[\.\]|\(\.\)|[\[(]?\bdot\b[\])]?)\s*(?:com|net|org|io|example|info|co|de)\b",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"(?<![\w.+-])[\w.+-]+\s?(?:@|\(at\)|\[at\])\s?[\w-]+(?:\.[\w-]+)+", re.IGNORECASE
)
_ACCOUNT = re.compile(
    r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?\b"
    r"|\b[a-z]{2}\d{2}[a-z0-9]{8,30}\b"
)
_DIGITS = re.compile(r"(?<![\w.])\+?\(?\d(?:[\s().-]{0,2}\d){5,}(?!\w)")
_UNSEEN = re.compile(
    "[\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u115f\u1160\u180b-\u180e\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_WORD = re.compile(r"\w+")
_QUOTED = re.compile(
    r"(?<!\w)'(\w(?:[^']|'(?=\w)){0,300}?)'(?!\w)|"
    + "|".join(
        f"{begin}([^{end}]{{1,300}}){end}"
        for begin, end in (
            '""',
            "``",
            "\u201c\u201d",
            "\u2018\u2019",
            "\u00ab\u00bb",
            "\u201e\u201c",
        )
    )
)
_TODAY_IS = re.compile(r"\btoday(?:'s|\s+is)\b[^.;:]{1,30}", re.IGNORECASE)
_TO_COME = re.compile(
    rf"\btomorrow\b|\b(?:{DAYS.replace(' ', '|')})\b|\bin\s+{COUNT}(?:day|week)s?\b",
    re.IGNORECASE,
)
_STAMP = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?|\d{1,2}\.\d{1,2}\.\d{4}")


@functools.lru_cache(maxsize=256)
def legible(text: str) -> str:
    """A text without what cannot be seen, each letter in its plain form."""
    if text.isascii():
        return text
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", text))


@functools.lru_cache(maxsize=256)
def in_words(text: str) -> str:
    """The words of a text, in small letters, one space between and around them."""
    return f" {' '.join(_WORD.findall(legible(text).casefold()))} "


def contacts(text: str) -> Iterator[str]:
    """Links, addresses, accounts, and numbers long enough to be dialled or paid to."""
    plain = legible(text)
    for form in (_ADDRESS, _LINK, _ACCOUNT):
        for found in form.finditer(plain):
            yield found[0].rstrip(".,;:!?)>\"'")
        plain = form.sub(" ", plain)
    yield from (found[0].strip() for found in _DIGITS.finditer(_STAMP.sub(" ", plain)))


def same(text: str) -> str:
    """A link, an address or an account as it is compared: without its dress."""
    made = re.sub(r"^(?:https?://)?(?:www\.)?", "", legible(text).casefold().strip())
    return re.sub(r"\s|(?<=\w)[ ().-](?=\d)", "", made).rstrip("/")


def misworded(text: str, known: Sequence[str], outside: Iterable[tuple[str, str]]) -> str:
    """What a text carries that is not its to carry, in words; nothing if it is fit.

    `known`: trusted texts and values. `outside`: texts from outside, each with where it is from.
    """
    if len(text) > LONGEST:
        return f"it has {len(text)} characters, too many to be looked through"
    own = {same(c) for each in known for c in contacts(each)} | {same(each) for each in known}
    for each in contacts(text):
        if same(each) not in own:
            return f"{_shown(each)} in it has no trusted source"
    for source, other in outside:
        if run := passage(text, other, known):
            return f"{_shown(run)} in it is from a text from outside ({source})"
    return ""


def _shown(text: str) -> str:
    return f'"{one_line(text, 80)}"'


def passage(text: str, outside: str, known: Iterable[str]) -> str:
    """The first words of a text that stand so in one from outside, and in none that is known.

    That is `RUN` words in a row; fewer, where they are names, or one that holds a digit.
    """
    parts = _WORD.findall(legible(text))
    source = in_words(outside)
    if not _may_share(parts, source.split()):
        return ""
    sources = [in_words(each) for each in known]

    def taken(at: int, length: int) -> bool:
        run = f" {' '.join(parts[at : at + length]).casefold()} "
        return run in source and not any(run in each for each in sources)

    for at, word in enumerate(parts):
        code = any(c.isdigit() for c in word) and len(word) >= RUN and not _is_year(word)
        names = [each for each in parts[at : at + 2] if each[:1].isupper() and len(each) > 1]
        lengths = [*([1] if code else []), *([2] if len(names) > 1 else []), RUN]
        for length in lengths:
            if at + length <= len(parts) and taken(at, length):
                while length < _SHOWN and at + length < len(parts) and taken(at, length + 1):
                    length += 1  # noqa: PLW2901  # as far as it goes
                return " ".join(parts[at : at + length])
    return ""


def _may_share(parts: Sequence[str], others: Sequence[str]) -> bool:
    """Whether words stand so in others, quickly: a page may be long, and a workflow may not."""
    own = [word.casefold() for word in parts]
    runs = set(zip(*(own[at:] for at in range(RUN)), strict=False))
    if not runs.isdisjoint(zip(*(others[at:] for at in range(RUN)), strict=False)):
        return True
    pairs = {(a.casefold(), b.casefold()) for a, b in itertools.pairwise(parts) if a[0].isupper()}
    if not pairs.isdisjoint(itertools.pairwise(others)):
        return True
    return any(any(c.isdigit() for c in word) for word in {*own} & {*others})


def _is_year(word: str) -> bool:
    return word.isdigit() and "1900" <= word <= "2099"


def typed(value: Any) -> Any:
    """A text that is nothing but a number, a day or a time, as such; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return value
    text = legible(str(value)).strip()
    for kind in (
        (date, datetime, time) if isinstance(value, str) and ("-" in text or ":" in text) else ()
    ):
        try:
            return kind.fromisoformat(text)
        except ValueError:
            continue
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    # 007 is a name, and not 7.
    plain = number.is_finite() and re.fullmatch(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", text) is not None
    return number if plain or not isinstance(value, str) else text


class PersonWords:
    """The words of the person who asks, as a source. `days`: those that "tomorrow" is told from."""

    def __init__(self, text: str, days: Sequence[date] = ()) -> None:
        """Read the words."""
        self.text = re.sub(r"\s+", " ", legible(text))
        self._folded = self.text.casefold()
        self.contacts = [*contacts(self.text)]
        self._contacts = set(map(same, self.contacts))
        self.numbers = set(_numbers(self.text))
        self.dates = set(dates_in(self.text, days))
        self.times = set(times_in(self.text))
        self.spans = set(spans_in(self.text))
        whole = [span for span in self.spans if span >= timedelta(1)]
        self.dates |= {day + span for day, span in itertools.product(self.dates, whole)}

    def says(self, value: Any) -> bool:
        """Whether a value stands in them: a name letter by letter, others by what they mean."""
        match typed(value):
            case Decimal() as number:
                return number in self.numbers or (isinstance(value, str) and self._has(value))
            case datetime() as moment:
                return self.moment(moment, self.dates, self.times)
            case date() as day:
                return day in self.dates
            case time() as clock:
                return clock in self.times
            case timedelta() as span:
                return span in self.spans
            case str() as text:
                return not text or self._has(text) or same(text) in self._contacts
            case _:
                return False

    @property
    def quoted(self) -> list[str]:
        """What they have in quotes."""
        return [next(filter(None, found.groups())) for found in _QUOTED.finditer(self.text)]

    @property
    def plain(self) -> str:
        """They, without what they have in quotes."""
        return _QUOTED.sub(" ", self.text)

    @property
    def figures(self) -> set[Decimal]:
        """The numbers in digits that are of no day, no time and no span."""
        return set(_figures(_CLOCKED.sub(" ", SPAN.sub(" ", self.plain))))

    @property
    def of_a_day(self) -> bool:
        """Whether they speak of a day other than today."""
        text = _TODAY_IS.sub(" ", self.plain)
        return any(form.search(text) for form in (*DATES, SLASHED, _TO_COME))

    def moment(self, moment: datetime, days: set[date], times: set[time]) -> bool:
        """Whether it is one of these days at one of these times, or so much later as they say."""
        bare = moment.replace(tzinfo=None)
        starts = [datetime.combine(day, at) for day, at in itertools.product(days, times)]
        ends = (start + span for start, span in itertools.product(starts, self.spans))
        return bare in starts or bare in ends

    def names(self, text: str, *, quoted: bool = False) -> bool:
        """Whether they call something so: by a proper name, in quotes, or by what no word is.

        `quoted`: in quotes alone.
        """
        plain = re.sub(r"\s+", " ", legible(text)).strip()
        # Currencies and days stand in many objects, and name none.
        if len(plain) < _SHORTEST_NAME + plain.isupper() or not isinstance(typed(plain), str):
            return False
        if not self._has(plain):
            return False
        if not quoted and re.search(r"[\d@_/]|\w\.\w", plain):
            return True
        for found in re.finditer(rf"(?<!\w){re.escape(plain)}(?!\w)", self.text, re.IGNORECASE):
            before, first = (
                self.text[max(0, found.start() - 3) : found.start()].rstrip(" "),
                found[0][0],
            )
            in_quotes = before[-1:] in {'"', "'", "`", *"\u201c\u2018\u00ab\u201e"}
            begins = not before or before[-1:] in {".", "!", "?", ":"}
            if in_quotes or (first.isupper() and not begins and not quoted):
                return True
        return False

    def calls(self, text: str) -> bool:
        """Whether they say that something is called so: one word, however it is spelt."""
        plain = legible(text).strip()
        if len(plain) < _SHORTEST_NAME or not plain.isidentifier():
            return False
        form = rf"\b(?:called|named|titled)\s+{re.escape(plain)}(?![\w@]|[.-]\w)"
        return re.search(form, self.text, re.IGNORECASE) is not None

    def _has(self, text: str) -> bool:
        plain = re.sub(r"\s+", " ", legible(text)).strip().casefold()
        if not plain or plain not in self._folded:
            return False
        form = rf"(?<![\w@]){re.escape(plain)}(?![\w@]|[.-]\w)"
        return re.search(form, self._folded) is not None


def _numbers(text: str) -> Iterator[Decimal]:
    yield from _figures(text)
    words = re.findall(r"[a-z]+", _without_names(text).casefold())
    yield from (Decimal(NUMERALS[each]) for each in words if NUMERALS.get(each, 0) > 1)


def _without_names(text: str) -> str:
    for form in (_ADDRESS, _LINK, _ACCOUNT, *DATES):
        text = form.sub(" ", text)
    return text


def _figures(text: str) -> Iterator[Decimal]:
    text = _without_names(text)
    for found in _NUMBER.finditer(re.sub(r"(?<=\s)[$€£]|[$€£%]", " ", f" {text}")):
        yield Decimal(found[0].replace(",", ""))
    for found in _COMMAED.finditer(text):
        yield Decimal(found[0].replace(".", "").replace(",", "."))
