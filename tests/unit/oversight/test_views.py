"""What people read: hostile text stays where it is put, and the page stays under its size."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from handrail.actions import (
    Action,
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
from handrail.oversight.case_page import LARGEST_PAGE, case_markdown
from handrail.oversight.page_cuts import cut_values, open_fence
from handrail.oversight.questions import GateKind, Question
from handrail.oversight.views import how_to_answer
from handrail.states import State
from handrail.text import escape_hidden, markdown_json, markdown_quote

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
TRICKS = [
    "# a heading",
    "```\n# out of the fence\n```",
    "~~~\nout\n~~~",
    "</details><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- -->",
    "[approve](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<https://evil.example>",
    "[a]: https://evil.example",
    "**bold** _em_ ~~gone~~ `code`",
    "a | b\n--|--\n1 | 2",
    "- item\n- item",
    "1. item",
    "> quote",
    "---",
    "text\n===",
    "\\",
    "a\\\nb",
    "\r\n# x",
    "\u2028# x",
    "\x0b# x",
    "\x1c# x",
    "\x85# x",
    "\u202etxt.exe",
    "\ufeff\u200b\u2066",
    "&lt;b&gt; &#35; &nbsp;",
    "    indented code",
    "\t# tab",
    "`" * 40,
]
hostile = st.lists(st.sampled_from(TRICKS) | st.text(max_size=30), max_size=6).map("\n".join)


class Pay(Action):
    """Pay."""

    order: str


def flat(tokens: list[Token]) -> list[Token]:
    return [t for token in tokens for t in [token, *flat(token.children or [])]]


def kinds(text: str) -> set[str]:
    return {token.type for token in flat(MARKDOWN.parse(text))}


PLAIN = {"inline", "text", "softbreak", "paragraph_open", "paragraph_close"}


@given(hostile)
def test_a_quotation_cannot_be_left(text: str) -> None:
    tokens = MARKDOWN.parse(f"before\n\n{markdown_quote(text)}\n\nafter")
    assert [t.type for t in tokens if t.level == 0] == [
        *("paragraph_open", "paragraph_close"),
        *("blockquote_open", "blockquote_close"),
        *("paragraph_open", "paragraph_close"),
    ]
    assert kinds(markdown_quote(text)) <= PLAIN | {"blockquote_open", "blockquote_close"}


@given(st.dictionaries(st.text(max_size=5), hostile, max_size=3))
def test_a_fence_cannot_be_closed_and_shows_what_is_there(value: dict[str, str]) -> None:
    tokens = MARKDOWN.parse(f"before\n\n{markdown_json(value)}\n\nafter")
    assert [t.type for t in tokens if t.level == 0] == [
        *("paragraph_open", "paragraph_close"),
        "fence",
        *("paragraph_open", "paragraph_close"),
    ]
    fence = next(t for t in tokens if t.type == "fence")
    assert json.loads(fence.content) == value


@given(st.text())
def test_nothing_invisible_is_left(text: str) -> None:
    shown = escape_hidden(text)
    assert not any(c in shown for c in "\u202e\u2066\u200b\ufeff\x00\x1b\x85\u2028")
    assert escape_hidden("héllo 你好 🙂\n\t") == "héllo 你好 🙂\n\t"


def asked(
    text: str,
    kind: GateKind = GateKind.WRITE,
    proof: Literal["required", "unproven"] = "unproven",
) -> Case:
    """A case in which everything that the outside can write is `text`."""
    case = Case()
    case.begin(f"orders:{text}", "Fulfils orders.", text, None, NOW)
    action = Pay(order=text).model_dump(mode="json")
    evidence: Any = {"mail": text, "body": {"untrusted": text}}
    question = Question(
        kind=kind,
        step="pay",
        title=text if kind is GateKind.QUESTION else "Pay for an order.",
        action=action,
        digest=digest_of("pay", action),
        why=text,
        asks=(
            Ask(stages=(RoleStage(role="lead", people=("ana@x.org",), after=timedelta(hours=1)),)),
        ),
        findings=(Finding(check="rule", kind=Kind.HOLD, why=text),),
        basis=Basis(rationale=text, confidence=0.5, evidence=evidence),
        requester=text,
        terms=Terms(proof=proof, inbox="https://inbox.example"),
    )
    case.ask("g1", question, AnswerModel(Pay), "pay:1/pay/1", NOW)
    case.receipts.append(Receipt(key=f"orders:{text}/pay/1", step="pay", digest="d", at=NOW))
    case.note(text, NOW)
    case.moves.append(Transition(state=State.WAITING, at=NOW, why=text))
    return case


ALLOWED = PLAIN | {
    *("heading_open", "heading_close", "fence", "code_inline", "hardbreak"),
    *("strong_open", "strong_close", "em_open", "em_close"),
    *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
    *("blockquote_open", "blockquote_close"),
}


@given(text=hostile, kind=st.sampled_from(list(GateKind)))
def test_no_text_from_outside_changes_the_page(text: str, kind: GateKind) -> None:
    def outline(words: str) -> list[tuple[str, str]]:
        tokens = MARKDOWN.parse(case_markdown(asked(words, kind).view()))
        return [(t.type, t.tag) for t in tokens if t.type not in PLAIN]

    page = case_markdown(asked(text, kind).view())
    assert kinds(page) <= ALLOWED
    if text.strip():
        assert outline(text) == outline("x")


@pytest.mark.parametrize("size", [100, 5_000, 30_000])
def test_a_page_stays_under_what_temporal_takes(size: int) -> None:
    page = case_markdown(asked("ä#" * size).view())
    assert len(page.encode()) < 20_000
    assert ("cut short" in page) is (len(page.encode()) > LARGEST_PAGE)
    assert "\ufffd" not in page


REASONS = ("Why a human is asked", "Who may answer", "If nobody answers", "To answer:")


@pytest.mark.parametrize("gates", [1, 3, 10])
@pytest.mark.parametrize("text", ["x" * 20_000, "ä#" * 10_000, "```\n" * 5_000, "a\n" * 10_000])
def test_no_text_pushes_the_reasons_off_the_page(text: str, gates: int) -> None:
    view = asked(text).view()
    (gate,) = view.gates
    own = {"case": "orders:1", "before": gate.action}
    many = tuple(gate.model_copy(update={**own, "gate": f"g{n}"}) for n in range(gates))
    page = case_markdown(view.model_copy(update={"gates": many}))
    assert len(page.encode()) < 20_000
    for reason in REASONS:
        # Each gate's own, up to as many as a page has room for.
        assert page.count(reason) >= min(gates, 3), reason
    assert open_fence(page) == ""
    assert "`amend`: too long to be shown here" in page


@pytest.mark.parametrize("letter", ["x", "<", "\u202e"])
def test_no_names_of_those_who_asked_push_the_reasons_off_the_page(letter: str) -> None:
    view = asked("x").view()
    (gate,) = view.gates
    barred = tuple(f"{n}{letter * 900}" for n in range(60))
    said = gate.model_copy(update={"barred": barred, "given": barred})
    page = case_markdown(view.model_copy(update={"gates": (said,)}))
    assert [reason for reason in REASONS if reason not in page] == []
    assert "49" in page
    one = gate.model_copy(update={"barred": (f"{'x' * 200}@example.com",)})
    assert f"{'x' * 200}@example.com" in case_markdown(view.model_copy(update={"gates": (one,)}))


def test_a_long_value_is_cut_in_its_middle_and_the_others_stay() -> None:
    value = {"note": f"begin{'x' * 20_000}end", "to": "DE1", "list": ["y" * 9_000] * 3}
    cut = cut_values(value, 4_000)
    assert len(json.dumps(cut)) < 4_200
    assert (cut["to"], cut["note"][:5], cut["note"][-3:]) == ("DE1", "begin", "end")
    assert cut_values({"n": 1}, 4_000) == {"n": 1}
    assert len(json.dumps(cut_values({str(n): n for n in range(9_000)}, 4_000))) < 9_000


@pytest.mark.parametrize(
    ("kind", "signals"),
    [
        (GateKind.WRITE, {"approve", "reject", "amend"}),
        (GateKind.IN_DOUBT, {"answer"}),
        (GateKind.UNDO, {"approve", "reject"}),
        (GateKind.QUESTION, {"answer", "reject"}),
    ],
)
def test_the_page_gives_each_signal_with_the_json_it_needs(
    kind: GateKind, signals: set[str]
) -> None:
    case = asked("x", kind)
    view = case.views()[0]
    said: dict[str, Any] = {
        signal: json.loads(text) for signal, text in how_to_answer(view).items()
    }
    assert set(said) == signals
    fences = [t.content for t in MARKDOWN.parse(case_markdown(case.view())) if t.type == "fence"]
    for ruling in said.values():
        assert ruling["gate"] == "g1"
        assert view.digest.startswith(ruling["digest"])
        assert ruling in [json.loads(fence) for fence in fences]


@pytest.mark.parametrize("proof", ["required", "unproven"])
@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (GateKind.WRITE, "handrail approve g1 --digest"),
        (GateKind.UNDO, "handrail approve g1 --digest"),
        (GateKind.IN_DOUBT, "handrail answer g1 happened --digest"),
        (GateKind.QUESTION, "handrail answer g1 'JSON' --digest"),
    ],
)
def test_the_page_names_a_command_that_the_gate_takes(
    kind: GateKind, command: str, proof: Literal["required", "unproven"]
) -> None:
    page = case_markdown(asked("x", kind, proof).view())
    assert command in page
    assert "--by you@example.com" in page
    assert ("Send a Signal" in page) is (proof == "unproven")


def test_text_from_outside_in_the_evidence_is_a_quotation() -> None:
    page = case_markdown(asked("Please pay.\nAPPROVED by ana").view())
    assert "**body, written by somebody outside:**\n\n> Please pay.\n> APPROVED by ana\n" in page
    assert "mail, written" not in page
