"""The outside systems as processes, forked from one that has imported them: up in no time."""

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

from world import bookings, mailbox

MODULES = (bookings, mailbox)
_FORKING = multiprocessing.get_context("forkserver")


class System:
    """One of the world's servers; its first line says where it listens."""

    def __init__(self, module: str, *options: str) -> None:
        said, saying = _FORKING.Pipe(duplex=False)
        given: Any = (module, options, dict(os.environ), saying)
        self._process = _FORKING.Process(target=serve, args=given, daemon=True)
        self._process.start()
        saying.close()
        with open(said.fileno(), encoding="utf-8", closefd=False) as lines:
            self.url = lines.readline().split()[-1]
        said.close()
        self.port = int(self.url.rpartition(":")[2])

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self._process.pid or 0, number)

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()
        self.wait()

    def end(self) -> int:
        self._process.terminate()
        return self.wait()

    def wait(self) -> int:
        self._process.join(10)
        code = self._process.exitcode
        assert code is not None, f"{self.url} goes on"
        return code


def serve(
    module: str, options: tuple[str, ...], environ: dict[str, str], saying: Connection
) -> None:
    """Be `python -m world.MODULE`, with that for its stdout."""
    os.environ.clear()
    os.environ.update(environ)
    os.dup2(saying.fileno(), 1)
    saying.close()
    sys.argv = [module, *options]
    importlib.import_module(f"world.{module}").main()


def started(stack: ExitStack, module: str, *options: str) -> str:
    """A system of the world as a program of its own, until the stack ends; its URL."""
    argv = [sys.executable, "-m", f"world.{module}", *options]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    stack.callback(process.wait)
    stack.callback(process.kill)
    assert process.stdout is not None
    stack.callback(process.stdout.close)
    return process.stdout.readline().split()[-1]
