"""What people do ends the same on a page and in Slack as it does by the client."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from handrail.client import gates
from handrail.inbox import mail_link, page_link
from handrail.inbox.web.site import PER_MINUTE
from handrail.oversight import GateView
from handrail.testing import eventually
from tests.agents.refunds_steps import Complaint
from tests.agents.situations import (
    ALLOWED,
    ANA,
    BO,
    CY,
    EVE,
    EXPIRED,
    KEYLESS,
    POLICY,
    REVOKED,
    RULINGS,
    SITUATIONS,
    Situation,
)
from tests.integration.inbox.conftest import SECRET, Inbox, Run, token_of
from tests.integration.inbox.messages_tools import Buttons, buttons, people
from tests.integration.inbox.slack_tools import SlackServer, slack_server
from tests.integration.inbox.test_inbox_rulings import filled

SIGNED_HERE = [
    "no key",
    "an expired key",
    "a revoked key",
    "allowed without a key",
]
"""The inbox signs for whoever has signed in: it asks nobody for a key of their own."""

WHOLE_DIGEST = ("too little of it",)
"""Forms and buttons hold the whole digest of what they showed."""

NOT_ON_A_PAGE = (*WHOLE_DIGEST, "no such field", "no such field is bound")
"""A form has the fields of the action, and no others."""

ON_A_PAGE: dict[str, str] = dict.fromkeys(SIGNED_HERE, "") | {
    # There it is approved too, and only what the case took is allowed in advance.
    "allowed by the next role": "holds none of the roles asked",
    # Who may not see the question is told nothing of it.
    "allowed by no role": "There is no such question for you",
}
IN_SLACK: dict[str, str] = dict.fromkeys(SIGNED_HERE, "")
SLACK_IDS = {
    who: f"U01{number}"
    for number, who in enumerate((ANA, BO, CY, EVE, EXPIRED, REVOKED, KEYLESS), 100)
}


def wrong(told: Mapping[str, str], otherwise: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Where they were told something else than the client tells: what, and what it tells."""
    expected = {each.name: otherwise.get(each.name, each.says) for each in SITUATIONS}
    return {
        name: (said, expected[name])
        for name, said in told.items()
        if expected[name].lower() not in said.lower() or bool(said) != bool(expected[name])
    }


async def asked(inbox: Inbox, number: int, each: Situation) -> GateView:
    event = Complaint(number=f"R-{number}")
    case = await inbox.stage.start("refunds", event, requested_by=each.requester)
    return await case.gate()


# On a page


async def on_page(inbox: Inbox, gate: GateView, each: Situation) -> str:
    """What the page tells them; empty where it is done."""
    url = page_link("", gate.case, gate.gate)
    if each.via == "mail":
        url = mail_link(SECRET, "", each.who, gate.case, gate.gate)
    async with inbox.visitor(each.who) as visitor:
        holder = token_of(await visitor.get("/me"))
        if each.via == "mail":
            holder = token_of(await visitor.get(url))
        elif each.act == "amend":
            await visitor.get(url)
        token = inbox.site.sessions.token(
            str(inbox.site.seals.open("form", holder, datetime.now(UTC))["holder"]),
            datetime.now(UTC),
            case=gate.case,
            gate=gate.gate,
            digest=each.fields.get("digest", gate.digest),
        )
        sent = form(each) | (filled(visitor.page) if each.act == "amend" else {})
        answer = await visitor.http.post(url, data=sent | {"token": token}, follow_redirects=True)
    if 'class="done"' in answer.text:
        return ""
    found = re.findall(r'role="alert">(.*?)</(?:div|p)>|class="error"[^>]*>(.*?)</p>', answer.text)
    said = " ".join(each for pair in found for each in pair)
    return unescape(re.sub(r"<[^>]*>", "", said)) or answer.text


def form(each: Situation) -> dict[str, Any]:
    """What a browser sends."""
    given = each.fields
    match each.act:
        case "allow":
            bound = {f"bound/{name}": "up to" for name in given["up_to"]}
            most = {f"most/{name}": value for name, value in given["up_to"].items()}
            times = {"hours": given["hours"], "uses": given["uses"]}
            return {"verb": "standing"} | bound | most | times
        case "amend":
            return {"verb": "review"}
        case "ask" | "delegate" as verb:
            to, why = given.get("to", ""), given.get("question", "")
            return {"verb": verb, f"{verb}-to": to, f"{verb}-why": why}
        case verb:
            return {"verb": verb, "why": given.get("why", ""), "answer": given.get("answer", "")}


async def test_a_page_answers_as_the_client_does(
    run_inbox: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PER_MINUTE, "sign-in", 1_000)
    told: dict[str, str] = {}
    real = gates.views_of
    chosen = [each for each in (*RULINGS, *ALLOWED) if each.name not in NOT_ON_A_PAGE]
    async with run_inbox(POLICY, inbox_domains="example.com") as inbox:
        # All are asked first: what one of them allows in advance would be asked no more.
        waiting = [await asked(inbox, number, each) for number, each in enumerate(chosen)]
        for gate, each in zip(waiting, chosen, strict=True):
            if each.before is not None:
                assert not await on_page(inbox, gate, each.before)

            def shown(
                case: str, given: Any, changes: Mapping[str, Any] = each.shows
            ) -> list[GateView]:
                return [view.model_copy(update=dict(changes)) for view in real(case, given)]

            monkeypatch.setattr(gates, "views_of", shown)
            told[each.name] = await on_page(inbox, gate, each)
            monkeypatch.setattr(gates, "views_of", real)
    assert wrong(told, ON_A_PAGE) == {}


# In Slack


async def in_slack(slack: SlackServer, press: Buttons, gate: GateView, each: Situation) -> str:
    """What only they are told in Slack; empty where it is done."""
    user, before = SLACK_IDS[each.who], len(slack.calls)
    digest = str(each.fields.get("digest", gate.digest)).ljust(64, "0")
    place = {"case": gate.case, "gate": gate.gate, "digest": digest}
    value = json.dumps(place)
    shown: Any = {
        "ts": "1.2",
        "text": "",
        "blocks": [{"type": "actions", "elements": [{"action_id": "approve", "value": value}]}],
    }
    # It lies there: else what is changed is said below it too, in a second call.
    slack.messages["D1", shown["ts"]] = {"thread_ts": None, **shown}
    payload = press.press(user, shown, "D1", "approve")
    if each.act == "reject":
        metadata = json.dumps(place | {"room": "D1", "ts": "1.2"})
        reason = {"block_id": "why", "element": {"type": "plain_text_input", "action_id": "why"}}
        view = {"callback_id": "reject", "private_metadata": metadata, "blocks": [reason]}
        payload = press.submit(user, view, each.fields.get("why", ""))
    assert await press.post(payload) == 200

    async def answered() -> Any:
        return slack.calls[before:]

    (first, *_) = await eventually(answered)
    return first.form["text"] if first.method == "chat.postEphemeral" else ""


async def test_slack_answers_as_the_client_does(run_inbox: Run, tmp_path: Path) -> None:
    names = {who.partition("@")[0]: {"slack": user} for who, user in SLACK_IDS.items()}
    people(tmp_path, **names)
    told: dict[str, str] = {}
    acts = [each for each in RULINGS if each.act in {"approve", "reject"}]
    chosen = [each for each in acts if each.name not in WHOLE_DIGEST]
    async with run_inbox(POLICY) as inbox, slack_server() as slack:
        given = inbox.site.settings.model_copy(update={"people": tmp_path / "people.yaml"})
        async with buttons(inbox.stage, given, inbox.site.key, slack) as press:
            for number, each in enumerate(chosen):
                gate = await asked(inbox, number, each)
                if each.before is not None:
                    assert not await in_slack(slack, press, gate, each.before)
                told[each.name] = await in_slack(slack, press, gate, each)
    assert wrong(told, IN_SLACK) == {}
