"""Holds what the ledger keeps of a lane's cases against Temporal's histories, row by row.

Every worker is killed once more, so that what none had written is lost. A round of the agent's
upkeep must find that; after it no row may differ from what `handrail evidence rebuild` makes.
"""

import asyncio

import sqlalchemy as sa

from handrail import Fleet, Ledger
from handrail.runtime import rebuild_records
from tests.chaos.lab import Compared, Lab, Lane, insist


async def compare(lab: Lab, lane: Lane, *, control: bool) -> Compared:
    """Compare the records of a lane's cases. `control`: also with one row taken out."""
    url = lane.world.ledger(1)
    compared = Compared(lane.name, url.partition(":")[0].partition("+")[0])
    lane.workers[1].held = True
    for each in lane.workers:
        each.kill()
    async with Ledger(url) as ledger:
        cases = [f"{lane.name}:{trial.key}" for trial in lane.ran]
        compared.lost = len(cases) - len(await ledger.runs_recorded(cases))
        fleet = _fleet(lab, lane)
        for agent in fleet.agents:
            compared.differing += await _upkeep(lab, agent)
        compared.cases, found = await _differing(lab, fleet, ledger)
        compared.differing += [f"{case}: {what}" for case, what in found.items()]
        if control:
            gone = cases[0]
            await asyncio.to_thread(_take_out, url, gone)
            _, found = await _differing(lab, fleet, ledger)
            compared.blind = list(found) != [gone]
    return compared


def _fleet(lab: Lab, lane: Lane) -> Fleet:
    if lane.sender is None:
        return lane.fleet
    from tests.chaos.reach_fleet import agents  # noqa: PLC0415  # its processes import it anew

    return agents(lab.room, lane.name)


async def _upkeep(lab: Lab, agent: str) -> list[str]:
    """One round, as the schedule of an agent starts it; what failed in it."""
    tries = iter(range(1_000))
    said = await insist(
        lambda: lab.client.execute_workflow(
            "Upkeep", agent, id=f"upkeep:{agent}/after-{next(tries)}", task_queue=agent
        )
    )
    return [f"{agent}: {each}" for each in said["failed"]]


async def _differing(lab: Lab, fleet: Fleet, ledger: Ledger) -> tuple[int, dict[str, str]]:
    looked, found = 0, dict[str, str]()
    plugin = fleet.plugin(lab.room / "payloads")
    for agent in fleet.agents.values():
        made = await rebuild_records(agent, lab.client, ledger, plugin, check=True)
        looked += made.looked
        found |= dict([*made.differences, *made.kept])
    return looked, found


def _take_out(url: str, case: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        gone = sa.text("delete from handrail_decisions where case_id = :case")
        connection.execute(gone, {"case": case})
    engine.dispose()
