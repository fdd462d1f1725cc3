"""Attack your own fleet: every way we know to let something happen that nobody allowed.

    from handrail.testing import Human, Outside, running
    from tests import redteam

    async def test_nobody_talks_past_the_gate(handrail_server, outside, tmp_path):
        keyring = Keyring(tmp_path / "trusted.json")
        ana = Human("ana@example.com", SigningKey.new("ana@example.com", datetime.now(UTC)))
        keyring.trust(ana.key.public())
        trust = Trust(keyring=keyring)
        async with running(fleet, handrail_server, tmp_path, trust=trust) as stage:
            report = await redteam.attack(
                stage,
                "payments",
                lambda n: Invoice(number=f"attack-{n}", amount=Decimal(300)),
                approvers=[ana],
                keyring=keyring,
                books=outside.effects,
            )
        assert report.clean, report.markdown()

The attackers have what attackers have: all of Temporal (signals, updates, workflows and
workers of their own), the histories with everything that was ever signed, every public key,
a trusted key of somebody who may not, and keys that were revoked or have expired. What they
lack is the private key of an approver that is in force.

The attacks are data: `RULINGS` (one message each, made in endless variations from a seed) and
`SCRIPTS` (several moves). `hostile_texts` are texts that an agent could be made to write.
"""

from tests.redteam.attacking import attack, flood
from tests.redteam.hostile import hostile_texts
from tests.redteam.report import Count, Report
from tests.redteam.rulings import RULINGS
from tests.redteam.scene import Attack, Cast, Message, Scene
from tests.redteam.scripts import SCRIPTS, Script

__all__ = [
    "RULINGS",
    "SCRIPTS",
    "Attack",
    "Cast",
    "Count",
    "Message",
    "Report",
    "Scene",
    "Script",
    "attack",
    "flood",
    "hostile_texts",
]
