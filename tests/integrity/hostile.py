"""200 hostile texts in every place that is not ours: what is shown is what is executed.

Rendered for the Temporal UI (and read as its Markdown), for mail and chat, and for the inbox's
pages; and some of them end to end, up to the outside world.
"""

from __future__ import annotations

import asyncio
import json
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from typing_extensions import override

from handrail.actions import (
    Ask,
    Basis,
    Finding,
    Kind,
    Receipt,
    RoleStage,
    Terms,
    Transition,
    digest_of,
)
from handrail.agent.case import Case
from handrail.agent.escalation import AnswerModel
from handrail.inbox.channels import content
from handrail.inbox.web.site import TEMPLATES
from handrail.oversight import GateKind, GateView, Question, Trust, action_lines, case_markdown
from handrail.runtime import EmbeddedServer
from handrail.states import State
from handrail.testing import Human, Outside, running
from handrail.testing import Stage as Place
from handrail.text import escape_hidden
from tests.agents.fleets import orders, policy
from tests.agents.orders_steps import Order, Pay
from tests.integrity.policies import ANA, BO, STRICT, known
from tests.redteam import Report, hostile_texts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEAD = RoleStage(role="lead", people=(ANA,), after=timedelta(hours=1))
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
"""The strictest reader: whatever could become more than text does."""

_TEXT = frozenset({"inline", "text", "softbreak", "hardbreak", "paragraph_open", "paragraph_close"})
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
_OURS = frozenset({"id", "class", "tabindex", "title", "aria-label", "scope"})
END_TO_END = 24
AT_ONCE = 8


def asked(text: str, kind: GateKind) -> Case:
    """A case in which everything that the outside, or the agent, can write is that text."""
    case = Case()
    case.begin(f"orders:{text}", "Fulfils orders.", text, None, NOW)
    action = Pay(order=text, amount=Decimal(300)).model_dump(mode="json")
    question = Question(
        kind=kind,
        step="pay",
        title=text if kind is GateKind.QUESTION else "Pay for an order.",
        action=action,
        digest=digest_of("pay", action),
        why=text,
        asks=(Ask(stages=(LEAD,)),),
        findings=(Finding(check="rule", kind=Kind.HOLD, why=text),),
        basis=Basis(rationale=text, confidence=0.5, evidence={"mail": text, text[:40]: 1}),
        requester=text,
        terms=Terms(inbox="https://inbox.example"),
    )
    case.ask("g1", question, AnswerModel(Pay), "orders:1/pay/1", NOW)
    case.receipts.append(Receipt(key=f"orders:{text}/pay/1", step="pay", digest="d", at=NOW))
    case.note(text, NOW)
    case.moves.append(Transition(state=State.WAITING, at=NOW, why=text))
    return case


def rendered(report: Report, number: int, seed: int) -> None:
    """Render them everywhere, and count those that change what people see."""
    harmless = {kind: _outline(case_markdown(asked("x", kind).view())) for kind in GateKind}
    for text in hostile_texts(number, seed=seed):
        for kind in GateKind:
            case = asked(text, kind)
            faults = [*_page(case_markdown(case.view()), case.views()[0], harmless[kind])]
            _count(report, "the page of the Temporal UI", text, faults)
        view = asked(text, GateKind.WRITE).views()[0]
        _count(report, "mail and chat", text, _in_mail(view))
        _count(report, "the inbox's page", text, _in_inbox(view))


def _count(report: Report, where: str, text: str, faults: list[str]) -> None:
    what = f"{faults[0]}: {text[:80]!r}" if faults else ""
    report.attack("hostile text", where, accepted=bool(faults), what=what)


def _page(page: str, view: GateView, harmless: list[tuple[str, str]]) -> list[str]:
    faults = _hiding(page)
    cut = "cut short" in page
    if not cut and _outline(page) != harmless:
        faults.append("the page has another shape")
    fence = next(t for t in _tokens(page) if t.type == "fence")
    if not cut and json.loads(fence.content) != view.action:
        faults.append("another action is shown")
    return faults


def _outline(page: str) -> list[tuple[str, str]]:
    return [(t.type, t.tag) for t in _tokens(page) if t.type not in _TEXT]


def _tokens(page: str) -> list[Token]:
    return [t for token in MARKDOWN.parse(page) for t in (token, *(token.children or []))]


def _hiding(page: str) -> list[str]:
    hidden = {c for c in page if c not in "\n\t" and unicodedata.category(c) in _HIDDEN}
    return [f"{sorted(hidden)!r} is not spelt out"] if hidden else []


def _in_mail(view: GateView) -> list[str]:
    """The words of a message: nothing hides, and every field is there or said to be cut."""
    note = content.of_view(view, "You are asked.")
    rows = [row for _, table in note.tables for row in table]
    faults = _hiding("\n".join([note.subject, *(f"{a} {b}" for a, b in rows)]))
    if "\n" in note.subject or "\r" in note.subject:
        faults.append("the subject has lines")
    order = dict(rows)["order"]
    if content.is_whole(view) and order != escape_hidden(str(view.action["order"])):
        faults.append("another action is told")
    return faults


PIECES = TEMPLATES.from_string(
    """{% from "_fields.html" import action, value %}<h1>{{ gate.title }}</h1>
<p>{{ gate.why }} {{ gate.case }} {{ gate.requester }}</p>{{ action(lines) }}
<pre id="exactly">{{ gate.action | as_json }}</pre><blockquote>{{ gate.rationale }}</blockquote>
<dl>{% for name, it in gate.evidence.items() %}<dt>{{ name }}</dt><dd>{{ value(it) }}</dd>
{% endfor %}</dl>"""
)
"""What of a gate's page shows other people's text, by the inbox's own macros and filters."""


class Reader(HTMLParser):
    """Reads a page as a browser does: which tags and attributes are in it, and the exact JSON."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.exactly = ""
        self._inside = False
        self.feed(page)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._inside = ("id", "exactly") in attrs

    @override
    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    @override
    def handle_comment(self, data: str) -> None:
        self.tags.add("a comment")

    @override
    def handle_data(self, data: str) -> None:
        self.exactly += data if self._inside else ""


def _in_inbox(view: GateView) -> list[str]:
    page = PIECES.render(gate=view, lines=action_lines(view.action, view.evidence))
    read, faults = Reader(page), _hiding(page)
    ours = {"h1", "p", "pre", "blockquote", "dl", "dt", "dd", "div", "span", "details", "summary"}
    ours |= {
        "th",
        "code",
        "small",
        "del",
        "ins",
        "strong",
        "em",
        "ul",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "td",
    }
    if read.tags - ours or read.attributes - _OURS:
        faults.append(f"markup is left: {sorted(read.tags - ours)} {sorted(read.attributes)}")
    if json.loads(read.exactly) != view.action:
        faults.append("another action is shown")
    return faults


async def attack(server: EmbeddedServer, home: Path, number: int, seed: int) -> Report:
    """Render them all, and let some of them be approved on the real engine."""
    report = Report(seed)
    rendered(report, number, seed)
    directory = home / "hostile"
    keyring, people = known(directory, (ANA, BO))
    texts = hostile_texts(number, seed=seed)[:: max(1, number // END_TO_END)]
    fleet = orders(directory, policy(**STRICT))
    with Outside(directory / "outside.db").installed() as outside:
        async with running(fleet, server, directory, trust=Trust(keyring=keyring)) as place:
            for at in range(0, len(texts), AT_ONCE):
                some = enumerate(texts[at : at + AT_ONCE], at)
                await asyncio.gather(*(_approved(report, place, people, n, t) for n, t in some))
        bodies = [call.body for call in outside.calls("pay")]
    for text in texts:
        there = {"order": text, "amount": "300"} in bodies
        report.attack("hostile text", "executed as it was shown", accepted=not there)
    return report


async def _approved(
    report: Report, place: Place, people: list[Human], number: int, text: str
) -> None:
    """A hostile key; then somebody amends the action to hold all of the text, and it is done."""
    ana, bo = people
    key = "".join(c for c in text if c.isprintable() or unicodedata.category(c) == "Cf")
    event = Order(number=f"h{number} {key[:100]}", amount=Decimal(300))
    case = await place.start("orders", event)
    seen = await case.gate()
    report.cases += 1
    record = await ana.amend(case, {"order": text}, seen)
    report.ruled(accepted=record.accepted, what=record.note)
    again = await case.gate(but=seen)
    told = (await (await case.handle.describe()).memo_value("gates"))[0]
    same = told["action"] == again.action == {"order": text, "amount": "300"}
    right = told["digest"] == digest_of("pay", again.action)
    report.attack("hostile text", "the memo and the query", accepted=not (same and right))
    record = await bo.approve(case, again)
    report.ruled(accepted=record.accepted, what=record.note)
    if (await case.outcome()).status is not State.DONE:
        report.wedged.append(case.id)
