"""Files that others wrote: in whatever encoding, some of their rows broken.

Nothing is left out quietly: what cannot be read is set aside by name, and told in the end.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"))
_BESIDE = {"license", "source", "readme", "columns", "description"}
"""What lies beside data, and is none."""

aside: list[str] = []
"""What was set aside so far, and why."""


def set_aside(where: str, why: object) -> None:
    """Keep that something could not be used."""
    aside.append(f"{where}: {why or type(why).__name__}")


def text_of(path: Path) -> str:
    """The text of a file, `.gz` or not: as its mark says, UTF-8, or what Windows wrote before."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    marks = (*_MARKS, (codecs.BOM_UTF16_BE, "utf-16"))
    encoding = next((name for mark, name in marks if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def json_of(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: if it is none, by its name.
    """
    try:
        return json.loads(text_of(path))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None


def rows_of(path: Path, *columns: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a CSV, each with where it stands; one that lacks a column is set aside.

    Raises:
        ValueError: if the head names not all of these columns.
    """
    text = text_of(path).replace("\0", "")
    mark = max(",;\t", key=text.partition("\n")[0].count)
    # Not by `splitlines`: a cell may hold what that takes for the end of a line.
    read = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True)
    read.fieldnames = [(name or "").strip().lower() for name in read.fieldnames or ()]
    if lacking := [name for name in columns if name not in read.fieldnames]:
        has = ", ".join(read.fieldnames) or "nothing"
        raise ValueError(f"{path}: its head lacks {', '.join(lacking)}; it has {has}")
    for row in read:
        where = f"{path.name}:{read.line_num}"
        short = [name for name in columns if row[name] is None]
        if short or None in row:
            set_aside(where, f"it lacks {', '.join(short)}" if short else "it has too many cells")
        else:
            yield where, {name: (value or "").strip() for name, value in row.items()}


def files_in(at: Path, *endings: str) -> list[Path]:
    """The files of these endings in a folder, however deep they lie, `.gz` or not; or the file.

    Raises:
        ValueError: if there are none.
    """
    if at.is_file():
        return [at]
    found = [
        path
        for path in sorted(at.rglob("*"))
        if path.is_file()
        and path.name.lower().removesuffix(".gz").endswith(endings)
        and path.stem.lower() not in _BESIDE
    ]
    if not found:
        raise ValueError(f"{at} has no files *{' or *'.join(endings)}; fix: name a folder that has")
    return found


def unpacked(path: Path) -> Path:
    """How a file is called that is not packed."""
    return path.with_suffix("") if path.suffix.lower() == ".gz" else path


def told(of: Sequence[str], most: int = 10) -> list[str]:
    """What was set aside, in lines: how much, and the first of it."""
    more = [f"  ... and {len(of) - most} more"] if len(of) > most else []
    return [f"set aside: {len(of)}", *(f"  {each}" for each in of[:most]), *more] if of else []
