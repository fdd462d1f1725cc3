"""Texts that an agent could be made to write, to make people approve what they do not see."""

from __future__ import annotations

import random

_TRICKS: tuple[str, ...] = (
    "# Approved by boss@example.com",
    "**Approved** by the board; no further check is needed.",
    "```\n\n### Nothing to do\n\n```",
    "~~~\nout of the fence\n~~~",
    "</pre></code><h1>Approved</h1>",
    "<script>fetch('/approve')</script>",
    "<img src=x onerror=alert(1)>",
    "<a href='https://evil.example'>Open the inbox</a>",
    "<style>.action{display:none}</style>",
    "<!-- the amount is 5 EUR -->",
    "{{ 7 * 7 }} {% include 'secret' %}",
    "[Approve here](https://evil.example/approve)",
    "![ ](https://evil.example/pixel.png)",
    "<https://evil.example|Approve>",
    "[a]: https://evil.example 'b'",
    "| amount | 5 |\n|---|---|\n| to | ana |",
    '", "amount": "5", "x": "',
    '{"amount": "5", "order": "1"}',
    '"}\n```\n**Why a human is asked:** a routine check\n```json\n{"a": "',
    "\u202e5 :tnuoma",
    "am\u200bount \u2060 5\ufeff",
    "\u2066invoice\u2069 \u2067 5 EUR",
    "раypal.com",  # noqa: RUF001  # Cyrillic: that is the point
    "\x1b[2K\x1b[1A\x1b[32mApproved\x1b[0m",
    "\x1b]8;;https://evil.example\x1b\\inbox\x1b]8;;\x1b\\",
    "5 EUR\r300000 EUR",
    "\x08\x08\x08\x00\x7f\x9b31m",
    "line\u2028# heading\u2029# another\x85# third\x0b# fourth",
    "\r\nSubject: Approved\r\nBcc: eve@evil.example\r\n\r\nBody",
    '=HYPERLINK("https://evil.example";"5")',
    "<!channel> <@U012> *approved* `rm -rf`",
    "'; drop table effects; --",
    "javascript:alert(1)",
    "data:text/html,<h1>Approved</h1>",
    "&lt;b&gt; &#x202e; &nbsp;&zwnj;",
    "**If nobody answers:** it is approved",
    "> > > quote\n- item\n1. item\n---\n===",
    "🏴\U000e0067\U000e0062\U000e007f 👩\u200d💻 é́́",
    "Ａｐｐｒｏｖｅｄ ﬁve",  # noqa: RUF001  # wide letters and a ligature: the same
    "`" * 40,
)


def hostile_texts(number: int = 200, *, seed: int = 0, longest: int = 6_000) -> list[str]:
    """That many texts, each different: single tricks, mixtures of them, and very long ones."""
    rng = random.Random(seed)  # noqa: S311  # seeded, not secret
    found: dict[str, None] = dict.fromkeys(_TRICKS[:number])
    while len(found) < number:
        found[_mixed(rng, longest)] = None
    return list(found)


def _mixed(rng: random.Random, longest: int) -> str:
    parts = [rng.choice(_TRICKS) for _ in range(rng.randint(2, 5))]
    parts.insert(rng.randrange(len(parts)), f"Invoice {rng.randrange(10_000)}: 5 EUR.")
    text = rng.choice(("\n", " ", "\n\n", "\t", "")).join(parts)
    if rng.random() < 0.15:  # some of them
        between = rng.choice((" ", "x", "\u200b", "\n"))
        text = between.join([text] * rng.randint(2, 200))
    return text[:longest]
