"""A policy in words: every key in force, for those who answer for it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handrail.actions import Level
from handrail.policy.alerting import describe_alerts
from handrail.policy.file import ActionDoc, RoleDoc
from handrail.policy.parts import Entry, Setting
from handrail.policy.values import Tolerance, written
from handrail.policy.worth import describe_worth
from handrail.text import percent

if TYPE_CHECKING:
    from handrail.policy.policy import Policy

_LEVELS = {
    Level.STOP: "nothing is written",
    Level.PILOT: "what it would do is recorded, and nothing is written",
    Level.HUMAN_LED: "the agent drafts, a human decides each",
    Level.SUPERVISED: "a human approves each",
    Level.FULL: "it runs alone unless a rule holds it",
}


@dataclass(frozen=True)
class Section:
    """A heading, and lines of a name and what is said of it."""

    title: str
    lines: tuple[tuple[str, str], ...]


def describe_policy(policy: Policy, settings: Mapping[str, Setting]) -> list[Section]:
    """Every key in force. `settings`: what each write's autonomy comes to now."""
    writes = [
        Section(step, tuple(_action(policy.of(step), action, settings[step])))
        for step, action in policy.doc.actions.items()
    ]
    roles = [Section(f"role {name}", tuple(_role(role))) for name, role in policy.doc.roles.items()]
    return [Section(policy.agent, tuple(_whole(policy))), *writes, *roles]


def _whole(policy: Policy) -> Iterator[tuple[str, str]]:
    doc = policy.doc
    yield "owner", policy.owner
    yield "proof", f"rulings count {_PROOF[policy.proof]}"
    yield "amendments", f"who wrote one {doc.drafter} it"
    if doc.planted:
        yield "planted", f"in {percent(doc.planted)} of the cases people are asked about a bad one"
    for risk, level in doc.caps:
        if level:
            yield "cap", f"writes of {risk} risk are at most {level}"
    two = sorted(level.value for level in policy.control.two)
    also = f"; {' and '.join(two)} takes two of them" if two else ""
    yield "control", f"{', '.join(policy.control.people)} may raise its autonomy{also}"
    for name, caps in doc.limits.items():
        yield "limit", f"{name}: {'; '.join(cap.text for cap in caps)}, over all its writes"
    yield from _listed(policy)
    for budget in policy.budgets:
        yield "budget", f"{budget.kind}: {budget.text}"
    for breaker in policy.breakers:
        yield "breaker", f"after {breaker.text} its autonomy goes down to {breaker.then.value}"
    yield from describe_worth(doc)
    yield from describe_alerts(doc.alerts)
    for step, said in doc.notify.items():
        yield "notify", f"{step} {'may' if said.allow else 'may not'} go out"


def _listed(policy: Policy) -> Iterator[tuple[str, str]]:
    """What is said of tools that servers list at run time."""
    if policy.doc.reads:
        yield "reads", f"of the tools that servers list, only {', '.join(policy.doc.reads)}"
    for step, entry in policy.doc.actions.items():
        if entry.tools:
            yield "tools", f"{step}: all that its server lists is held but {', '.join(entry.tools)}"


_PROOF = {
    "required": "with proof only",
    "unproven": "without proof too",
    None: "as the settings of the worker say",
}


def _action(entry: Entry, doc: ActionDoc, setting: Setting) -> Iterator[tuple[str, str]]:
    yield "autonomy", f"{setting}: {_LEVELS[setting.level]} ({setting.label})"
    yield "risk", entry.risk
    if doc.irreversible:
        yield "irreversible", doc.irreversible
    for only in doc.only:
        yield "only", f"{only.when} ({only.why})"
    for refuse in doc.refuse:
        yield "refuse", f"{refuse.when} ({refuse.why})"
    for hold in doc.hold:
        asked = " and ".join(hold.roles) or entry.role
        yield "hold", f"{hold.when} ({hold.why}): asks {asked}"
    yield "asks", entry.role
    for limit in entry.limits:
        if not limit.whole:
            yield "limit", limit.text
    yield from _watched(entry, doc)


def _watched(entry: Entry, doc: ActionDoc) -> Iterator[tuple[str, str]]:
    if doc.duplicates:
        same, within = ", ".join(doc.duplicates.same), written(doc.duplicates.within)
        yield "duplicates", f"held when {same} are the same within {within}"
    if doc.normal:
        watched = ", ".join(f"{kind} {field}".strip() for kind, field in doc.normal.watch)
        yield "normal", f"{watched}: learned from {doc.normal.learn} on, odd beyond {doc.normal.z}"
    if review := entry.review:
        ramp = f", {percent(review.on_ramp.random)} on a ramp" if review.ramp else ""
        unusual = f"{percent(review.unusual)} of the unusual"
        yield "review", f"{percent(review.random)} by chance{ramp}, {unusual}, by {review.role}"
    if doc.pilot.kind or doc.pilot.match:
        each = [f"{n} {_within(t)}" for n, t in doc.pilot.match.items()]
        by = [f"by {doc.pilot.kind}"] if doc.pilot.kind else []
        yield "pilot", f"compared with what people did: {', '.join([*by, *each])}"
    if promote := doc.promote:
        ramp = ", ".join(map(percent, promote.shares))
        least = f"{promote.cases} cases in {promote.days} days"
        bounds = f"agreement {percent(promote.agreement)}, wrong {percent(promote.wrong)}"
        watched = f"; back when {', '.join(promote.watch)} drift" if promote.watch else ""
        yield "promote", f"proposed at {bounds}, {least}: {ramp}{watched}"
    wrong = "an incident, and the case is rolled back"
    yield "mismatch", "an incident" if entry.mismatch == "incident" else wrong


def _within(tolerance: Tolerance) -> str:
    if tolerance.amount is None:
        return "ignored"
    return (
        f"within {tolerance.amount * 100:f}%" if tolerance.share else f"within {tolerance.amount:f}"
    )


def _role(doc: RoleDoc) -> Iterator[tuple[str, str]]:
    yield "people", f"{', '.join(doc.people)}; {doc.quorum} of them"
    if doc.up_to:
        yield "up to", doc.up_to
    if doc.deputies:
        yield "deputies", ", ".join(doc.deputies)
    if doc.accept:
        yield "accept", f"by {' or '.join(doc.accept)} only"
    if doc.hours:
        yield "hours", f"in {doc.hours.zone}"
    yield "approval", f"good for {written(doc.lasts)}"
    if doc.remind:
        yield "reminded", f"after {written(doc.remind)}"
    then = f"escalates to {doc.deadline.to}" if doc.deadline.to else "is refused"
    yield "deadline", f"{written(doc.deadline.after)}, then it {then}"
