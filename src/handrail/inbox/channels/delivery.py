"""The book of one gate's messages: who must be told what, and what became of it.

Pure and deterministic: `(book, what was seen, time) -> book`. It knows nothing of Temporal,
mail or Slack. Every message has a key and is entered once; whatever is seen again changes
nothing. A person for whom no channel is left is entered as not reached, and if that leaves
nobody of a role, the next role and the owner of the policy are told early.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from handrail.actions import Aware, Wire, person
from handrail.inbox.channels.wire import Due, Ended, Look, Query, Ref, Short, What
from handrail.oversight import GateView, StageView

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

AGENT = "agent"
"""To whom a question is put that no person has to answer."""

_FIRST = frozenset({What.ASKED, What.EARLY, What.OWNER, What.QUESTION, What.ANSWER})


class Fate(StrEnum):
    """What has become of a message."""

    GOING = "going"
    TOLD = "told"
    LOST = "not reached"
    DROPPED = "not needed any more"


class Try(Wire):
    """One way that was tried. `ref` says where the message went; `why`, why it did not.

    `back`: it went out, and came back.
    """

    channel: str
    at: Aware
    ref: Ref | None = None
    why: Short = ""
    back: bool = False


class Letter(Wire):
    """One message and every way that was tried for it."""

    due: Due
    fate: Fate = Fate.GOING
    tries: tuple[Try, ...] = ()

    @property
    def ref(self) -> Ref | None:
        """Where it went, unless it came back."""
        if self.fate is not Fate.TOLD:
            return None
        return next((each.ref for each in reversed(self.tries) if not each.why), None)


class Book(Wire):
    """All messages of one gate, in the order in which they became due.

    `view`: the gate as it was when last seen open. `ways`: by which channels each person is
    told. `reminders`: how many times people were reminded.
    """

    letters: tuple[Letter, ...] = ()
    view: GateView | None = None
    ended: Ended | None = None
    ways: dict[str, tuple[str, ...]] = {}  # noqa: RUF012  # pydantic copies it
    questions: tuple[Query, ...] = ()
    owner: str = ""
    fault: Short = ""
    reminders: int = 0

    def has(self, due: Due) -> bool:
        """Whether that message was entered."""
        return any(
            (each.due.what, each.due.person, each.due.n) == (due.what, due.person, due.n)
            for each in self.letters
        )

    def of(self, address: str, *whats: What) -> tuple[Letter, ...]:
        """The messages to a person, of these kinds if any are named."""
        return tuple(
            each
            for each in self.letters
            if each.due.person == address and (not whats or each.due.what in whats)
        )

    def lost(self, address: str) -> bool:
        """Whether a person could not be told that they are asked, by any channel."""
        return any(each.fate is Fate.LOST for each in self.of(address, What.ASKED))

    def root(self, address: str) -> Ref | None:
        """The first message that reached a person: later ones are answers to it."""
        return next((each.ref for each in self.of(address, *_FIRST) if each.ref), None)

    def way(self, letter: Letter) -> str | None:
        """The next channel to try for a message; None when none is left.

        What follows another message goes the way of that one, if it can.
        """
        address = letter.due.person
        spent = {each.channel for each in letter.tries}
        spent |= {t.channel for each in self.of(address) for t in each.tries if t.back}
        root = self.root(address)
        ways = self.ways.get(address, ("mail",))
        first = [root.channel] if root is not None and root.channel in ways else []
        return next((way for way in (*first, *ways) if way not in spent), None)

    def unreached(self) -> tuple[str, ...]:
        """Who was to be told that they are asked, and could not be."""
        lost = [e.due.person for e in self.letters if e.fate is Fate.LOST]
        return tuple(dict.fromkeys(lost))

    def with_letter(self, number: int, letter: Letter) -> Book:
        """The book with one message as it is now."""
        letters = (*self.letters[:number], letter, *self.letters[number + 1 :])
        return self.model_copy(update={"letters": letters})


def see(book: Book, look: Look) -> Book:
    """Enter what was seen of the gate, and every message that is due by it.

    What a case published before it fell silent says nothing new once the gate was seen.
    """
    known = {"ways": book.ways | look.ways, "owner": look.owner or book.owner, "fault": look.fault}
    if look.view is None or (book.view is not None and not look.fresh):
        return book.model_copy(update={**known, "ended": look.ended})
    reminding = _reminded(book.view, look.view)
    seen = book.model_copy(
        update={
            **known,
            "view": look.view,
            "questions": look.questions,
            "reminders": book.reminders + reminding,
        }
    )
    due = [*_asked(look.view, book.view), *_passed_on(book, look.view), *_questions(look.questions)]
    due += _reminders(seen, look.view) if reminding else []
    return enter(enter(seen, due), early(enter(seen, due)))


def enter(book: Book, due: Iterable[Due]) -> Book:
    """Enter messages that are due. One that was entered before is not entered again."""
    for each in due:
        if not book.has(each):
            book = book.model_copy(update={"letters": (*book.letters, Letter(due=each))})
    return book


def early(book: Book) -> list[Due]:
    """Whom to tell early, because nobody of a role that is asked can be reached."""
    if book.view is None:
        return []
    due: list[Due] = []
    for chain in chains(book.view):
        first, following = chain[0], chain[1] if len(chain) > 1 else None
        people = _people(first, book.view)
        if not people or not all(book.lost(each) for each in people):
            continue
        why = f"nobody of {first.role} can be reached"
        if following is not None:
            until = f"it comes to {following.role} at {first.until:%Y-%m-%d %H:%M} UTC"
            due += [
                Due(what=What.EARLY, person=each, n=first.role, role=following.role, why=until)
                for each in _people(following, book.view)
            ]
        if book.owner:
            owner = person(book.owner)
            due.append(Due(what=What.OWNER, person=owner, n=first.role, role=first.role, why=why))
    return due


def bounced(book: Book, tag: str, why: str) -> Book:
    """Enter that mail with this tag came back: the first message by it goes another way.

    Later ones repeated or followed it, and are not sent again.
    """
    fate = Fate.GOING
    for number, letter in enumerate(book.letters):
        if letter.ref is None or not tag or letter.ref.tag != tag:
            continue
        tries = tuple(
            each.model_copy(update={"why": f"it came back: {why}", "back": True})
            if each.ref is not None and each.ref.tag == tag
            else each
            for each in letter.tries
        )
        book = book.with_letter(number, letter.model_copy(update={"tries": tries, "fate": fate}))
        fate = Fate.DROPPED
    return book


def closing(book: Book) -> Book:
    """Enter the last messages of a gate that has closed, and drop those not sent yet.

    Messages in Slack are locked instead. By mail nobody is told but those who let its time
    pass: everybody else sees it on the page that their link leads to.
    """
    letters = tuple(
        each.model_copy(update={"fate": Fate.DROPPED}) if each.fate is Fate.GOING else each
        for each in book.letters
    )
    book = book.model_copy(update={"letters": letters})
    if book.ended is None or book.ended.how != "expired" or book.view is None:
        return book
    late = {person(p) for stage in book.view.stages if stage.asked for p in stage.people}
    told = [p for p in dict.fromkeys(each.due.person for each in letters) if p in late]
    mailed = (p for p in told if (root := book.root(p)) and root.channel == "mail")
    return enter(book, (Due(what=What.CLOSED, person=p) for p in mailed))


def chains(view: GateView) -> list[list[StageView]]:
    """The stages of a gate, by chain: the first of each is asked now."""
    found: list[list[StageView]] = []
    for stage in view.stages:
        if stage.asked or not found:
            found.append([])
        found[-1].append(stage)
    return found


def _people(stage: StageView, view: GateView) -> list[str]:
    """Who of a stage has something to do: not who agreed already, or may not approve."""
    done = {person(p) for p in (*view.given, *view.barred)}
    return [p for p in dict.fromkeys(map(person, stage.people)) if p not in done]


def _asked(view: GateView, before: GateView | None) -> list[Due]:
    """Everybody who may rule now, each once; whoever stands in for another, too."""
    roles: dict[str, str] = {}
    for stage in view.stages:
        if stage.asked:
            for each in (*stage.people, *stage.deputies):
                roles.setdefault(person(each), stage.role)
    done = {person(p) for p in (*view.given, *view.barred)}
    waiting = ", ".join(view.waiting_for)
    came = "" if before is None or _roles(before) == _roles(view) else _came(before)
    return [
        Due(what=What.ASKED, person=each, role=roles.get(each, waiting), why=came)
        for each in dict.fromkeys(map(person, view.people))
        if each not in done
    ]


def _came(before: GateView) -> str:
    return f"nobody of {' or '.join(before.waiting_for)} answered in time"


def _passed_on(book: Book, view: GateView) -> list[Due]:
    """A note to the people of roles that are not asked any more."""
    if book.view is None:
        return []
    now = {stage.role: stage for stage in view.stages if stage.asked}
    gone = [s for s in book.view.stages if s.asked and s.role not in now]
    new = ", ".join(role for role in now if role not in _roles(book.view))
    if not new:
        return []
    return [
        Due(what=What.PASSED_ON, person=each, n=new, role=new)
        for stage in gone
        for each in _people(stage, view)
        if book.root(each) is not None
    ]


def _questions(questions: Iterable[Query]) -> list[Due]:
    due: list[Due] = []
    for each in questions:
        if each.to != AGENT:
            due.append(Due(what=What.QUESTION, person=person(each.to), n=each.id))
        if each.answer:
            due.append(Due(what=What.ANSWER, person=person(each.by), n=each.id))
    return due


def _reminders(book: Book, view: GateView) -> list[Due]:
    done = {person(p) for p in (*view.given, *view.barred)}
    owing = {person(p) for s in view.stages if s.asked for p in s.people} - done
    return [
        each.due.model_copy(update={"what": What.REMINDER, "n": str(book.reminders), "why": ""})
        for each in book.letters
        if each.due.what is What.ASKED and each.due.person in owing and each.fate is not Fate.LOST
    ]


def _reminded(before: GateView | None, view: GateView) -> bool:
    """Whether the case has let a moment pass that ended no stage: it was one to remind at.

    Told by what the case shows and not by a clock: nothing else moves the next moment and
    leaves every end where it was.
    """
    if before is None or before.next is None or view.next is None:
        return False
    return view.next > before.next and _ends(before) == _ends(view)


def _ends(view: GateView) -> tuple[tuple[str, datetime], ...]:
    return tuple((stage.role, stage.until) for stage in view.stages)


def _roles(view: GateView | None) -> tuple[str, ...]:
    return tuple(stage.role for stage in view.stages if stage.asked) if view else ()
