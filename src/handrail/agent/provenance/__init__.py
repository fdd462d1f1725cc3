"""Tracing: where the values of a decision come from, and which stem from a text from outside."""

from handrail.agent.provenance.sources import (
    UNKNOWN,
    amended,
    holds_untrusted,
    laid_bare,
    source_finding,
    texts_from_outside,
    unsourced,
)

__all__ = [
    "UNKNOWN",
    "amended",
    "holds_untrusted",
    "laid_bare",
    "source_finding",
    "texts_from_outside",
    "unsourced",
]
