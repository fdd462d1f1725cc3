"""Questions to the research agent, about a folder of Factur-X invoices; and the desk's Roundup.

The invoices are generated from a seed. The agent reads the text of their pages; the XML inside them
is what the report judges by.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from activities.research import OWNER
from activities.research_facts import Asked
from activities.support_systems import desk_url
from handrail import Event, State
from handrail.cli.context import settings
from handrail.cli.output import Output
from handrail.runtime import System
from workers.board import CaseRow
from workers.show import Demo, show
from world.research import papers, score
from world.support import desk

_MINUTES = 4
"""What somebody needs to open an invoice and to write down what it says: declared."""
_NOTES = "SELECT _effect FROM _note WHERE _customer = ? AND _queue = 'answer'"


async def events(home: Path) -> AsyncIterator[Event]:
    """Ask each question, once."""
    del home
    for each in score.questions(papers.papers()):
        yield Asked(reference=each.reference, question=each.text)
        await asyncio.sleep(0.1)


async def report(home: Path, cases: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """What came out, by the truth inside the invoices."""
    asked = {each.reference: each for each in score.questions(papers.papers())}
    said = {
        case.case.removeprefix("research:"): None if case.state is State.WAITING else case.why
        for case in cases
    }
    came = Counter(score.judged(asked[name], answer) for name, answer in said.items())
    answers = [each for each in said.values() if each and not each.startswith("no answer")]
    effects = await asyncio.to_thread(_put_down, home / "desk")
    return [
        ("questions", str(len(said))),
        ("answered right, or rightly not", str(came["right"])),
        ("answered without what cannot be read, saying so", str(came["left out"])),
        ("a person is asked what a document says", str(came["asked"])),
        ("answered wrong", str(came["wrong"])),
        (
            "answers with a sentence that cites nothing",
            str(sum(not score.cited(a) for a in answers)),
        ),
        ("answers, and notes at the desk", f"{len(answers)}, {len(effects)}"),
        ("put down twice", str(len(effects) - len(set(effects)))),
        ("minutes, by hand and now", f"{_MINUTES * len(said)}, {_MINUTES * came['asked']}"),
    ]


def _put_down(home: Path) -> list[str]:
    db = sqlite3.connect(f"file:{home}/db/db?mode=ro", uri=True)
    try:
        return [row[0] for row in db.execute(_NOTES, (OWNER,))]
    finally:
        db.close()


def shown() -> Demo:
    """The demonstration. The desk's password is of this machine alone."""
    documents = Path(os.environ.setdefault("RESEARCH_FOLDER", str(settings().home / "documents")))
    papers.write(documents, papers.papers())
    password = os.environ.setdefault(f"HANDRAIL_SECRET_{desk.PASSWORD}", "of-this-machine")
    os.environ.setdefault(desk.PASSWORD, password)
    at = urlsplit(desk_url())
    where = ("--host", at.hostname or "127.0.0.1", "--port", str(at.port or 80))
    argv = ("{python}", "-m", "world.support.desk", "--dir", "{home}/desk", *where)
    system = System(name="support-desk", argv=argv, ready="desk listens on")
    return Demo(agent="research", systems=(system,), events=events, report=report)


async def demo(out: Output, *, once: bool) -> int:
    """Play the research agent on a folder's questions; with `once` until nothing moves."""
    return await show(out, shown(), once=once, fleet="workers.fleets.research:fleet")
