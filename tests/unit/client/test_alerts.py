"""Somebody says that they have seen an alert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from handrail import Ledger
from handrail.client import Operator
from handrail.exceptions import InvalidRequest, NotFound
from handrail.ledger import AlertRow

NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def test_an_alert_is_acknowledged_once_and_lasts_on(ledger: Ledger) -> None:
    for id_ in ("aa1", "aa2", "bb1"):
        await ledger.begin_alert(AlertRow(id_, "a", "waiting", NOW, "3h", "over 2h", ("a:1",)))
    ana = Operator(None, ledger, by="ana@example.com", clock=lambda: NOW + timedelta(hours=1))
    bo = Operator(None, ledger, by="bo@example.com")
    found = await ana.acknowledge_alert("bb")
    assert (found.acknowledged_by, found.ended) == ("ana@example.com", None)
    # Who was first is who is at it.
    assert await bo.acknowledge_alert("bb1") == found
    assert [each.id for each in (await ana.alerts("a")).alerts] == ["aa1", "aa2", "bb1"]
    with pytest.raises(InvalidRequest, match="2 alerts begin with aa"):
        await ana.acknowledge_alert("aa")
    await ledger.change_alert("aa1", ended=NOW)
    for gone in ("aa1", "cc", ""):
        with pytest.raises(NotFound, match="no alert that lasts"):
            await ana.acknowledge_alert(gone)
    with pytest.raises(InvalidRequest, match="say who you are"):
        await Operator(None, ledger).acknowledge_alert("bb1")
