"""Quorum: whom a policy asks, who may approve what, and whether enough people did. Pure.

A person approves from a seat: the own one, or by delegation that of somebody else. A seat
counts once, and so does a person, whatever the number of roles and approvals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, product

from handrail.actions import Ask, RoleStage
from handrail.actions import person as same_person
from handrail.policy.business_hours import after_working_time
from handrail.policy.file import RoleDoc
from handrail.policy.matching import Need, distinct_people
from handrail.policy.parts import Facts
from handrail.policy.rules import Rule, RuleFailed
from handrail.policy.values import written

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_SEATINGS = 4096
"""Ways to share contested seats that are tried. It takes many delegations to need so many."""


@dataclass(frozen=True)
class Approval:
    """One approval of exactly the action in question, by whom, when and by which channel.

    `stands_for`: the person in whose place, by a delegation.
    """

    by: str
    at: datetime
    via: str = ""
    stands_for: str | None = None

    @property
    def who(self) -> str:
        """Who approved, in the form under which addresses are compared."""
        return same_person(self.by)

    @property
    def seat(self) -> str:
        """Whose place they took: the own one, or that of whom they stand in for."""
        return same_person(self.stands_for or self.by)


@dataclass(frozen=True)
class Roles:
    """The roles of a policy. `limits`: up to what they may approve, by role and step.

    `free`: steps that anybody may approve who is asked: undos that the file does not list.
    """

    docs: Mapping[str, RoleDoc]
    limits: Mapping[tuple[str, str], Rule]
    free: frozenset[str]

    def of(self, person: str) -> tuple[str, ...]:
        """The roles to which a person belongs."""
        return tuple(name for name in self.docs if same_person(person) in self.people(name))

    def people(self, role: str) -> frozenset[str]:
        """Who belongs to a role."""
        return frozenset(map(same_person, self.docs[role].people))

    def deputies(self, role: str) -> frozenset[str]:
        """Who may stand in for people of a role."""
        return frozenset(map(same_person, self.docs[role].deputies))

    def too_much(self, role: str, facts: Facts | None) -> str | None:
        """Why nobody of `role` may approve this action; None if they may.

        A limit that cannot be judged allows nothing.
        """
        limit = self.docs[role].up_to
        if limit is None or (facts is not None and facts.step in self.free):
            return None
        why = f"{role} may approve only where `{limit}`"
        rule = self.limits.get((role, facts.step)) if facts is not None else None
        if facts is None or rule is None:
            return f"{why}, and it cannot be judged here"
        try:
            return None if rule.evaluate(facts.named()).true else why
        except RuleFailed as failed:
            return f"{why}, and it could not be judged: {failed.why}"

    def not_in(self, role: str, approval: Approval) -> str | None:
        """Why this is no approval by somebody of `role`, or by a deputy; None if it is."""
        if approval.seat not in self.people(role):
            return f"{approval.seat} no longer belongs to it"
        if approval.stands_for is not None and approval.who not in self.deputies(role):
            return f"{approval.who} may not stand in for {approval.seat}"
        return None

    def not_to(self, role: str, approval: Approval) -> str | None:
        """Why an approval is none by this role, or not by a way that it accepts; None if it is."""
        return self.not_in(role, approval) or self.not_by(role, approval.via)

    def not_by(self, role: str, via: str) -> str | None:
        """Why `role` does not accept approvals that come by a channel; None if it does."""
        accepted = self.docs[role].accept
        # Where whoever only said their name counts at all, they came by the inbox.
        if accepted is None or ("inbox" if via == "name" else via) in accepted:
            return None
        return (
            f"{role} accepts approvals by {' or '.join(accepted)}, not by {via or 'any other way'}"
        )


# Asking


def ask(
    roles: Roles,
    names: Sequence[str],
    now: datetime,
    standing: Mapping[str, Sequence[str]] | None = None,
) -> Ask:
    """Ask the roles `names`, one after the other, from `now` on.

    `standing`: who stands in for whom, by a delegation for a time; only deputies do.
    """
    seats = {same_person(who): others for who, others in (standing or {}).items()}
    stages: list[RoleStage] = []
    begins = now
    for name in names:
        doc = roles.docs[name]
        # Working time that is enough for the whole chain twice.
        length = 2 * doc.deadline.after
        spans = doc.hours.hours().open(now, length, since=begins) if doc.hours else ()
        begins = after_working_time(begins, length, spans)
        stage = RoleStage(
            role=name,
            people=_people(doc, seats),
            quorum=doc.quorum,
            remind=doc.remind,
            after=doc.deadline.after,
            open=spans,
            stops=doc.clock == "stops",
            deputies=doc.deputies,
        )
        stages.append(stage)
    return Ask(stages=tuple(stages))


def _people(doc: RoleDoc, standing: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The people of a role, each with the deputies who stand in for them now."""
    deputies = set(map(same_person, doc.deputies))
    found: dict[str, str] = {}
    for who in doc.people:
        for each in (who, *standing.get(same_person(who), ())):
            if each is who or same_person(each) in deputies:
                found.setdefault(same_person(each), each)
    return tuple(found.values())


# Counting


@dataclass(frozen=True)
class _Voice:
    """All that one person said from one seat: the roles for which it counts."""

    by: str
    seat: str
    roles: frozenset[str]


@dataclass(frozen=True)
class Count:
    """Counts the approvals of one action. `chains`: the roles asked, each with those above it.

    `barred`: who may not approve this action, and why not, such as `asked for it`.
    """

    roles: Roles
    chains: Sequence[Sequence[str]]
    facts: Facts | None
    now: datetime
    barred: Mapping[str, str]

    def lacking(self, approvals: Sequence[Approval]) -> list[str]:
        """What is still missing, in words; empty when it is enough."""
        voices = self._voices(approvals)
        seatings = list(islice(_seatings(voices), _MOST_SEATINGS))
        if any(self._suffices(seated) for seated in seatings):
            return []
        found = [self._missing(names, approvals, seatings) for names in self.chains]
        return [words for words in found if words] or [self._shared(voices)]

    def possible(self) -> bool:
        """Whether it would be enough if everybody approved who may."""
        everybody = {who for names in self.chains for name in names for who in self._people(name)}
        members = (Approval(by=who, at=self.now, via="") for who in everybody)
        return self._suffices(self._voices(tuple(members), self._belongs))

    def _people(self, role: str) -> frozenset[str]:
        return self.roles.people(role) if role in self.roles.docs else frozenset()

    def _may(self, role: str) -> bool:
        return role in self.roles.docs and self.roles.too_much(role, self.facts) is None

    def _belongs(self, role: str, approval: Approval) -> str | None:
        """Why an approval does not count for `role`, whenever and however it came."""
        found = self.roles.not_in(role, approval)
        for who in (approval.who, approval.seat):
            if found is None and who in self.barred:
                found = f"{who} {self.barred[who]}"
        return found

    def _refusal(self, role: str, approval: Approval) -> str | None:
        """Why an approval does not count for `role`; None if it does."""
        lasts = self.roles.docs[role].lasts
        found = self._belongs(role, approval)
        if found is None and self.now - approval.at > lasts:
            found = f"the approval of {approval.who} is older than {written(lasts)}"
        if found is None:
            why = self.roles.not_by(role, approval.via)
            found = why and f"{approval.who}: {why}"
        return found

    def _voices(
        self,
        approvals: Sequence[Approval],
        refusal: Callable[[str, Approval], str | None] | None = None,
    ) -> tuple[_Voice, ...]:
        """The voices that count for something."""
        refused = refusal or self._refusal
        asked = {name for names in self.chains for name in names if name in self.roles.docs}
        counting: dict[tuple[str, str], set[str]] = {}
        for given in approvals:
            roles = {name for name in asked if refused(name, given) is None}
            if roles:
                counting.setdefault((given.who, given.seat), set()).update(roles)
        return tuple(_Voice(*key, frozenset(roles)) for key, roles in counting.items())

    def _needs(self, names: Sequence[str], voices: Sequence[_Voice]) -> list[tuple[str, Need]]:
        """For each role of a chain that may approve: who has, from it or above, and its quorum."""
        live = [name for name in names if self._may(name)]
        found: list[tuple[str, Need]] = []
        for position, name in enumerate(live):
            above = frozenset(live[position:])
            people = frozenset(voice.by for voice in voices if voice.roles & above)
            found.append((name, (people, self.roles.docs[name].quorum)))
        return found

    def _suffices(self, voices: Sequence[_Voice]) -> bool:
        """Whether every chain has the quorum of one of its roles, each by different people."""
        each = [_ways([need for _, need in self._needs(names, voices)]) for names in self.chains]
        return any(distinct_people(needs) for needs in product(*each))

    def _missing(
        self,
        names: Sequence[str],
        approvals: Sequence[Approval],
        seatings: Sequence[Sequence[_Voice]],
    ) -> str:
        """What one chain lacks, whatever the others do; empty if nothing."""
        got: dict[str, int] = {}
        for seated in seatings:
            for name, (people, quorum) in self._needs(names, seated):
                if len(people) >= quorum:
                    return ""
                got[name] = max(got.get(name, 0), len(people))
        stages = [self._stage(name, got) for name in names]
        whys = dict.fromkeys(filter(None, (self._unheard(names, given) for given in approvals)))
        return " or ".join(stages) + (f" ({'; '.join(whys)})" if whys else "")

    def _stage(self, name: str, got: Mapping[str, int]) -> str:
        if name not in self.roles.docs:
            return f"{name} is no role any more"
        if name not in got:
            return self.roles.too_much(name, self.facts) or ""
        return f"{name} gave {got[name]} of {self.roles.docs[name].quorum} approvals"

    def _unheard(self, names: Sequence[str], given: Approval) -> str | None:
        """Why an approval counts for no role of a chain; None if it does, or for another chain."""
        mine = self.roles.of(given.seat)
        here = [name for name in mine if name in names]
        asked = {name for chain in self.chains for name in chain}
        if here:
            whys = [
                self.roles.too_much(name, self.facts) or self._refusal(name, given) for name in here
            ]
            return None if None in whys else whys[0]
        if not mine:
            live = sum(self._may(name) for name in names)
            return f"{given.seat} no longer belongs to {'it' if live == 1 else 'either'}"
        if asked.intersection(mine):
            return None
        limits = (self.roles.too_much(name, self.facts) for name in mine)
        why = next(filter(None, limits), f"{mine[0]} is not asked")
        return f"{given.who}: {why}"

    def _shared(self, voices: Sequence[_Voice]) -> str:
        """Every chain has its approvals, but some person or seat is in more than one of them."""
        names = " and ".join(dict.fromkeys(names[0] for names in self.chains if names))
        people = ", ".join(sorted({voice.by for voice in voices}))
        return f"{names} must be approved by different people, each for one of them ({people} did)"


def enough(
    roles: Roles, chains: Sequence[Sequence[str]], facts: Facts | None, barred: Mapping[str, str]
) -> bool:
    """Whether an action could be approved at all, if everybody did who may."""
    return Count(roles, chains, facts, _EPOCH, barred).possible()


def _ways(needs: Sequence[Need]) -> list[Need]:
    """The needs of which one must be filled, without those that are no easier than an earlier.

    The people of each are among those of the one before.
    """
    ways: list[Need] = []
    for people, quorum in needs:
        if all(quorum < easier for _, easier in ways):
            ways.append((people, quorum))
    return ways


def _seatings(voices: tuple[_Voice, ...]) -> Iterator[tuple[_Voice, ...]]:
    """The ways to let each seat be taken by one person. A person may still have several seats."""
    for first in voices:
        rivals = [voice for voice in voices if voice.seat == first.seat and voice != first]
        if rivals:
            yield from _seatings(tuple(voice for voice in voices if voice not in rivals))
            yield from _seatings(tuple(voice for voice in voices if voice != first))
            return
    yield voices


# Matching people to needs
