"""Who attacks, what they know, and what an attack is."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.common.v1 import Payload

from handrail.actions import Ruling
from handrail.exceptions import ConfigurationError
from handrail.oversight import GateView, Keyring, SigningKey, sign_ruling
from handrail.testing import Human

STRANGER = "stranger@integrity.example"
"""Somebody whose key is trusted, and who belongs to no role."""

OUTSIDER = "outsider@integrity.example"
"""Somebody whose key nobody trusts."""


@dataclass(frozen=True)
class Cast:
    """The approvers, and the keys that attackers hold.

    `revoked` and `expired` were the first approver's; `inbox` is of the inbox's kind, and
    nobody trusts it.
    """

    approvers: tuple[Human, ...]
    stranger: SigningKey
    outsider: SigningKey
    revoked: SigningKey
    expired: SigningKey
    inbox: SigningKey

    @classmethod
    def gather(cls, approvers: Sequence[Human], keyring: Keyring) -> Cast:
        """Make the attackers' keys, and put those into the keyring that belong there.

        Raises:
            ConfigurationError: if an approver has no key.
        """
        without = [human.address for human in approvers if human.key is None]
        if without or not approvers:
            who = ", ".join(without) or "nobody"
            raise ConfigurationError(f"{who} has no key: give Human(address, SigningKey.new(...))")
        now, first = datetime.now(UTC), approvers[0].address
        long_ago = now - timedelta(days=2)
        cast = cls(
            tuple(approvers),
            stranger=SigningKey.new(STRANGER, now),
            outsider=SigningKey.new(OUTSIDER, now),
            revoked=SigningKey.new(first, long_ago),
            expired=SigningKey.new(first, long_ago),
            inbox=SigningKey.new(None, now),
        )
        for key in (cast.stranger, cast.revoked, cast.expired):
            keyring.trust(key.public())
        keyring.revoke(cast.revoked.kid, now, "lost")
        keyring.expire(cast.expired.kid, now - timedelta(days=1), "replaced")
        return cast


@dataclass(frozen=True)
class Message:
    """What is sent to a case: a verb, and values byte by byte. `said`: if it is one object."""

    verb: str
    payloads: tuple[Payload, ...]
    said: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Scene:
    """An open gate, and all that an attacker knows: everything but the approvers' keys in use.

    `other`: a gate of another case about the like. `tag` goes into `why` where that can be.
    """

    cast: Cast
    case: str
    seen: GateView
    other: GateView
    rng: random.Random
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    tag: str = ""

    @property
    def approver(self) -> Human:
        """Somebody who may rule, in whose name an attacker would like to."""
        return self.rng.choice(self.cast.approvers)

    def key_of(self, human: Human) -> SigningKey:
        """The key of an approver: for what they really signed, which is then misused."""
        assert human.key is not None  # `gather` has looked
        return human.key

    def ruling(self, by: str, **changes: Any) -> dict[str, Any]:
        """A ruling as it should be, but for its proof, in the name of `by`."""
        right = {"gate": self.seen.gate, "digest": self.seen.digest, "by": by, "via": "key"}
        return right | ({"why": self.tag} if self.tag else {}) | changes

    def verb(self) -> str:
        """Something that lets the write happen, or keeps the gate from it."""
        return self.rng.choice(("approve", "approve", "approve", "reject", "amend", "revoke"))

    def fields(self, verb: str) -> dict[str, Any]:
        """What a ruling with that verb needs beside the rest."""
        return {"action": self.amended()} if verb == "amend" else {}

    def amended(self) -> dict[str, Any]:
        """The action, with one field as an attacker would have it."""
        action = dict(self.seen.action)
        name = self.rng.choice(sorted(action)) if action else "x"
        action[name] = altered(action.get(name), self.rng)
        return action

    def genuine(self, verb: str, human: Human, **changes: Any) -> dict[str, Any]:
        """A ruling that somebody really signed, here or (by `gate`, `digest`) elsewhere."""
        case, by = changes.pop("case", self.case), changes.pop("by", human.address)
        said = Ruling.model_validate(self.ruling(by, **changes))
        signed = sign_ruling(said, verb, case, self.key_of(human), self.now)
        return signed.model_dump(mode="json", exclude_defaults=True)


@dataclass(frozen=True)
class Attack:
    """One way to let something happen that nobody allowed, or to break what decides that.

    `family`: forged, replayed, altered and so on. `make` gives one of its variations.
    """

    name: str
    family: str
    make: Callable[[Scene], Message]


def message(verb: str, ruling: Mapping[str, Any]) -> Message:
    """A ruling as one JSON object."""
    return Message(verb, (payload(json.dumps(ruling).encode()),), ruling)


def payload(data: bytes, encoding: str = "json/plain", **metadata: str) -> Payload:
    """A value exactly as it goes over the wire."""
    tags = {"encoding": encoding, **metadata}
    return Payload(metadata={name: tag.encode() for name, tag in tags.items()}, data=data)


def altered(value: Any, rng: random.Random) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + rng.randint(1, 9)
    text = str(value)
    return str(int(text) + 1) if text.isdecimal() and text.isascii() else f"{text}x"
