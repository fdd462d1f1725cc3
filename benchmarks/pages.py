"""`python -m benchmarks.pages [--cases N ...] [--pictures FOLDER]`: owners' pages, with many cases.

The shipments agent with its own policy, an inbox beside it, and a ledger in which there are so
many cases of 60 days, and as many proposals of a pilot with what people did. Each page is opened
twice over HTTP: how long until its first byte, and until its last; the second time of those that
keep what they reckoned. With `--pictures` each is looked at in Chromium too, on a desk, in the dark
and on a phone.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from pydantic import SecretStr

import activities.shipments
import guardrails.shipments
from benchmarks.people import SECRET
from handrail import Agent, Fleet, Keyring, Trust
from handrail.inbox.web.server import opened, serving
from handrail.oversight import SigningKey
from handrail.runtime import Settings, configure_logging, run
from handrail.testing import Stage, running, server
from tests.agents.reported import (
    keep_alerts,
    keep_cases,
    keep_pilot,
    keep_reviews,
    keep_rulings,
)
from workflows.shipments import ShipmentAgent

NUMBERS = (0, 10, 100_000)
OWNER = "logistics@example.com"
PROMOTE = (
    "    promote: {agreement: 90%, wrong: 5%, cases: 40, days: 14, shares: [25%, 50%, 100%]}\n"
)
AGENT = "/agents/shipments"
PAGES = {
    "agents": "/agents",
    "report": f"{AGENT}?days=90",
    "value": f"{AGENT}/value?days=90",
    "cases": f"{AGENT}/cases?which=all&days=90",
    "pilot": f"{AGENT}/pilot",
    "outcome": f"{AGENT}/did",
    "promotion": f"{AGENT}/promote",
    "alerts": f"{AGENT}/alerts",
    "csv": f"{AGENT}/report.csv?days=90",
    "incidents": "/incidents",
    "intake": "/intake",
    "reviews": "/reviews?show=all",
    "closed": "/closed",
    "approvers": "/approvers",
    "ask": "/ask",
    "me": "/me",
    "stops": "/stops",
    "waiting": "/",
}
SIZES: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1280, "height": 860}},
    "dark": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}


@asynccontextmanager
async def inbox(home: Path) -> AsyncGenerator[tuple[Stage, str]]:
    """A worker of the agent and an inbox, which lets in anybody by their name. Where it is."""
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://localhost:{listener.getsockname()[1]}"
    policies = home / "guardrails"
    policies.mkdir(parents=True)
    own = (Path(guardrails.shipments.__file__).parent / "shipments.yaml").read_text("utf-8")
    free = own.replace("    autonomy: full\n", f"    autonomy: full\n    rollout: 25%\n{PROMOTE}")
    path = policies / "shipments.yaml"
    path.write_text(free, "utf-8")
    agent = Agent(
        "shipments",
        ShipmentAgent,
        steps=activities.shipments,
        policy=path,
        checks=guardrails.shipments,
    )
    settings = Settings.model_validate(
        {
            "home": home,
            "inbox_url": base,
            "inbox_dev": True,
            "inbox_secret": SecretStr(SECRET),
            "inbox_policies": policies,
        }
    )
    trust = Trust(Keyring(settings.keyring), "unproven", base)
    async with (
        server(home / "server") as started,
        running(Fleet(agent), started, home, trust=trust) as stage,
        opened(settings, stage.client, stage.ledger, stage.fleet.agents) as site,
        serving(site, listener),
    ):
        yield stage, base


async def seed(stage: Stage, home: Path, number: int) -> None:
    """Keep so many cases, and all that an owner's pages show of them."""
    url, now = f"sqlite:///{home / 'ledger.db'}", datetime.now(UTC)
    text = (home / "guardrails" / "shipments.yaml").read_text("utf-8")
    await stage.ledger.loaded("shipments", 3, "3" * 64, "shipments v3", text)
    await keep_cases(stage.ledger, url, number, now)
    keep_pilot(url, number, now, apart=timedelta(days=60) / max(number, 1))
    keep_rulings(url, number, now)
    key = SigningKey.new("ana@example.com", now)
    Keyring(Settings(home=home).keyring).trust(key.public())
    await keep_reviews(stage.ledger, url, key, now)
    await keep_alerts(stage.ledger, min(number, 200), now)


async def sign_in(client: httpx2.AsyncClient) -> None:
    """Sign in as the agent's owner."""
    page = (await client.get("/sign-in")).text
    token = re.findall(r'name="token" value="([^"]+)"', page)[-1]
    await client.post("/sign-in/dev", data={"token": token, "address": OWNER})


async def opening(client: httpx2.AsyncClient, path: str) -> tuple[float, float]:
    """Milliseconds until the first byte of a page, and until the last."""
    begun = time.perf_counter()
    async with client.stream("GET", path) as answer:
        answer.raise_for_status()
        parts = answer.aiter_bytes()
        head = await anext(parts)
        first = time.perf_counter()
        whole = head + b"".join([each async for each in parts])
        last = time.perf_counter()
    if b"notice fault" in whole:
        raise RuntimeError(f"{path} shows a fault")
    return (first - begun) * 1e3, (last - begun) * 1e3


async def measure(number: int, pictures: Path | None) -> dict[str, tuple[float, ...]]:
    """What each page took, with so many cases."""
    with tempfile.TemporaryDirectory(prefix="handrail-pages-") as name:
        home = Path(name, "home")
        async with inbox(home) as (stage, base):
            await seed(stage, home, number)
            headers = {"origin": base}
            async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=None) as client:
                await sign_in(client)
                # What came in since somebody looked is held against people's decisions once.
                await opening(client, PAGES["pilot"])
                found = {
                    title: (*await opening(client, path), *await opening(client, path))
                    for title, path in PAGES.items()
                }
            if pictures is not None:
                await photograph(base, number, pictures)
    return found


async def photograph(base: str, number: int, folder: Path) -> None:
    """Keep what each page looks like, of each size."""
    from playwright.async_api import async_playwright  # noqa: PLC0415  # only for pictures

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for size, how in SIZES.items():
            page = await (await browser.new_context(**how)).new_page()
            await page.goto(base)
            await page.select_option("#dev", OWNER)
            await page.get_by_role("button", name="Sign in without proof").click()
            for title, path in PAGES.items():
                if title != "csv":
                    await page.goto(f"{base}{path}")
                    await page.screenshot(
                        path=folder / f"{title}-{number}-{size}.png", full_page=True
                    )
        await browser.close()


def table(found: dict[int, dict[str, tuple[float, ...]]]) -> str:
    """The figures in Markdown: of each page its first byte and its last, then once more."""
    heads = [f"{number:,} cases" for number in found]
    lines = [f"| page | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for title in PAGES:
        cells = (f"{a:.0f}, {b:.0f}; {c:.0f}, {d:.0f}" for a, b, c, d in _of(found, title))
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _of(found: dict[int, dict[str, tuple[float, ...]]], title: str) -> list[tuple[float, ...]]:
    return [pages[title] for pages in found.values()]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--cases", type=int, nargs="+", default=NUMBERS, metavar="N")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    if given.pictures is not None:
        given.pictures.mkdir(parents=True, exist_ok=True)
    configure_logging("console", fd=os.open(os.devnull, os.O_WRONLY))
    found = {number: run(measure(number, given.pictures)) for number in given.cases}
    print(table(found))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
