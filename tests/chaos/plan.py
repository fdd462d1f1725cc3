"""Which case meets which fault, from a seed."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import cycle
from typing import Literal

from pydantic import BaseModel

from handrail.failpoints import BOUNDARIES

Kind = Literal["keyed", "findable", "plain"]
KINDS: tuple[Kind, ...] = ("keyed", "findable", "plain")

FREEZES = tuple(timedelta(seconds=s) for s in (0.3, 2, 4.5, 9))
"""From a hiccup to longer than a write's timeout and its grace together."""

LONG_FREEZE = FREEZES[-1]

OWN = (
    "client:sending",
    "client:answered",
    "client:telling",
    "gate:ruled",
    "outside:received",
    "outside:committed",
    "outside:told",
    "outside:undone",
)
"""Boundaries on the path of a write that lie outside the engine: in a step, between the
acceptance of a ruling and the write, and in the outside system itself."""

_ONCE = ("read:", "decide:", "notify:", "client:telling", "outside:told")
_MUST_ASK = frozenset(
    {
        "write:after-intent",
        "write:before-effect",
        "client:sending",
        "outside:received",
        "outside:committed",
        "client:answered",
        "write:after-effect",
        "write:before-receipt",
    }
)
_ON_THE_WAY = (
    "write:arrived",
    "write:judged",
    "write:after-intent",
    "write:before-effect",
    "client:sending",
)


class Fault(BaseModel, frozen=True):
    """Kill the process, or freeze it, at the n-th arrival of a case at a boundary.

    `order`: what an operator demands of the case in that moment.
    """

    id: str
    boundary: str
    nth: int = 1
    freeze: timedelta | None = None
    order: Literal["roll_back"] | None = None

    @property
    def what(self) -> str:
        """The row of the table that it belongs to."""
        return "kill" if self.freeze is None else "freeze"


class Trial(BaseModel, frozen=True):
    """One case, the faults it meets, and how it must end.

    `takes`: how long the outside world takes over each of its answers.
    """

    key: str
    target: str
    kind: Kind
    held: bool = False
    spoil: bool = False
    takes: timedelta = timedelta()
    faults: tuple[Fault, ...] = ()

    @property
    def ends(self) -> str:
        """The state that it must end in."""
        if any(fault.order for fault in self.faults):
            return "rolled_back"
        return "failed" if self.spoil else "done"

    @property
    def must_ask(self) -> bool:
        """Whether nobody but a human can know if the write happened."""
        aimed = self.faults[-1] if self.faults else None
        killed = aimed is not None and aimed.freeze is None
        return self.kind == "plain" and killed and self.target in _MUST_ASK


def targets() -> tuple[str, ...]:
    """Every boundary that is aimed at."""
    return (*BOUNDARIES, *OWN)


def aimed(rng: random.Random, *, kills: int, freezes: int, only: str | None) -> list[Trial]:
    """The trials for every boundary and kind, and for the known hard combinations."""
    trials: list[Trial] = []
    for target in targets():
        if only in (None, target):
            for kind in _kinds(target, rng):
                trials += _at(target, kind, rng, kills=kills, freezes=freezes)
    if only in (None, "take-over"):
        trials += _take_overs(rng, max(1, freezes))
    if only in (None, "roll-back"):
        trials += _roll_backs(rng, max(1, freezes))
    rng.shuffle(trials)
    return trials


def short(rng: random.Random) -> list[Trial]:
    """One kill at every boundary, for one kind each, and the hard combinations."""
    trials: list[Trial] = []
    for target in targets():
        kind = rng.choice(_kinds(target, rng))
        trials += _at(target, kind, rng, kills=1, freezes=0)
    trials += rng.sample(_take_overs(rng, 1), 1) + rng.sample(_roll_backs(rng, 1), 2)
    rng.shuffle(trials)
    return trials


def naive(rng: random.Random, times: int) -> list[Trial]:
    """The same kills for a write without a door."""
    places = ("write:before-effect", "client:sending", "outside:received")
    places += ("outside:committed", "client:answered", "write:after-effect")
    trials: list[Trial] = []
    for place in places:
        trials += _at(place, "plain", rng, kills=times, freezes=0, name="naive-")
    return [t.model_copy(update={"held": False}) for t in trials]


def quiet(rng: random.Random, cases: int) -> list[Trial]:
    """Cases of all kinds without faults of their own, slow enough to be hit: for the storm."""
    kinds = cycle(KINDS)
    return [
        Trial(
            key=f"storm-{n}",
            target="random",
            kind=next(kinds),
            held=rng.random() < 0.2,
            spoil=rng.random() < 0.15,
            takes=timedelta(seconds=rng.uniform(0.2, 2.5)),
        )
        for n in range(cases)
    ]


def _kinds(target: str, rng: random.Random) -> tuple[Kind, ...]:
    if target.startswith("find:"):
        return ("findable",)
    if target.startswith("doubt:"):
        return ("plain",)
    if target.startswith(_ONCE):
        return (rng.choice(KINDS),)
    return KINDS


def _at(
    target: str,
    kind: Kind,
    rng: random.Random,
    *,
    kills: int,
    freezes: int,
    name: str = "",
) -> list[Trial]:
    long = cycle(rng.sample(FREEZES, len(FREEZES)))
    lasting: list[timedelta | None] = [None] * kills
    lasting += [next(long) for _ in range(freezes)]
    return [_one(f"{name}{target}-{kind}-{n}", target, kind, rng, f) for n, f in enumerate(lasting)]


def _one(name: str, target: str, kind: Kind, rng: random.Random, freeze: timedelta | None) -> Trial:
    key = name.replace(":", "_")
    before = _before(target, rng)
    faults = [Fault(id=f"{key}.{n}", boundary=place) for n, place in enumerate(before)]
    faults.append(Fault(id=f"{key}.{len(faults)}", boundary=target, freeze=freeze))
    return Trial(
        key=key,
        target=target,
        kind=kind,
        held=target == "gate:ruled" or rng.random() < 0.15,
        spoil=target.startswith("undo:") or target == "outside:undone",
        faults=tuple(faults),
    )


def _before(target: str, rng: random.Random) -> tuple[str, ...]:
    """The kill that leads to a boundary that is only reached after one."""
    happened, not_done = "write:after-effect", "write:before-effect"
    if target == "doubt:happened":
        return (happened,)
    if target == "doubt:before-repeat":
        return (not_done,)
    if target.startswith(("find:", "doubt:")):
        return (rng.choice((happened, not_done)),)
    return ()


def _take_overs(rng: random.Random, times: int) -> list[Trial]:
    """A frozen owner is overtaken; the second one dies after its effect; the first thaws."""
    return list(_combined("take-over", rng, times, ("findable", "plain", "keyed"), _zombie))


def _zombie(key: str, _: random.Random) -> tuple[Fault, ...]:
    return (
        Fault(id=f"{key}.0", boundary="write:before-effect", freeze=LONG_FREEZE),
        Fault(id=f"{key}.1", boundary="write:after-effect"),
    )


def _roll_backs(rng: random.Random, times: int) -> list[Trial]:
    """An operator rolls back while the write is frozen on its way out, at each place of it."""
    trials: list[Trial] = []
    for place in _ON_THE_WAY:

        def overrun(key: str, rng: random.Random, place: str = place) -> tuple[Fault, ...]:
            lasting = rng.choice(FREEZES[2:])
            return (Fault(id=f"{key}.0", boundary=place, freeze=lasting, order="roll_back"),)

        target = f"roll-back {place.partition(':')[2]}"
        trials += _combined(target, rng, times, ("keyed", "findable"), overrun)
    return trials


def _combined(
    target: str,
    rng: random.Random,
    times: int,
    kinds: tuple[Kind, ...],
    faults: Callable[[str, random.Random], tuple[Fault, ...]],
) -> Iterator[Trial]:
    for kind in kinds:
        for n in range(times):
            key = f"{target.replace(' ', '-')}-{kind}-{n}"
            yield Trial(key=key, target=target, kind=kind, faults=faults(key, rng))
