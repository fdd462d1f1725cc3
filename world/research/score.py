"""Questions about a folder of papers, and what came of them by the truth inside the papers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from world.research.papers import Paper

_HARD = {
    "two totals": {"net", "tax", "total"},
    "american date": {"date"},
    "no label": {"due"},
    "scan": {"total", "date", "due", "iban"},
}


class Question(NamedTuple):
    """What is asked. `expects`: what a right answer says; `hard`: not to be read alone."""

    reference: str
    text: str
    expects: tuple[str, ...]
    hard: bool


def questions(found: Sequence[Paper]) -> list[Question]:
    """One for each paper, some over several, and some that nothing answers."""
    asked = [_of_one(n, paper) for n, paper in enumerate(found)]
    asked += [
        _of_seller(seller, [each for each in found if each.seller == seller])
        for seller in sorted({paper.seller for paper in found})[:4]
    ]
    asked.append(Question("Q-none", "What is the total of RE-9999?", (), hard=False))
    asked.append(Question("Q-odd", "Is the weather nice in Graz?", (), hard=False))
    asked.append(Question("Q-paid", "Is every bill settled by now?", (), hard=False))
    return asked


def _of_one(n: int, paper: Paper) -> Question:
    said = {
        "total": (f"What is the total of {paper.number}?", f"{paper.total} EUR"),
        "date": (f"What is the date of {paper.number}?", f"{paper.date:%Y-%m-%d}"),
        "due": (f"When is {paper.number} due?", f"{paper.due:%Y-%m-%d}"),
        "iban": (f"To which IBAN is {paper.number} paid?", paper.iban),
    }
    wants = {"american date": "date", "no label": "due"}.get(paper.twist) or (
        "total" if paper.twist else sorted(said)[n % len(said)]
    )
    text, value = said[wants]
    hard = wants in _HARD.get(paper.twist, ())
    return Question(f"Q-{n}", text, (paper.number, value), hard)


def _of_seller(seller: str, of: Sequence[Paper]) -> Question:
    hard = any("total" in _HARD.get(each.twist, ()) for each in of)
    total = sum((each.total for each in of), Decimal(0))
    text = f"How much is it altogether of {seller}?"
    return Question(f"Q-{seller}", text, (f"{total} EUR",), hard)


Came = Literal["right", "left out", "asked", "wrong"]


def judged(question: Question, answer: str | None) -> Came:
    """What came of a question. `answer`: None while a person is asked."""
    if answer is None:
        return "asked"
    if answer.startswith("no answer"):
        return "wrong" if question.expects and not question.hard else "right"
    if "left out" in answer and question.hard:
        return "left out"
    held = bool(question.expects) and all(each in answer for each in question.expects)
    return "right" if held else "wrong"


def cited(answer: str) -> bool:
    """Whether each sentence of an answer names its records."""
    body = answer.partition(" (")[0]
    return all("[" in each for each in _sentences(body))


def _sentences(answer: str) -> Iterable[str]:
    return [each for each in answer.split("] ") if each.strip()]
