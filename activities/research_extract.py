"""What an invoice says of itself: its fields, read out of the text of a PDF by labels and layout.

A field is `sure` where one label has one value, an amount fits the others, and a date can be read
in one way alone. What is not sure names all that it may be: a person says which.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Literal

from pydantic import BaseModel
from pypdf import PdfReader

Name = Literal["number", "date", "due", "net", "tax", "total", "currency", "iban", "vat"]
AMOUNTS: tuple[Name, ...] = ("net", "tax", "total")
MOST_PAGES = 20

_LABELS: dict[Name, str] = {
    "number": r"invoice\s*(?:number|no\b\.?|nr\b\.?|#|:)|rechnungs-?\s*(?:nr\b\.?|nummer)"
    r"|facture n°|factuur-?\s*nummer",
    "date": r"invoice date|date of issue|rechnungsdatum|factuurdatum|facture n°\s*\S+ du"
    r"|^date\b(?! limite)",
    "due": r"due date|due on|payable by|pay(?:able)? until|fällig(?: am)?|zahlbar bis|zahlungsziel"
    r"|vervaldatum|date limite de paiement(?: le)?|[ée]chéance",
    "net": r"sub-?\s*total|net (?:amount|total)|total net|nettobetrag|summe netto|total ht"
    r"|exclusief btw",
    "tax": r"(?:vat|tax|mwst\.?|ust\.?|umsatzsteuer|tva|btw)\s*(?:\(?\d+(?:[.,]\d+)?\s*%\)?)",
    "total": r"grand total|total amount due(?: on [\w ,]+)?|total for this invoice|amount due"
    r"|balance due|gesamtbetrag|rechnungsbetrag|zu zahlen|total ttc|somme à payer|totaal\b"
    r"|(?<![\w-])total(?! net| ht| amount)",
    "iban": r"iban",
    "vat": r"ust-?\s*id(?:-?nr\.?)?|vat(?: id| no\.?| number)?(?!\s*\(?\d)|vat/tin"
    r"|btw(?! \d)|tva(?! \d)(?: intracommunautaire)?",
}
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar januari janvier",
            "feb february februar februari février",
            "mar march märz maart mars",
            "apr april avril",
            "may mai mei",
            "jun june juni juin",
            "jul july juli juillet",
            "aug august augustus août",
            "sep sept september septembre",
            "oct october oktober octobre",
            "nov november novembre",
            "dec december dezember décembre",
        ),
        1,
    )
    for name in names.split()
}
_DATE = re.compile(
    r"(?P<iso>\d{4}-\d{2}-\d{2})|(?P<a>\d{1,2})(?P<by>[./-])(?P<b>\d{1,2})(?P=by)(?P<y>\d{4}|\d{2})\b"
    r"|(?P<d>\d{1,2})\.?\s+(?P<m>[^\W\d]+)\.?\s+(?P<yy>\d{4})"
    r"|(?P<mm>[^\W\d]+)\.?\s+(?P<dd>\d{1,2})\s?,\s*(?P<yyy>\d{4})",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"(?<![\w.,-])-?\d{1,3}(?:[.,' ]\d{3})*[.,]\d{2}(?![\d%])(?!\s*%)")
_IBAN = re.compile(r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,5}){3,8}")
_VAT = re.compile(r"[A-Z]{2}\s?[A-Z0-9]{1,3}(?:\s?[A-Z0-9]{1,4}){2,4}(?!\w)")
_NUMBER = re.compile(r"#?\s?[A-Z0-9][\w/-]*\d[\w/-]*", re.IGNORECASE)
_MONEY = {"€": "EUR", "$": "USD", "£": "GBP", "US Dollars": "USD", "Rs.": "INR", "Rs ": "INR"}
_CODES = re.compile(r"\b(EUR|USD|GBP|CHF|INR|SEK|NOK|DKK|PLN)\b")


class Found(BaseModel, frozen=True):
    """One field of a document. `value`: as it is kept; `maybe`: all that it may be."""

    value: str = ""
    sure: bool = False
    maybe: tuple[str, ...] = ()


def text_of(pdf: bytes) -> str:
    """The text of a PDF as it lies on its pages. What is embedded or drawn is not looked at."""
    pages = PdfReader(BytesIO(pdf)).pages[:MOST_PAGES]
    return "\n".join(page.extract_text(extraction_mode="layout") for page in pages)


def extracted(text: str) -> dict[Name, Found]:
    """Every field that is known of an invoice, as its text says it."""
    lines = [re.sub(r"[ \t]{2,}", "  ", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    said: dict[Name, list[str]] = {
        name: list(dict.fromkeys(_said(name, lines))) for name in _LABELS
    }
    found: dict[Name, Found] = {name: _one(values) for name, values in said.items()}
    found |= _sum(said)
    found["currency"] = _currency(text)
    return found


def _said(name: Name, lines: list[str]) -> Iterator[str]:
    """What stands behind each label of a field, or below it where nothing does."""
    label = re.compile(_LABELS[name], re.IGNORECASE)
    for at, line in enumerate(lines):
        for match in label.finditer(line):
            rest = line[match.end() :]
            values = list(_values(name, rest))
            if not values and not rest.strip(" :#.") and at + 1 < len(lines):
                values = list(_values(name, lines[at + 1]))
            if name in {"date", "due"}:
                yield from values  # all that it may be
            else:
                yield from values[-1:] if name == "total" else values[:1]


def _values(name: Name, rest: str) -> Iterator[str]:
    if name in {"date", "due"}:
        for match in _DATE.finditer(rest):
            yield from _dates(match)
            return
    elif name in AMOUNTS:
        yield from (str(amount(match)) for match in _AMOUNT.findall(rest))
    elif name == "iban":
        yield from (m.replace(" ", "") for m in _IBAN.findall(rest) if is_iban(m.replace(" ", "")))
    elif name == "vat":
        for match in _VAT.findall(re.sub(r"^[\s.:]+", "", rest)[:24]):
            if sum(map(str.isdigit, match)) >= 7:  # noqa: PLR2004 - no state has shorter ones
                yield match.replace(" ", "")
    else:
        match = _NUMBER.match(re.sub(r"^[\s.:]+", "", rest))
        if match and not _DATE.fullmatch(match[0]):
            yield match[0].replace("# ", "#")


def amount(text: str) -> Decimal:
    """An amount, whichever of comma and point its writer takes for what."""
    return Decimal(re.sub(r"[.,' ](?=\d{3}(?!\d))", "", text[:-3]) + "." + text[-2:])


def _dates(match: re.Match[str]) -> list[str]:
    """The days that a date may be."""
    of = match.groupdict()
    tries = list[tuple[int, int, int]]()
    if of["iso"]:
        return [of["iso"]]
    if of["y"]:
        first, second = int(of["a"]), int(of["b"])
        year = int(of["y"]) + (2000 if len(of["y"]) == 2 else 0)  # noqa: PLR2004 - of this century
        tries.append((year, second, first))
        if of["by"] == "/":  # as in America, or as everywhere else
            tries.append((year, first, second))
    else:
        month = _MONTHS.get((of["m"] or of["mm"]).lower().rstrip("."), 0)
        tries.append((int(of["yy"] or of["yyy"]), month, int(of["d"] or of["dd"])))
    return sorted({f"{day:%Y-%m-%d}" for each in tries if (day := _day(*each))})


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def is_iban(text: str) -> bool:
    """Whether the check digits of an IBAN are right (ISO 13616)."""
    turned = text[4:] + text[:4]
    return turned.isalnum() and int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def _one(values: list[str]) -> Found:
    if len(values) == 1:
        return Found(value=values[0], sure=True, maybe=tuple(values))
    return Found(maybe=tuple(values))


def _sum(said: Mapping[Name, list[str]]) -> dict[Name, Found]:
    """The amounts: sure where net and tax come to the total, or nothing else could be the total."""
    amounts = {name: [Decimal(value) for value in said[name]] for name in AMOUNTS}
    fits = {
        (net, tax, total)
        for net in amounts["net"]
        for tax in amounts["tax"]
        for total in amounts["total"]
        if net + tax == total and total > 0
    }
    if len(fits) == 1:
        (values,) = fits
        return {
            name: Found(value=str(value), sure=True, maybe=tuple(said[name]))
            for name, value in zip(AMOUNTS, values, strict=True)
        }
    alone = len(amounts["total"]) == 1 and not (amounts["net"] and amounts["tax"])
    return {
        name: Found(
            value=said[name][0] if alone and name == "total" else "",
            sure=alone and name == "total",
            maybe=tuple(said[name]),
        )
        for name in AMOUNTS
    }


def _currency(text: str) -> Found:
    seen = {code for sign, code in _MONEY.items() if sign in text} | set(_CODES.findall(text))
    return _one(sorted(seen))
