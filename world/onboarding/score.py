"""What came of the applications, by who the applicants really are."""

from collections.abc import Mapping
from typing import NamedTuple

from world.onboarding.febrl import Cast


class Score(NamedTuple):
    """Of some applications, how many ended how."""

    applications: int
    settled: int
    """Without a person: attached, or opened."""
    merged_wrong: int
    """Attached to somebody else."""
    let_in: int
    """Opened anew although on file: duplicates."""


def score(cast: Cast, became: Mapping[str, str]) -> Score:
    """Judge what each application became: the code it is at; its own number if it was opened."""
    wrong = let_in = 0
    for application, code in became.items():
        truth, opened = cast.truth[application], code == application
        wrong += not opened and code != truth
        let_in += opened and truth is not None
    return Score(len(cast.applies), len(became), wrong, let_in)


def by_equal_names(cast: Cast) -> Score:
    """The desk's rule before: known if name and birth date are those of somebody on file."""
    named = {_named(person): code for code, person in cast.on_file.items()}
    became = {each: named.get(_named(person), each) for each, person in cast.applies.items()}
    return score(cast, became)


def _named(person: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(person[name] for name in ("given_name", "surname", "date_of_birth"))
