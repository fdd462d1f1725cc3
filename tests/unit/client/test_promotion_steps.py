"""How long a write has done as much alone as it does now: from the last step up."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handrail import Agent, Ledger, Receipt
from handrail.actions import Level
from handrail.client import Operator
from handrail.ledger import CaseRecord, CaseRow, DecisionRow, OrderRow
from tests.agents.coding import OWNER, coding
from tests.unit.ledger.intents import intent


async def days_of(ledger: Ledger, fleet_at: Path, now: datetime) -> list[str]:
    fleet = coding(fleet_at, {"proof": "unproven"}, autonomy="full", rollout="5%")
    text = (fleet_at / "coding.yaml").read_text("utf-8")
    sha = hashlib.sha256(text.encode()).hexdigest()
    await ledger.loaded("coding", 1, sha, "coding v1", text)
    somebody = Operator(None, ledger, by=OWNER, agents=fleet.agents, clock=lambda: now)
    (write,) = (await somebody.promotions("coding")).writes
    return [each for each in write.lacking if each.startswith("days")]


async def test_days_count_from_the_last_step_up(ledger: Ledger, tmp_path: Path) -> None:
    begun = datetime.now(UTC)
    for number in range(2):
        made = intent(f"coding:{number}/rule/1", agent="coding", step="rule", alone=True, share=1.0)
        await ledger.begin(made)
        await ledger.finish(Receipt(key=made.key, step="rule", digest=made.digest, at=begun))
    later = begun + timedelta(days=40)
    assert await days_of(ledger, tmp_path, later) == []
    up = OrderRow(
        "o", "level", "coding", OWNER, later - timedelta(days=3), "rule",
        level=Level.FULL, rollout=2_500,
    )  # fmt: skip
    await ledger.order(up)
    assert await days_of(ledger, tmp_path, later) == ["days: 0, 30 more needed"]


REVIEWS = "5%", {"random": "5%", "ramp": "100%"}


@pytest.mark.parametrize("level", ["full", "pilot"])
async def test_another_review_begins_only_the_share_of_wrong_ones_anew(
    ledger: Ledger, tmp_path: Path, level: str
) -> None:
    agents: Mapping[str, Agent] = {}
    part: dict[str, Any] = {"promote": {"days": 30, "shares": ["5%", "100%"]}, "autonomy": level}
    part |= {"rollout": "5%"} if level == "full" else {}
    for number, review in enumerate(REVIEWS, 1):
        top = {"proof": "unproven", "version": number}
        agents = coding(tmp_path, top, review=review, **part).agents
        text = (tmp_path / "coding.yaml").read_text("utf-8")
        sha = hashlib.sha256(text.encode()).hexdigest()
        await ledger.loaded("coding", number, sha, f"coding v{number}", text)
        key = f"coding:{number}/rule/1"
        await ledger.begin(intent(key, agent="coding", step="rule", alone=True, share=0.05))
        await ledger.finish(Receipt(key=key, step="rule", digest="d" * 64, at=datetime.now(UTC)))
    somebody = Operator(None, ledger, by=OWNER, agents=agents)
    (write,) = (await somebody.promotions("coding")).writes
    assert write.settled == 1, "of what was drawn by another chance before nothing counts"
    assert write.restarted == ("another policy: coding v2" if level == "full" else "")
    assert (write.since is None) is (level == "pilot")


async def test_another_model_takes_a_step_up_back_and_the_first_one_does_not(
    ledger: Ledger, tmp_path: Path
) -> None:
    fleet = coding(tmp_path, {"proof": "unproven"}, autonomy="full")
    text = (tmp_path / "coding.yaml").read_text("utf-8")
    sha = hashlib.sha256(text.encode()).hexdigest()
    await ledger.loaded("coding", 1, sha, "coding v1", text)
    somebody, up = Operator(None, ledger, by=OWNER, agents=fleet.agents), datetime.now(UTC)
    await ledger.order(OrderRow("o", "level", "coding", OWNER, up, "rule", level=Level.FULL))
    for number, (model, why) in enumerate(
        [("m-1", None), ("m-1", None), ("m-2", "drift: another model decides: m-2")]
    ):
        case, at = f"coding:{number}", up + timedelta(minutes=number)
        made = DecisionRow(case, 1, "coding", "code", at, "i", "Rule", None, 0.9, model)
        await ledger.record_cases([CaseRecord(_row(case, at), (made,), (), ())])
        (write,) = await somebody._writes("coding")  # pyright: ignore[reportPrivateUsage]
        assert await somebody._worse(write) == why  # pyright: ignore[reportPrivateUsage]
    later = up + timedelta(hours=1)
    await ledger.order(OrderRow("p", "level", "coding", OWNER, later, "rule", level=Level.FULL))
    (write,) = await somebody._writes("coding")  # pyright: ignore[reportPrivateUsage]
    assert await somebody._worse(write) is None, "it was so before that"  # pyright: ignore[reportPrivateUsage]


def _row(case: str, at: datetime) -> CaseRow:
    return CaseRow(
        case=case,
        run_id="r",
        agent="coding",
        build="1",
        policy="coding v1",
        trigger="event",
        event_digest="d",
        requester=None,
        parent=None,
        begun=at,
        ended=at,
        state="done",
    )
