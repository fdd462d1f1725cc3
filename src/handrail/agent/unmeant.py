"""What a text from outside may have made of real values: nothing of a text, or much of one object.

Each value of a payment may have a source, and the payment stand five times in its list: then the
sum is nobody's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from handrail.actions import Decision
from handrail.agent.provenance_values import DecisionValue, wanted


def needed_texts(found: Iterable[DecisionValue], *, free: bool = True) -> Iterator[DecisionValue]:
    """The texts among them that must be there. `free`: and that an agent words itself."""
    return (e for e in found if isinstance(e.raw, str) and e.free is free and not e.optional)


def unmeant(decision: Decision[Any, Any], given: Callable[[DecisionValue], int]) -> Iterator[str]:
    """The texts that an action must have, and that say nothing; and what stands in it too often.

    `given`: how often the decision was given a value. A loop has rules of its own.
    """
    found = wanted("action", decision.action, ()) if decision.action is not None else []
    for leaf in needed_texts(found):
        if not str(leaf.raw).strip():
            yield f"{leaf.path}: it is empty, and a text from outside may want it so"
    yield from too_often(found, given)


def too_often(
    found: Sequence[DecisionValue], given: Callable[[DecisionValue], int]
) -> Iterator[str]:
    """What stands in a list more often than it was `given`, each with why."""
    for path, often, values in repeated(found):
        known = min(map(given, values))
        if often > known:
            yield f"{path}: the same stands in it {often} times, and was given {known or 'none'}"


def repeated(
    found: Sequence[DecisionValue],
) -> Iterator[tuple[str, int, Sequence[DecisionValue]]]:
    """Where the same stands in a list more than once, how often, and the values that it has."""
    texts = Counter(leaf for leaf in found if isinstance(leaf.raw, str) and not leaf.free)
    yield from ((leaf.path, often, [leaf]) for leaf, often in texts.items() if often > 1)
    objects = dict[tuple[int, ...], list[DecisionValue]]()
    for leaf in found:
        for depth in range(2, len(leaf.scope) + 1):
            objects.setdefault(leaf.scope[:depth], []).append(leaf)
    alike = dict[object, list[list[DecisionValue]]]()
    for scope, parts in objects.items():
        # Another wording makes no other object.
        same = tuple((each.path, each.name, each.value) for each in parts if not each.worded)
        alike.setdefault((scope[:-1], same), []).append(parts)
    for several in alike.values():
        values = [leaf for leaf in several[0] if not leaf.free]
        if len(several) > 1 and values:
            yield values[0].path.rpartition(".")[0], len(several), values
