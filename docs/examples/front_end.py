"""Lists what waits, shows the first of it, and rules on it with a proof, over HTTP alone.

HANDRAIL_TOKEN=... python docs/examples/front_end.py http://localhost:8480 KEYFILE
"""

import json
import os
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from handrail.actions import Ruling
from handrail.oversight import SigningKey, sign_ruling


def call(url: str, body: object = None) -> Any:
    """Ask the API, and read its JSON."""
    headers = {"authorization": f"Bearer {os.environ['HANDRAIL_TOKEN']}"}
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, headers)  # noqa: S310  # the inbox's own address
    with urllib.request.urlopen(asked) as answer:  # noqa: S310
        return json.load(answer)


def main(base: str, key_file: str) -> None:
    """Approve what expires first, signed by a key of one's own."""
    api = f"{base}/api/v1"
    found = call(f"{api}/gates?risk=reversible&sort=deadline&limit=1")
    print(f"{found['total']} wait", found["counts"]["agent"])
    seen = found["gates"][0]
    page = f"{api}/cases/{quote(seen['case'], safe='')}/gates/{seen['gate']}"
    gate = call(page)["gate"]
    print(gate["summary"] or gate["title"], gate["action"])
    key = SigningKey.load(Path(key_file))
    said = Ruling(gate=gate["gate"], digest=gate["digest"], by=key.owner, why="I have seen it")
    signed = sign_ruling(said, "approve", gate["case"], key, datetime.now(UTC))
    sent = {"verb": "approve", "digest": gate["digest"], "why": said.why, "proof": signed.proof}
    ruled = call(f"{page}/rulings", sent)
    print("accepted" if ruled["accepted"] else ruled["note"], ruled["record"]["proven"])


if __name__ == "__main__":
    main(*sys.argv[1:])
