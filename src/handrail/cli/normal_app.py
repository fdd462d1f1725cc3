"""`handrail normal`: its options and help. What it does is in `cli/normal.py`."""

from __future__ import annotations

from handrail.cli.common import PLAIN, Common, do


def normal(agent: str, step: str | None = None, *, common: Common = PLAIN) -> int:
    """Show what is normal for an agent now, and what would be held as unusual.

    Parameters
    ----------
    agent
        The agent's name, such as shipments.
    step
        One of its writes, such as rebook; all that are watched if it is left out.
    """
    from handrail.cli import anomaly as does  # noqa: PLC0415

    return do(common, lambda out: does.normal(out, agent, step))
