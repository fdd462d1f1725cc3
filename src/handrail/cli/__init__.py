"""Command line: the `handrail` command, words and colours; no rule of its own.

Data goes to stdout, messages go to stderr, and every command takes `--json`. What a command
needs is imported when it runs, so that `--help` and completion are quick.
"""

from handrail.cli.entry import main

__all__ = ["main"]
