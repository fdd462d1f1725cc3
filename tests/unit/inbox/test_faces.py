"""Units, times, and what changes, said in the same way wherever people are asked."""

from __future__ import annotations

import re
from typing import Any

from handrail.inbox.channels.content import note
from handrail.inbox.channels.slack import blocks
from handrail.inbox.web.site import TEMPLATES
from handrail.oversight import GateView, differing_lines, gate_lines, was_called
from tests.unit.inbox.messages_views import telling, view
from tests.unit.inbox.test_mail import html, mail, part

ASKED = view(
    action={"order": "A-1", "amount": "412.50", "due": "2026-12-05T08:00:00+01:00"},
    evidence={
        "amount": "380.00",
        "at": "2026-12-01T10:00:00.250000Z",
        "van": {"km": 31.5, "free": True, "stops": ["Wien", "Graz"]},
        "said": {"untrusted": "2026-12-24T00:00:00Z, please"},
    },
    units={"action.amount": "EUR", "evidence.amount": "EUR", "evidence.van.km": "km"},
)
AMENDED = view(
    action={"order": "A-1", "amount": "300.00"},
    before={"order": "A-1", "amount": "412.50", "note": "x"},
    evidence={"amount": "380.00"},
    units={"action.amount": "EUR"},
)


def said(seen: GateView) -> str:
    return part(mail(telling(seen)), "plain").replace("\r\n", "\n")


def slack(seen: GateView) -> list[str]:
    told = telling(seen, channel="slack")
    found = blocks(note(told), seen, "https://inbox.example.com", key=told.key)
    return [each["text"] for block in found for each in block.get("fields", [])]


def page(seen: GateView, **more: Any) -> str:
    shown = TEMPLATES.from_string(
        '{% from "_fields.html" import action, evidence %}'
        "{{ action(lines, was) }}{{ evidence(found, units) }}"
    ).render(lines=gate_lines(seen), was=was_called(seen), found=seen.evidence, units=seen.units)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", shown))


def test_where_people_did_otherwise_both_have_their_units() -> None:
    units = {"action.amount": "CHF", "action.parcel.kg": "kg"}
    mine = {"amount": "9", "currency": "CHF", "parcel": {"kg": 2, "to": "Graz"}}
    theirs = {"amount": "8", "currency": "EUR", "parcel": {"kg": 3, "to": "Graz"}}

    def pairs(*given: Any) -> list[tuple[str, str, str]]:
        return [(e.name, e.said, e.said_before) for e in differing_lines(*given)]

    assert pairs(mine, theirs, units, ("amount", "parcel")) == [
        ("amount", "9 CHF", "8 EUR"),
        ("parcel / kg", "2 kg", "3 kg"),
        ("parcel / to", "Graz", "Graz"),
    ]
    # Of a case in which nothing was proposed: it names its own currency, if any.
    assert ("amount", "none", "8 EUR") in [(n, "none", b) for n, _, b in pairs(None, theirs, units)]
    only = pairs(None, {"amount": "8"}, {"action.amount": "EUR"})
    assert [before for _, _, before in only] == ["8 EUR"]
    assert pairs(mine, None, units)[0][:2] == ("amount", "9 CHF")


def test_a_mail_says_units_and_times_and_what_is_now_beside_what_will_be() -> None:
    message = mail(telling(ASKED))
    text = said(ASKED)
    for line in (
        "  amount, now: 380.00 EUR\n  amount, then: 412.50 EUR\n",
        "  amount: 412.50 EUR\n",
        "  due: 2026-12-05 07:00:00 UTC\n",
        "  at: 2026-12-01 10:00:00.250000 UTC\n",
        '  van / km: 31.5 km\n  van / free: yes\n  van / stops: ["Wien", "Graz"]\n',
        "  said, written by somebody outside: 2026-12-24T00:00:00Z, please\n",
    ):
        assert line in text
    assert "nowthenamount380.00 EUR412.50 EUR" in html(message).text.replace("\n", "")


def test_slack_has_them_in_two_columns() -> None:
    fields = slack(ASKED)
    at = fields.index("amount, now\n380.00 EUR")
    assert fields[at + 1] == "amount, then\n412.50 EUR"
    assert "Answer by\n2026-01-30 17:00 UTC" in fields
    assert {"amount\n412.50 EUR", "due\n2026-12-05 07:00:00 UTC", "van / km\n31.5 km"} <= {*fields}


def test_the_page_has_the_same_words() -> None:
    shown = page(ASKED)
    assert " now then " in shown
    assert re.search(r" amount +380.00 EUR +412.50 EUR ", shown)
    assert "2026-12-05 07:00:00 UTC" in shown
    assert "31.5 km" in shown


def test_what_somebody_amended_stands_beside_what_was_proposed() -> None:
    text = said(AMENDED)
    assert "  amount, proposed: 412.50 EUR\n  amount, then: 300.00 EUR\n" in text
    assert "  note, proposed: x\n  note, then: none\n" in text
    assert "  note: " not in text
    assert "proposed then" in page(AMENDED)
    assert "amount, proposed\n412.50 EUR" in slack(AMENDED)
    assert not any(each.startswith("note\n") for each in slack(AMENDED))


def test_what_is_not_said_to_be_in_a_unit_has_none() -> None:
    units = {"action.amount": "CHF"}
    was = view(action={"amount": "9", "currency": "CHF"}, units=units)
    amended = was.model_copy(update={"before": {"amount": "8", "currency": "EUR"}})
    assert "  amount, proposed: 8 EUR\n  amount, then: 9 CHF\n" in said(amended)
    unstated = was.model_copy(update={"evidence": {"amount": "8"}})
    assert "  amount, now: 8\n  amount, then: 9 CHF\n" in said(unstated)


def test_nothing_changes_where_nothing_is_known() -> None:
    assert "What changes" not in said(view())
    assert not any(", now" in each for each in slack(view()))
