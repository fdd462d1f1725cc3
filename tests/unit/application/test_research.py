"""What is read for sure in a PDF, how a question is understood, and which answers never leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from activities.research_answer import composed, faults, needed, understood, words
from activities.research_extract import extracted, is_iban, text_of
from activities.research_facts import Answer, Cite, Record, Sentence, Wanted
from benchmarks.agents.research import counted, generated, planted, real
from guardrails.research import every_sentence_holds
from workers.fleets.research import fleet
from world.research import papers, score

AGENT = fleet.agent("research")
REAL = Path(__file__).parents[4] / "shared" / "data" / "invoice2data"


def test_of_generated_invoices_every_field_is_right_or_asked_and_what_is_easy_is_right() -> None:
    total = sum(counted(generated(3, 30)).values(), start=type(counted(generated(3, 0))["vat"])())
    assert total["wrong"] == 0
    assert total["right"] >= 0.8 * total.total()


@pytest.mark.skipif(not REAL.is_dir(), reason="invoice2data's PDFs are not here")
def test_of_real_invoices_no_field_is_wrong() -> None:
    counts = counted(real(REAL))
    assert sum(each["wrong"] for each in counts.values()) == 0
    assert sum(each["right"] for each in counts.values()) >= 25


def test_a_scan_an_american_date_and_two_totals_are_not_sure() -> None:
    of = {each.twist: each for each in papers.papers()}
    assert text_of(papers.pdf(of["scan"])).strip() == ""
    two = extracted(text_of(papers.pdf(of["two totals"])))["total"]
    assert (two.sure, len(two.maybe)) == (False, 2)
    american = extracted(text_of(papers.pdf(of["american date"])))["date"]
    assert f"{of['american date'].date:%Y-%m-%d}" in american.maybe
    assert american.sure == (len(american.maybe) == 1)


def test_orders_in_a_document_change_no_field_of_it() -> None:
    [paper] = [each for each in papers.papers() if each.twist == "order"][:1]
    data = papers.pdf(paper)
    assert papers.HOSTILE in text_of(data)
    found, truth = extracted(text_of(data)), papers.truth(data)
    assert {name: found[name].value for name in ("total", "iban")} == {
        "total": truth["total"],
        "iban": truth["iban"],
    }


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("What is the total of RE-1?", Wanted(field="total", how="value")),
        ("When is RE-1 due?", Wanted(field="due", how="value")),
        ("How much is it altogether of Adler?", Wanted(field="total", how="sum")),
        ("How many invoices are there from Adler?", Wanted(field="number", how="count")),
        ("Is the weather nice in Graz?", None),
    ],
)
def test_how_a_question_is_understood(question: str, wanted: Wanted | None) -> None:
    assert understood(question) == wanted


def record(number: str = "RE-1", total: str = "119.00") -> Record:
    text = f"Adler GmbH\nInvoice number: {number}\nInvoice date: 2026-11-02\nTotal {total} EUR"
    fields = extracted(text)
    return Record(document=f"{number.lower()}.pdf", fields=fields)


def test_each_sentence_of_an_answer_names_its_records() -> None:
    wanted = Wanted(field="total", how="sum")
    several = [record(), record("RE-2", "1.50")]
    [sentence] = composed(wanted, several)
    known = {each.document: each.fields for each in several}
    assert faults([sentence], known) == []
    said = words([sentence])
    assert said == (
        "The total of 2 invoices is 120.50 EUR. "
        "[re-1.pdf: total, currency; re-2.pdf: total, currency]"
    )
    assert score.cited(said)
    assert not score.cited("It is 120.50 EUR.")
    assert needed(wanted) == ("total", "currency", "number")


GOOD = Sentence(
    text="The total of RE-1 is 119.00 EUR.",
    how="value",
    cites=(
        Cite(document="re-1.pdf", field="number", value="RE-1"),
        Cite(document="re-1.pdf", field="total", value="119.00"),
    ),
)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"cites": ()}, "cites nothing"),
        ({"text": "The total of RE-1 is 911.00 EUR."}, "911.00 is in no record"),
        ({"text": "The total of RE-1 is 119.00 EUR, due 2026-12-01."}, "2026-12-01"),
        ({"cites": (Cite(document="re-1.pdf", field="total", value="9.00"),)}, "does not say"),
        ({"cites": (Cite(document="none.pdf", field="total", value="119.00"),)}, "does not say"),
        ({"how": "sum"}, ""),
    ],
)
def test_a_citation_that_does_not_hold_is_found(changed: dict[str, object], fault: str) -> None:
    known = {"re-1.pdf": record().fields}
    assert faults([GOOD], known) == []
    found = "; ".join(faults([GOOD.model_copy(update=changed)], known))
    assert (fault in found) if fault else found == ""


def test_the_door_looks_into_the_folder_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = papers.papers()[0]
    papers.write(tmp_path, [paper])
    monkeypatch.setenv("RESEARCH_FOLDER", str(tmp_path))
    fields = extracted(text_of((tmp_path / paper.file).read_bytes()))
    [said] = composed(
        Wanted(field="total", how="value"), [Record(document=paper.file, fields=fields)]
    )
    action = Answer(reference="Q", question="What is it?", sentences=(said,))
    assert every_sentence_holds.fn(action) is None
    (tmp_path / paper.file).unlink()
    assert "does not say" in str(every_sentence_holds.fn(action))


def test_planted_answers_that_do_not_hold_are_all_refused_and_good_ones_are_not() -> None:
    refused, lies, caught = planted(3, 20)
    assert (refused, caught) == (0, lies)
    assert lies > 40


def test_ibans_are_checked_and_the_fleet_has_no_fault_but_its_missing_password() -> None:
    assert is_iban("DE89370400440532013000")
    assert not is_iban("DE89370400440532013001")
    assert not [each for each in AGENT.faults() if "DESK_PASSWORD" not in str(each)]
