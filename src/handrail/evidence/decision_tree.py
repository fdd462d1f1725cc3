"""A shallow decision tree: how well few facts predict what people decided. Pure.

It is grown greedily by the Gini impurity (Breiman et al. 1984), no deeper than a person reads
at a glance. It is a measure of a process, not a model to run: what it says is judged on cases that
it was not grown on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

FactValue: TypeAlias = "str | float | None"

DEPTH = 3
_LEAST = 20
"""A leaf has so many cases, or one in a hundred if that is more."""
_VALUES, _CUTS = 20, 16


@dataclass(frozen=True)
class FactTest:
    """Whether a fact `is` a value, or is a number of at least `value` (`at_least`)."""

    fact: str
    value: FactValue
    at_least: bool = False

    def holds(self, row: Mapping[str, FactValue]) -> bool:
        """Whether it holds of these facts. What is not known is at least nothing."""
        known = row.get(self.fact)
        if self.at_least:
            return isinstance(known, float) and known >= float(self.value or 0)
        return known == self.value

    def words(self, *, holds: bool) -> str:
        """The test, or its contrary, in words."""
        if self.at_least:
            return f"{self.fact} {'>=' if holds else '<'} {self.value:g}"
        value = "not known" if self.value is None else str(self.value)
        return f"{self.fact} is {'' if holds else 'not '}{value}"


@dataclass(frozen=True)
class Leaf:
    """What most people decided here: `right` of `n`."""

    choice: str
    n: int
    right: int


@dataclass(frozen=True)
class Branch:
    """A test, and what follows where it holds and where it does not."""

    test: FactTest
    yes: Tree
    no: Tree


Tree: TypeAlias = "Leaf | Branch"


@dataclass(frozen=True)
class LearnedRule:
    """One way from the root of a tree to a leaf."""

    conditions: tuple[str, ...]
    leaf: Leaf


def predict(tree: Tree, row: Mapping[str, FactValue]) -> str:
    """What the tree says is decided with these facts."""
    while isinstance(tree, Branch):
        tree = tree.yes if tree.test.holds(row) else tree.no
    return tree.choice


def rules(tree: Tree, conditions: tuple[str, ...] = ()) -> Iterator[LearnedRule]:
    """The tree as rules, from left to right."""
    if isinstance(tree, Leaf):
        yield LearnedRule(conditions, tree)
        return
    yield from rules(tree.yes, (*conditions, tree.test.words(holds=True)))
    yield from rules(tree.no, (*conditions, tree.test.words(holds=False)))


def facts_of(tree: Tree) -> frozenset[str]:
    """The facts that the tree asks for."""
    if isinstance(tree, Leaf):
        return frozenset()
    return facts_of(tree.yes) | facts_of(tree.no) | {tree.test.fact}


def grow(rows: Sequence[Mapping[str, FactValue]], said: Sequence[str], depth: int = DEPTH) -> Tree:
    """The tree of what was `said` with the facts of each row. A fact that a row lacks is None.

    Raises:
        ValueError: if there is no row.
    """
    if not rows:
        raise ValueError("a tree needs a row at least")
    names = sorted({name for row in rows for name in row})
    columns = [column for name in names if (column := _Column.of(name, rows)).tests]
    least = max(_LEAST, len(rows) // 100)
    return _merged(_grown(columns, said, list(range(len(rows))), depth, least))


@dataclass(frozen=True)
class _Column:
    """One fact: of each row the number of its value, and the tests that can be made of it."""

    cells: Sequence[int]
    tests: Sequence[tuple[FactTest, int]]
    """A test holds of a row whose value has this number, or of numbers: at least this one."""

    @classmethod
    def of(cls, name: str, rows: Sequence[Mapping[str, FactValue]]) -> _Column:
        values = [row.get(name) for row in rows]
        numbers = sorted(each for each in values if isinstance(each, float))
        if numbers and not any(isinstance(each, str) for each in values):
            cuts = sorted({numbers[len(numbers) * n // _CUTS] for n in range(_CUTS)})
            # The least of them parts what is known from what is not.
            cells = [bisect_right(cuts, v) if isinstance(v, float) else 0 for v in values]
            return cls(
                cells, [(FactTest(name, cut, at_least=True), n) for n, cut in enumerate(cuts, 1)]
            )
        counted = Counter(values)
        kinds = [value for value, _ in counted.most_common(_VALUES)]
        place = {value: n for n, value in enumerate(kinds, 1)}
        cells = [place.get(each, 0) for each in values]
        alone = len(kinds) > 1
        return cls(
            cells, [(FactTest(name, value), n) for value, n in place.items()] if alone else []
        )


_Best: TypeAlias = "tuple[float, FactTest, _Column, int]"


def _grown(
    columns: Sequence[_Column], said: Sequence[str], chosen: list[int], depth: int, least: int
) -> Tree:
    counts = Counter(said[n] for n in chosen)
    choice, right = min(counts.items(), key=lambda each: (-each[1], each[0]))
    leaf = Leaf(choice, len(chosen), right)
    if not depth or right == len(chosen) or len(chosen) < 2 * least:
        return leaf
    best = _best(columns, said, chosen, counts, least)
    if best is None:
        return leaf
    _, test, column, number = best
    yes, no = list[int](), list[int]()
    for n in chosen:
        cell = column.cells[n]
        (yes if (cell >= number if test.at_least else cell == number) else no).append(n)
    return Branch(
        test,
        _grown(columns, said, yes, depth - 1, least),
        _grown(columns, said, no, depth - 1, least),
    )


def _best(
    columns: Sequence[_Column],
    said: Sequence[str],
    chosen: list[int],
    counts: Counter[str],
    least: int,
) -> _Best | None:
    best: _Best | None = None
    floor = _purity(counts) + 1e-9
    for column in columns:
        cells: dict[int, Counter[str]] = {}
        for pair, many in Counter((column.cells[n], said[n]) for n in chosen).items():
            cells.setdefault(pair[0], Counter())[pair[1]] += many
        for test, number in column.tests:
            yes = Counter[str]()
            for cell, found in cells.items():
                if cell >= number if test.at_least else cell == number:
                    yes.update(found)
            many = yes.total()
            if many < least or len(chosen) - many < least:
                continue
            pure = _purity(yes) + _purity(counts - yes)
            if pure > (best[0] if best else floor):
                best = (pure, test, column, number)
    return best


def _purity(counts: Counter[str]) -> float:
    """The greater, the fewer kinds: the sum of squares over the number (n less Gini's n * g)."""
    total = counts.total()
    return sum(each * each for each in counts.values()) / total if total else 0.0


def _merged(tree: Tree) -> Tree:
    """The tree without branches whose two sides say the same."""
    if isinstance(tree, Leaf):
        return tree
    yes, no = _merged(tree.yes), _merged(tree.no)
    if isinstance(yes, Leaf) and isinstance(no, Leaf) and yes.choice == no.choice:
        return Leaf(yes.choice, yes.n + no.n, yes.right + no.right)
    return Branch(tree.test, yes, no)
