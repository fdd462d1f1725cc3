"""Each patch of the workflows has a recorded history of either path: open cases may be on both."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio import workflow

from handrail.agent import visibility
from handrail.runtime import steward
from handrail.testing import replay
from tests.architecture import ENGINE
from tests.replay import messages, stewards, test_replay_messages, test_replay_steward
from tests.replay.record import HISTORIES, fleet

pytestmark = pytest.mark.replay

PATHS = {
    "action-of-its-step": (
        "written_by_a_step_of_another_class_of_old",
        "written_by_a_step_of_another_class",
    ),
    "all-who-had-mail-are-told-the-end": ("gate_closed", "gate_closed_and_all_are_told"),
    "asked-as-well": ("handed_to_it_by_others_too", "asked_for_by_others_too"),
    "blank-values": ("a_value_was_left_blank_of_old", "a_value_was_left_blank"),
    "brief-texts": (
        "a_word_of_a_text_from_outside_was_all_of_old",
        "a_word_of_a_text_from_outside_was_all",
    ),
    "decided-as-asked": (
        "decided_on_what_nobody_asked_for_of_old",
        "decided_on_what_nobody_asked_for",
    ),
    "empty-endings": ("a_loop_came_to_nothing_of_old", "a_loop_came_to_nothing"),
    "empty-texts": ("a_text_was_left_empty_of_old", "a_text_was_left_empty"),
    "foreseen-while-fresh": ("signalled_before_it_began", "decided_long_before_it_was_written"),
    "groups-are-opened": ("refused_in_a_group_of_old", "refused_in_a_group"),
    "left-out-values": ("a_subject_was_left_out_of_old", "a_subject_was_left_out"),
    "lifts-on-their-way-count": (
        "stop_over_before_its_answer_came_of_old",
        "stop_over_before_its_answer_came",
    ),
    "names-after-called": ("called_in_small_letters_of_old", "called_in_small_letters"),
    "own-id": ("approved", "begun_under_another_id"),
    "owners-are-told-side-by-side": ("approvers_told", "approvers_of_two_owners"),
    "planned-notices": ("a_plan_held_whom_it_tells_of_old", "a_plan_held_whom_it_tells"),
    "plans-within": (
        "a_plan_said_a_part_of_an_object_of_old",
        "a_plan_said_a_part_of_an_object",
    ),
    "readings-are-kept": ("amended", "amended_as_read_then"),
    "text-comes-along": (
        "what_came_back_was_from_outside_of_old",
        "what_came_back_was_from_outside",
    ),
    "plans-name-listed-tools": (
        "a_listed_tool_was_planned_of_old",
        "a_listed_tool_was_planned",
    ),
    "repeated-objects": (
        "the_same_stood_twice_in_a_list_of_old",
        "the_same_stood_twice_in_a_list",
    ),
    "reads-that-reach-out": (
        "a_read_that_reaches_out_was_sent_of_old",
        "a_read_that_reaches_out_was_asked_about",
    ),
    "receipts-come-late": ("in_doubt_do_it", "in_doubt_withdrawn"),
    "unfit-arguments": ("called_with_what_no_step_reads_of_old", "called_with_what_no_step_reads"),
    "verbs-are-awaited": ("a_write_that_nobody_awaited_of_old", "a_write_that_nobody_awaited"),
    "who was not reached is tried again": (
        "gate_told_once_of_old",
        "gate_told_again",
    ),
    "wanted-writes": ("a_loop_wrote_what_was_wanted_of_old", "a_loop_wrote_what_was_wanted"),
    "who-asked": ("asked_by_whom_nobody_proved_of_old", "asked_by_whom_nobody_proved"),
    steward.BOUNDED: ("crowded", "flooded"),
    steward.ONCE: ("begun_by_a_stop", "flooded"),
    visibility.BOUNDED: ("paused_in_a_burst_of_old", "paused_in_a_burst"),
}
"""Of each patch a history from before it, and one that it is in."""


def patches() -> Iterator[str]:
    for path in ENGINE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        named = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "workflow.patched":
                (given,) = node.args
                found = named.get(given.id) if isinstance(given, ast.Name) else given
                assert isinstance(found, ast.Constant), f"{path}: say the patch as a constant"
                yield str(found.value)


def test_every_patch_has_a_history_of_either_path() -> None:
    assert set(patches()) == set(PATHS)


async def replayed(name: str, directory: Path) -> object:
    if (stewards.HISTORIES / f"{name}.json").exists():
        return await test_replay_steward.replayed(directory, stewards.HISTORIES / f"{name}.json")
    if (messages.HISTORIES / f"{name}.json").exists():
        return await test_replay_messages.replayed(name, directory)
    return await replay(fleet(directory), HISTORIES / f"{name}.json", directory)


@pytest.mark.parametrize("patch", PATHS)
async def test_a_history_of_either_path_goes_on_by_it(
    patch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, taken = workflow.patched, set[bool]()

    def patched(asked: str) -> bool:
        answer = real(asked)
        if asked == patch:
            taken.add(answer)
        return answer

    monkeypatch.setattr(workflow, "patched", patched)
    for name, path in zip(PATHS[patch], (False, True), strict=True):
        taken.clear()
        assert await replayed(name, tmp_path) is None
        assert taken == {path}, name
