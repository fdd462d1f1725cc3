"""What tools answer as plain text: it is read as it is, or not at all, whatever others write."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from handrail import ConfigurationError
from handrail.integrations.connectors import MCP, LiveMCP, TextLines
from handrail.integrations.connectors.mcp import trusting

COUNTED = TextLines(r"- {id:\d+}: {title}", head="Found {count} tasks:")
TABLE = TextLines(
    r"| {id:\d+} | {title} | {note} |",
    head="| id | title | note |\n|---|---|---|",
    foot="{count} rows",
)
LATER = TextLines(r"{title} (#{id:\d+}) {note}", head="{count} tasks")
BLOCKS = TextLines("Commit: {id:[0-9a-f]+}\nMessage: {title}", head="{count} commits")
LISTED: list[dict[str, Any]] = [
    {"name": "list_tasks", "description": "", "inputSchema": {"type": "object"}}
]


def rendered(kind: TextLines, tasks: list[tuple[str, str, str]]) -> str:
    """What a careless server says: names as they are, whatever is in them."""
    n = len(tasks)
    if kind is COUNTED:
        return "\n".join([f"Found {n} tasks:", *(f"- {i}: {t}" for i, t, _ in tasks)])
    if kind is TABLE:
        rows = [f"| {i} | {t} | {note} |" for i, t, note in tasks]
        return "\n".join(["| id | title | note |", "|---|---|---|", *rows, "", f"{n} rows"])
    if kind is LATER:
        return "\n".join([f"{n} tasks", *(f"{t} (#{i}) {note}" for i, t, note in tasks)])
    parts = [f"Commit: {i}\nMessage: {t}\n" for i, t, _ in tasks]
    return "\n".join([f"{n} commits", *parts])


@pytest.mark.parametrize(
    ("lines", "text", "expected"),
    [
        (
            TextLines("[{kind:FILE|DIR}] {name}"),
            "[FILE] a b.txt\n[DIR] old\n",
            [{"kind": "FILE", "name": "a b.txt"}, {"kind": "DIR", "name": "old"}],
        ),
        (
            TextLines(r"{id:\d+},{name},{price}", head="id,name,price"),
            "id,name,price\r\n7,Tea,3.20\r\n",
            [{"id": "7", "name": "Tea", "price": "3.20"}],
        ),
        (
            TextLines("{name:[a-z_]+} — {words}"),
            "get_time — tells it — in any zone",
            [{"name": "get_time", "words": "tells it — in any zone"}],
        ),
        (COUNTED, "Found 0 tasks:", []),
        (
            BLOCKS,
            "1 commits\nCommit: af01\nMessage: First\n\n",
            [{"id": "af01", "title": "First"}],
        ),
    ],
)
def test_objects_are_read_out_of_lines(lines: TextLines, text: str, expected: object) -> None:
    assert lines(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Found 1 tasks:\n- 14: tea\n- 13: Taxes",
        "Found 2 tasks:\n- 14: tea\nsomething else",
        "- 14: tea",
        "",
        "Found 1 tasks:\n- 14: tea\u2028- 13: Taxes",
        f"Found 1 tasks:\n- 14: {'x' * 3_000}",
    ],
)
def test_a_text_that_is_not_all_of_its_form_stays_text_from_outside(text: str) -> None:
    assert trusting(text, ("id",), COUNTED) == {"untrusted": text}
    assert trusting({"result": text}, ("id",), COUNTED) == {"result": {"untrusted": text}}


def test_what_can_be_read_in_two_ways_is_not_read() -> None:
    with pytest.raises(ValueError, match="2 ways"):
        LATER("1 tasks\nRent (#13) x (#14) paid")


def test_a_function_that_breaks_on_a_text_leaves_it_text_from_outside() -> None:
    assert trusting("no number", ("id",), lambda text: [{"id": int(text)}]) == {
        "untrusted": "no number"
    }
    assert trusting("7", ("id",), lambda text: [{"id": text, "of": text}]) == [
        {"id": "7", "of": {"untrusted": "7"}}
    ]


PIECES = (
    *("\n", "\r\n", "\r", "\x0b", " ", "", ": ", "- ", "- 13: Rent", "13", "(#13) ", "Rent"),
    *("| ", "| 13 | Rent | x |", " |\n| 13 | Rent | ", "Rent (#13) x", "\nRent (#13) ", " (#"),
    *("Commit: 13", "\nCommit: 13\nMessage: Rent", "Message: ", "Found 2 tasks:", "2 rows"),
    *("\n2 rows", "3 tasks", "|---|---|---|", "\u2028- 13: Rent", "\t", "\x00", "tea", "x"),
)


@pytest.mark.parametrize("lines", [COUNTED, TABLE, LATER, BLOCKS])
def test_no_name_that_others_give_makes_up_an_object(lines: TextLines) -> None:
    """Of 1,000 listings with hostile names each is read as it is, or not at all."""
    draw, read_ones = random.Random(7), 0  # noqa: S311  # drawn again alike
    for _ in range(1_000):
        hostile = ["".join(draw.choices(PIECES, k=draw.randint(1, 5))) for _ in range(4)]
        tasks = [("14", hostile[0], hostile[1]), ("15", hostile[2], hostile[3])]
        tasks.insert(draw.randrange(3), ("16", "Taxes", "due"))
        text = rendered(lines, tasks)
        found = trusting(text, ("id",), lines)
        if found != {"untrusted": text}:
            read_ones += 1
            assert isinstance(found, list)
            assert [each["id"] for each in found if isinstance(each, dict)] == [
                number for number, _, _ in tasks
            ]
    assert read_ones > 5


def test_lines_in_which_others_may_make_up_objects_are_refused_where_they_are_declared() -> None:
    loose = TextLines(r"- {id:\d+}: {title}")
    desk = MCP(LISTED, "", "http://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="others fill in title, and a line break"):
        desk.read("list_tasks", trusted=("id",), reading=loose)
    with pytest.raises(ConfigurationError, match="others fill in title"):
        LiveMCP(
            "desk",
            "http://127.0.0.1:1",
            policy=Path("p.yaml"),
            trusted={"list_tasks": ("id",)},
            reading={"list_tasks": loose},
        )
    desk.read("list_tasks", trusted=("id", "title"), reading=loose)
    desk.read("list_tasks", trusted=("id",), reading=COUNTED)
    unbroken = TextLines(r"- {id:\d+}: {title}", unbroken=True)
    desk.read("list_tasks", trusted=("id",), reading=unbroken)


@pytest.mark.parametrize(
    ("trusted", "reading", "why"),
    [
        (("number",), COUNTED, "its lines have no number; they have: id, title"),
        (
            ("id",),
            TextLines(r"{id:\d+} {note:.+}", head="{count}"),
            "note has a form, and is not trusted",
        ),
        ((), COUNTED, "`reading` is for fields that are `trusted`"),
    ],
)
def test_a_reading_that_is_of_no_use_is_refused(
    trusted: tuple[str, ...], reading: TextLines, why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        MCP(LISTED, "", "").read("list_tasks", trusted=trusted, reading=reading)


@pytest.mark.parametrize(
    ("line", "head"), [("- x", ""), ("{id} {id}", ""), ("{id}", "Of {name}: {count}")]
)
def test_a_form_that_cannot_be_read_is_refused(line: str, head: str) -> None:
    with pytest.raises(ConfigurationError):
        TextLines(line, head=head)
