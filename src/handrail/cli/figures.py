"""The figures of an agent's writes, as `handrail autonomy` shows them beside its levels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from handrail.cli import words
from handrail.cli.context import ledger_if_there, settings
from handrail.client.cases import iso
from handrail.evidence import TrackRecord, measure_track_record
from handrail.exceptions import LedgerUnavailable
from handrail.oversight import Keyring

if TYPE_CHECKING:
    from handrail.evidence import ErrorShare
    from handrail.ledger import Ledger


async def known(agent: str, steps: Iterable[str]) -> list[TrackRecord]:
    """The figures of each write that was ever made; none where the ledger cannot be read."""
    try:
        async with ledger_if_there(settings()) as opened:
            return [] if opened is None else await _read(opened, agent, steps)
    except LedgerUnavailable:
        return []


async def _read(opened: Ledger, agent: str, steps: Iterable[str]) -> list[TrackRecord]:
    keys = Keyring(settings().keyring).current()
    found = [await measure_track_record(opened, agent, step, keys=keys) for step in steps]
    return [each for each in found if each.written or each.planted or each.incidents]


def document(found: TrackRecord) -> dict[str, Any]:
    """Figures for programs; shares are 0..1."""
    return asdict(found) | {"until": None if found.until is None else iso(found.until)}


def lines(found: TrackRecord) -> list[Text]:
    """Figures for people."""
    made = f"{found.written} written, {found.alone} alone, {found.rolled_back} rolled back"
    said = [words.label(words.plain(found.step or found.agent), made)]
    if found.drawn:
        said.append(words.label("looked at", _looked(found)))
    if found.wrong is not None and found.faulty is not None:
        settled = f" of {found.settled} that ran alone"
        said.append(words.label("wrong", _share(found.wrong) + settled))
        said.append(words.label("", f"{_share(found.faulty)} with those that did no harm"))
    if found.incidents:
        said.append(words.label("incidents", f"{found.incidents}, {found.open_incidents} open"))
    if found.planted:
        said.append(words.label("planted", f"{found.caught} of {found.planted} caught"))
    return said


def _looked(found: TrackRecord) -> str:
    counts = f"{found.right} right, {found.harmless} harmless, {found.found_wrong} wrong"
    waits = f"; {found.waiting} wait" if found.waiting else ""
    late = f", {found.overdue} too long: they count as wrong above" if found.overdue else ""
    bad = f"; {found.unproven} do not prove themselves" if found.unproven else ""
    return f"{found.reviewed} of {found.drawn} drawn: {counts}{waits}{late}{bad}"


def _share(share: ErrorShare) -> str:
    return f"{_percent(share.guess)} % (95 %: {_percent(share.low)} to {_percent(share.high)} %)"


def _percent(share: float) -> str:
    return f"{share * 100:.1f}".removesuffix(".0")
