"""What words say: the dates, times, numbers and names in them, and the links and accounts.

A sentence of the person who asks is a source of values: "the invoice of 15 May, 12 EUR, to
bob@example.com" says a day, a number and an address. And a text that an agent words itself may
carry what no source has: a link, an account, a passage out of a text from outside.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from handrail.text import one_line

RUN = 4
"""Words in a row, out of a text from outside, that are a passage of it."""

LONGEST = 50_000
"""Characters of the longest text of a model's own that is looked through."""

_SHOWN = 20
_SHORTEST_NAME = 3

_MONTHS = "january february march april may june july august september october november december"
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_ONES = "zero one two three four five six seven eight nine ten eleven twelve"
_MORE = {"a": 1, "an": 1, "fifteen": 15, "twenty": 20, "thirty": 30, "hundred": 100}
_NUMERALS = {word: number for number, word in enumerate(_ONES.split())} | _MORE

_MONTH = "(?P<month>" + "|".join(f"{m[:3]}(?:{m[3:]}|\\.)?" for m in _MONTHS.split()) + r")\b"
_YEAR = r"(?:,?\s+(?P<year>\d{4}))?"
_NTH = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"\b(?P<year>\d{4})-(?P<number>\d{2})-(?P<day>\d{2})(?=\b|T)",
        r"\b(?P<day>\d{1,2})\.(?P<number>\d{1,2})\.(?P<year>\d{4})\b",
        rf"\b{_MONTH}\s+(?:the\s+)?{_NTH}\b{_YEAR}",
        rf"\b{_NTH}(?:\s+of)?\s+{_MONTH}{_YEAR}",
    )
)
_COUNT = r"(?P<count>\d{1,3}(?:\.\d+)?|" + "|".join(_NUMERALS) + r"|half an?)[\s-]+"
_AWAY = re.compile(rf"\b(?:in\s+)?{_COUNT}(?P<unit>day|week)s?(?P<ago>\s+ago)?\b", re.IGNORECASE)
_WEEKDAY = re.compile(rf"\b(?P<next>next\s+)?(?P<name>{_DAYS.replace(' ', '|')})\b", re.IGNORECASE)
_SPAN = re.compile(rf"\b{_COUNT}(?P<unit>minute|min|hour|hr|day|night|week)s?\b", re.IGNORECASE)
_SLASHED = re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})/(\d{4})(?![\d/])")
_UNTIL = r"\s*(?:-|\u2013|to|till|until|through|and)\s*(?:the\s+)?"
_DAYS_AND_MONTH = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th)?{_UNTIL}({_NTH}\s+{_MONTH}{_YEAR})", re.IGNORECASE
)
_MONTH_AND_DAYS = re.compile(
    rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?{_UNTIL}{_NTH}\b{_YEAR}", re.IGNORECASE
)
_CLOCK = r"(\d{1,2})(?::(\d{2})(?::\d{2})?)?\s*([ap]\.?m\b\.?)?"
_TIME = re.compile(r"(?<![\d.:,-])" + _CLOCK + r"(?![\d:])", re.IGNORECASE)
_RANGE = re.compile(
    r"(?<![\d.:,-])" + _CLOCK + r"\s*(?:-|\u2013|to|till|until|and)\s*" + _CLOCK + r"(?![\d:-])",
    re.IGNORECASE,
)
_CLOCKED = re.compile(r"\b\d{1,2}(?::\d{2}\S*|\s*[ap]\.?m\b\.?)", re.IGNORECASE)
_BEFORE_TIME = re.compile(r"\b(?:at|from|by|until|till)\s{1,3}$", re.IGNORECASE)
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
    rf"\btomorrow\b|\b(?:{_DAYS.replace(' ', '|')})\b|\bin\s+{_COUNT}(?:day|week)s?\b",
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
        self.dates = set(_dates(self.text, days))
        self.times = set(_times(self.text))
        self.spans = set(_spans(self.text))
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
        return set(_figures(_CLOCKED.sub(" ", _SPAN.sub(" ", self.plain))))

    @property
    def of_a_day(self) -> bool:
        """Whether they speak of a day other than today."""
        text = _TODAY_IS.sub(" ", self.plain)
        return any(form.search(text) for form in (*_DATES, _SLASHED, _TO_COME))

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
    yield from (Decimal(_NUMERALS[each]) for each in words if _NUMERALS.get(each, 0) > 1)


def _without_names(text: str) -> str:
    for form in (_ADDRESS, _LINK, _ACCOUNT, *_DATES):
        text = form.sub(" ", text)
    return text


def _figures(text: str) -> Iterator[Decimal]:
    text = _without_names(text)
    for found in _NUMBER.finditer(re.sub(r"(?<=\s)[$€£]|[$€£%]", " ", f" {text}")):
        yield Decimal(found[0].replace(",", ""))
    for found in _COMMAED.finditer(text):
        yield Decimal(found[0].replace(".", "").replace(",", "."))


def _dates(text: str, days: Sequence[date]) -> Iterator[date]:
    text = _DAYS_AND_MONTH.sub(r"\1 \g<month> \g<year> to \2", text)
    text = _MONTH_AND_DAYS.sub(r"\g<month> \2 \g<year> to \g<month> \g<day> \g<year>", text)
    for found in _SLASHED.finditer(text):
        first, second, year = map(int, found.groups())
        for month, day in {(first, second), (second, first)}:
            with contextlib.suppress(ValueError):
                yield date(year, month, day)
    for found in itertools.chain.from_iterable(form.finditer(text) for form in _DATES):
        parts = found.groupdict()
        shortly = (parts.get("month") or "")[:3].casefold()
        month = parts.get("number") or [m[:3] for m in _MONTHS.split()].index(shortly) + 1
        years = [int(parts["year"])] if parts["year"] else [day.year for day in days]
        for year in years:
            with contextlib.suppress(ValueError):
                yield date(year, int(month), int(parts["day"]))
    for day in days:
        yield from _told_from(day, text.casefold())


def _told_from(day: date, text: str) -> Iterator[date]:
    for words, away in (("today", 0), ("tonight", 0), ("tomorrow", 1), ("yesterday", -1)):
        if re.search(rf"\b{words}\b", text):
            yield day + timedelta(away)
    for found in _AWAY.finditer(text):
        count = _count(found["count"]) * (7 if found["unit"] == "week" else 1)
        yield day + timedelta(-count if found["ago"] else count)
    for found in _WEEKDAY.finditer(text):
        ahead = ([*_DAYS.split()].index(found["name"]) - day.weekday() - 1) % 7 + 1
        yield day + timedelta(ahead)
        if found["next"]:
            yield day + timedelta(ahead + 7)


def _times(text: str) -> Iterator[time]:
    for word, hour in (("noon", 12), ("midnight", 0)):
        if word in text.casefold():
            yield time(hour)
    for found in _RANGE.finditer(text):
        half = found[3] or found[6]
        if (
            found[2]
            or found[5]
            or half
            or _BEFORE_TIME.search(text, max(0, found.start() - 8), found.start())
        ):
            yield from _clock(found[1], found[2], half)
            yield from _clock(found[4], found[5], half)
    for found in _TIME.finditer(text):
        if (
            found[2]
            or found[3]
            or _BEFORE_TIME.search(text, max(0, found.start() - 8), found.start())
        ):
            yield from _clock(found[1], found[2], found[3])


def _clock(hour: str, minute: str | None, half: str | None) -> Iterator[time]:
    at, afternoon = int(hour), (half or "").casefold().startswith("p")
    at = at % 12 + 12 * afternoon if half else at
    with contextlib.suppress(ValueError):  # no time of a day
        yield time(at, int(minute or 0))


def _spans(text: str) -> Iterator[timedelta]:
    units = {"min": timedelta(minutes=1), "minute": timedelta(minutes=1), "day": timedelta(1)}
    units["night"] = timedelta(1)
    units |= {"hour": timedelta(hours=1), "hr": timedelta(hours=1), "week": timedelta(7)}
    for found in _SPAN.finditer(text.casefold()):
        yield units[found["unit"]] * _count(found["count"])


def _count(word: str) -> float:
    return 0.5 if word.startswith("half") else float(_NUMERALS.get(word, word))
