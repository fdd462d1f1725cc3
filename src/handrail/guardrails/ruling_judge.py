"""Whether people may rule as they did: by their roles, and in whose place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from handrail.actions import Ruling, Verb, person
from handrail.oversight import GateKind, VerifiedRuling
from handrail.policy import Facts, Policy
from handrail.wire import ProofRequest, ProofResult


@dataclass(frozen=True)
class RulingJudge:
    """Says of proven rulings whether their people may rule so."""

    policy: Policy
    facts: Facts | None
    proving: ProofRequest
    deputies: Mapping[str, Sequence[str]]

    def proof(self, verb: str, ruling: Ruling, proved: VerifiedRuling) -> ProofResult:
        """Whether it counts, why not, and in whose place."""
        if verb == Verb.ANSWER and ruling.question is not None:
            return ProofResult(proven=True)  # the gate knows whom it was put to
        seat = self.proving.seats.get(proved.by) or self._seat(proved.by, ruling.via)
        why = self._cannot(verb, ruling, proved.by, seat)
        return ProofResult(proven=True, entitled=why is None, why=why or "", stands_for=seat)

    def _seat(self, by: str, via: str) -> str | None:
        if self.facts is not None:
            return in_place_of(self.policy, self.facts, by, via, self.deputies)
        seats = (who for who, to in self.deputies.items() if by in to)
        return next((who for who in seats if self._not_asked(by, None, via)), None)

    def _cannot(self, verb: str, ruling: Ruling, by: str, seat: str | None) -> str | None:
        deciding = verb == Verb.APPROVE or (
            verb == Verb.ANSWER and self.proving.kind == GateKind.IN_DOUBT
        )
        if deciding and self.facts is not None:
            asked = self.proving
            barred = (*asked.askers, *self.policy.barred(asked.requester, asked.drafters))
            return self.policy.cannot(by, self.facts, seat, ruling.via, barred=barred)
        why = self._not_asked(by, seat, ruling.via)
        if why is None and verb == Verb.DELEGATE:
            why = self.policy.deputy(by, person(ruling.to or ""))
        return why

    def _not_asked(self, by: str, seat: str | None, via: str) -> str | None:
        whys = [self.policy.cannot_answer(by, role, seat, via) for role in self.proving.roles]
        return None if None in whys else next(iter(whys), "no role is asked")


def in_place_of(
    policy: Policy, facts: Facts, by: str, via: str, deputies: Mapping[str, Sequence[str]]
) -> str | None:
    """In whose place somebody rules by a delegation for a time; None for their own."""
    if policy.cannot(by, facts, None, via) is None:
        return None
    seats = (who for who, to in deputies.items() if by in map(person, to))
    return next((who for who in seats if policy.cannot(by, facts, who, via) is None), None)
