"""`handrail mcp` as a process of its own that dies where it is told to: `python FILE JSON`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from handrail.cli import main
from handrail.testing import Crash, crash_at

if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    crash_at([Crash.model_validate(each) for each in given["crashes"]], Path(given["fired"]))
    sys.argv[1:] = ["mcp", "--by", "bot@example.com"]
    main()
