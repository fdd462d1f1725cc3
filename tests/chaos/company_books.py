"""The books of every outside system of the company, against the ledger's receipts.

A receipt says what its write left in the books: a record under its key, a name made of the key, or
a state. `KEPT` says where to look; `ONCE` what may stand there once only, whoever wrote it.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from activities.sales_systems import uid_of
from world import mailbox

Reader = Callable[[Path], Iterable[str]]
"""What the books of a system have, in a home: a mark for each thing."""


class Effect(NamedTuple):
    """A write as the ledger has it."""

    key: str
    agent: str
    step: str
    case: str
    state: str
    action: dict[str, Any]
    result: Any


@dataclass
class Came:
    """What came of the writes into one system's books."""

    done: int = 0
    doubt: int = 0
    """Writes of which nobody knows whether they happened: people are asked."""
    lost: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    unknown: list[str] = field(default_factory=list[str])
    """In the books under a key of which the ledger knows nothing, or that it did not happen."""


def _rows(file: str, query: str) -> Reader:
    def read(home: Path) -> list[str]:
        with closing(sqlite3.connect(f"file:{home / file}?mode=ro", uri=True)) as books:
            rows = books.execute(query).fetchall()
        return [" ".join(map(str, row)) for row in rows if None not in row]

    return read


def _entries(home: Path) -> list[Path]:
    every = (home / "calendar" / "collections").rglob("*.ics")
    return [each for each in every if ".Radicale.cache" not in each.parts]


def _calendar(home: Path) -> list[str]:
    return [each.stem for each in _entries(home)]


def _mails(home: Path) -> list[str]:
    return [str(each.message_id) for each in mailbox.read(home / "sales-mail")]


def _tasks(home: Path) -> list[str]:
    """What each entry of a calendar is about, and when: two names may be of one thing."""
    kept = ("SUMMARY", "DTSTART", "DUE", "LOCATION")
    return [
        " ".join(line for line in path.read_text().splitlines() if line.startswith(kept))
        + path.parent.name
        for path in _entries(home)
    ]


def _key(effect: Effect) -> str:
    return effect.key


def _uid(effect: Effect) -> str:
    return uid_of(effect.key)


def _result(effect: Effect) -> str:
    return str(effect.result)


def _said(form: str) -> Callable[[Effect], str]:
    return lambda effect: form.format(**effect.action)


class Kept(NamedTuple):
    """Where a write is found: the system, what its books have, and the mark of the write.

    `subject`: of writes that set a state, whose state; only the last one of each is found.
    """

    system: str
    read: Reader
    mark: Callable[[Effect], str] = _key
    subject: Callable[[Effect], str] = _key


_DESK = Kept(
    "Roundup", _rows("desk/db/db", "select _effect from _issue union all select _effect from _note")
)
_CLOSED = "select _message from _issue where _queue = 'closed' and _customer like 'alerts/%'"
_TRYTON = "tryton/erp.sqlite"
_PARTIES = Kept("Tryton", _rows(_TRYTON, "select code from party_party"), _result)
_CAME = "select key from came where kind = '{}'"
_VERDICTS = Kept("lines", _rows("lines.db", "select key from verdicts"))
_OWNERS = (
    "select o.reference, p.code from sale_opportunity o "
    "join company_employee e on e.id = o.employee join party_party p on p.id = e.party"
)
_STAGES = (
    "select reference, case round(conversion_probability, 1) "
    "when 0.1 then 'new' when 0.3 then 'qualified' else 'offered' end from sale_opportunity"
)
_ENDED = "select reference from sale_opportunity where state not in ('lead', 'opportunity')"
_DEAL = _said("{deal}")

KEPT: Mapping[str, Kept] = {
    "shipments/rebook": Kept("bookings", _rows("bookings.db", "select key from bookings")),
    "support/refund": Kept("shop", _rows("shop.db", "select key from refunds")),
    "support/replace": Kept("shop", _rows("shop.db", "select reference from replacements")),
    "support/file": _DESK,
    "alerts/open_issue": _DESK,
    "alerts/add_note": _DESK,
    "alerts/close_issue": Kept("Roundup", _rows("desk/db/db", _CLOSED), _said("{cause}")),
    "research/put_down_answer": _DESK,
    "invoices/pay": Kept("payables", _rows("payables.db", "select key from payments")),
    "refunds/pay_back": Kept("payables", _rows("payables.db", "select key from refunds")),
    "stores/reserve": Kept("stores", _rows("stores.db", "select reference from reservations")),
    "stores/purchase": Kept("stores", _rows("stores.db", "select id from orders"), _result),
    "maintenance/book_window": Kept("Radicale", _calendar, _uid),
    "sales/remind": Kept("Radicale", _calendar, _uid),
    "maintenance/deliver": Kept("dispatch", _rows("dispatch.db", _CAME.format("order"))),
    "routes/dispatch": Kept("dispatch", _rows("dispatch.db", _CAME.format("plan"))),
    "inspection/sort": _VERDICTS,
    "inspection/settle": _VERDICTS,
    "inspection/stop_line": Kept("lines", _rows("lines.db", "select id from stops"), _result),
    "reconciliation/post": Kept("books", _rows("books.db", "select key from postings")),
    "reconciliation/set_aside": Kept(
        "books", _rows("books.db", "select file, part from aside"), _said("{file} {part}")
    ),
    "nightly/put_report": Kept(
        "books", _rows("books.db", "select name from reports"), _said("{name}")
    ),
    "onboarding/open_customer": _PARTIES,
    "onboarding/attach_application": Kept(
        "Tryton",
        _rows(_TRYTON, "select code from party_identifier"),
        _said("application:{application}"),
    ),
    "leads/open_lead": _PARTIES,
    "leads/follow_up": Kept(
        "Tryton", _rows(_TRYTON, "select description from sale_opportunity"), _result
    ),
    "leads/mend_record": Kept(
        "Tryton",
        _rows(_TRYTON, "select code, name from party_party"),
        _said("{now[code]} {now[name]}"),
    ),
    "leads/retire_double": Kept(
        "Tryton", _rows(_TRYTON, "select code from party_party where not active"), _said("{code}")
    ),
    "sales/assign": Kept("Tryton", _rows(_TRYTON, _OWNERS), _said("{deal} {owner}"), _DEAL),
    "sales/move": Kept("Tryton", _rows(_TRYTON, _STAGES), _said("{deal} {to}"), _DEAL),
    "sales/close": Kept("Tryton", _rows(_TRYTON, _ENDED), _DEAL),
    "sales/follow_up": Kept("mail of sales", _mails, _result),
}

_OF_ORDER = "select json_extract(body, '$.order') from {} where status != 'cancelled'"
ONCE: Mapping[str, tuple[Reader, ...]] = {
    "bookings": (_rows("bookings.db", "select consignment from bookings where status = 'booked'"),),
    "shop": tuple(_rows("shop.db", _OF_ORDER.format(t)) for t in ("refunds", "replacements")),
    "payables": (
        _rows("payables.db", "select \"order\" from payments where status != 'cancelled'"),
        _rows("payables.db", _OF_ORDER.format("refunds")),
    ),
    "Roundup": (
        _DESK.read,
        _rows("desk/db/db", "select _message from _issue where _customer like 'alerts/%'"),
    ),
    "stores": (_rows("stores.db", "select window from reservations where state != 'released'"),),
    "Radicale": (_tasks,),
    "lines": (_rows("lines.db", "select line, serial from stops"),),
    "Tryton": (
        _rows(_TRYTON, "select code from party_party"),
        _rows(_TRYTON, "select code from party_identifier where code like 'application:%'"),
        _rows(_TRYTON, "select description from sale_opportunity where description like 'call %'"),
    ),
    "mail of sales": (_mails,),
}
"""What must be in the books of a system once: keys, and what two keys could be about."""


PLAIN = frozenset({"stores/purchase", "inspection/stop_line", "sales/follow_up"})
"""Writes that leave no key: there may be no more of them than receipts and questions."""


def compared(home: Path) -> dict[str, Came]:
    """What came of each system's writes, by its own books."""
    found = {each.system: Came() for each in KEPT.values()}
    effects = effects_of(home / "ledger.db")
    for name in KEPT:
        held_against(found[KEPT[name].system], name, effects, KEPT[name].read(home))
    for system, readers in ONCE.items():
        for read in readers:
            found[system].doubled += twice(read(home))
    return found


def held_against(came: Came, name: str, effects: Sequence[Effect], books: Iterable[str]) -> None:
    """Hold one kind of write against the books that it went into."""
    kept, has = KEPT[name], set(books)
    mine = [each for each in effects if f"{each.agent}/{each.step}" == name]
    doubt = sum(each.state == "intended" for each in mine)
    last = {kept.subject(each): each for each in mine if each.state == "done"}
    came.done += sum(each.state == "done" for each in mine)
    came.doubt += doubt
    came.lost += [each.key for each in last.values() if kept.mark(each) not in has]
    if kept.mark in {_key, _uid}:
        may = {kept.mark(each) for each in effects if each.state != "not_done"}
        came.unknown += sorted(has - may)
    elif name in PLAIN:
        more = sorted(has - {kept.mark(each) for each in last.values()})
        came.unknown += more[doubt:]


def twice(marks: Iterable[str]) -> list[str]:
    """The marks that are there more than once."""
    return sorted(mark for mark, count in Counter(marks).items() if count > 1)


def effects_of(ledger: Path) -> list[Effect]:
    """Every write that the ledger knows, the oldest first."""
    query = (
        "select key, agent, step, case_id, state, action, receipt "
        "from handrail_effects order by begun"
    )
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        rows: list[tuple[str, ...]] = db.execute(query).fetchall()
    return [
        Effect(key, agent, step, case, state, json.loads(action), _given(receipt))
        for key, agent, step, case, state, action, receipt in rows
    ]


def _given(receipt: str | None) -> Any:
    return None if receipt is None else json.loads(receipt).get("result")
