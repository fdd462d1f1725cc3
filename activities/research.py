"""The steps of the research agent, which answers questions about a folder of invoices.

It reads the PDFs of `RESEARCH_FOLDER`, and puts answers down at the desk's Roundup
(`SUPPORT_DESK_URL`, with the secret `DESK_PASSWORD`). What a document says is text from outside:
only typed fields leave the steps that read it (`research_extract`), and no model reads any.
"""

from __future__ import annotations

import functools
import os
import re
from datetime import timedelta
from pathlib import Path

from pypdf.errors import PyPdfError

from activities.desk import SECRETS, put_down, withdraw
from activities.research_answer import about, composed, needed, numbers, understood, words
from activities.research_extract import Found, Name, extracted, text_of
from activities.research_facts import (
    DOCUMENT,
    Answer,
    Asked,
    Consulted,
    Grounds,
    Made,
    Reading,
    Record,
    Sentence,
)
from handrail import Decision, Effect, decide, read, write

OWNER = "research"
MOST = 500
"""How many documents of a folder are looked at."""


def folder() -> Path:
    """Where the documents are."""
    return Path(os.environ.get("RESEARCH_FOLDER") or "documents")


@functools.lru_cache(maxsize=2 * MOST)
def _text(path: Path, changed: int) -> str:
    del changed  # what is written anew is read anew
    try:
        return text_of(path.read_bytes())
    except PyPdfError:
        return ""


def texts() -> dict[str, str]:
    """The text of each document by its name; of one that cannot be read none."""
    files = sorted(each for each in folder().glob("*.pdf") if re.match(DOCUMENT, each.name))
    return {each.name: _text(each, each.stat().st_mtime_ns) for each in files[:MOST]}


# Reading


@read(timeout=timedelta(minutes=2))
def consult(asked: Asked) -> Consulted:
    """Look up what the folder has on a question."""
    wanted = understood(asked.question)
    if wanted is None:
        return Consulted()
    records, unread = list[Record](), list[str]()
    for document, text in texts().items():
        fields = extracted(text)
        if not text.strip():
            unread.append(document)
        elif about(asked.question, text, fields):
            known: dict[Name, Found] = {name: fields[name] for name in needed(wanted)}
            records.append(Record(document=document, fields=known))
    found = len(records) >= len(numbers(asked.question)) > 0
    return Consulted(wanted=wanted, records=tuple(records), unread=() if found else tuple(unread))


@read(timeout=timedelta(minutes=2))
def confirm(document: str, field: Name, reading: Reading) -> Found:
    """What a person reads in a document, if it may be that: one of those that stand there."""
    found = extracted(texts().get(document, ""))[field]
    sure = reading.value.strip() in found.maybe
    return Found(value=reading.value.strip() if sure else "", sure=sure, maybe=found.maybe)


# Deciding


@decide
def answer(
    asked: Asked, found: Consulted, records: tuple[Record, ...], said: int
) -> Decision[Answer, Grounds]:
    """Answer from the records that are sure by now; `said`: values that a person read."""
    sentences = composed(found.wanted, records) if found.wanted else ()
    left = len(found.records) - len(records) + len(found.unread)
    grounds = Grounds(documents=len(records), said=said, left_out=left)
    if not sentences:
        why = "nothing in the folder answers that" if found.wanted else "the question is not clear"
        return Decision(action=None, rationale=why, confidence=1, evidence=grounds)
    action = Answer(reference=asked.reference, question=asked.question, sentences=sentences)
    return Decision(action=action, rationale=words(sentences), confidence=1, evidence=grounds)


# Writing


@write(idempotent=True, secrets=SECRETS)
async def withdraw_answer(action: Answer, effect: Effect) -> None:
    """Mark an answer as withdrawn, if it is there."""
    del action
    await withdraw("note", OWNER, effect)


@write(undo=withdraw_answer, idempotent=True, secrets=SECRETS)
async def put_down_answer(action: Answer, effect: Effect) -> Made:
    """Put an answer down at the desk under the effect's key, which Roundup takes once."""
    body = {
        "title": action.question,
        "message": action.reference,
        "about": words(action.sentences),
        "queue": "answer",
    }
    return Made(id=await put_down("note", OWNER, body, effect.key))


def cited_now(sentences: tuple[Sentence, ...]) -> dict[str, dict[Name, Found]]:
    """The fields of each document that an answer cites, as they are read now."""
    known = texts()
    cited = {cite.document for each in sentences for cite in each.cites}
    return {each: extracted(known[each]) for each in cited if each in known}
