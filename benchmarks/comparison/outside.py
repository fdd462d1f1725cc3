"""The outside system of all contenders: it counts what is done to it, and is none of theirs.

`python -m benchmarks.comparison.outside PORT`. It heeds keys or does not, and it may keep an
answer back once it has booked, so that who asked can be killed between the effect and its receipt.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class Carrier:
    """A carrier's booking service. `effects`: how often each consignment was booked."""

    keys: bool = True
    holding: bool = False
    effects: Counter[str] = field(default_factory=Counter[str])
    messages: int = 0
    bookings: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    by_key: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    async def consignment(self, request: Request) -> Response:
        """What is to be carried, and what could carry it."""
        offers = [
            {
                "flight": f"UA{100 + number}",
                "departs": f"2013-01-10T{12 + number}:00:00Z",
                "arrives": f"2013-01-10T{15 + number}:00:00Z",
                "free": "812.5",
                "price": f"{49.9 * (number + 1):.2f}",
            }
            for number in range(3)
        ]
        return JSONResponse(
            {
                "id": request.path_params["id"],
                "shipper": "Hudson Valley Instruments",
                "weight": "120.4",
                "promised": "2013-01-10T18:00:00Z",
                "status": "in transit",
                "offers": offers,
            }
        )

    async def book(self, request: Request) -> Response:
        """Book; once for each key, where keys are heeded."""
        key, said = request.headers.get("idempotency-key", ""), await request.json()
        if not (self.keys and key in self.by_key):
            self.effects[said["consignment"]] += 1
            number = f"BK-{self.effects.total():06}"
            made = {"number": number, "flight": said["flight"]}
            self.bookings[said["consignment"]] = self.by_key[key] = made
        if self.holding:
            await asyncio.sleep(60)  # who asked is killed meanwhile
        return JSONResponse(self.by_key[key])

    async def booking(self, request: Request) -> Response:
        """The booking of a consignment."""
        found = self.bookings.get(request.path_params["id"])
        return JSONResponse(found or {}, status_code=200 if found else 404)

    async def message(self, request: Request) -> Response:
        """Take a message."""
        await request.json()
        self.messages += 1
        return JSONResponse({})

    async def behave(self, request: Request) -> Response:
        """Be told how to behave, and say what was done."""
        said = await request.json()
        self.keys, self.holding = said["keys"], said["holding"]
        return JSONResponse(self.effects)


def application(carrier: Carrier) -> Starlette:
    """Its HTTP face."""
    return Starlette(
        routes=[
            Route("/consignments/{id}", carrier.consignment),
            Route("/bookings", carrier.book, methods=["POST"]),
            Route("/bookings/{id}", carrier.booking),
            Route("/messages", carrier.message, methods=["POST"]),
            Route("/behave", carrier.behave, methods=["POST"]),
        ]
    )


def main() -> None:
    """Serve until it is ended."""
    app = application(Carrier())
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", timeout_keep_alive=600
    )


if __name__ == "__main__":
    main()
