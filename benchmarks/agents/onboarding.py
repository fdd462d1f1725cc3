"""The onboarding agent's comparison on a folder of FEBRL's form.

``python -m benchmarks.agents.onboarding FOLDER [--svg FILE]``: CSVs with a `rec_id` of
`rec-N-org` or `rec-N-dup-K`; without a folder, FEBRL 4 of the installed package. Half of the
originals are on file, all copies apply. The code that judges is the agent's own, unchanged.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from activities.onboarding_match import KNOWN, NEW, Clue, Customer, Match, Person, clues, compare
from benchmarks.agents import run as run_script
from world.folders import files_in
from world.onboarding import febrl
from world.onboarding.febrl import Cast
from world.onboarding.score import Score, by_equal_names, score

HEAD = (
    "| data | on file | apply (known) | alone | asked | set aside | wrong merges | let in twice "
    "| wrong merges by the rule before | let in twice by it |"
)
_BINS, _WIDTH, _HEIGHT = 40, 640, 240
_EDGE, _TOP, _FOOT = 10, 30, 22


class Result(NamedTuple):
    """What the comparison made of a cast."""

    score: Score
    before: Score
    asked: int
    thin: int
    lost: int
    """Known ones whom no clue leads to."""
    matches: dict[str, Match]


def run(cast: Cast) -> Result:
    """Let everybody apply once; nobody who is opened is on file for the next one."""
    found = defaultdict[Clue, dict[str, Customer]](dict)
    for code, record in cast.on_file.items():
        customer = Customer(code=code, person=Person(**record))
        for clue in clues(customer.person):
            found[clue][code] = customer
    matches, lost = dict[str, Match](), 0
    for number, record in cast.applies.items():
        person = Person(**record)
        near: dict[str, Customer] = {}
        for clue in clues(person):
            near |= found.get(clue, {})
        truth = cast.truth[number]
        lost += truth is not None and truth not in near
        matches[number] = compare(person, near.values())
    became = {
        number: number if match.verdict == "new" else str(match.customer)
        for number, match in matches.items()
        if match.verdict in {"new", "known"}
    }
    kinds = [match.verdict for match in matches.values()]
    before = by_equal_names(cast)
    asked, thin = kinds.count("unsure"), kinds.count("thin")
    return Result(score(cast, became), before, asked, thin, lost, matches)


def table(name: str, cast: Cast, result: Result) -> str:
    """The figures, as a row of a table."""
    now, known = result.score, sum(1 for code in cast.truth.values() if code)
    cells = (
        name,
        len(cast.on_file),
        f"{now.applications} ({known})",
        f"{now.settled / now.applications:.2%}",
        result.asked,
        result.thin,
        now.merged_wrong,
        now.let_in,
        result.before.merged_wrong,
        result.before.let_in,
    )
    return f"| {' | '.join(map(str, cells))} |"


def picture(cast: Cast, result: Result) -> str:
    """How alike the best one on file is, for those who are on file and for those who are not."""
    counts = {True: [0] * _BINS, False: [0] * _BINS}
    for number, match in result.matches.items():
        place = min(_BINS - 1, int(max(0.0, match.likeness) * _BINS))
        counts[cast.truth[number] is not None][place] += 1
    most = max(*counts[True], *counts[False][1:], 1)
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    for known, colour, label, at in (
        (False, "#c77d2e", "not on file", 150),
        (True, "#2f6f9f", "on file", 60),
    ):
        parts.append(f'<rect x="{at}" y="8" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{at + 14}" y="17">{label}</text>')
        parts += [
            _bar(place, min(1.0, count / most), colour)
            for place, count in enumerate(counts[known])
            if count
        ]
    for at, label in ((NEW, "below: new"), (KNOWN, "above: known")):
        x, low = _EDGE + at * (_WIDTH - 2 * _EDGE), _HEIGHT - _FOOT
        anchor = "end" if at == NEW else "start"
        line = f'x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{low}"'
        parts.append(f'<line {line} stroke="#222" stroke-dasharray="4 3"/>')
        text = f'x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="{anchor}"'
        parts.append(f"<text {text}>{at} ({label})</text>")
    return "\n".join([*parts, "</svg>", ""])


def _bar(place: int, share: float, colour: str) -> str:
    each = (_WIDTH - 2 * _EDGE) / _BINS
    tall = share * (_HEIGHT - _TOP - _FOOT)
    at = f'x="{_EDGE + place * each:.1f}" y="{_HEIGHT - _FOOT - tall:.1f}"'
    size = f'width="{each - 1:.1f}" height="{tall:.1f}"'
    return f'<rect {at} {size} fill="{colour}" fill-opacity=".75"/>'


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description="The onboarding agent on FEBRL's form.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--svg", type=Path, help="write how alike they are as a picture")
    options = parser.parse_args(arguments)
    folder: Path | None = options.folder
    files = files_in(folder, ".csv") if folder else list(febrl.packaged())
    cast = febrl.read(files)
    result = run(cast)
    row = table(folder.name if folder else "FEBRL 4", cast, result)
    print("\n".join([HEAD, "|---" * HEAD.count(" | ") + "|---|", row]))
    if options.svg:
        options.svg.write_text(picture(cast, result))


if __name__ == "__main__":
    run_script(main)
