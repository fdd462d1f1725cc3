"""Patches of the workflow code: what cases that began before a rule was there do not know of.

Each says what a rule asks now. Its name is in histories, and stays as long as they are replayed.
"""

from __future__ import annotations

from temporalio import workflow


def after_called() -> bool:
    """Whether a word after "called" names an object: in cases that began before that it did not."""
    return workflow.patched("names-after-called")


def after_empties() -> bool:
    """Whether a text that says nothing needs a source: in cases that began before it did not."""
    return workflow.patched("empty-texts")


def after_briefs() -> bool:
    """Whether a text of next to nothing needs a source: in cases that began before it did not."""
    return workflow.patched("brief-texts")


def after_blanks() -> bool:
    """Whether an empty value needs a source: in cases that began before it did not."""
    return workflow.patched("blank-values")


def after_left_out() -> bool:
    """Whether what is spoken of can be left out: in cases that began before that it could."""
    return workflow.patched("left-out-values")


def after_repeats() -> bool:
    """Whether an object may stand in a list twice: in cases that began before that it could."""
    return workflow.patched("repeated-objects")


def after_plans_within() -> bool:
    """Whether a plan may say a part of an object: in cases that began before that it did not."""
    return workflow.patched("plans-within")
