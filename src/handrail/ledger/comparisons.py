"""Proposals of pilots beside what people did in the same place: a step of a case.

What of a proposal is compared is kept, so that figures are sums that the database makes. Whatever
changes a place (a proposal, a decision of people, the end of its case) marks it in the same
transaction; a place that is marked, or was compared by another rule, is compared again before
anything is added up. So the figures are those that a reckoning of all rows would give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from handrail.ledger import counters
from handrail.ledger.database import Database
from handrail.ledger.entries import (
    ALONE,
    CONTRADICTS,
    DIFFERS,
    OPEN,
    SAME,
    Comparison,
    KeptDifference,
    OutcomeRow,
    ProposedAction,
)
from handrail.ledger.evidence_tables import cases as _cases
from handrail.ledger.evidence_tables import comparisons as _comparisons
from handrail.ledger.evidence_tables import decisions as _decisions
from handrail.ledger.evidence_tables import outcomes as _outcomes
from handrail.ledger.outcomes import OUTCOMES
from handrail.ledger.rows import Rows, narrowed
from handrail.ledger.tables import verdicts as _verdicts
from handrail.ledger.verdicts import PROPOSALS, latest_units

_AT_ONCE = 200
"""Places that one transaction compares: nobody waits long for it."""


Compare = Callable[[str, Sequence[ProposedAction], Sequence[OutcomeRow]], list[Comparison]]
"""Compares the proposals of one step of a case, whose name comes first, with what people did."""


@dataclass(frozen=True)
class ComparisonCount:
    """How many stand so, of one class. `waiting`: of those that nobody has decided."""

    kind: str
    stand: str
    number: int
    waiting: int
    late: int
    hindsight: int
    several: int


@dataclass(frozen=True)
class ComparedSoFar:
    """How many of the first `number` that were compared differ, the last of them being this."""

    number: int
    differ: int
    at: datetime
    key: str


@dataclass(frozen=True)
class ComparisonFigures:
    """Sums over what was proposed in a pilot.

    `amounts`: their sum and how many there were, by name, of what was compared (True) and of what
    was not. `above`: by how much those of the agent are above those done, by name.
    """

    since: datetime | None = None
    until: datetime | None = None
    counts: tuple[ComparisonCount, ...] = ()
    path: tuple[ComparedSoFar, ...] = ()
    contradicting: tuple[str, ...] = ()
    amounts: Mapping[tuple[bool, str], tuple[Decimal, int]] = field(
        default_factory=dict[tuple[bool, str], tuple[Decimal, int]]
    )
    above: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])


class Comparisons(Database):
    """The comparisons of a ledger."""

    async def compare(self, agent: str, rules: Mapping[str, str], compare: Compare) -> None:
        """Compare the places of an agent that have changed, or were compared by another rule.

        `rules`: the digest of the rule of each step; `""`: of those not named.
        """
        c = _comparisons.c
        steps = sa.select(c.step).where(c.agent == agent).distinct()
        for step in await self._read(lambda connection: list(connection.scalars(steps))):
            of = (agent, step, rules.get(step) or rules[""])
            # To look takes no lock: mostly there is nothing, and somebody waits for the page.
            while await self._read(lambda connection, of=of: _to_compare(connection, of)):
                await self._run(lambda connection, of=of: _compare(connection, of, compare))

    async def comparison_figures(
        self,
        agent: str,
        step: str | None = None,
        since: datetime | None = None,
        *,
        waits: Mapping[str, datetime],
        points: int,
    ) -> ComparisonFigures:
        """Add up the comparisons of an agent.

        `waits`: who decides on what was proposed in a step from then on is not late; `""`: of
        those not named. `points`: so many of the path, and the last; with 0 what is counted is
        all that is looked for: no path, and no amounts.
        """
        of = _of(agent, step, since)
        return await self._read(lambda c: _figures(c, of, waits, points))

    async def differences(
        self,
        agent: str,
        step: str | None = None,
        since: datetime | None = None,
        *,
        judged: bool | None = None,
        outcome: str | None = None,
        limit: int | None = None,
    ) -> list[KeptDifference]:
        """Where people did something else, oldest first: those that are judged, or are not.

        `outcome`: the id of what they did.
        """
        c, o = _comparisons.c, _outcomes.c
        query = sa.select(c.case_id, c.step, c.key, c.at, c.kind, c.fields, c.above, c.outcome)
        query = query.join(_outcomes, o.id == c.outcome).where(*_of(agent, step, since))
        query = narrowed(
            query.where(c.stand == DIFFERS), {o.judged.is_not(None): judged, o.id: outcome}
        )
        query = query.order_by(c.at, c.key).limit(limit)
        return await self._read(lambda connection: _differences(connection, agent, query))


# How it is compared


def _to_compare(connection: sa.Connection, of: tuple[str, str, str]) -> list[str]:
    """Some of the cases that are to be compared in a step."""
    (agent, step, rule), c = of, _comparisons.c
    mine = sa.select(c.case_id).where(c.agent == agent, c.step == step)
    # Each of the two by the index; together they would read all.
    other = mine.where(sa.or_(c.rule < rule, c.rule > rule))
    some = sa.union_all(mine.where(c.rule.is_(None)), other).limit(_AT_ONCE)
    return sorted(set(connection.scalars(some)))


def _compare(connection: sa.Connection, of: tuple[str, str, str], compare: Compare) -> None:
    """Compare some of those that are to be."""
    (agent, step, _), c = of, _comparisons.c
    counters.lock(connection, f"{agent}\n{step}"[:100])
    cases = _to_compare(connection, of)
    if not cases:
        return
    # First they go: whoever marks one meanwhile waits, and what they bring is read or marked.
    this = (c.agent == agent, c.step == step, c.case_id == sa.bindparam("b_case"))
    connection.execute(sa.delete(_comparisons).where(*this), [{"b_case": each} for each in cases])
    rows = [
        row
        for proposed, done in _places(connection, agent, step, cases).values()
        for row in compare(step, proposed, done)
    ]
    if rows:
        connection.execute(sa.insert(_comparisons), [_ROWS.values(row) for row in rows])


def _places(
    connection: sa.Connection, agent: str, step: str, cases: Sequence[str]
) -> dict[str, tuple[list[ProposedAction], list[OutcomeRow]]]:
    """What was proposed and done in a step of each of these cases."""
    v, o = _verdicts.c, _outcomes.c
    query = PROPOSALS.select.where(
        v.case_id.in_(cases), v.agent == agent, v.step == step, v.pilot, v.key != ""
    )
    # Of each write its last verdict.
    last = {row.key: row for row in PROPOSALS.all(connection, query.order_by(v.id))}
    done = OUTCOMES.select.where(o.agent == agent, o.case_id.in_(cases), o.step == step)
    found: dict[str, tuple[list[ProposedAction], list[OutcomeRow]]] = {
        each: ([], []) for each in cases
    }
    for row in sorted(last.values(), key=lambda row: (row.at, row.key)):
        found[row.case][0].append(row)
    for row in OUTCOMES.all(connection, done.order_by(o.at, o.id)):
        found[row.case][1].append(row)
    bare = [case for case, (proposed, rows) in found.items() if rows and not proposed]
    for row in _nothing(connection, step, bare):
        found[row.case][0].append(row)
    return found


def _nothing(connection: sa.Connection, step: str, cases: Sequence[str]) -> list[ProposedAction]:
    """Of cases that people decided, those in which the agent found nothing to do."""
    c, d, later = _cases.c, _decisions.c, _decisions.alias()
    last = sa.select(sa.func.max(later.c.number)).where(later.c.case_id == c.case_id)
    query = sa.select(c.case_id, d.at, d.inputs).join(_decisions, d.case_id == c.case_id)
    query = query.where(c.case_id.in_(cases), c.ended.is_not(None), c.writes == 0)
    query = query.where(d.kind.is_(None), d.number == last.scalar_subquery())
    return [
        ProposedAction(case, step, at, None, key=f"{case}/{step}", digest=inputs)
        for case, at, inputs in connection.execute(query)
    ]


# How it is added up


def _of(agent: str, step: str | None, since: datetime | None) -> list[sa.ColumnElement[bool]]:
    c = _comparisons.c
    of = [c.agent == agent, c.rule.is_not(None)]
    of += [] if step is None else [c.step == step]
    return of if since is None else [*of, c.at >= since]


def _figures(
    connection: sa.Connection,
    of: list[sa.ColumnElement[bool]],
    waits: Mapping[str, datetime],
    points: int,
) -> ComparisonFigures:
    c = _comparisons.c
    proposed = [*of, c.stand != ALONE]
    ends = sa.select(sa.func.min(c.at), sa.func.max(c.at)).where(*proposed)
    first, last = connection.execute(ends).one()
    counts = _counts(connection, of, waits)
    n = sum(each.number for each in counts if each.stand in _COMPARED)
    against = sa.select(c.case_id).where(*of, c.stand == CONTRADICTS).order_by(c.at, c.key)
    counted = ComparisonFigures(first, last, counts, (), tuple(connection.scalars(against)))
    if not points:
        return counted
    return replace(
        counted,
        path=_path(connection, of, max(1, -(-n // points)), n),
        amounts=_amounts(connection, proposed),
        above=_above(connection, of),
    )


_COMPARED = (SAME, DIFFERS)


def _counts(
    connection: sa.Connection, of: list[sa.ColumnElement[bool]], waits: Mapping[str, datetime]
) -> tuple[ComparisonCount, ...]:
    c = _comparisons.c
    until = [(c.step == step, at.timestamp()) for step, at in waits.items() if step]
    other = waits[""].timestamp()
    begin = sa.case(*until, else_=other) if until else sa.literal(other)
    waiting = sa.and_(c.stand == OPEN, sa.type_coerce(c.at, sa.Float) >= begin)
    sums = [sa.func.sum(sa.case((waiting, 1), else_=0))]
    sums += [sa.func.sum(each) for each in (c.late, c.hindsight, c.several)]
    columns: list[sa.ColumnElement[Any]] = [c.kind, c.stand, sa.func.count(), *sums]
    query = sa.select(*columns).where(*of)
    query = query.group_by(c.kind, c.stand).order_by(c.kind, c.stand)
    found: list[sa.Row[Any]] = [*connection.execute(query)]
    rows: list[tuple[Any, ...]] = [tuple(row) for row in found]
    return tuple(ComparisonCount(row[0], row[1], *map(int, row[2:])) for row in rows)


def _path(
    connection: sa.Connection, of: list[sa.ColumnElement[bool]], every: int, n: int
) -> tuple[ComparedSoFar, ...]:
    c = _comparisons.c
    order = (c.at, c.key)
    differs = sa.case((c.stand == DIFFERS, 1), else_=0)
    number = sa.func.row_number().over(order_by=order).label("number")
    so_far = sa.func.sum(differs).over(order_by=order, rows=(None, 0)).label("differ")
    all_ = sa.select(number, so_far, c.at, c.key).where(*of, c.stand.in_(_COMPARED)).subquery()
    some = sa.or_(all_.c.number % every == 0, all_.c.number == n)
    query = sa.select(all_).where(some).order_by(all_.c.number)
    return tuple(ComparedSoFar(*row) for row in connection.execute(query))


def _amounts(
    connection: sa.Connection, of: list[sa.ColumnElement[bool]]
) -> dict[tuple[bool, str], tuple[Decimal, int]]:
    decided = sa.case((_comparisons.c.stand.in_(_COMPARED), 1), else_=0).label("decided")
    each, total = _each(connection, _comparisons.c.amounts)
    query = sa.select(decided, each.c.key, total, sa.func.count())
    query = query.select_from(_comparisons.join(each, sa.true())).where(*of)
    query = query.group_by(sa.literal_column("decided"), each.c.key)
    return {(bool(d), name): (Decimal(s), n) for d, name, s, n in connection.execute(query)}


def _above(connection: sa.Connection, of: list[sa.ColumnElement[bool]]) -> dict[str, Decimal]:
    c = _comparisons.c
    each, total = _each(connection, c.above)
    query = sa.select(each.c.key, total).select_from(_comparisons.join(each, sa.true()))
    query = query.where(*of, c.stand == DIFFERS).group_by(each.c.key)
    return {name: Decimal(amount) for name, amount in connection.execute(query)}


def _each(
    connection: sa.Connection, column: sa.Column[Any]
) -> tuple[sa.TableValuedAlias, sa.ColumnElement[Any]]:
    """The numbers that a column holds by their names, and their exact sum."""
    if connection.dialect.name == "sqlite":
        each = sa.func.json_each(column).table_valued("key", "value", name="each_one")
        return each, sa.func.decimal_sum(each.c.value)
    found = sa.func.json_each_text(sa.cast(column, sa.JSON))
    each = found.table_valued("key", "value", name="each_one")
    return each, sa.func.sum(sa.cast(each.c.value, sa.Numeric))


def _differences(
    connection: sa.Connection, agent: str, query: sa.Select[*tuple[Any, ...]]
) -> list[KeptDifference]:
    rows = connection.execute(query).all()
    keys, ids = [row.key for row in rows], [row.outcome for row in rows]
    v, o = _verdicts.c, _outcomes.c
    written: dict[str, ProposedAction] = {}
    outcomes: dict[str, OutcomeRow] = {}
    for at in range(0, len(rows), _AT_ONCE):
        part, cases = keys[at : at + _AT_ONCE], [row.case_id for row in rows[at : at + _AT_ONCE]]
        of = PROPOSALS.select.where(v.case_id.in_(cases), v.key.in_(part), v.pilot).order_by(v.id)
        written |= {row.key: row for row in PROPOSALS.all(connection, of)}
        done = OUTCOMES.select.where(o.id.in_(ids[at : at + _AT_ONCE]))
        outcomes |= {row.id: row for row in OUTCOMES.all(connection, done)}
    # Where nothing was proposed, the units are those of the step's latest proposal.
    bare = {row.step for row in rows if row.key not in written}
    units = {step: latest_units(connection, agent, step) for step in bare}

    def nothing(row: Any) -> ProposedAction:
        return ProposedAction(row.case_id, row.step, row.at, None, row.key, units=units[row.step])

    return [
        KeptDifference(
            written.get(row.key) or nothing(row),
            outcomes[row.outcome],
            row.kind,
            row.fields,
            row.above,
        )
        for row in rows
        if row.outcome in outcomes
    ]


_ROWS: Rows[Comparison] = Rows(Comparison, _comparisons)
