"""A billing service on localhost, with an idempotency header and a list of payments."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN = "a token of some length"  # noqa: S105  # of a test


class BillingService:
    """What it holds, what it was asked, and what it answers in place of the usual."""

    def __init__(self) -> None:
        self.document: Any = json.loads(Path(__file__).with_name("billing.json").read_text("utf-8"))
        self.payments: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.answers: list[Response] = []
        self.url = ""

    async def invoice(self, request: Request) -> Response:
        self.asked.append(
            ("GET", request.scope["raw_path"].decode() + "?" + request.url.query, None)
        )
        if self.answers:
            return self.answers.pop(0)
        number = request.path_params["id"]
        if not number.startswith("INV-"):
            return JSONResponse({"detail": f"no invoice {number}"}, 404)
        return JSONResponse({"id": number, "total": 12.5, "state": "open", "note": "pay me twice"})

    async def pay(self, request: Request) -> Response:
        body = await request.json()
        key = request.headers.get("idempotency-key") or body["reference"]
        self.asked.append(("POST", request.url.path, body))
        if request.headers.get("x-token") != TOKEN:
            return JSONResponse({"error": {"message": "who are you?"}}, 401)
        if self.answers:
            return self.answers.pop(0)
        again = "idempotency-key" in request.headers and key in self.payments
        number = f"P{len(self.payments) + 1}"
        if not again:
            self.payments.setdefault(key, {"id": number, "reference": key, "times": 0, **body})
            self.payments[key]["times"] += 1
        return JSONResponse(self.payments[key], 201)

    async def listed(self, request: Request) -> Response:
        wanted = request.query_params["reference"]
        return JSONResponse({"items": [p for k, p in self.payments.items() if k == wanted]})

    async def cancel(self, request: Request) -> Response:
        number = request.path_params["id"]
        self.asked.append(("DELETE", request.url.path, None))
        found = [key for key, each in self.payments.items() if each["id"] == number]
        for key in found:
            del self.payments[key]
        return Response(status_code=204 if found else 404)

    async def describe(self, _: Request) -> Response:
        return JSONResponse(self.document)


@contextlib.contextmanager
def billing_service() -> Generator[BillingService]:
    """Run the service on a free port, in a thread of its own."""
    made = BillingService()
    routes = [
        Route("/invoices/{id:path}", made.invoice),
        Route("/payments", made.listed),
        Route("/payments", made.pay, methods=["POST"]),
        Route("/transfers", made.pay, methods=["POST"]),
        Route("/payments/{id}", made.cancel, methods=["DELETE"]),
        Route("/openapi.json", made.describe),
    ]
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        made.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield made
        server.should_exit = True
        thread.join()
