"""How alike two persons are: probabilistic record linkage, by arithmetic alone.

Each field that both have is compared by Jaro-Winkler; the sum is weighted by how much the field
says about who somebody is. No model is asked, and the same facts give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field, StringConstraints

KNOWN = 0.60
"""From this likeness on a person is one on file."""

NEW = 0.45
"""Below this likeness a person is none on file; in between, people are asked."""

AHEAD = 0.10
"""By how much the best one on file must be ahead of the second."""

ENOUGH = 5.0
"""The weight of the fields that both must have; with less, nothing is said of them."""

PROOF = 0.90
"""How alike two birth dates or insurance numbers are that prove something."""

WEIGHTS: Mapping[str, float] = {
    "given_name": 1.5,
    "surname": 2.0,
    "street_number": 0.6,
    "address_1": 1.5,
    "address_2": 0.6,
    "suburb": 1.0,
    "postcode": 1.0,
    "date_of_birth": 2.0,
    "soc_sec_id": 2.0,
}

# A comma divides the parts of a name and of a street on file, so that no part has one.
Part = Annotated[str, StringConstraints(strip_whitespace=True, max_length=80, pattern=r"^[^,]*$")]

Verdict = Literal["known", "new", "unsure", "thin"]


class Person(BaseModel, frozen=True, extra="forbid"):
    """Who somebody says to be. What was left out is empty."""

    given_name: Part = ""
    surname: Part = ""
    street_number: Part = ""
    address_1: Part = ""
    address_2: Part = ""
    suburb: Part = ""
    postcode: Part = ""
    date_of_birth: Part = ""
    soc_sec_id: Part = ""

    @property
    def weight(self) -> float:
        """The weight of what is said."""
        return sum(weight for name, weight in WEIGHTS.items() if getattr(self, name))


class Customer(BaseModel, frozen=True):
    """Somebody on file."""

    code: str
    person: Person


class Match(BaseModel, frozen=True, extra="forbid"):
    """The evidence: who on file is most like the applicant, and how much."""

    verdict: Verdict
    likeness: float = Field(ge=-1, le=1)
    """Of the best one on file; -1 where nobody is alike at all."""
    second: float = -1.0
    proven: bool = False
    """Whether the birth date or the insurance number is the same, but for a slip."""
    looked_at: int = 0
    """How many on file have something in common with the applicant."""
    customer: str | None = None
    differs: tuple[str, ...] = ()
    """What the two say differently."""


class Clue(NamedTuple):
    """What somebody on file must have to be looked at."""

    kind: Literal["number", "born", "name", "word-postcode", "word-suburb", "house", "street"]
    first: str
    second: str = ""


def clues(person: Person) -> set[Clue]:
    """What two who are the same have in common: at least one of these (blocking)."""
    parts = {name: part.casefold() for name, part in person}
    p, found = person.model_copy(update=parts), set[Clue]()
    if p.soc_sec_id:
        found.add(Clue("number", p.soc_sec_id))
    if p.date_of_birth:
        found.add(Clue("born", p.date_of_birth))
    if p.given_name and p.surname:
        found.add(Clue("name", *sorted((p.given_name, p.surname))))
    words = [word for word in (p.given_name, p.surname) if word]
    if p.postcode:
        found |= {Clue("word-postcode", word, p.postcode) for word in words}
    if p.suburb:
        found |= {Clue("word-suburb", word, p.suburb) for word in words}
    if p.street_number and p.postcode:
        found.add(Clue("house", p.street_number, p.postcode))
    if p.street_number and p.address_1:
        found.add(Clue("street", p.street_number, p.address_1))
    return found


def likeness(one: Person, other: Person) -> float:
    """How alike two persons are, from -0.3 to 1; -1 where too little is known of both."""
    a = _turned(one, other)
    total = weight = 0.0
    for name, each in WEIGHTS.items():
        p, q = getattr(a, name), getattr(other, name)
        if p and q:
            total += each * max(-0.3, min(1.0, (_alike(p, q) - 0.55) / 0.4))
            weight += each
    return round(total / weight, 4) if weight >= ENOUGH else -1.0


def compare(person: Person, on_file: Iterable[Customer]) -> Match:
    """Whether a person is one of those on file."""
    ranked = sorted(((likeness(person, c.person), c.code, c) for c in on_file), reverse=True)
    if person.weight < ENOUGH:
        return Match(verdict="thin", likeness=-1.0, looked_at=len(ranked))
    if not ranked:
        return Match(verdict="new", likeness=-1.0)
    best, code, customer = ranked[0]
    second = ranked[1][0] if len(ranked) > 1 else -1.0
    proven = any(
        _alike(getattr(person, name), getattr(customer.person, name)) >= PROOF
        for name in ("date_of_birth", "soc_sec_id")
    )
    sure = best >= KNOWN and proven and best - second >= AHEAD
    return Match(
        verdict="known" if sure else "new" if best < NEW else "unsure",
        likeness=best,
        second=second,
        proven=proven,
        looked_at=len(ranked),
        customer=code if best >= NEW else None,
        differs=_differences(person, customer.person) if best >= NEW else (),
    )


def _turned(one: Person, other: Person) -> Person:
    """`one`, with names or address lines in the order in which they fit the other better."""
    for first, second in (("given_name", "surname"), ("address_1", "address_2")):
        p, q = getattr(one, first), getattr(one, second)
        x, y = getattr(other, first), getattr(other, second)
        if _alike(p, y) + _alike(q, x) > _alike(p, x) + _alike(q, y):
            one = one.model_copy(update={first: q, second: p})
    return one


def _differences(one: Person, other: Person) -> tuple[str, ...]:
    pairs = ((name, getattr(one, name), getattr(other, name)) for name in WEIGHTS)
    return tuple(f"{name}: {p or '-'} / {q or '-'}" for name, p, q in pairs if p != q)


def _alike(one: str, other: str) -> float:
    from rapidfuzz.distance import JaroWinkler  # noqa: PLC0415 - no workflow loads it

    return JaroWinkler.similarity(one.casefold(), other.casefold()) if one and other else 0.0
