"""How a question is understood, how it is answered from records, and whether an answer holds.

In plain code and a small part of English: what is not understood is not answered. `faults` is what
the door asks of any answer, whoever wrote it, a model too.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from activities.research_extract import AMOUNTS, Found, Name
from activities.research_facts import Cite, Record, Sentence, Wanted

_FIELDS: tuple[tuple[str, Name], ...] = (
    (r"\biban\b|bank account", "iban"),
    (r"\bcurrency\b", "currency"),
    (r"\bdue\b|\bpayable\b|to be paid by", "due"),
    (r"\bdates?\b|\bissued\b|\bwhen\b", "date"),
    (r"\bnet\b|without tax", "net"),
    (r"\btax\b|\bvat\b", "tax"),
    (r"\btotals?\b|\bamounts?\b|how much|\bcosts?\b|altogether|\bsum\b", "total"),
    (r"how many|\bnumbers?\b|which invoices", "number"),
)
_ALL = r"altogether|in all\b|\bsum\b|all invoices|how much .*\b(?:in|from)\b"
_MONTHS = [calendar.month_name[n].lower() for n in range(1, 13)]
_SMALL = frozenset(
    {
        "The",
        "What",
        "When",
        "Which",
        "How",
        "Of",
        "All",
        "And",
        "For",
        "In",
        "From",
        "Is",
        "Are",
        "Invoice",
        "Invoices",
        "Iban",
        "IBAN",
        "VAT",
        "EUR",
    }
)
_HEAD = 6
_FIGURE = re.compile(r"\d{4}-\d{2}-\d{2}|[A-Z]{2}\d{2}[A-Z0-9]{8,}|-?\d+(?:[.,]\d+)*")
_NAMES: dict[Name, str] = {
    "number": "number",
    "date": "date",
    "due": "due date",
    "net": "net amount",
    "tax": "tax",
    "total": "total",
    "currency": "currency",
    "iban": "IBAN",
    "vat": "VAT id",
}


def understood(question: str) -> Wanted | None:
    """What a question asks for; None if that cannot be said."""
    low = question.lower()
    fields: list[Name] = [name for pattern, name in _FIELDS if re.search(pattern, low)]
    if not fields:
        return None
    field = fields[0]
    if re.search(r"how many", low):
        return Wanted(field="number", how="count")
    summed = field in AMOUNTS and re.search(_ALL, low)
    return Wanted(field=field, how="sum" if summed else "value")


def about(question: str, text: str, fields: Mapping[Name, Found]) -> bool:
    """Whether a question is about a document: by number, or by sender and month, if it says any."""
    if wanted := numbers(question):
        return any(each in fields["number"].maybe for each in wanted)
    head = " ".join([line for line in text.splitlines() if line.strip()][:_HEAD])
    names = set(re.findall(r"\b[A-Z][\w&-]+", question)) - _SMALL
    months = {each for each in names if each.lower() in _MONTHS}
    if months and not any(_in_month(month, fields["date"]) for month in months):
        return False
    return all(re.search(rf"\b{re.escape(each)}\b", head) for each in names - months)


def numbers(question: str) -> list[str]:
    """The numbers of documents that a question names."""
    return re.findall(r"\b[A-Z]{1,4}-?\d[\w-]*", question)


def _in_month(month: str, found: Found) -> bool:
    number = f"-{_MONTHS.index(month.lower()) + 1:02d}-"
    return any(number in each for each in found.maybe)


def needed(wanted: Wanted) -> tuple[Name, ...]:
    """The fields of each document that an answer needs."""
    if wanted.field in AMOUNTS:
        return (wanted.field, "currency", "number")
    return ("number",) if wanted.field == "number" else (wanted.field, "number")


def composed(wanted: Wanted, records: Sequence[Record]) -> tuple[Sentence, ...]:
    """The answer: one sentence for each document, or one for all; each with what it stands on."""
    if not records:
        return ()
    if wanted.how == "count":
        cites = tuple(_cite(each, "number") for each in records)
        text = f"There are {len(records)}: {', '.join(each.value for each in cites)}."
        return (Sentence(text=text, how="count", cites=cites),)
    if wanted.how == "value":
        return tuple(_one(wanted.field, each) for each in records)
    found = list[Sentence]()
    for code in sorted({each.fields["currency"].value for each in records}):
        of = [each for each in records if each.fields["currency"].value == code]
        total = sum((Decimal(each.fields[wanted.field].value) for each in of), Decimal(0))
        names: tuple[Name, Name] = (wanted.field, "currency")
        cites = tuple(_cite(each, name) for each in of for name in names)
        text = f"The {_NAMES[wanted.field]} of {len(of)} invoices is {total} {code}."
        found.append(Sentence(text=text, how="sum", cites=cites))
    return tuple(found)


def _one(field: Name, record: Record) -> Sentence:
    names: list[Name] = ["number"] if field == "number" else ["number", field]
    unit = ""
    if field in AMOUNTS:
        names.append("currency")
        unit = f" {record.fields['currency'].value}"
    number, value = record.fields["number"].value, record.fields[field].value
    text = f"The {_NAMES[field]} of {number} is {value}{unit}."
    return Sentence(text=text, how="value", cites=tuple(_cite(record, each) for each in names))


def _cite(record: Record, field: Name) -> Cite:
    return Cite(document=record.document, field=field, value=record.fields[field].value)


def words(sentences: Iterable[Sentence]) -> str:
    """An answer as people read it, each sentence with its records."""
    return " ".join(f"{each.text} [{'; '.join(_places(each.cites))}]" for each in sentences)


def _places(cites: Sequence[Cite]) -> list[str]:
    of = dict[str, list[str]]()
    for each in cites:
        of.setdefault(each.document, []).append(each.field)
    return [f"{document}: {', '.join(fields)}" for document, fields in of.items()]


def faults(sentences: Sequence[Sentence], known: Mapping[str, Mapping[Name, Found]]) -> list[str]:
    """What of an answer does not hold by the documents, as they are read now."""
    found = list[str]()
    for number, each in enumerate(sentences, 1):
        if not each.cites:
            found.append(f"sentence {number} cites nothing")
        for cite in each.cites:
            had = known.get(cite.document, {}).get(cite.field)
            if had is None or cite.value not in had.maybe:
                found.append(f"{cite.document} does not say that its {cite.field} is {cite.value}")
        found += [f"sentence {number}: {figure} is in no record" for figure in _unfounded(each)]
    return found


def _unfounded(sentence: Sentence) -> list[str]:
    """The figures of a sentence that are neither cited nor what is cited comes to."""
    cited = {figure for each in sentence.cites for figure in _FIGURE.findall(each.value)}
    documents = {each.document for each in sentence.cites}
    if sentence.how != "value":
        cited.add(str(len(documents)))
    if sentence.how == "sum":
        for name in AMOUNTS:
            parts = [Decimal(each.value) for each in sentence.cites if each.field == name]
            cited.add(str(sum(parts, Decimal(0))))
    return [figure for figure in _FIGURE.findall(sentence.text) if figure not in cited]
