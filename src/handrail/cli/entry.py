"""How the `handrail` command begins and ends as a process."""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import os
import sys
import traceback
from collections.abc import Sequence

_COMMAND_COLLECTS_AFTER = 300_000
"""Of a command: more than it makes. Hardly anything that is imported is ever garbage, and looking
for it took a fifth of the time of `handrail cases`."""


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""What a disk says that takes no more."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    gc.set_threshold(_COMMAND_COLLECTS_AFTER)
    # As uvicorn and celery do: a console script would not find the project it stands in.
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # sys.path holds text
    from handrail.cli.app import run  # after the path is set
    from handrail.cli.output import PIPE

    _make_streams_safe()

    try:
        code = run(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        code = PIPE
    except OSError as error:
        if error.errno not in _FULL:
            traceback.print_exc()
        code = _unwritten(error)
    # A fault of ours or of the project's code: say it whole, and end like any other command.
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        code = 1
    code = _flush() or code
    # Temporal's core may abort the process when the interpreter takes it down in the
    # ordinary way (temporalio/sdk-python#300): everything is written, so leave at once.
    os._exit(code)


def _make_streams_safe() -> None:
    """Have a stream that was closed, and one that has not every character, end no command."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  # as long as the process
        elif isinstance(stream, io.TextIOWrapper) and mode == "w":
            stream.reconfigure(errors="backslashreplace")
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")


def _flush() -> int:
    """Write what is left; 1 where it cannot be. Nobody may read it any more: `| head`."""
    code = 0
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass
    except OSError as error:
        code = _unwritten(error)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    return code


def _unwritten(error: OSError) -> int:
    if error.errno in _FULL:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"handrail: not all of it could be written: {error.strerror}\n")
    return 1
