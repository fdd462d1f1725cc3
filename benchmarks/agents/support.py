"""How well real messages are understood: ``python -m benchmarks.agents.support FOLDER``.

FOLDER is of the form of banking77 (``*.csv`` with the columns text, category) or of CLINC150
(``*.json`` with lists of [text, intent]; those of ``oos_*`` are outside). What has `test` in its
name is judged, the rest is learnt from; where nothing is called so, a fifth is held back. `--test`
takes another folder or file of the same form for it. `--svg FILE` draws the curve.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from activities.support_intents import Classifier, Guess, fit
from benchmarks.agents import run
from world.folders import files_in, json_of, rows_of, set_aside, unpacked

SHARES = (0.95, 0.90, 0.85, 0.80, 0.70)
Row = tuple[str, str]


@dataclass
class Parts:
    """What is learnt from, and what is judged; `outside` is about none of the intents."""

    learn: list[Row] = field(default_factory=list[Row])
    judge: list[Row] = field(default_factory=list[Row])
    learn_outside: list[str] = field(default_factory=list[str])
    judge_outside: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Result:
    """What came out. `surest`: of each share of the messages, the part that is right."""

    classifier: Classifier
    judged: int
    surest: dict[float, float]
    alone: float
    right_alone: float
    outside: int
    escalated: float | None
    seconds: float
    curve: list[tuple[float, float]]


def read(folder: Path, test: Path | None = None) -> Parts:
    """The parts of a folder.

    Raises:
        ValueError: if nothing is in it that is of either form.
    """
    parts = Parts()
    for name, rows in _lists(folder):
        _put(parts, rows, outside="oos" in name, judged="test" in name and test is None)
    for name, rows in _lists(test) if test is not None else ():
        _put(parts, rows, outside="oos" in name, judged=True)
    if not parts.learn:
        raise ValueError(
            f"{folder} has neither CSV with text,category nor JSON of lists to learn from; "
            "fix: name the folder that has, and what is to be judged with --test"
        )
    if not parts.judge:
        parts.judge = [row for row in parts.learn if _fifth(row[0])]
        parts.learn = [row for row in parts.learn if not _fifth(row[0])]
    if not parts.judge_outside:
        parts.judge_outside = [text for text in parts.learn_outside if _half(text)]
        parts.learn_outside = [text for text in parts.learn_outside if not _half(text)]
    return parts


def _put(parts: Parts, rows: Sequence[Row], *, outside: bool, judged: bool) -> None:
    inside = [row for row in rows if not outside and row[1] != "oos"]
    aside = [text for text, intent in rows if outside or intent == "oos"]
    (parts.judge if judged else parts.learn).extend(inside)
    (parts.judge_outside if judged else parts.learn_outside).extend(aside)


def _lists(at: Path) -> Iterator[tuple[str, list[Row]]]:
    for path in files_in(at, ".csv", ".json"):
        stem = unpacked(path).stem
        if unpacked(path).suffix.lower() == ".csv":
            found = rows_of(path, "text", "category")
            yield (
                stem,
                list(_labelled((w, (row["text"], row["category"])) for w, row in found)),
            )
            continue
        known: Any = json_of(path)
        lists = cast("dict[str, Any]", known) if isinstance(known, dict) else {}
        for name, has in lists.items():
            rows: list[Any] = cast("list[Any]", has) if isinstance(has, list) else []
            if any(isinstance(row, list) for row in rows):
                where = f"{stem}/{name}"
                named = [(f"{where}[{n}]", row) for n, row in enumerate(rows)]
                yield where if "test" in stem else name, list(_labelled(named))


def _labelled(rows: Iterable[tuple[str, Any]]) -> Iterator[Row]:
    for where, row in rows:
        match row:
            case (str(text), str(label)) if text.strip() and label.strip():
                yield text.strip(), label.strip()
            case _:
                set_aside(where, f"it is no text and label: {row!s:.60}")


def _fifth(text: str) -> bool:
    return hashlib.sha256(b"held back" + text.encode()).digest()[0] < 51  # noqa: PLR2004


def _half(text: str) -> bool:
    return hashlib.sha256(b"held back" + text.encode()).digest()[0] % 2 == 0


def judge(parts: Parts) -> Result:
    """Fit to the one part, and judge the other."""
    begun = time.process_time()
    known = fit(
        [text for text, _ in parts.learn],
        [intent for _, intent in parts.learn],
        outside=parts.learn_outside,
    )
    guesses = known.guess([text for text, _ in parts.judge])
    came = [(g.confidence, g.intent == intent) for g, (_, intent) in _zip(guesses, parts.judge)]
    came.sort(reverse=True)
    answered = [right for confidence, right in came if confidence >= known.threshold]
    outside = known.guess(parts.judge_outside) if parts.judge_outside else []
    kept = [each.confidence < known.threshold for each in outside]
    return Result(
        classifier=known,
        judged=len(came),
        surest={share: _right(came, share) for share in SHARES},
        alone=len(answered) / len(came),
        right_alone=sum(answered) / max(1, len(answered)),
        outside=len(outside),
        escalated=sum(kept) / len(kept) if kept else None,
        seconds=time.process_time() - begun,
        curve=[(at / 50, _right(came, at / 50)) for at in range(15, 51)],
    )


def _zip(guesses: Sequence[Guess], rows: Sequence[Row]) -> Iterator[tuple[Guess, Row]]:
    return zip(guesses, rows, strict=True)


def _right(came: Sequence[tuple[float, bool]], share: float) -> float:
    surest = came[: max(1, round(share * len(came)))]
    return sum(right for _, right in surest) / len(surest)


def table(result: Result) -> str:
    """What came out, as Markdown."""
    rows = [
        ("messages judged", f"{result.judged:,}"),
        *((f"right, of the surest {share:.0%}", f"{r:.1%}") for share, r in result.surest.items()),
        ("threshold, found without them", f"{result.classifier.threshold:.3f}"),
        ("answered alone at it", f"{result.alone:.1%}"),
        ("right of these", f"{result.right_alone:.1%}"),
    ]
    if result.escalated is not None:
        rows.append((f"of {result.outside:,} out of scope, to people", f"{result.escalated:.1%}"))
    rows.append(("CPU seconds", f"{result.seconds:.0f}"))
    return "\n".join(["| | |", "|---|---|", *(f"| {label} | {value} |" for label, value in rows)])


def svg(result: Result, title: str) -> str:
    """The curve: what share is answered alone, and how much of it is right."""
    left, top, wide, high, low = 60, 40, 520, 240, 0.85

    def x(share: float) -> float:
        return left + wide * (share - 0.3) / 0.7

    def y(right: float) -> float:
        return top + high * (1 - (max(right, low) - low) / (1 - low))

    points = " ".join(f"{x(share):.1f},{y(right):.1f}" for share, right in result.curve)
    lines: list[str] = []
    for right in (0.85, 0.90, 0.95, 0.97, 1.0):
        colour = "#c2410c" if right == 0.97 else "#d4d4d8"  # noqa: PLR2004 - the goal
        lines.append(
            f'<line x1="{left}" x2="{left + wide}" y1="{y(right):.1f}" y2="{y(right):.1f}" '
            f'stroke="{colour}"/><text x="{left - 8}" y="{y(right) + 4:.1f}" '
            f'text-anchor="end">{right:.0%}</text>'
        )
    lines += [
        f'<text x="{x(share):.1f}" y="{top + high + 20}" text-anchor="middle">{share:.0%}</text>'
        for share in (0.3, 0.5, 0.7, 0.85, 1.0)
    ]
    at, right = 0.85, result.surest[0.85]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 620 350" role="img" '
        f'font-family="sans-serif" font-size="12"><title>{title}</title>'
        f'<rect width="620" height="350" fill="white"/><text x="{left}" y="22" font-size="14">'
        f"{title}</text>{''.join(lines)}"
        f'<polyline points="{points}" fill="none" stroke="#0f766e" stroke-width="2.5"/>'
        f'<circle cx="{x(at):.1f}" cy="{y(right):.1f}" r="5" fill="#0f766e"/>'
        f'<text x="{x(at) - 8:.1f}" y="{y(right) + 20:.1f}" text-anchor="end">'
        f"{right:.1%} right on the surest 85%</text>"
        f'<text x="{left + wide / 2}" y="{top + high + 42}" text-anchor="middle">'
        "share of messages answered alone, the surest first</text></svg>\n"
    )


def main() -> None:
    """Judge a folder, and print one table."""
    parser = argparse.ArgumentParser(description="How well real messages are understood.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--test", type=Path, help="another folder or file, to be judged")
    parser.add_argument("--svg", type=Path, help="where to draw the curve")
    options = parser.parse_args()
    result = judge(read(options.folder, options.test))
    print(table(result))
    if options.svg:
        options.svg.write_text(svg(result, f"{options.folder.name}: right, by share"), "utf-8")


if __name__ == "__main__":
    run(main)
