"""The steps of the onboarding agent: is who applies a customer already?

It talks to Tryton over REST (`TRYTON_URL`, and the secret `TRYTON_KEY`). A party's code is its own
and unique there: a customer that this agent opens has the number of the application for it.
How it decides is arithmetic: see `activities.onboarding_match`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import Field
from typing_extensions import override

from activities import tryton
from activities.onboarding_match import Clue, Customer, Match, Person, clues, compare
from handrail import (
    Action,
    Decision,
    Effect,
    Event,
    Final,
    Untrusted,
    decide,
    read,
    write,
)

MOST = 200
"""How many on file are looked at for one applicant."""

_FIELDS = (
    "code",
    "name",
    "identifiers.code",
    "addresses.street",
    "addresses.city",
    "addresses.postal_code",
)


class Application(Event):
    """Somebody wants to be a customer."""

    number: str = Field(pattern=r"^[A-Z]{1,4}-\d{1,12}$")
    person: Person
    remark: Untrusted | None = None
    """What the applicant wrote beside it: nothing is decided by it."""

    @property
    @override
    def key(self) -> str:
        return self.number


class OpenCustomer(Action):
    """Open a new customer under the number of the application."""

    application: str
    person: Person
    apart_from: tuple[str, ...] = ()
    """Customers that people have said to be somebody else."""


class AttachApplication(Action):
    """Note the application at the customer who made it: nobody is opened twice."""

    application: str
    customer: str


@read(secrets=tryton.SECRETS)
async def alike(person: Person) -> list[Customer]:
    """Read who on file has something in common with a person."""
    any_of = ["OR", *(_domain(clue) for clue in sorted(clues(person)))]
    found = await _search("party.party", any_of) if len(any_of) > 1 else []
    return [Customer(code=party["code"], person=_person(party)) for party in found]


@decide
async def judge(
    number: str, person: Person, on_file: list[Customer], apart_from: list[str]
) -> Decision[OpenCustomer | AttachApplication, Match]:
    """Find the applicant among those on file, but for whom people said to be somebody else.

    It is not given what the applicant wrote beside it, so that nobody can talk it into anything.
    """
    match = compare(person, [c for c in on_file if c.code not in apart_from])
    action = None
    if match.verdict == "new":
        action = OpenCustomer(application=number, person=person, apart_from=tuple(apart_from))
    elif match.customer is not None:
        action = AttachApplication(application=number, customer=match.customer)
    return Decision(
        action=action, rationale=_reasons(match), confidence=_sure(match), evidence=match
    )


def _reasons(match: Match) -> str:
    if match.verdict == "thin":
        return "It says too little of who it is to be compared with anybody."
    best = f"{match.customer} is {match.likeness:.2f} alike"
    if match.verdict == "known":
        return f"{best}, the next one {match.second:.2f}: the same person."
    if match.verdict == "unsure":
        proof = "" if match.proven else ", and neither birth date nor number is the same"
        return f"{best}, the next one {match.second:.2f}{proof}: it may be the same person."
    return f"Of {match.looked_at} with something in common, none is alike: a new customer."


def _sure(match: Match) -> float:
    return {"known": 0.99, "new": 0.99, "thin": 1.0}.get(match.verdict, 0.5)


@write(idempotent=True, secrets=tryton.SECRETS)
async def close_customer(action: OpenCustomer, effect: Effect) -> None:
    """Delete the customer that was opened, if it was."""
    del effect
    for party in await _search("party.party", ["code", "=", action.application]):
        await tryton.call("DELETE", f"party.party/{party['id']}")


async def as_opened(action: OpenCustomer, effect: Effect, opened: str) -> str | None:
    """Read a customer back: what is not as it was opened, in words."""
    del effect
    found = await _search("party.party", ["code", "=", opened])
    if [_person(party) for party in found] != [action.person]:
        return f"Tryton has {len(found)} parties {opened}, or others than were opened"
    return None


@write(undo=close_customer, idempotent=True, verify=as_opened, secrets=tryton.SECRETS)
async def open_customer(action: OpenCustomer, effect: Effect) -> str:
    """Open a party in Tryton, whose code is the application's: Tryton refuses a second one."""
    del effect
    person, code = action.person, action.application
    try:
        await tryton.call("POST", "party.party", party_of(code, person))
    except Final:
        found = await _search("party.party", ["code", "=", code])
        if [_person(each) for each in found] != [person]:
            raise
    return code


async def attached(action: AttachApplication, effect: Effect) -> str | None:
    """Look for an application at its customer."""
    del effect
    where = [["code", "=", f"application:{action.application}"], _of(action)]
    found = await _search("party.identifier", where, ("code",))
    return action.customer if found else None


@write(idempotent=True, secrets=tryton.SECRETS)
async def detach_application(action: AttachApplication, effect: Effect) -> None:
    """Take the note of the application away, if it is there."""
    del effect
    where = [["code", "=", f"application:{action.application}"], _of(action)]
    for noted in await _search("party.identifier", where, ("code",)):
        await tryton.call("DELETE", f"party.identifier/{noted['id']}")


@write(undo=detach_application, find=attached, settles=2 * tryton.PATIENCE, secrets=tryton.SECRETS)
async def attach_application(action: AttachApplication, effect: Effect) -> str:
    """Note an application at its customer; Tryton would note it twice, and is asked before."""
    del effect
    found = await _search("party.party", ["code", "=", action.customer])
    if not found:
        raise Final(f"Tryton has no party {action.customer}")
    noted = {"party": found[0]["id"], "code": f"application:{action.application}"}
    await tryton.call("POST", "party.identifier", noted)
    return action.customer


# Tryton


def _of(action: AttachApplication) -> list[str]:
    return ["party.code", "=", action.customer]


def _domain(clue: Clue) -> list[Any]:
    """What Tryton searches for a clue."""
    kind = clue.kind
    first, second = (tryton.literal(word) for word in (clue.first, clue.second))
    if kind in {"number", "born"}:
        return ["identifiers.code", "ilike", f"{'ssn' if kind == 'number' else kind}:{first}"]
    if kind == "name":
        names = (f"{first}, {second}", f"{second}, {first}")
        return ["OR", *(["name", "ilike", name] for name in names)]
    if kind == "street":
        return ["addresses.street", "ilike", f"{first}, {second}, %"]
    of_name = ["OR", ["name", "ilike", f"{first}, %"], ["name", "ilike", f"%, {first}"]]
    if kind == "word-suburb":
        return [of_name, ["addresses.city", "ilike", second]]
    house = ["addresses.street", "ilike", f"{first}, %"]
    of_whom = house if kind == "house" else of_name
    return [of_whom, ["addresses.postal_code", "ilike", second]]


def party_of(code: str, person: Person) -> dict[str, Any]:
    """What Tryton is told of a customer."""
    numbers = [("ssn", person.soc_sec_id), ("born", person.date_of_birth)]
    identifiers = [{"code": f"{kind}:{number}"} for kind, number in numbers if number]
    street = f"{person.street_number}, {person.address_1}, {person.address_2}"
    address = {"street": street, "city": person.suburb, "postal_code": person.postcode}
    return {
        "code": code,
        "name": f"{person.surname}, {person.given_name}",
        "addresses": [["create", [address]]],
        "identifiers": [["create", identifiers]],
    }


def _person(party: dict[str, Any]) -> Person:
    """Who a party is, as far as its parts can be told apart."""
    surname, _, given = (party["name"] or "").partition(", ")
    addresses = party["addresses"] or [{"street": "", "city": "", "postal_code": ""}]
    street = [*(addresses[0]["street"] or "").split(", "), "", ""]
    numbers = dict(each["code"].split(":", 1) for each in party["identifiers"] or ())
    return Person(
        given_name=given.replace(",", " "),
        surname=surname.replace(",", " "),
        street_number=street[0],
        address_1=street[1],
        address_2=street[2],
        suburb=addresses[0]["city"] or "",
        postcode=addresses[0]["postal_code"] or "",
        date_of_birth=numbers.get("born", ""),
        soc_sec_id=numbers.get("ssn", ""),
    )


async def _search(
    model: str, domain: list[Any], fields: Collection[str] = _FIELDS
) -> list[dict[str, Any]]:
    return await tryton.search(model, domain, fields, most=MOST)
