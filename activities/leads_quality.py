"""What is wrong with a record of the CRM, what it should be, and who is the same person."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel

Same = Literal["sure", "maybe", "no"]

_MAIL = re.compile(r"[a-z0-9._+-]+@([a-z0-9-]+\.)+[a-z]{2,}")
_SLIPS = ((" at ", "@"), ("(at)", "@"), (" dot ", "."), (",", "."), ("@@", "@"), (" ", ""))


class Record(BaseModel, frozen=True):
    """A person in the CRM; the name is `Surname, Given`."""

    code: str
    name: str
    mail: str = ""
    city: str = ""


class Repair(BaseModel, frozen=True):
    """The evidence for a repair: what rules and approvers see."""

    faults: tuple[str, ...] = ()
    source: Literal["rule", "directory", "nobody"] = "rule"
    """Where the better mail address is from."""
    fits: bool = True
    """Whether the mail address is the one of somebody of that name."""
    same: Same = "no"
    """Whether another record is of the same person."""


def clean_mail(said: str) -> str | None:
    """A mail address without the usual slips; None if it is none even then."""
    found = said.strip().lower()
    for slip, right in _SLIPS:
        found = found.replace(slip, right)
    return found if _MAIL.fullmatch(found) else None


def fits(name: str, mail: str) -> bool:
    """Whether a mail address could be somebody's: it begins with the surname, or has it within."""
    surname, local = (_letters(part) for part in (name.partition(",")[0], mail.partition("@")[0]))
    return bool(surname) and surname in local


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())


def normal(record: Record) -> Record:
    """The record as it should be, as far as that can be told of itself; no mail if it has none."""
    mail, city = record.mail, record.city
    if clean_mail(city) and not clean_mail(mail):
        mail, city = city, mail
    return record.model_copy(update={"mail": clean_mail(mail) or "", "city": city.strip()})


def faults(record: Record) -> tuple[str, ...]:
    """What is wrong with a record, in words."""
    right, found = normal(record), list[str]()
    if record.mail and right.mail == clean_mail(record.city):
        found.append("mail and city are swapped")
    elif not record.mail:
        found.append("the mail address is missing")
    elif not right.mail:
        found.append("the mail address is broken")
    elif right.mail != record.mail:
        found.append("the mail address has a slip")
    if not right.city:
        found.append("the city is missing")
    return tuple(found)


def same(one: Record, other: Record) -> Same:
    """Whether two records are of one person: by mail address and name, or name and city."""
    first, second = normal(one), normal(other)
    if first.name.lower() != second.name.lower():
        return "no"
    if first.mail and second.mail:
        return "sure" if first.mail == second.mail else "no"
    return "maybe" if first.city.lower() == second.city.lower() else "no"


def likeliest(record: Record, others: Iterable[Record]) -> tuple[Same, str]:
    """The best of others that are the same person, and its code; the oldest of several."""
    found = {"sure": "", "maybe": "", "no": ""}
    for other in sorted(others, key=lambda each: each.code):
        kind = same(record, other)
        found[kind] = found[kind] or other.code
    kind: Same = "sure" if found["sure"] else "maybe" if found["maybe"] else "no"
    return kind, found[kind] if kind != "no" else ""
