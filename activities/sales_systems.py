"""The sales agent's systems: opportunities in Tryton, tasks in Radicale, mail.

Where they are say `SALES_CALENDAR_URL` (a calendar for each person below it, by their code) and
`SALES_SMTP`; of Tryton see `activities.tryton`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from decimal import Decimal
from email.message import EmailMessage
from email.utils import localtime
from typing import Any

import aiosmtplib
import httpx2

from activities import tryton
from activities.sales_rules import OPEN, Deal, Rep, Task, note, territory
from handrail import Final

CALENDAR_URL = "http://sales:sales@127.0.0.1:8541/sales/"
MAIL_SERVER = "127.0.0.1:8591"
OPPORTUNITY = "sale.opportunity"
MOST = 5000
"""How many records of a kind are looked at."""
GONE = frozenset({404, 410})

_PATIENCE_S = 10.0
_REFUSED = 500
_DEAL = (
    "reference",
    "state",
    "amount",
    "conversion_probability",
    "start_date",
    "party.addresses.postal_code",
    "party.contact_mechanisms.value",
    "party.contact_mechanisms.type",
    "employee.end_date",
    "employee.party.code",
)


# Tryton


async def deals(domain: Sequence[Any]) -> tuple[list[Deal], int]:
    """The deals that a domain finds, with what happened; and how many notes cannot be read."""
    found = await tryton.search(OPPORTUNITY, list(domain), _DEAL, most=MOST)
    at = [f"{OPPORTUNITY},{each['id']}" for each in found]
    where = ["resource", "in", at]
    notes = await tryton.search("ir.note", where, ("resource", "message"), most=MOST) if at else []
    read = [
        _deal(each, [n for n in notes if n["resource"] == its])
        for each, its in zip(found, at, strict=True)
    ]
    return read, len(notes) - sum(len(each.notes) for each in read)


async def deal_of(code: str) -> Deal:
    """A deal by its code.

    Raises:
        Final: there is none, or there are several of that code.
    """
    found, _ = await deals([["reference", "=", code]])
    if len(found) != 1:
        raise Final(f"Tryton has {len(found)} opportunities of the reference {code}")
    return found[0]


async def record_of(code: str) -> int:
    """The number of a deal's record in Tryton.

    Raises:
        Final: as `deal_of`.
    """
    found = await tryton.search(OPPORTUNITY, ["reference", "=", code], ("reference",), most=2)
    if len(found) != 1:
        raise Final(f"Tryton has {len(found)} opportunities of the reference {code}")
    return int(found[0]["id"])


async def team() -> list[Rep]:
    """Everybody who sells, with the number of their open deals; Tryton hides who has left."""
    fields = ("end_date", "party.code", "party.identifiers.code")
    people = await tryton.search("company.employee", [], fields, most=MOST)
    at = await tryton.search(
        OPPORTUNITY, ["state", "in", list(OPEN)], ("employee.party.code",), most=MOST
    )
    load = Counter(each["employee"]["party"]["code"] for each in at if each["employee"])
    return [rep for each in people if (rep := _rep(each, load))]


async def employee_of(code: str) -> int:
    """The number of an employee's record.

    Raises:
        Final: nobody who is here has that code.
    """
    found = await tryton.search("company.employee", ["party.code", "=", code], ("id",), most=1)
    if not found:
        raise Final(f"Tryton has no employee {code}")
    return int(found[0]["id"])


async def press(record: int, button: str) -> None:
    """Have Tryton change a deal's state: a state that is written as a field skips its checks."""
    await tryton.call("POST", f"{OPPORTUNITY}/{record}/{button}", {})


async def put(record: int, **values: Any) -> None:
    """Write fields of a deal."""
    await tryton.call("PUT", f"{OPPORTUNITY}/{record}", values)


def day(value: Any) -> date | None:
    """A date as Tryton's JSON has it."""
    return date(value["year"], value["month"], value["day"]) if value else None


def _deal(found: dict[str, Any], notes: Sequence[dict[str, Any]]) -> Deal:
    party: dict[str, Any] = found["party"] or {}
    employee: dict[str, Any] | None = found["employee"]
    where = [each["postal_code"] or "" for each in party.get("addresses") or ()]
    mails = [
        each["value"] or ""
        for each in party.get("contact_mechanisms") or ()
        if each["type"] == "email"
    ]
    happened = [n for each in notes if (n := note(each["message"] or ""))]
    created = day(found["start_date"])
    amount = found["amount"]
    return Deal(
        code=found["reference"],
        pipeline=found["reference"].partition("-")[0],
        created=created or date.min,
        amount=Decimal(amount["decimal"]) if amount else Decimal(0),
        state=found["state"],
        probability=found["conversion_probability"],
        territory=territory(where[0]) if where else None,
        owner=employee["party"]["code"] if employee else None,
        left=day(employee["end_date"]) if employee else None,
        mail=mails[0] if mails else "",
        notes=tuple(sorted(happened, key=lambda each: each.day)),
    )


def _rep(found: dict[str, Any], load: Counter[str]) -> Rep | None:
    codes = [each["code"] for each in found["party"]["identifiers"] or ()]
    said = dict(code.split(":", 1) for code in codes if ":" in code)
    if "territory" not in said and said.get("sales") != "lead":
        return None
    code = found["party"]["code"]
    return Rep.model_validate(
        {
            "code": code,
            "territory": said.get("territory"),
            "lead": said.get("sales") == "lead",
            "mails": said.get("mails") == "yes",
            "left": day(found["end_date"]),
            "deals": load[code],
        }
    )


# Tasks


async def calendar(
    method: str, path: str, allow: AbstractSet[int] = frozenset(), **more: Any
) -> httpx2.Response:
    """Ask the calendar server.

    Raises:
        Final: if it declines: it did nothing then.
        httpx2.HTTPError: if it cannot answer now; a write may have happened or not.
    """
    url = os.environ.get("SALES_CALENDAR_URL") or CALENDAR_URL
    async with httpx2.AsyncClient(timeout=_PATIENCE_S) as client:
        answer = await client.request(method, url + path, **more)
    if answer.is_client_error and answer.status_code not in {*allow, 408, 425, 429}:
        raise Final(f"the calendar {path} answered {answer.status_code}: {answer.text[:200]}")
    if answer.status_code not in allow:
        answer.raise_for_status()
    return answer


async def tasks_in(calendars: Sequence[str]) -> list[Task]:
    """The tasks in some people's calendars; who has no calendar has none."""
    found: list[Task] = []
    for each in calendars:
        there = await calendar("GET", f"{each}/", allow=GONE)
        if there.status_code not in GONE:
            found += parse_tasks(there.text, each)
    return found


def uid_of(key: str) -> str:
    """The name of a task in a calendar: of one effect, and of no other."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def compose(deal: str, due: date, days: int, uid: str) -> str:
    """A task as iCalendar: the same task and name give the same text."""
    lines = (
        *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Handrail//sales//EN", "BEGIN:VTODO"),
        *(f"UID:{uid}", f"DTSTAMP:{due:%Y%m%d}T000000Z", f"DUE;VALUE=DATE:{due:%Y%m%d}"),
        *(f"SUMMARY:Call {deal}: {days} days without a word", f"CATEGORIES:{deal}"),
        *("STATUS:NEEDS-ACTION", "END:VTODO", "END:VCALENDAR", ""),
    )
    return "\r\n".join(lines)


_TODO = re.compile(r"BEGIN:VTODO(.*?)END:VTODO", re.DOTALL)
_LINE = re.compile(r"^(DUE|CATEGORIES)[^:\r\n]*:(.*?)\r?$", re.MULTILINE)


def parse_tasks(text: str, owner: str) -> list[Task]:
    """The tasks of deals in a calendar; what else people keep there is not ours to read."""
    found: list[Task] = []
    for todo in _TODO.findall(text):
        said: dict[str, str] = dict(_LINE.findall(todo))
        due = re.match(r"(\d{4})(\d{2})(\d{2})", said.get("DUE", ""))
        if due and "-" in said.get("CATEGORIES", ""):
            on = date(*map(int, due.groups()))
            found.append(Task(deal=said["CATEGORIES"].strip(), calendar=owner, due=on))
    return found


# Mail


async def send(to: str, subject: str, text: str, uid: str) -> str:
    """Send a mail whose Message-ID is made of `uid`, and say which it is.

    Raises:
        Final: if the mail server refuses it for good.
        aiosmtplib.SMTPException: if it cannot take it now.
    """
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Sales <sales@example.com>", to, subject
    mail["Date"], mail["Message-ID"] = localtime(), f"<{uid}@sales.example.com>"
    mail.set_content(text)
    host, _, port = (os.environ.get("SALES_SMTP") or MAIL_SERVER).rpartition(":")
    try:
        await aiosmtplib.send(mail, hostname=host, port=int(port), timeout=_PATIENCE_S)
    except aiosmtplib.SMTPResponseException as error:
        if error.code >= _REFUSED:
            raise Final(f"the mail server refuses it: {error}") from error
        raise
    return mail["Message-ID"]
