"""The steps of the leads agent: who is worth a call, and what the CRM has wrong.

It reads the shop's orders and a directory of persons (`LEADS_URL`: slow, limited, partly wrong),
and writes into Tryton (`activities.tryton`). A lead's code there is made of its mail address, and
unique: nobody is a lead twice. The score is `leads_score`, what is wrong with a record
`leads_quality`.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import date, timedelta

from activities import tryton
from activities.leads_facts import (
    Entry,
    FollowUp,
    MendRecord,
    OpenLead,
    RetireDouble,
    Round,
    Visit,
    Worth,
)
from activities.leads_quality import Record, Repair, Same, faults, fits, likeliest, normal
from activities.leads_score import Order, score, weights
from activities.leads_systems import (
    MOST,
    OURS,
    ask,
    called,
    in_use,
    party_of,
    put,
    record_at,
    records,
)
from handrail import Decision, Effect, Final, decide, read, write

CALL_WITHIN = timedelta(days=3)
NOT_AGAIN = 30  # days for which who is called is worth no other call, as by the policy


# Reading


@read(timeout=timedelta(minutes=2), secrets=tryton.SECRETS)
async def survey(on: date) -> Round:
    """Read all orders and records: who is worth a call, each person once, and what is wrong."""
    likely: dict[str, tuple[float, str]] = {}
    by = await asyncio.to_thread(weights)
    customers = (await ask("/customers", until=str(on))).json()
    for each in customers:
        worth = score([Order(**order) for order in each["orders"]], on, by)
        if worth >= by.qualified:
            person = f"{each['name']}/{each['city']}".lower()
            likely[person] = max(likely.get(person, (0.0, "")), (worth, each["id"]))
    gone = await called([on + CALL_WITHIN - timedelta(days=n) for n in range(1, NOT_AGAIN)])
    found = await records(OURS)
    wrong = [each.code for each in found if faults(each) or _double(each, found)[0] != "no"]
    leads = sorted(customer for _, customer in likely.values() if customer not in gone)
    return Round(customers=leads, records=sorted(wrong), looked_at=len(customers) + len(found))


@read
async def orders_of(customer: str, on: date) -> list[Order]:
    """Read what a customer bought until a day."""
    found = (await ask(f"/customers/{customer}/orders", until=str(on))).json()
    return [Order(**order) for order in found]


@read(timeout=timedelta(minutes=2))
async def enrich(who: str) -> Entry:
    """Look a person up in the directory, by the customer's number or by name."""
    return Entry.model_validate((await ask("/directory", who=who)).json())


@read(secrets=tryton.SECRETS)
async def namesakes(name: str) -> list[Record]:
    """Read who in the CRM has a name, or one that begins so."""
    pattern = tryton.literal(name)
    return await records([OURS, ["name", "ilike", pattern]])


@read(secrets=tryton.SECRETS)
async def record_of(code: str) -> Record:
    """Read one record of the CRM."""
    return await record_at(code)


# Deciding


@decide
async def qualify(
    visit: Visit, orders: list[Order], entry: Entry, on_file: list[Record]
) -> Decision[OpenLead, Worth]:
    """Open a lead for who probably buys again, has a mail address, and is not in the CRM."""
    right = normal(Record(code="", name=entry.name, mail=entry.mail, city=entry.city))
    kind, code = likeliest(right, on_file)
    by = await asyncio.to_thread(weights)
    worth = Worth(
        score=round(score(orders, visit.on, by), 3),
        model=by.version,
        fits=fits(right.name, right.mail),
        same=kind,
        on_file=code,
    )
    said = f"buys again with a probability of {worth.score:.0%}"
    why = None
    if worth.score < by.qualified:
        why = f"{said}: not worth a call"
    elif kind == "sure":
        why = f"{said}; is in the CRM as {code}"
    elif not right.mail:
        why = f"{said}, but the directory has no mail address"
    if why:
        return Decision(action=None, rationale=why, confidence=1.0, evidence=worth)
    lead = OpenLead(customer=str(visit.customer), name=right.name, mail=right.mail, city=right.city)
    return Decision(action=lead, rationale=said, confidence=worth.score, evidence=worth)


@decide
async def plan_call(visit: Visit, party: str, worth: Worth) -> Decision[FollowUp, Worth]:
    """Have whoever is worth it called within three days."""
    call = FollowUp(party=party, customer=str(visit.customer), until=visit.on + CALL_WITHIN)
    why = f"buys again with a probability of {worth.score:.0%}"
    return Decision(action=call, rationale=why, confidence=worth.score, evidence=worth)


@decide
async def repair(
    record: Record, others: list[Record], entry: Entry | None
) -> Decision[MendRecord | RetireDouble, Repair]:
    """Retire a record whose person has an older one; else mend it, by rule or by the directory."""
    found, right = faults(record), normal(record)
    kind, kept = _double(record, others)
    if kind != "no":
        seen = Repair(faults=(*found, f"{kept} is the same person"), same=kind)
        retire = RetireDouble(code=record.code, kept=kept)
        sure = 0.99 if kind == "sure" else 0.5
        return Decision(
            action=retire, rationale="; ".join(seen.faults), confidence=sure, evidence=seen
        )
    source = "rule"
    if entry is not None and not (right.mail and right.city):
        better = normal(Record(code="", name=right.name, mail=entry.mail, city=entry.city))
        source = "nobody" if not right.mail and not better.mail else "directory"
        now = {"mail": right.mail or better.mail, "city": right.city or better.city}
        right = right.model_copy(update=now)
    seen = Repair(
        faults=found, source=source, fits=fits(right.name, right.mail) if right.mail else False
    )
    mend = MendRecord(was=record, now=right) if right != record and source != "nobody" else None
    why = "; ".join(found) or "nothing is wrong"
    return Decision(action=mend, rationale=why, confidence=0.95, evidence=seen)


# Writing


async def followed_up(action: FollowUp, effect: Effect) -> str | None:
    """Look for the opportunity of a call, by its description."""
    del effect
    where = ["description", "=", described(action)]
    found = await tryton.search("sale.opportunity", where, ("number",), most=1)
    return described(action) if found else None


@write(find=followed_up, settles=2 * tryton.PATIENCE, secrets=tryton.SECRETS)
async def follow_up(action: FollowUp, effect: Effect) -> str:
    """Open an opportunity with a person whose turn it is; Tryton would open it twice."""
    del effect
    party = await party_of(action.party)
    houses = await tryton.search("company.company", [], ("currency.id",), most=1)
    people = await tryton.search("company.employee", [], ("id",), most=MOST)
    if not houses or not people:
        raise Final("Tryton has no company with employees to whom a call could be given")
    ids = sorted(each["id"] for each in people)
    turn = int(hashlib.sha256(action.party.encode()).hexdigest(), 16) % len(ids)
    call = {
        "party": party["id"],
        "company": houses[0]["id"],
        "currency": houses[0]["currency"]["id"],
        "employee": ids[turn],
        "description": described(action),
        "comment": f"call until {action.until}",
    }
    await tryton.call("POST", "sale.opportunity", call)
    return described(action)


def described(action: FollowUp) -> str:
    """What an opportunity is called: by it it is found again."""
    return f"call {action.party} for {action.customer} until {action.until}"


def code_of(mail: str) -> str:
    """A lead's code: of one mail address there is one."""
    return f"L-{hashlib.sha256(mail.encode()).hexdigest()[:12]}"


@write(idempotent=True, secrets=tryton.SECRETS)
async def close_lead(action: OpenLead, effect: Effect) -> None:
    """Delete the lead that was opened, if it was."""
    del effect
    where = [["code", "=", code_of(action.mail)], ["identifiers.code", "=", _shop(action)]]
    for party in await tryton.search("party.party", where, ("code",), most=1):
        await tryton.call("DELETE", f"party.party/{party['id']}")


@write(undo=close_lead, idempotent=True, secrets=tryton.SECRETS)
async def open_lead(action: OpenLead, effect: Effect) -> str:
    """Open a party whose code is made of the mail address: Tryton refuses a second one."""
    del effect
    code = code_of(action.mail)
    party = {
        "code": code,
        "name": action.name,
        "addresses": [["create", [{"city": action.city}]]],
        "contact_mechanisms": [["create", [{"type": "email", "value": action.mail}]]],
        "identifiers": [["create", [{"code": _shop(action)}]]],
    }
    try:
        await tryton.call("POST", "party.party", party)
    except Final:
        where = [["code", "=", code], ["identifiers.code", "=", _shop(action)]]
        if not await tryton.search("party.party", where, ("code",), most=1):
            raise
    return code


async def mended(action: MendRecord, effect: Effect) -> str | None:
    """Whether a record is as it shall be."""
    del effect
    return action.now.code if await record_at(action.now.code) == action.now else None


@write(idempotent=True, secrets=tryton.SECRETS)
async def restore_record(action: MendRecord, effect: Effect) -> None:
    """Put back what the record had, unless somebody has changed it since."""
    del effect
    await put(action.was.code, action.now, action.was)


@write(undo=restore_record, find=mended, settles=2 * tryton.PATIENCE, secrets=tryton.SECRETS)
async def mend_record(action: MendRecord, effect: Effect) -> str:
    """Write the better values into the record, where it still is as it was read."""
    del effect
    await put(action.was.code, action.was, action.now)
    return action.now.code


@write(idempotent=True, secrets=tryton.SECRETS)
async def revive_double(action: RetireDouble, effect: Effect) -> None:
    """Take a record into use again."""
    del effect
    await in_use(action.code, active=True)


@write(undo=revive_double, idempotent=True, secrets=tryton.SECRETS)
async def retire_double(action: RetireDouble, effect: Effect) -> str:
    """Take a record out of use; nothing of it is deleted."""
    del effect
    await in_use(action.code, active=False)
    return action.kept


def _shop(action: OpenLead) -> str:
    return f"customer:{action.customer}"


def _double(record: Record, others: list[Record]) -> tuple[Same, str]:
    """Whether an older record is of the same person."""
    return likeliest(record, [each for each in others if each.code < record.code])
