"""The carrier's booking service over HTTP: ``python -m world.bookings --db PATH --port 8470``.

JSON in and out. Whatever is not possible is answered with a 4xx and a ``detail`` that says what
to do; 503 means that the database could not be written and that nothing happened.

Three surfaces to write on, one for each kind of effect that an agent meets: ``/bookings`` honours
idempotency keys, ``/stickers`` does not but can be asked what happened, ``/pickups`` neither.
Every write that arrives is in ``GET /calls``, so that tests can count effects. Where
``BOOKINGS_TOKEN`` is set, whoever books needs it as a bearer token.
"""

import argparse
import hashlib
import hmac
import os
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from world.carrier import (
    Carrier,
    NewNote,
    NotPossible,
    Order,
    PickupOrder,
    StickerOrder,
    wall_now,
)
from world.consignments import PER_DAY, SEED, generate
from world.faults import Dropped, Fault, Faults, Moment, Surface
from world.feed import DelayAlert
from world.flights import load_flights
from world.store import Booking, Store

HOST = "127.0.0.1"
PORT = 8470
TOKEN = "BOOKINGS_TOKEN"  # noqa: S105 - the variable, not the token
MAX_BODY = 64 * 1024
MAX_KEY = 200
_GRACE_S = 3

M = TypeVar("M", bound=BaseModel)


class Answer(NamedTuple):
    """What a request is answered with."""

    status: int
    content: Any


class Service:
    """The HTTP face of the carrier: every method answers one route."""

    def __init__(self, carrier: Carrier, faults: Faults, token: str = "") -> None:
        self._carrier = carrier
        self._store = carrier.store
        self._faults = faults
        self._token = token

    async def health(self, _request: Request) -> Response:
        """Answer that the service runs, with the sizes of what it serves."""
        flights, consignments = len(self._carrier.flights), len(self._carrier.consignments)
        return JSONResponse({"status": "ok", "flights": flights, "consignments": consignments})

    async def consignment(self, request: Request) -> Response:
        """Answer what is known of a consignment now."""
        return _json(self._carrier.track(request.path_params["id"]))

    async def offers(self, request: Request) -> Response:
        """Answer the flights that a consignment could be moved to."""
        return _json(self._carrier.offers(_asked(request, "consignment")))

    async def bookings(self, request: Request) -> Response:
        """Answer the bookings made under a key: none or one."""
        found = self._store.booking_by_key(_asked(request, "key"))
        return _json([found] if found else [])

    async def booking(self, request: Request) -> Response:
        """Answer one booking."""
        return _json(self._carrier.find_booking(request.path_params["id"]))

    async def book(self, request: Request) -> Response:
        """Book under an idempotency key: 201, or 200 for a replay."""

        def act(body: bytes, call: int) -> Answer:
            booking, replayed = self._carrier.book(_parse(Order, body), _key(request), call)
            return Answer(200 if replayed else 201, _booking(booking, replayed=replayed))

        return await self._write(request, "bookings", act)

    async def cancel(self, request: Request) -> Response:
        """Cancel a booking."""

        def act(_body: bytes, call: int) -> Answer:
            booking = self._carrier.cancel(request.path_params["id"], call)
            return Answer(200, booking.model_dump(mode="json"))

        return await self._write(request, "bookings", act)

    async def stick(self, request: Request) -> Response:
        """Print a sticker; an idempotency key is not looked at."""

        def act(body: bytes, call: int) -> Answer:
            sticker = self._carrier.stick(_parse(StickerOrder, body), call)
            return Answer(201, sticker.model_dump(mode="json"))

        return await self._write(request, "stickers", act)

    async def unstick(self, request: Request) -> Response:
        """Remove a sticker."""

        def act(_body: bytes, call: int) -> Answer:
            sticker = self._carrier.unstick(request.path_params["id"], call)
            return Answer(200, sticker.model_dump(mode="json"))

        return await self._write(request, "stickers", act)

    async def stickers(self, request: Request) -> Response:
        """Answer the stickers of a consignment, or those of one reference."""
        reference = request.query_params.get("reference")
        return _json(self._carrier.stickers(_asked(request, "consignment"), reference))

    async def pick_up(self, request: Request) -> Response:
        """Order a truck; it cannot be asked for afterwards."""

        def act(body: bytes, call: int) -> Answer:
            pickup = self._carrier.pick_up(_parse(PickupOrder, body), call)
            return Answer(201, pickup.model_dump(mode="json"))

        return await self._write(request, "pickups", act)

    async def publish(self, request: Request) -> Response:
        """Start the clock of an alert's consignment: 201, or 200 if it runs already."""
        alert = _parse(DelayAlert, await _body(request))
        published, new = self._carrier.publish(alert)
        return _json(published, 201 if new else 200)

    async def note(self, request: Request) -> Response:
        """Write a note into a consignment, as anybody can: 201."""
        note = _parse(NewNote, await _body(request))
        return _json(self._carrier.note(request.path_params["id"], note), 201)

    async def alerts(self, _request: Request) -> Response:
        """Answer all published alerts."""
        return _json(self._store.alerts())

    async def calls(self, request: Request) -> Response:
        """Answer every write that arrived, oldest first; of one path or key, if given."""
        path, key = request.query_params.get("path"), request.query_params.get("key")
        return _json(
            [
                call
                for call in self._store.calls()
                if path in (None, call.path) and key in (None, call.key)
            ]
        )

    async def arm(self, request: Request) -> Response:
        """Arm a fault."""
        self._faults.add(_parse(Fault, await _body(request)))
        return _json(self._faults.pending(), 201)

    async def armed(self, _request: Request) -> Response:
        """Answer the faults still armed."""
        return _json(self._faults.pending())

    async def disarm(self, _request: Request) -> Response:
        """Disarm all faults."""
        self._faults.clear()
        return _json(self._faults.pending())

    async def _write(
        self, request: Request, on: Surface, act: Callable[[bytes, int], Answer]
    ) -> Response:
        """Record the call, act in one transaction, answer; faults strike in between."""
        body = await _body(request)
        call = self._received(request, body)
        consignment = _consignment_in(body)
        struck = await self._faults.strike(
            Moment.BEFORE, on=on, method=request.method, consignment=consignment
        )
        try:
            books = on == "bookings" and request.method == "POST"
            _refuse_request(request, struck, self._token if books else "")
            answer = act(body, call)
        except NotPossible as refused:
            self._store.conclude(call, refused.status)
            raise
        struck = await self._faults.strike(
            Moment.AFTER, on=on, method=request.method, consignment=consignment
        )
        if struck is not None and struck.then == "rearrange":
            self._carrier.rearrange(answer.content["id"])
        return JSONResponse(answer.content, answer.status)

    def _received(self, request: Request, body: bytes) -> int:
        return self._store.receive(
            method=request.method,
            path=request.url.path,
            key=request.headers.get("idempotency-key"),
            digest=hashlib.sha256(body).hexdigest(),
            body=body.decode(errors="replace"),
            at=wall_now(),
        )


def make_app(carrier: Carrier, *, with_faults: bool = False, token: str = "") -> Starlette:
    """The service as an ASGI application; ``with_faults`` opens ``/faults`` to anyone."""
    faults = Faults()
    service = Service(carrier, faults, token)
    routes = [
        Route("/health", service.health),
        Route("/consignments/{id}", service.consignment),
        Route("/consignments/{id}/notes", service.note, methods=["POST"]),
        Route("/offers", service.offers),
        Route("/bookings", service.bookings),
        Route("/bookings", service.book, methods=["POST"]),
        Route("/bookings/{id}", service.booking),
        Route("/bookings/{id}", service.cancel, methods=["DELETE"]),
        Route("/stickers", service.stickers),
        Route("/stickers", service.stick, methods=["POST"]),
        Route("/stickers/{id}", service.unstick, methods=["DELETE"]),
        Route("/pickups", service.pick_up, methods=["POST"]),
        Route("/alerts", service.alerts),
        Route("/alerts/publish", service.publish, methods=["POST"]),
        Route("/calls", service.calls),
    ]
    if with_faults:
        routes += [
            Route("/faults", service.armed),
            Route("/faults", service.arm, methods=["POST"]),
            Route("/faults", service.disarm, methods=["DELETE"]),
        ]
    return Starlette(routes=routes, exception_handlers=_HANDLERS)


def main() -> None:
    """Serve until a signal ends it."""
    options = _arguments()
    db: Path = options.db
    db.parent.mkdir(parents=True, exist_ok=True)
    flights = load_flights()
    consignments = generate(flights, per_day=options.per_day, seed=options.seed)
    listening = _listen(options.host, options.port)
    store = _open(db)
    token = os.environ.get(TOKEN, "")
    carrier = Carrier(flights, consignments, store)
    app = make_app(carrier, with_faults=options.faults, token=token)
    config = uvicorn.Config(
        app, log_level="warning", lifespan="off", timeout_graceful_shutdown=_GRACE_S
    )
    host, port = listening.getsockname()[:2]
    print(f"bookings listens on http://{host}:{port}", flush=True)  # noqa: T201 - for whoever started it
    uvicorn.Server(config).run(sockets=[listening])
    store.close()


class _CutOff(Response):
    """Promises a body and ends without it, upon which the server closes the connection."""

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _not_possible(_request: Request, error: Exception) -> Response:
    assert isinstance(error, NotPossible)  # noqa: S101 - it is registered for this type
    return JSONResponse({"detail": error.detail}, error.status)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for this type
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)


async def _unwritable(_request: Request, error: Exception) -> Response:
    detail = f"the database cannot be used ({error}); nothing was changed: try again"
    return JSONResponse({"detail": detail}, 503, headers={"Retry-After": "1"})


async def _dropped(_request: Request, _error: Exception) -> Response:
    return _CutOff()


_HANDLERS: Any = {
    NotPossible: _not_possible,
    HTTPException: _http_error,
    sqlite3.OperationalError: _unwritable,
    Dropped: _dropped,
}


def _json(content: BaseModel | list[Any] | tuple[Any, ...], status: int = 200) -> Response:
    if isinstance(content, BaseModel):
        return JSONResponse(content.model_dump(mode="json"), status)
    return JSONResponse([item.model_dump(mode="json") for item in content], status)


def _booking(booking: Booking, *, replayed: bool) -> dict[str, Any]:
    return {**booking.model_dump(mode="json"), "replayed": replayed}


def _key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if not 0 < len(key) <= MAX_KEY:
        raise NotPossible(
            400, f"send a header Idempotency-Key of 1 to {MAX_KEY} characters, the same on a retry"
        )
    return key


def _refuse_request(request: Request, struck: Fault | None, token: str) -> None:
    if struck is not None and struck.then == "echo":
        raise NotPossible(400, f"cannot read this request: {dict(request.headers)}")
    given = request.headers.get("authorization", "")
    if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise NotPossible(401, "send the header Authorization: Bearer, with your token")


def _asked(request: Request, name: str) -> str:
    value = request.query_params.get(name)
    if not value:
        raise NotPossible(400, f"say which: {request.url.path}?{name}=...")
    return value


def _parse(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise NotPossible(422, _said(error)) from error


def _said(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in error.errors()
    )


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise NotPossible(413, f"send at most {MAX_BODY} bytes")
    return bytes(body)


class _Names(BaseModel):
    consignment: str | None = None


def _consignment_in(body: bytes) -> str | None:
    try:
        return _Names.model_validate_json(body).consignment
    except ValidationError:
        return None  # what it says is judged later; here only faults are aimed


def _listen(host: str, port: int) -> socket.socket:
    try:
        listening = socket.create_server((host, port), backlog=512)
    except OSError as error:
        raise SystemExit(f"cannot listen on {host}:{port} ({error}): choose --port") from error
    # asyncio sets this only on sockets that name their protocol, and this one does not:
    # without it the client's delayed acknowledgement adds 40 ms to every answer.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _open(db: Path) -> Store:
    try:
        return Store(db)
    except sqlite3.Error as error:
        raise SystemExit(f"cannot use the database {db} ({error}): choose --db") from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The carrier's booking service.")
    parser.add_argument("--db", type=Path, required=True, help="SQLite file, made if missing")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=PORT, help="0: any free one; it is printed")
    parser.add_argument("--per-day", type=int, default=PER_DAY, help="consignments of each bad day")
    parser.add_argument("--seed", type=int, default=SEED, help="of the generated consignments")
    parser.add_argument("--faults", action="store_true", help="open /faults, for chaos tests")
    return parser.parse_args()


if __name__ == "__main__":
    main()
