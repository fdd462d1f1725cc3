"""Up to what each role may approve: its `up to`, compiled for each action it is asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from handrail.policy.file import FileDoc
from handrail.policy.parts import AgentShape, Entry, chain
from handrail.policy.quorum import Roles
from handrail.policy.rules import Rule, RuleError, Types, compile_rule
from handrail.policy.yaml import Faults


def unbounded(doc: FileDoc) -> Roles:
    """The roles of a file as if each might approve everything."""
    free = {name: role.model_copy(update={"up_to": None}) for name, role in doc.roles.items()}
    return Roles(free, {}, frozenset())


@dataclass(frozen=True)
class RoleUse:
    """Which roles are asked about which writes, and what follows from it."""

    doc: FileDoc
    faults: Faults
    shape: AgentShape
    entries: Mapping[str, Entry]
    default: str | None

    def rules(self) -> dict[tuple[str, str], Rule]:
        """The limit of each role for each write. What is wrong with one is added to the faults."""
        return {key: rule for step in self._bound() for key, rule in self._limits(step).items()}

    def roles(self, rules: Mapping[tuple[str, str], Rule]) -> Roles:
        """The roles with their limits."""
        asked = {name for step in self._bound() for name in self._chains(step)}
        for name, role in self.doc.roles.items():
            if role.up_to is not None and name not in asked and not self.faults.found:
                what = f"{name} is asked about no write, so it has nothing to approve"
                self.faults.add(("roles", name, "up to"), what, "remove up to")
        return Roles(self.doc.roles, rules, self._free())

    def mentioning(self, rules: Mapping[tuple[str, str], Rule]) -> dict[str, Entry]:
        """The entries, each with what the limits of the roles that it asks look at."""
        found: dict[str, Entry] = {}
        for step, entry in self.entries.items():
            names = {n for (_, of), rule in rules.items() if of == step for n in rule.mentions()}
            found[step] = replace(entry, mentions=entry.mentions | names)
        return found

    def notes(self) -> list[str]:
        """What is worth reading: limits above which nobody is left, channels anybody can claim."""
        notes: list[str] = []
        for name, role in self.doc.roles.items():
            if role.up_to is not None and role.deadline.to is None:
                notes.append(
                    f"{name} is the last to be asked and may approve only where "
                    f"`{role.up_to}`: anything else nobody may approve, and it is refused"
                )
            if role.accept is not None and self.doc.proof == "unproven":
                notes.append(
                    f"{name} accepts approvals by {' or '.join(role.accept)} only, but "
                    "without proof anybody can say by which way theirs came"
                )
        return [f"{self.faults.path}: {note}" for note in notes]

    def _bound(self) -> list[str]:
        return [step for step in self.shape.writes if step not in self._free()]

    def _free(self) -> frozenset[str]:
        """The undos that the file does not list: taking back needs no limit."""
        undos = {step for step, write in self.shape.writes.items() if write.undoes}
        return frozenset(undos - self.doc.actions.keys())

    def _chains(self, step: str) -> tuple[str, ...]:
        """The roles that can come to be asked about a write."""
        first = self.entries[step].asked() if step in self.entries else (self.default or "",)
        return tuple(dict.fromkeys(name for role in first for name in chain(self.doc.roles, role)))

    def _limits(self, step: str) -> dict[tuple[str, str], Rule]:
        write, found = self.shape.writes[step], dict[tuple[str, str], Rule]()
        types = Types(write.action, write.evidence)
        for name in self._chains(step):
            limit = self.doc.roles[name].up_to
            if limit is None:
                continue
            try:
                found[name, step] = compile_rule(limit, types)
            except RuleError as error:
                what = f"{name} is asked about {step}: {error.what}"
                fix = f"{error.fix}, or let another role be asked about {step}"
                self.faults.add(("roles", name, "up to"), what, fix)
        return found
