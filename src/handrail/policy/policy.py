"""The policy of an agent: what it may do alone, who may allow more, and how long they have.

A `Policy` gives pure answers, without clock, network or database. The policy compiler makes it
from a policy file that was judged in full against the steps of its agent: a file with faults is
refused with all of them at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from handrail.actions import WHOLE, Ask, Finding, Kind, Level, Terms
from handrail.actions import person as same_person
from handrail.exceptions import ConfigurationError
from handrail.policy.compiler import CompiledFile
from handrail.policy.file import FileDoc
from handrail.policy.matching import NobodyMayApprove
from handrail.policy.parts import (
    AgentShape,
    Breaker,
    Budget,
    Condition,
    Control,
    Entry,
    Facts,
    Review,
    Setting,
    chain,
    unlisted,
)
from handrail.policy.quorum import Approval, Count, ask, enough
from handrail.policy.rule_types import nearest
from handrail.policy.rules import RuleFailed
from handrail.text import percent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Policy:
    """A policy that was found sound. Made by `PolicyFile` and `parse_policy`.

    `label` names agent, version and the first 8 hex digits of the file's SHA-256. `proof`
    says whether a ruling counts although nobody checked who sent it; None leaves it to the
    settings. `control`: who may turn the agent's autonomy. `breakers`: after what it goes down.
    `budgets`: what the agent's own thinking may cost. `notes` are worth reading, and no faults.
    `sha`: of the whole `text`. `doc`: the file as a model.
    """

    label: str
    agent: str
    version: int
    owner: str
    proof: Literal["required", "unproven"] | None
    control: Control
    breakers: tuple[Breaker, ...]
    budgets: tuple[Budget, ...]
    notes: tuple[str, ...]
    sha: str
    text: str = field(repr=False)
    doc: FileDoc = field(repr=False)
    _shape: AgentShape = field(repr=False)
    _compiled: CompiledFile = field(repr=False)

    def of(self, step: str) -> Entry:
        """What it says of one write, whether or not the file lists it."""
        found = self._compiled.entries.get(step)
        return found or unlisted(step, self._compiled.default, self._compiled.limits)

    @property
    def steps(self) -> tuple[str, ...]:
        """The writes that the file lists."""
        return tuple(self.doc.actions)

    def rules(self, facts: Facts) -> list[Finding]:
        """What its rules and its autonomy say: refuse, or hold.

        A rule that could not be judged holds, whatever it would have done.
        """
        entry = self.of(facts.step)
        if not entry.listed:
            why, free = entry.why_most, self._takes_back(facts.step)
            hold = Finding(check="listed", kind=Kind.HOLD, why=why, role=entry.role)
            return [] if free else [hold]
        refuse = _judged(entry.refuse, facts, Kind.REFUSE)
        return [
            *(found for found in refuse if found.kind is Kind.REFUSE),
            *self._autonomy(facts, entry),
            *(found for found in refuse if found.kind is not Kind.REFUSE),
            *_judged(entry.hold, facts, Kind.HOLD),
        ]

    def scope(self, facts: Facts) -> list[Finding]:
        """What of `only:` is not met: it refuses; what could not be judged holds."""
        return _judged(self.of(facts.step).only, facts, Kind.REFUSE, want=False)

    def setting(self, facts: Facts) -> Setting:
        """How much the agent does of this write by itself, now.

        What was set at run time counts before what the file says, but neither is ever above
        the cap of its class of risk, nor full where it cannot be undone and the file does not
        say why it may run alone. What takes back a write runs, whatever is set.
        """
        if self._takes_back(facts.step):
            return Setting(Level.FULL, label="it takes back what was written")
        entry = self.of(facts.step)
        given = facts.setting or entry.own
        most = entry.capped(given.level)
        if most is given.level:
            return given
        lowered = f"{given.label}; {most.value} instead of {given.level.value}: {entry.why_most}"
        return Setting(most, label=lowered.removeprefix("; "))

    def review(self, facts: Facts) -> Review | None:
        """How much of what ran alone is looked at afterwards, as things are now."""
        review, setting = self.of(facts.step).review, self.setting(facts)
        ramp = setting.level is Level.FULL and setting.rollout < WHOLE
        return review.on_ramp if review and ramp else review

    def asks(
        self,
        findings: Sequence[Finding],
        facts: Facts,
        now: datetime,
        standing: Mapping[str, Sequence[str]] | None = None,
        *,
        barred: Sequence[str] = (),
    ) -> tuple[Ask, ...]:
        """Whom to ask: one chain for each role that holds, without roles that may not approve it.

        A holding finding without a role, such as a data check's, asks the role of the step.
        `standing`: who stands in for whom by a delegation for a time. `barred`: who may not
        approve it beside the requester.

        Raises:
            NobodyMayApprove: if all people together could not approve it.
        """
        held = (finding for finding in findings if finding.kind is Kind.HOLD)
        roles = dict.fromkeys(finding.role or self.of(facts.step).role for finding in held)
        chains = [self._chain(role) or (self._compiled.default,) for role in roles]
        chains = [self._able(names, facts) for names in chains]
        self._somebody(chains, facts, barred)
        return tuple(ask(self._compiled.roles, names, now, standing) for names in chains)

    def default_asks(self, step: str, now: datetime, facts: Facts | None = None) -> tuple[Ask, ...]:
        """Whom to ask about `step` when no rule says so: a write in doubt, a failed undo.

        With `facts` without the roles that may not approve it. Somebody is always asked: the
        last role, where none may approve it.
        """
        names, roles = self._chain(self.of(step).role), self._compiled.roles
        if facts is not None:
            names = tuple(n for n in names if roles.too_much(n, facts) is None) or names[-1:]
        return (ask(roles, names, now),)

    @property
    def default_role(self) -> str:
        """The role that is asked where nothing else is said."""
        return self._compiled.default

    def asks_of(self, role: str, now: datetime) -> tuple[Ask, ...]:
        """Whom to ask when an agent has a question for `role`.

        Raises:
            ConfigurationError: if the policy has no such role.
        """
        if role not in self.doc.roles:
            fix = nearest(role, self.doc.roles)
            raise ConfigurationError(f"the policy of {self.agent} has no role {role}; {fix}")
        return (ask(self._compiled.roles, self._chain(role), now),)

    def unsatisfied(
        self,
        asks: Sequence[Ask],
        approvals: Sequence[Approval],
        facts: Facts,
        now: datetime,
        barred: Sequence[str] = (),
    ) -> list[str]:
        """What is still missing before this action may run, in words.

        `approvals` are those of exactly this action. Judged by the people, quorums and limits
        of this policy, whatever the asks say. A chain is satisfied by the quorum of one of its
        roles; a person counts for the own role and for those below, so that an approval from
        above completes a quorum below, and one from below never fills a quorum above. Nobody
        counts for two chains. `barred` (see there) never count.
        """
        names = [[stage.role for stage in ask.stages] for ask in asks]
        barring = _barring(facts, barred)
        return Count(self._compiled.roles, names, facts, now, barring).lacking(approvals)

    def barred(self, requester: str | None, drafters: Sequence[str]) -> tuple[str, ...]:
        """Who may not approve an action: who asked for it and, mostly, who wrote it."""
        return (*filter(None, [requester]), *(() if self._drafter else drafters))

    def cannot(
        self,
        by: str,
        facts: Facts,
        stands_for: str | None = None,
        via: str = "",
        *,
        barred: Sequence[str] = (),
    ) -> str | None:
        """Why `by` may not approve this action at all, in words; None if they may.

        `via`: by which channel the approval came.
        """
        given = Approval(by, _EPOCH, via, stands_for)
        for who in (given.who, given.seat):
            if who in (whys := _barring(facts, barred)):
                return f"{who} {whys[who]} and may not approve it"
        roles = self._compiled.roles
        asked = {name for role in self.of(facts.step).asked() for name in self._chain(role)}
        mine = [role for role in roles.of(given.seat) if role in asked]
        if not mine:
            return f"{given.seat} belongs to no role that may approve {facts.step}"
        whys = [roles.not_to(role, given) or roles.too_much(role, facts) for role in mine]
        return None if None in whys else whys[0]

    def cannot_answer(
        self, by: str, role: str, stands_for: str | None = None, via: str = ""
    ) -> str | None:
        """Why `by` may not answer a question to `role`, or to those above it; None if they may."""
        given, roles = Approval(by, _EPOCH, via, stands_for), self._compiled.roles
        mine = [each for each in self._chain(role) if each in roles.of(given.seat)]
        whys = [roles.not_to(each, given) for each in mine]
        nobody = f"{given.seat} does not belong to {role}"
        return None if None in whys else next(iter(whys), nobody)

    def deputy(self, of: str, to: str) -> str | None:
        """Why `to` may not stand in for `of`; None if they may."""
        roles = self._compiled.roles.of(of)
        if not roles:
            return f"{of} belongs to no role, so nobody can stand in for them"
        if not any(same_person(to) in self._compiled.roles.deputies(role) for role in roles):
            return f"{to} is not among the deputies of {' or '.join(roles)}"
        return None

    def terms(self, default_proof: Literal["required", "unproven"]) -> Terms:
        """How gates judge under this policy. `default_proof` is what the settings say."""
        return Terms(proof=self.proof or default_proof, drafter=self._drafter, apart=True)

    def plants(self, step: str, case: str) -> bool:
        """Whether a bad action is asked about first, to see if people look, in this case."""
        return share_of(f"planted/{self.agent}", step, case) < self.doc.planted

    def may_notify(self, step: str) -> Finding | None:
        """Why the notification `step` may not go out, or None when it may."""
        if step not in self._shape.notifies:
            why = f"{step} is no notification of {self.agent}"
        elif step in self.doc.notify and not self.doc.notify[step].allow:
            why = f"the policy does not allow {step}"
        else:
            return None
        return Finding(check="notify", kind=Kind.REFUSE, why=why)

    @property
    def _drafter(self) -> bool:
        """Whether who wrote an amendment may approve it."""
        return self.doc.drafter == "may approve"

    def _takes_back(self, step: str) -> bool:
        """Whether it is an undo that the file does not list."""
        return step in self._compiled.roles.free

    def _chain(self, role: str) -> tuple[str, ...]:
        return chain(self.doc.roles, role)

    def _autonomy(self, facts: Facts, entry: Entry) -> list[Finding]:
        """Why a human is asked, whatever the rules say: the level in force, or its rollout.

        Below `human_led` nobody is asked: the door does not come to that.
        """
        setting, step = self.setting(facts), facts.step
        share = percent(setting.rollout)
        full = setting.level is Level.FULL
        alone = full and share_of(self.agent, step, facts.case) < setting.rollout
        if alone or not setting.level.exceeds(Level.PILOT):
            return []
        why = {
            Level.FULL: f"only {share} of the cases run alone, this one does not",
            Level.SUPERVISED: f"every {step} is held: its autonomy is supervised",
            Level.HUMAN_LED: f"a human decides every {step}: its autonomy is human_led",
        }[setting.level]
        by = f" ({setting.label})" if facts.setting or "instead of" in setting.label else ""
        check = "rollout" if full else "autonomy"
        return [Finding(check=check, kind=Kind.HOLD, why=f"{why}{by}", role=entry.role)]

    def _able(self, names: tuple[str, ...], facts: Facts) -> tuple[str, ...]:
        """Those of a chain who may approve this action.

        Raises:
            NobodyMayApprove: if there is none.
        """
        whys = {name: self._compiled.roles.too_much(name, facts) for name in names}
        able = tuple(name for name, why in whys.items() if why is None)
        if not able:
            raise NobodyMayApprove("; ".join(filter(None, whys.values())))
        return able

    def _somebody(
        self, chains: Sequence[Sequence[str]], facts: Facts, barred: Sequence[str]
    ) -> None:
        whys = _barring(facts, barred)
        if enough(self._compiled.roles, chains, facts, whys):
            return
        without = "; ".join(f"{who} {why}" for who, why in whys.items())
        roles = " and ".join(dict.fromkeys(names[0] for names in chains))
        but = f", and {without}" if without else ""
        have = "does not have" if len(chains) == 1 else "do not have"
        raise NobodyMayApprove(f"{roles} {have} enough different people{but}")


def share_of(agent: str, step: str, case: str) -> int:
    """Where a case falls in a rollout, 0 to 9,999: the same in every process, for ever."""
    key = case.partition(":")[2] or case
    digest = hashlib.sha256(f"{agent}/{step}/{key}".encode()).hexdigest()
    return int(digest, 16) % WHOLE


def _judged(
    conditions: Sequence[Condition], facts: Facts, kind: Kind, *, want: bool = True
) -> list[Finding]:
    """What rules say that come out as `want`. One that cannot be judged holds, always."""
    named = facts.named() if conditions else {}
    found: list[Finding] = []
    for condition in conditions:
        try:
            match = condition.rule.evaluate(named, want=want)
        except RuleFailed as failed:
            said, why = Kind.HOLD, str(failed)
        else:
            if match.true is not want:
                continue
            said, why = kind, f"{condition.why}: {' and '.join(match.because)}"
        check = f"{'rule' if want else 'only'}: {condition.rule.text}"
        roles = condition.roles if said is Kind.HOLD else (None,)
        found += [Finding(check=check, kind=said, why=why, role=role) for role in roles]
    return found


def _barring(facts: Facts, barred: Sequence[str]) -> dict[str, str]:
    """Who may not approve, and why not."""
    whys = {same_person(who): "wrote it" for who in barred}
    asked_by = facts.requester
    return whys | ({same_person(asked_by): "asked for it"} if asked_by else {})
