"""Questions: what a gate asks people, and what somebody asks back before they rule."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, JsonValue

from handrail.actions import Ask, Aware, Basis, Finding, RulingRecord, Terms, Wire, Words, person


class GateKind(StrEnum):
    """What a gate asks."""

    WRITE = "write"
    """May this be done? approve, reject, amend."""
    IN_DOUBT = "in_doubt"
    """Did this happen? answer: happened, do it, drop."""
    UNDO = "undo_failed"
    """An undo failed. approve: try again. reject: leave it."""
    UNDECIDED = "undecided"
    """A decide step failed as often as it may. approve: try again. reject: give up."""
    READ = "read"
    """May this be sent to somebody outside? approve: send it. reject: do not."""
    QUESTION = "question"
    """An agent's own question. answer: with a typed result. reject: it stays unanswered."""


class Question(Wire):
    """What is asked: the exact action, and why a human must say.

    `drafters` wrote the action by amending another; `askers` asked for it beside the requester,
    by way of other agents. `given`: rulings that were given
    before the gate had to open again. `planted`: nobody wants it done. `before`: the action
    in whose place this one was put, by an amendment or because its class has changed. `misfit`:
    why it cannot be done as it is. `summary`: the action in one line, where it
    says that of itself. `units`: what the fields of action and evidence are in, each as a rule
    names it.
    """

    kind: GateKind
    step: str
    title: str
    action: dict[str, JsonValue]
    digest: str
    why: str
    asks: tuple[Ask, ...]
    findings: tuple[Finding, ...] = ()
    basis: Basis | None = None
    requester: str | None = None
    drafters: tuple[str, ...] = ()
    askers: tuple[str, ...] = ()
    given: tuple[RulingRecord, ...] = ()
    risk: str = ""
    policy: str = ""
    terms: Terms = Terms()
    planted: bool = False
    before: dict[str, JsonValue] | None = None
    misfit: str = ""
    summary: str = ""
    units: dict[str, str] = Field(default_factory=dict[str, str])

    @property
    def asked_by(self) -> frozenset[str]:
        """Who asked for it, of this agent or of one that handed it on."""
        return frozenset(map(person, (*self.askers, *filter(None, [self.requester]))))

    @property
    def barred(self) -> frozenset[str]:
        """Who may not approve it: they asked for it, or wrote it."""
        return self.asked_by.union(() if self.terms.drafter else map(person, self.drafters))


class Consultation(Wire):
    """A question that an approver put to the agent or to a colleague, and its answer."""

    id: str
    by: str
    to: str
    text: Words
    at: Aware
    answer: Words | None = None
    answered: Aware | None = None
