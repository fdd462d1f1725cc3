"""What Temporal's UI shows of a gate's messages: who was told, by what, when, what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handrail.inbox.channels.content import ended_words, line
from handrail.inbox.channels.delivery import Fate
from handrail.text import moment_in_words

if TYPE_CHECKING:
    from handrail.inbox.channels.delivery import Book, Letter
    from handrail.inbox.channels.wire import Telling
    from handrail.oversight import NotificationRequest

LARGEST = 18_000
"""Bytes of the details; Temporal takes 20,000."""

_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>#|&~!"})


def summary(telling: Telling) -> str:
    """One activity in a line."""
    return line(f"{telling.due.what}: {telling.due.person} by {telling.channel}", 200)


def details(call: NotificationRequest, book: Book) -> str:
    """The page of one gate's messages, in Markdown."""
    lines = [f"### Messages about {safe(call.case)}, gate {safe(call.gate)}", ""]
    if book.ended is not None:
        lines += [safe(ended_words(book.ended)), ""]
    if book.unreached():
        lines += [f"**Not reached: {safe(', '.join(book.unreached()))}**", ""]
    if book.fault:
        lines += [f"**The people file is broken, so everybody gets mail:** {safe(book.fault)}", ""]
    lines += [entry for letter in book.letters for entry in _entries(letter)]
    page = "\n".join(lines)
    return page.encode()[:LARGEST].decode(errors="ignore")


def _entries(letter: Letter) -> list[str]:
    due = letter.due
    fate = "" if letter.fate is Fate.TOLD else f": {letter.fate}"
    entries = [f"- **{due.what.replace('_', ' ')}** {safe(due.person)}{fate}"]
    for each in letter.tries:
        became = f"failed: {safe(each.why)}" if each.why else "sent"
        entries.append(f"    - {each.channel} at {moment_in_words(each.at)}: {became}")
    return entries


def safe(text: str) -> str:
    """Anybody's text on one line of Markdown, in which it means nothing."""
    return line(text, 500).translate(_MARKDOWN)
