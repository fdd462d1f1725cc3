"""A new project as somebody changes it who does not know Temporal: each mistake is said."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from handrail.cli.new import new

STEPS, FLOW = "activities/refunds.py", "workflows/refunds.py"
POLICY = "guardrails/refunds.yaml"
POSTED = 'paid = await shop.post("/refunds", json=body, headers=headers)'
PAID = 'return str(paid.raise_for_status().json()["id"])'
DELETED = '(await shop.delete(f"/refunds/{effect.undoes.key}")).raise_for_status()'

EDITS = [
    (POLICY, "1000 EUR per day", "1000 USD per day"),
    (STEPS, "import os", "import asyncio\nimport os\nimport time\nimport uuid"),
    (STEPS, "found = await shop.get", "_pause()\n        found = shop.get"),
    (STEPS, "def _shop()", "def _pause() -> None:\n    time.sleep(1)\n\n\ndef _shop()"),
    (STEPS, "    facts = Facts(", "    asyncio.sleep(1)\n    facts = Facts("),
    (STEPS, DELETED, "await shop.delete('/refunds')"),
    (
        STEPS,
        POSTED,
        f"try:\n            {POSTED}\n        except httpx2.HTTPError:\n            pass",
    ),
    (STEPS, PAID, "return 'ok'"),
    (STEPS, '"Idempotency-Key": effect.key', '"Key": str(uuid.uuid4()), "Of": effect.key'),
    (STEPS, '    """Give the money of an order back."""\n', ""),
    (STEPS, "    @property\n    def summary", "    def summary"),
    (STEPS, "@read", "@read(secrets=['SHOP_TOKEN'])"),
    (STEPS, "undo=take_back", "secrets=['SHOP_TOKEN'], undo=take_back"),
    (FLOW, "from handrail", "import os\nimport random\nfrom pathlib import Path\n\nfrom handrail"),
    (
        FLOW,
        "@workflow.defn",
        (
            "SEEN: dict[str, int] = {}\n\n\ndef roll() -> float:\n    return random.random()\n\n\n"
            "@workflow.defn"
        ),
    ),
    (
        FLOW,
        "        order = await",
        (
            "        complaint.order = 'B'\n        SEEN['a'] = 1\n        RefundsAgent.seen = 2\n"
            "        os.listdir()\n        Path('x').read_text()\n        hash('x')\n"
            "        workflow.sleep(roll())\n        order = await"
        ),
    ),
    (
        FLOW,
        "paid = await self.write(refund, decision)",
        (
            "try:\n            paid = await self.write(refund, decision)\n"
            "        except Exception:\n            paid = ''\n"
            "        await workflow.execute_activity('refund', decision)"
        ),
    ),
]

FAULTS = [
    "find_order, refund: the secret SHOP_TOKEN is missing",
    "refund is limited to total: at most 1000 USD per day, and Refund.total is in EUR",
    "`shop.get(...)` is never awaited",
    "`asyncio.sleep(...)` is never awaited",
    "`workflow.sleep(...)` is never awaited",
    "`complaint.order` cannot be set, and fails the case; fix: `complaint.model_copy(",
    "`SEEN['a']` is lost at each replay; fix: keep it on `self`",
    "`RefundsAgent.seen` is lost at each replay",
    "`os.listdir` is closed to workflows; fix: do it in a step",
    "`Path('x').read_text` is closed to workflows",
    "`random.random` answers otherwise at each replay; fix: workflow.random()",
    "`hash` answers otherwise at each replay",
    "refund is run past the case, its records and its policy",
]

NOTES = [
    "`time.sleep` makes every other step of its worker wait; fix: plain `def find_order`",
    "nobody looks whether shop.delete of take_back was taken: a 500 counts as done",
    "nobody looks whether shop.post of refund was taken: a 500 counts as done",
    "what fails here has refund counted as done; fix: let the error pass",
    "`uuid.uuid4` gives another value at each try of refund; fix: `effect.key`",
    "Refund has no docstring, which is what approvers are asked",
    "Refund.summary is shown to nobody; fix: put @property on it",
    "`except Exception` takes a write that was refused, rejected or is in doubt for done",
]


def test_each_mistake_of_somebody_new_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asyncio.run(new("refunds"))
    project = tmp_path / "refunds"
    for name, old, edited in EDITS:
        text = (project / name).read_text()
        assert old in text, old
        (project / name).write_text(text.replace(old, edited, 1))
    faults, notes = _checked(project)
    for expected, found in ((FAULTS, faults), (NOTES, notes)):
        for said in expected:
            assert [said in each for each in found].count(True) == 1, (said, found)
        assert len(found) == len(expected), found


def _checked(project: Path) -> tuple[list[str], list[str]]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HANDRAIL_", "COVERAGE"))}
    command = [sys.executable, "-m", "handrail", "check", "--json"]
    done = subprocess.run(
        command, check=False, cwd=project, env=clean, capture_output=True, text=True
    )
    (agent,) = json.loads(done.stdout)["agents"]
    return agent["faults"], agent["notes"]
