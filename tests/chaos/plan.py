"""Which case meets which fault, from a seed."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import cycle, product
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel

from handrail.failpoints import BOUNDARIES, HAND_OFF, INTAKE, SCHEDULED

Kind = Literal["keyed", "findable", "plain"]
KINDS: tuple[Kind, ...] = ("keyed", "findable", "plain")

What = Literal["kill", "freeze", "block", "power", "back", "crash", "fill", "step"]
World = Literal["one", "ahead", "behind", "ledgers", "file", "postgres", "disk", "reach"]
"""Where a lane runs: `worlds` says what each is."""

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

OUTSIDE_OF_REACH = ("outside:hooked", "outside:called", "outside:pass", "outside:close")
CONNECTED: Final = ("outside:post", "outside:chat", "outside:mail")
"""Where the outside system of the world `reach` has taken a webhook, called back, or written."""

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
_MAY_ASK = _MUST_ASK | {"undo:before-effect", "undo:after-effect", "outside:undone"}
_FORGOTTEN = frozenset({"write:after-receipt", "write:answering", "undo:after-receipt"})
"""Where a ledger that goes back takes the receipt along, and nobody had heard of it."""
_UNKNOWN = _MAY_ASK - {
    "client:answered",
    "write:after-effect",
    "write:before-receipt",
    "undo:after-effect",
}
"""Where nobody has an answer. One that has come counts, however late the process looks at it."""
_ENDS = frozenset({"kill", "power", "back"})
_TIME = timedelta(seconds=3.5)
"""A little less than a step has."""

_ON_THE_WAY = (
    "write:arrived",
    "write:judged",
    "write:after-intent",
    "write:before-effect",
    "client:sending",
)


class Fault(BaseModel, frozen=True):
    """What happens at the n-th arrival of a case at a boundary, and for how long.

    A process kills or freezes itself, or blocks its event loop; or it stands still while the
    laboratory does something to its world. `dies`: all workers with it. `order`: what an operator
    demands of the case in that moment.
    """

    id: str
    boundary: str
    nth: int = 1
    what: What = "kill"
    lasting: timedelta = timedelta()
    dies: bool = False
    order: Literal["roll_back"] | None = None


class Lag(BaseModel, frozen=True):
    """The outside system takes long over the first call of an operation, whoever still waits."""

    op: Literal["do", "undo", "tell"]
    commits: float
    """Seconds until it commits."""
    answers: float
    """Seconds from then until it answers."""


class Trial(BaseModel, frozen=True):
    """One case, the faults it meets, and how it must end.

    `takes`: how long the outside world takes over each of its answers.
    """

    world: World = "one"
    lag: Lag | None = None

    key: str
    target: str
    kind: Kind
    held: bool = False
    spoil: bool = False
    takes: timedelta = timedelta()
    faults: tuple[Fault, ...] = ()
    way: Literal["event", "hook", "schedule"] | None = None
    """By which it comes in, in the world `reach`."""

    @property
    def ends(self) -> str:
        """The state that it must end in."""
        if any(fault.order for fault in self.faults):
            return "rolled_back"
        return "failed" if self.spoil else "done"

    @property
    def must_ask(self) -> bool:
        """Whether nobody but a human can know if the write happened."""
        killed = bool(self.faults) and self.faults[-1].what in {"kill", "power"}
        return self.kind == "plain" and killed and self.target in _MUST_ASK

    @property
    def may_ask(self) -> bool:
        """Whether a human may be asked: nobody else could know."""
        if self.target == "outside:mail" or self.target.endswith(f" #{_CONNECTORS[-1]}"):
            return True
        if self.kind != "plain":
            return False
        if self.lag is not None and self.lag.op != "tell":
            return True
        asks = False
        for fault in self.faults:
            if fault.what in _ENDS:
                asks = asks or fault.boundary in _MAY_ASK
            if fault.what == "back":
                asks = asks or fault.boundary in _FORGOTTEN
            if fault.what in {"freeze", "block"} and fault.lasting >= _TIME:
                asks = asks or fault.boundary in _UNKNOWN
        return asks


def targets() -> tuple[str, ...]:
    """Every boundary that is aimed at."""
    return (*BOUNDARIES, *OWN, *HAND_OFF)


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
    trials += [t for t in others(only) if t.world == "one"]
    rng.shuffle(trials)
    return trials


def short(rng: random.Random) -> list[Trial]:
    """One kill at every boundary, for one kind each, and the hard combinations."""
    trials: list[Trial] = []
    for target in targets():
        kind = rng.choice(_kinds(target, rng))
        trials += _at(target, kind, rng, kills=1, freezes=0)
    trials += rng.sample(_take_overs(rng, 1), 1) + rng.sample(_roll_backs(rng, 1), 2)
    trials += rng.sample(others("lag"), 1) + rng.sample(others("block"), 1)
    rng.shuffle(trials)
    return trials


_SENDING = ("write:after-intent", "write:before-effect", "client:sending", "outside:received")
_SENT = ("outside:committed", "client:answered", "write:after-effect", "write:before-receipt")
_UNDOING = ("write:after-receipt", "undo:before-effect", "undo:after-effect")
_PLACES = (*_SENDING, *_SENT, *_UNDOING, "client:telling", "outside:told")
_IN_WORKER = tuple(p for p in _PLACES if not p.startswith("outside:"))
_IN_STEPS = ("decide:before", *(p for p in _PLACES if p.startswith("client:")), "notify:before")
"""Where a step's own code runs: the loop of the door is another, which no step can block."""


class _Entry(NamedTuple):
    """One fault of another sort than a kill or freeze of one process, at some boundaries."""

    name: str
    world: World
    what: What
    places: tuple[str, ...]
    lasting: float = 0
    dies: bool = False
    lag: Lag | None = None
    share: int | None = None
    """Of two entries that take turns over places and kinds, the first or the second."""


_LATE = 5.0
"""After a step's time, and before its request has settled."""

_LOST = 9.0
_ENTRIES = (
    *(
        _Entry("lag", "one", "kill", (op,), lag=Lag(op=op, commits=commits, answers=answers))
        for op in ("do", "undo", "tell")
        for commits, answers in ((_LATE, 0.0), (0.0, _LOST))
    ),
    _Entry("block", "one", "block", _IN_STEPS, _LOST),
    # On another machine nobody can see that a process stands still, and its key or fence alone
    # holds back what it sends when it goes on: so no freeze outlasts time and settling there.
    *(
        entry
        for share, world in enumerate(("ahead", "behind"))
        for entry in (
            _Entry("machines", world, "kill", _PLACES, share=share),
            _Entry("machines", world, "freeze", _IN_WORKER, 4.5, share=share),
            _Entry("machines", world, "step", ("write:before-effect", "client:answered"), 3),
            _Entry(
                "machines",
                world,
                "power",
                ("outside:received",),
                dies=True,
                lag=Lag(op="do", commits=_LATE, answers=0),
            ),
        )
    ),
    _Entry("ledgers", "ledgers", "kill", _IN_WORKER),
    _Entry("back", "file", "back", ("write:before-intent", *_PLACES), dies=True),
    _Entry("postgres", "postgres", "back", _PLACES, dies=True, share=0),
    _Entry("postgres", "postgres", "back", ("write:before-intent", *_PLACES), share=1),
    _Entry("postgres", "postgres", "crash", ("write:arrived", "write:before-intent", *_PLACES), 2),
    _Entry("disk", "disk", "fill", ("write:arrived", "write:before-intent", *_IN_WORKER), 5),
)
REACH: Final = "reach"
OTHERS = (*dict.fromkeys(entry.name for entry in _ENTRIES), REACH)


def others(only: str | None) -> list[Trial]:
    """The trials of every other sort of fault, for all three kinds of write."""
    named = ((n, each) for n, each in enumerate(_ENTRIES) if only in (None, each.name))
    found = [
        _other(n, entry, place, kind)
        for n, entry in named
        for turn, (place, kind) in enumerate(product(entry.places, KINDS))
        if entry.share in (None, turn % 2)
    ]
    return found + (_reach() if only in (None, REACH) else [])


_CONNECTORS = (5, 6, 7)
"""The how-manieth writes of a case those by HTTP, to the chat and by mail are."""

_SECOND = (
    "write:after-intent",
    "write:before-effect",
    "write:after-effect",
    "write:before-receipt",
)
_REACHED = (
    *((place, 1) for place in (*INTAKE, *SCHEDULED, *HAND_OFF, *OUTSIDE_OF_REACH)),
    ("model:asked", 1),
    ("model:asked", 2),
    *((f"decide:{when}", nth) for when in ("before", "after", "foreseen") for nth in (1, 2)),
    ("read:before", 1),
    ("read:after", 1),
    *((place, 1) for place in BOUNDARIES if place.startswith("write:")),
    *((place, 1) for place in ("client:sending", "outside:committed", "client:answered")),
    *((place, 3) for place in _SECOND),
    *((place, 1) for place in CONNECTED),
    *((place, nth) for place in _SECOND for nth in _CONNECTORS),
)
"""What a case reaches on its way through the world `reach`, and for the how-many-th time.

Its writes are those of the model's tool, of the other agent, then the one that asks to be
called back, so the third; one that closes it, and those by connectors."""


def _reach() -> list[Trial]:
    """One kill and one freeze at each boundary of what reaches an agent from outside."""
    freezes, kinds, ways = cycle(FREEZES), cycle(KINDS), cycle(("event", "hook"))
    return [
        _reached(place, nth, next(kinds), next(ways), freeze)
        for place, nth in _REACHED
        for freeze in (timedelta(), next(freezes))
    ]


def _reached(
    place: str, nth: int, kind: Kind, way: Any, freeze: timedelta, *, name: str = ""
) -> Trial:
    kind = "keyed" if nth > 1 else kind
    what: What = "freeze" if freeze else "kill"
    key = f"{name}reach-{what}-{place}-{nth}-{kind}".replace(":", "_")
    fault = Fault(id=f"{key}.0", boundary=place, nth=nth, what=what, lasting=freeze)
    return Trial(
        key=key,
        target=place if nth == 1 else f"{place} #{nth}",
        kind=kind,
        faults=(fault,),
        world="reach",
        way="schedule" if place in SCHEDULED else way,
    )


def naive_reach() -> list[Trial]:
    """Kills where nothing is kept by a key: of who takes events, and of the write."""
    places = ("intake:started", "outside:committed", "client:answered", "write:after-effect")
    return [_reached(place, 1, "plain", "event", timedelta(), name="naive-") for place in places]


def _other(n: int, entry: _Entry, place: str, kind: Kind) -> Trial:
    key = f"{entry.name}{n}-{entry.what}-{place}-{kind}".replace(":", "_")
    fault = Fault(
        id=f"{key}.0",
        boundary=place,
        what=entry.what,
        lasting=timedelta(seconds=entry.lasting),
        dies=entry.dies,
    )
    aimed = ":" in place
    late = entry.lag is not None and entry.lag.commits > 0
    return Trial(
        key=key,
        target=place if aimed else f"{'late' if late else 'lost'} {place}",
        kind=kind,
        spoil=place.startswith("undo"),
        faults=(fault,) if aimed else (),
        world=entry.world,
        lag=entry.lag,
    )


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
    if target in HAND_OFF:
        return ("keyed",)
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
    what, lasting = ("kill", timedelta()) if freeze is None else ("freeze", freeze)
    faults.append(Fault(id=f"{key}.{len(faults)}", boundary=target, what=what, lasting=lasting))
    return Trial(
        key=key,
        target=target,
        kind=kind,
        # The scripted human answers for the agent under test alone.
        held=target == "gate:ruled" or (rng.random() < 0.15 and target not in HAND_OFF),
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
        Fault(id=f"{key}.0", boundary="write:before-effect", what="freeze", lasting=LONG_FREEZE),
        Fault(id=f"{key}.1", boundary="write:after-effect"),
    )


def _roll_backs(rng: random.Random, times: int) -> list[Trial]:
    """An operator rolls back while the write is frozen on its way out, at each place of it."""
    trials: list[Trial] = []
    for place in _ON_THE_WAY:

        def overrun(key: str, rng: random.Random, place: str = place) -> tuple[Fault, ...]:
            lasting = rng.choice(FREEZES[2:])
            fault = Fault(id=f"{key}.0", boundary=place, what="freeze", lasting=lasting)
            return (fault.model_copy(update={"order": "roll_back"}),)

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
