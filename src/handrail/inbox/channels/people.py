"""The people file: how each person wants to be told.

    ana@example.com:
      name: Ana
      slack: U012AB3CD
      channels: [slack, mail]
      also: ["ntfy://ntfy.example.com/ana"]
      digest: 10m
      quiet: {from: "20:00", to: "07:00", zone: Europe/Berlin}

Whoever is not listed gets mail at the address by which the policy names them. `channels`
are tried in their order, then those of `also`: the next one when one has failed for good.
An entry `everybody` has the digest and the quiet hours of all who say nothing of them.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from handrail.actions import person
from handrail.exceptions import ConfigurationError, PolicyError
from handrail.inbox.channels.quiet import QuietHours
from handrail.policy import Duration, Fault, Faults, Stamp, file_content, file_stamp, parse_yaml

SlackId = Annotated[str, Field(pattern=r"^[UW][A-Z0-9]{2,20}$")]
"""A member's id, which Slack shows under *Copy member ID*."""

ALSO = "also"
"""What the channels of `also` are called, with their number: their addresses hold secrets."""

EVERYBODY = "everybody"
"""The entry of what counts for all who say nothing else."""

_FIXES = {
    "extra_forbidden": (
        "take it out; there are name, slack, mail, channels, also, digest, digest from and quiet"
    ),
    "string_pattern_mismatch": "copy the member id from the Slack profile: it is like U012AB3CD",
    "literal_error": "write mail or slack; addresses of other channels go under `also`",
}


class PeopleError(ConfigurationError):
    """The people file was refused. `faults` has one text for each fault, with line and fix.

    `sound`: those whose entries have none.
    """

    def __init__(self, faults: tuple[str, ...], sound: People | None = None) -> None:
        """Say every fault at once."""
        self.faults = faults
        self.sound = People({}) if sound is None else sound
        super().__init__("\n".join(faults))


class Person(BaseModel):
    """One person. `mail` is where mail goes when it is not their address in the policy.

    `digest`: from the `digest_from`-th question within this time on, one message has them all.
    `quiet`: when they are told only what cannot wait.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="", max_length=100)
    slack: SlackId | None = None
    mail: str | None = Field(default=None, pattern=r"^[^@\s<>,;:]+@[^@\s<>,;:]+$")
    channels: tuple[Literal["mail", "slack"], ...] = ("mail",)
    also: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*://\S+$")], ...] = ()
    digest: Duration | None = None
    digest_from: int = Field(default=2, ge=1, le=100, alias="digest from")
    quiet: QuietHours | None = None

    def ways(self) -> tuple[str, ...]:
        """The names of the channels, in the order in which they are tried."""
        extra = tuple(f"{ALSO} {number}" for number in range(1, len(self.also) + 1))
        return (*self.channels, *extra)


class _Everybody(BaseModel):
    """What counts for all who say nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Duration | None = None
    digest_from: int = Field(default=2, ge=1, le=100, alias="digest from")
    quiet: QuietHours | None = None


_UNLISTED = Person()
_AT_ONCE = _Everybody()


class People:
    """Everybody who is listed. Addresses are compared as the gate compares them."""

    def __init__(self, listed: Mapping[str, Person], everybody: _Everybody = _AT_ONCE) -> None:
        self._everybody = everybody
        self._listed = {person(address): someone for address, someone in listed.items()}
        self._by_slack = {
            someone.slack: address
            for address, someone in self._listed.items()
            if someone.slack is not None
        }

    def of(self, address: str) -> Person:
        """How to tell this person; by mail where nothing is known."""
        someone, common = self._listed.get(person(address), _UNLISTED), self._everybody
        said = someone.model_fields_set
        missing = {n: v for n, v in common if n in common.model_fields_set and n not in said}
        return someone.model_copy(update=missing) if missing else someone

    def others(self) -> bool:
        """Whether anybody is told by something else than mail and Slack."""
        return any(someone.also for someone in self._listed.values())

    def by_slack(self, user: str) -> str | None:
        """The address of the person with that Slack id; None if nobody has it."""
        return self._by_slack.get(user)


class PeopleFile:
    """The people of a file, read again when it has changed. One that is absent lists nobody."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[Stamp, People] | None = None

    def sound(self) -> tuple[People, str]:
        """The people whose entries have no fault, and what is wrong with the others."""
        try:
            return self.current(), ""
        except PeopleError as error:
            return error.sound, str(error)

    def current(self) -> People:
        """The people as the file lists them now.

        Raises:
            PeopleError: if it is there, and cannot be read or has faults: all of them.
        """
        try:
            stamp = file_stamp(self.path)
        except FileNotFoundError:
            return People({})
        except OSError:
            stamp = ()  # reading it says why
        if self._seen and self._seen[0] == stamp:
            return self._seen[1]
        try:
            text, settled = file_content(self.path)
        except PolicyError as error:
            raise PeopleError(error.faults) from error
        people = parse(text, str(self.path))
        self._seen = (settled, people) if settled else None
        return people


def parse(text: str, path: str) -> People:
    """Read the text of a people file; `path` is only named in faults.

    Raises:
        PeopleError: if it has faults: all of them, with line and fix.
    """
    faults = Faults(path)
    if all(line.lstrip()[:1] in {"", "#"} for line in text.splitlines()):
        return People({})
    document = parse_yaml(text, faults)
    if document is None:
        faults.found = [_of_people(fault) for fault in faults.found]
    # What is wrong with the text may be wrong with each entry.
    readable = not faults.found
    everybody = _everybody(document or {}, faults)
    listed = _listed(document or {}, faults)
    _no_doubles(listed, faults)
    if faults.found:
        sound = {a: e for a, e in listed.items() if readable and (a,) not in faults.broken}
        raise PeopleError(tuple(faults.texts()), People(sound, everybody))
    return People(listed, everybody)


def _of_people(fault: Fault) -> Fault:
    """A fault of the text, in the words of this file."""
    if fault.what != "this is no policy":
        return fault
    fix = "start each entry with a person's address and a colon"
    return dataclasses.replace(fault, what="this is no list of people", fix=fix)


def _everybody(document: dict[str, Any], faults: Faults) -> _Everybody:
    try:
        return _Everybody.model_validate(document.get(EVERYBODY) or {})
    except ValidationError as error:
        _report(EVERYBODY, error, faults)
    return _AT_ONCE


def _listed(document: dict[str, Any], faults: Faults) -> dict[str, Person]:
    found: dict[str, Person] = {}
    for address, entry in document.items():
        if address == EVERYBODY or (address,) in faults.broken:
            continue
        if "@" not in address:
            fix = "begin each entry with the address by which the policy names the person"
            faults.add((address,), f"{address} is not an address", fix)
            continue
        try:
            found[address] = Person.model_validate(entry or {})
        except ValidationError as error:
            _report(address, error, faults)
    return found


def _report(address: str, error: ValidationError, faults: Faults) -> None:
    for fault in error.errors(include_url=False, include_input=False):
        at = (address, *fault["loc"])
        where = ".".join(str(part) for part in at)
        fix = _FIXES.get(fault["type"], "see the example in the documentation of the people file")
        # What is written as in a policy says itself how.
        fix = str(fault.get("ctx", {}).get("fix", fix))
        faults.add(at, f"{where}: {fault['msg']}", fix)


def _no_doubles(listed: Mapping[str, Person], faults: Faults) -> None:
    """A button pressed by one Slack user must name one person."""
    spelt = Counter(person(address) for address in listed)
    slack = Counter(someone.slack for someone in listed.values() if someone.slack)
    for address, someone in listed.items():
        before = len(faults.found)
        if spelt[person(address)] > 1:
            faults.add((address,), f"{address} is listed more than once", "keep one entry")
        if someone.slack and slack[someone.slack] > 1:
            what = f"the Slack id {someone.slack} belongs to several people"
            faults.add((address, "slack"), what, "give each person their own")
        if "slack" in someone.channels and not someone.slack:
            what = f"{address} is to be told by Slack, and has no Slack id"
            faults.add((address, "channels"), what, "add slack: and the member id")
        if len(faults.found) > before:
            faults.broken.add((address,))
