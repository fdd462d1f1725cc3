"""What an operator works with: who they are, what signs for them, and where things are kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from pydantic import BaseModel
from temporalio.client import Client

from handrail.actions import Ruling, person
from handrail.exceptions import InvalidRequest, LedgerUnavailable, NotPermitted, ServerUnavailable
from handrail.oversight import (
    BY_KEY,
    BY_NAME,
    MANDATE_STATEMENT,
    ORDER_STATEMENT,
    REVIEW_STATEMENT,
    Keyring,
    Mandate,
    NotProven,
    Opinion,
    Order,
    SigningKey,
    TrustedKey,
    sign_ruling,
)

if TYPE_CHECKING:
    from handrail.ledger import Ledger
    from handrail.policy import AgentShape

BY_LINK = "mail"
"""The channel of whoever followed a link in a message: it is good for one gate, and no more."""

BY_NAME_ONLY = "signed in by name: what was said is as it was signed, who said it nobody checked"
"""Why what was not altered since proves nothing of who said it."""


@dataclass(frozen=True)
class Statement:
    """What is to be signed for a person; of a ruling also its `verb` and its `case`."""

    said: Ruling | Mandate | Order | Opinion
    verb: str = ""
    case: str = ""


Signer: TypeAlias = Callable[[Statement], Awaitable[str]]
"""Signs a statement, and gives the compact JWS, as `handrail.oversight.signatures` makes it."""

Connect: TypeAlias = Callable[[], Awaitable[Client]]
"""Connects to Temporal, when that is first needed: a stop is in force before it."""


class Directory(Protocol):
    """Whom the policies name. Where an operator has one, it is asked before anything is sent."""

    def known(self) -> frozenset[str]:
        """The agents that have a policy."""
        ...

    def agents(self, who: str) -> frozenset[str]:
        """The agents whose policies name a person at all."""
        ...

    def controls(self, who: str) -> frozenset[str]:
        """The agents that a person may let do more by themselves."""
        ...

    def deputies(self, agent: str, who: str) -> frozenset[str]:
        """Who may stand in for a person, in some role of the agent."""
        ...

    def role(self, agent: str, name: str) -> frozenset[str]:
        """Who is of a role now."""
        ...


class AuditReview(Protocol):
    """Writes an audit line that somebody looked at a write: `handrail.guardrails.audit_review`."""

    def __call__(
        self, agent: str, step: str, case: str, key: str, *, why: str, answer: str, by: str
    ) -> None:
        """Say what they answered."""
        ...


class StartableAgent(Protocol):
    """An agent that can be started; `handrail.Agent` is one."""

    @property
    def workflow(self) -> type[Any]:
        """Its workflow class."""
        ...

    @property
    def event(self) -> type[BaseModel]:
        """The model of its events."""
        ...

    @property
    def shape(self) -> AgentShape:
        """What it can do at all."""
        ...


class OperatorBase:
    """See `handrail.client.Operator`."""

    def __init__(
        self,
        client: Client | Connect | None,
        ledger: Ledger | None = None,
        signer: SigningKey | Signer | None = None,
        *,
        by: str | None = None,
        via: str = "",
        keyring: Keyring | None = None,
        directory: Directory | None = None,
        agents: Mapping[str, StartableAgent] | None = None,
        audit_review: AuditReview | None = None,
        ui_url: str = "",
        no_ledger: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Say who acts (`by`; a personal key says it too), and with what.

        `client`: connected, or what connects when it is needed. `via`: the channel of what
        the inbox signs for a person. `keyring`: whose signatures are shown as proven.
        `agents`: what can be started by its event alone, such as `fleet.agents`. `no_ledger`: why
        there is none, in words.

        Raises:
            InvalidRequest: if the key is another person's.
        """
        owner = signer.person if isinstance(signer, SigningKey) else None
        if by is not None and owner is not None and person(by) != owner:
            raise InvalidRequest(f"this is the key of {owner}, who cannot act as {by}", "by")
        self.by = person(by or owner or "")
        self.via = BY_KEY if owner is not None else via
        self.keyring = keyring
        self.ui_url = ui_url
        self._no_ledger = no_ledger
        self._connected = client
        self._ledger = ledger
        self._signer = signer
        self._directory = directory
        self._agents = agents or {}
        self._audit_review = audit_review
        self._clock = clock

    async def temporal(self) -> Client:
        """The Temporal client.

        Raises:
            ServerUnavailable: if there is none, or no server answers.
        """
        if self._connected is None:
            raise ServerUnavailable("this needs a Temporal server, and the Operator has no client")
        if not isinstance(self._connected, Client):
            self._connected = await self._connected()
        return self._connected

    @property
    def ledger(self) -> Ledger:
        """The ledger.

        Raises:
            LedgerUnavailable: if there is none.
        """
        if self._ledger is None:
            raise LedgerUnavailable(
                self._no_ledger
                or "there is no ledger here, and this needs that of the workers; fix: run it where "
                "the worker runs, or set HANDRAIL_LEDGER_URL to its ledger"
            )
        return self._ledger

    def _who(self) -> str:
        if not self.by:
            raise InvalidRequest("say who you are: your address, as the policy knows it", "by")
        return self.by

    def _own_seat(self, what: str) -> None:
        """That whoever acts has signed in, or has a key: a link is for its one gate."""
        if self.via == BY_LINK:
            raise NotPermitted(f"a link in a message is for one question: sign in to {what}")

    def _trusted(self) -> Mapping[str, TrustedKey]:
        return {} if self.keyring is None else self.keyring.current()

    async def _signature(self, said: Statement, needed: str = "") -> str | None:
        """A statement, signed; None where nothing signs, and nothing `needed` says it must be.

        Raises:
            NotProven: if there is no key that can sign it.
        """
        if self._signer is None:
            if not needed:
                return None
            raise NotProven(
                f"{needed}, and this machine holds no key of {self.by} that is in use; nothing was "
                f"sent\nfix: `handrail keys new --person {self.by}`, then send what it names to "
                "whoever keeps the keyring (`handrail keys trust FILE` there); or set HANDRAIL_KEY "
                "to the file of your key; or rule in the inbox"
            )
        if isinstance(self._signer, SigningKey):
            key, by_name = self._usable(self._signer), self.via == BY_NAME
            return _by_key(said, key, self._clock(), by_name=by_name)
        return await self._signer(said)

    def _usable(self, key: SigningKey) -> SigningKey:
        trusted = self._trusted().get(key.kid)
        if trusted is not None and trusted.over(self._clock()):
            how = "was revoked" if trusted.revoked else "has expired"
            fix = "sign with the one in its place, or make one: `handrail keys rotate`"
            raise NotProven(f"the key {key.kid} of {key.owner} {how}; nothing was sent\nfix: {fix}")
        return key


def _by_key(what: Statement, key: SigningKey, now: datetime, *, by_name: bool) -> str:
    match what.said:
        case Ruling() as ruling:
            return sign_ruling(ruling, what.verb, what.case, key, now).proof or ""
        case Mandate() as mandate:
            return MANDATE_STATEMENT.sign(mandate, key, now, by_name=by_name)
        case Order() as order:
            return ORDER_STATEMENT.sign(order, key, now, by_name=by_name)
        case Opinion() as opinion:
            return REVIEW_STATEMENT.sign(opinion, key, now, by_name=by_name)
