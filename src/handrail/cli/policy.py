"""`handrail policy`: what is in force, and what a new one changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from handrail.cli.context import agent_named, ledger_here, ledger_if_there, moment_of, settings
from handrail.cli.output import PLAIN, Code, Output, label, moment, plain
from handrail.cli.policy_diff import BacktestReport
from handrail.client import iso
from handrail.evidence import proposals, replay_policies
from handrail.exceptions import PolicyError
from handrail.guardrails import budget_spendings, budgets_nearly_used, budgets_used
from handrail.oversight import Keyring, setting_in_force
from handrail.policy import (
    Facts,
    Faults,
    Policy,
    Setting,
    describe_policy,
    file_content,
    parse_policy,
    policy_schema,
    read_policy_file,
)

if TYPE_CHECKING:
    from handrail.ledger import Ledger, OrderRow, PolicyRow
    from handrail.runtime import Agent

_UNKNOWN = "there is no ledger here: what workers have loaded, and people set, is not known"


async def diff(
    new: Path,
    *,
    agent: Annotated[
        str | None, Parameter(help="Which agent's; the one that the file names.")
    ] = None,
    since: Annotated[
        timedelta | datetime,
        Parameter(help="Writes not older than this: 30d, or a date such as 2026-11-01."),
    ] = timedelta(days=30),
    limit: Annotated[int, Parameter(help="Show at most so many writes, the newest.")] = 20,
    exit_code: Annotated[
        bool, Parameter(negative=(), help="End with 1 if anything would differ.")
    ] = False,
    out: Output = PLAIN,
) -> int:
    """Judge recent writes by a new policy: what would have been decided otherwise.

    Parameters
    ----------
    new
        The new policy file. It is compared with the one that is in force.
    """
    text = file_content(new)[0]
    owner = agent_named(agent or _named(text, new))
    after = parse_policy(text, str(new), owner.shape)
    begin = moment_of(since) or datetime.now(UTC)
    async with ledger_here() as opened:
        before = await _in_force(opened, owner)
        rows = await opened.verdicts(owner.name, since=begin)
        orders = await opened.orders(owner.name, live=True)
    found = proposals(rows)
    both = (before, after)
    now = (_settings(before, orders, owner), _settings(after, orders, owner))
    replayed, unreadable = replay_policies(found, owner.shape, both, now)
    report = BacktestReport(owner, both, begin, replayed, unreadable=len(unreadable), limit=limit)
    out.data(report.document())
    if not out.json:
        out.show(*report.lines())
    return Code.FAILED if exit_code and report.changed else Code.DONE


async def show(agent: str, *, out: Output = PLAIN) -> None:
    """Show every key in force, what was set at run time, and which versions there were.

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    """
    owner = agent_named(agent)
    async with ledger_if_there(settings()) as opened:
        found = await _standing(opened, owner)
    policy, history = found.policy, found.history
    sections = describe_policy(policy, found.effective)
    out.data(
        {
            "agent": owner.name,
            "policy": policy.label,
            "version": policy.version,
            "sha": policy.sha,
            "keys": {each.title: [list(line) for line in each.lines] for each in sections},
            "settings": {s: _setting(policy, s, now) for s, now in found.effective.items()},
            "budgets": found.warnings,
            "notes": list(policy.notes),
            "history": [_version(row) for row in history],
        }
    )
    if not out.json:
        out.show(Text(policy.label, "bold"))
        for each in sections:
            out.show(Text(f"\n{plain(each.title)}", "bold"))
            out.show(*(label(key, plain(said)) for key, said in each.lines))
        notes = [*_on_disk(owner, policy), *found.warnings, *policy.notes]
        out.show(*(label("note", plain(each)) for each in notes))
        none = "no worker has loaded it" if found.known else _UNKNOWN
        out.show(f"\n{'versions, the one in force first' if history else none}")
        if history:
            out.show(_history(history))


def _on_disk(owner: Agent, policy: Policy) -> list[str]:
    """What the file here says, where that is not what is in force."""
    try:
        there = owner.policy_file.current()
    except PolicyError as error:
        return [f"the file here cannot be used: {error}"]
    if there.sha == policy.sha:
        return []
    older = f"no older version comes back; give it one above {policy.version}"
    soon = "a worker that has it takes it up at its next write, or within 5 minutes"
    then = older if there.version < policy.version else soon
    return [f"the file here is {there.label}, which is not in force: {then}"]


@dataclass(frozen=True)
class _Standing:
    """How an agent stands now. `effective`: what each write's autonomy comes to.

    `known`: whether there is a ledger, which knows what was set.
    """

    policy: Policy
    history: Sequence[PolicyRow] = ()
    effective: Mapping[str, Setting] = field(default_factory=dict[str, Setting])
    warnings: Sequence[str] = ()
    known: bool = True


async def _standing(opened: Ledger | None, owner: Agent) -> _Standing:
    if opened is None:
        policy = owner.policy_file.current()
        return _Standing(policy, effective=_effective(policy, (), owner), known=False)
    policy = await _in_force(opened, owner)
    orders = await opened.orders(owner.name, live=True)
    spent = await budget_spendings(opened, owner.name, policy.budgets, datetime.now(UTC))
    words_of = (
        budgets_used(policy.budgets, spent),
        budgets_nearly_used(policy.budgets, spent),
    )
    return _Standing(
        policy,
        await opened.policies(owner.name),
        _effective(policy, orders, owner),
        [each for each in words_of if each],
    )


def _effective(policy: Policy, orders: Sequence[OrderRow], owner: Agent) -> dict[str, Setting]:
    given = _settings(policy, orders, owner)
    return {step: policy.setting(_bare(owner, step, given[step])) for step in policy.steps}


async def schema(
    agent: Annotated[
        str | None, Parameter(help="With this agent's own writes, fields and notifications.")
    ] = None,
    *,
    out: Output = PLAIN,
) -> None:
    """Print the JSON Schema of policy files, for an editor: of all, or of one agent's."""
    made = policy_schema(agent_named(agent).shape if agent else None)
    replace(out, json=True).data(made)  # for a file: JSON it is


def _named(text: str, path: Path) -> str:
    """The agent that a file names."""
    doc = read_policy_file(text, Faults(str(path)))
    return "" if doc is None else doc.agent


async def _in_force(opened: Ledger, owner: Agent) -> Policy:
    """The policy in force: that of the ledger, or the file where no worker has loaded one."""
    rows = await opened.policies(owner.name)
    if not rows:
        return owner.policy_file.current()
    return parse_policy(rows[0].text, f"{rows[0].label} (in force)", owner.shape)


def _settings(
    policy: Policy, orders: Sequence[OrderRow], owner: Agent
) -> dict[str, Setting | None]:
    """What is set at run time of each write, as far as it counts under this policy."""
    given = settings()
    keys, proof = Keyring(given.keyring).current(), policy.proof or given.proof
    levels = [row for row in orders if row.kind == "level"]
    return {
        step: setting_in_force(levels, step, policy, keys, proof) for step in owner.shape.writes
    }


def _bare(owner: Agent, step: str, setting: Setting | None) -> Facts:
    """A write of which only its step is known: enough for its setting."""
    action = owner.shape.writes[step].action.model_construct()
    return Facts(step, action, None, None, f"{owner.name}:", None, setting)


def _setting(policy: Policy, step: str, now: Setting) -> dict[str, Any]:
    own = policy.of(step).own
    return {
        "level": now.level.value,
        "rollout": now.rollout / 10_000,
        "by": now.label,
        "file": str(own),
        "risk": policy.of(step).risk,
    }


def _version(row: PolicyRow) -> dict[str, Any]:
    return {
        "version": row.version,
        "label": row.label,
        "sha": row.sha,
        "first": iso(row.first),
        "loaded": iso(row.loaded),
    }


def _history(rows: Sequence[PolicyRow]) -> Table:
    table = Table("policy", "first loaded", "last loaded", box=None, pad_edge=False)
    for row in rows:
        table.add_row(plain(row.label), moment(row.first), moment(row.loaded))
    return table
