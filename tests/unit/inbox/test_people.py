"""The people file: what it says, how it follows its file, what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail.inbox.channels.people import People, PeopleError, PeopleFile, Person, parse

GOOD = """\
# who
Ana@Example.com:
  name: Ana
  slack: U012AB3CD
  channels: [slack, mail]
  also: ["ntfy://ntfy.example.com/ana"]
bo@example.com:
"""


def test_people_by_address_and_by_slack_in_any_spelling() -> None:
    people = parse(GOOD, "people.yaml")
    assert people.of(" ANA@example.com").ways() == ("slack", "mail", "also 1")
    assert people.of("bo@example.com").ways() == ("mail",)
    assert people.of("nobody@example.com") == Person()
    assert people.by_slack("U012AB3CD") == "ana@example.com"
    assert people.by_slack("U999") is None


@pytest.mark.parametrize("text", ["", "\n", "# nobody yet\n"])
def test_an_empty_file_lists_nobody(text: str) -> None:
    assert parse(text, "people.yaml").by_slack("U012AB3CD") is None


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("- ana@example.com\n", 1, "this is no list of people"),
        ("ana: {}\n", 1, "ana is not an address"),
        ("a@b.c:\n  slak: U012AB3CD\n", 2, "slak"),
        ("a@b.c:\n  slack: ana\n", 2, "copy the member id"),
        ("a@b.c:\n  channels: [sms]\n", 2, "write mail or slack"),
        ("a@b.c:\n  channels: [slack]\n", 2, "has no Slack id"),
        ("a@b.c: {slack: U012}\nd@e.f:\n  slack: U012\n", 3, "belongs to several people"),
        ("a@b.c: {}\nA@b.c: {}\n", 2, "listed more than once"),
        ("a@b.c: {}\na@b.c: {}\n", 2, "stands here twice"),
        ("a@b.c:\n  also: [nowhere]\n", 2, "also"),
        ("a@b.c: [\n", 2, "this is not YAML"),
        ("a@b.c: &x {}\n", 1, "anchors"),
    ],
)
def test_each_fault_is_said_with_its_line_and_a_fix(text: str, line: int, said: str) -> None:
    with pytest.raises(PeopleError) as refused:
        parse(text, "people.yaml")
    faults = [fault for fault in refused.value.faults if said in fault]
    assert any(fault.startswith(f"people.yaml:{line}: ") for fault in faults)
    assert all("\n  fix: " in fault for fault in faults)


def test_the_address_of_a_channel_is_in_no_fault() -> None:
    text = 'a@b.c:\n  also: ["tgram//secret-token"]\n'
    with pytest.raises(PeopleError) as refused:
        parse(text, "people.yaml")
    assert "secret-token" not in str(refused.value)


def test_it_follows_its_file(tmp_path: Path) -> None:
    file = PeopleFile(tmp_path / "people.yaml")
    assert isinstance(file.current(), People)
    file.path.write_text("a@b.c: {slack: U012}\n", encoding="utf-8")
    assert file.current().by_slack("U012") == "a@b.c"
    file.path.write_text("d@e.f: {slack: U012}\n", encoding="utf-8")
    assert file.current().by_slack("U012") == "d@e.f"
    file.path.write_text("d@e.f: {slak: U012}\n", encoding="utf-8")
    with pytest.raises(PeopleError, match="slak"):
        file.current()
    file.path.unlink()
    assert file.current().by_slack("U012") is None


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(PeopleError, match="cannot be read"):
        PeopleFile(tmp_path).current()


def test_the_example_of_the_documentation_is_sound() -> None:
    page = Path(__file__).parents[3] / "docs" / "messages.md"
    [_, example, *_] = page.read_text(encoding="utf-8").split("```")
    people = parse(example.removeprefix("text\n"), "people.yaml")
    assert people.of("ana@example.com").ways() == ("slack", "mail", "also 1")
    assert people.of("bo@example.com").mail == "bo.private@example.com"


TEN = "".join(f"p{n}@b.c: {{slack: U01{n}, channels: [slack, mail]}}\n" for n in range(10))


@pytest.mark.parametrize(
    ("poison", "left"),
    [
        ("bad@b.c: {slak: U0199}\n", 10),
        ("bad@b.c: {slack: ana}\n", 10),
        ("bad: {slack: U0199}\n", 10),
        ("bad@b.c: 7\n", 10),
        ("bad@b.c: {channels: [slack]}\n", 10),
        ("bad@b.c: {slack: U013}\n", 9),  # nobody knows whose it is
        ("P3@b.c: {}\n", 9),
        ("p3@b.c: {}\n", 0),
        ("bad@b.c: [\n", 0),
    ],
)
def test_one_faulty_entry_takes_no_other_person_with_it(
    tmp_path: Path, poison: str, left: int
) -> None:
    file = PeopleFile(tmp_path / "people.yaml")
    file.path.write_text(TEN + poison, encoding="utf-8")
    with pytest.raises(PeopleError):
        file.current()
    people, fault = file.sound()
    known = [people.by_slack(f"U01{n}") for n in range(10)]
    assert len([each for each in known if each]) == left
    assert people.of("bad@b.c").ways() == ("mail",)
    assert "\n  fix: " in fault


def test_a_people_file_may_bear_a_byte_order_mark(tmp_path: Path) -> None:
    file = PeopleFile(tmp_path / "people.yaml")
    for encoding in ("utf-8-sig", "utf-16"):
        file.path.write_text("jürgen@b.c: {slack: U012}\n", encoding=encoding)
        assert file.current().by_slack("U012") == "jürgen@b.c"
