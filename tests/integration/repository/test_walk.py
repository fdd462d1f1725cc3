"""How far a reader follows one plain write: through so many modules, in so many rooms, no more.

`python -m benchmarks.walks` lists the modules of this journey, and those of two longer ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.walks import plain_write, tracing
from handrail.testing import Outside
from handrail.testing.fixtures import RunFleet

pytestmark = pytest.mark.integration

# The goal is 40 modules in 7 rooms. Lower these when it comes nearer. They were 51 before attempts
# were doubted, steps ran on a loop apart and models decided, and have risen for these three; then
# a record was kept of every case, of which one or two come within the walk or after it; then the
# one writer, what is to be compared again, the texts that a case has read, and what catches the
# errors of an agent's own classes; then two that were parted so that commands import no more
# than they use; then Temporal's sandbox, which was a part of the interceptors' file. They fell
# by five when the door asked the policy that its worker had judged, and did not judge it once more;
# and rose by as many where long files were cut.
MODULES = 83
ROOMS = 8


async def test_a_plain_write_enters_few_modules_in_few_rooms(
    run_fleet: RunFleet, outside: Outside, tmp_path: Path
) -> None:
    with tracing() as tracer:
        walk = await plain_write(tracer, run_fleet, tmp_path)
    assert len(walk.modules) <= MODULES, list(walk.modules)
    assert len(walk.rooms) <= ROOMS, walk.rooms
    # The whole way was seen, in the threads of client, workflow, activity and ledger.
    seen = {Path(module).name for module in walk.modules}
    assert {"fleet.py", "case.py", "door.py", "effects.py", "database.py"} <= seen
