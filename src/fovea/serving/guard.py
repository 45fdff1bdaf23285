"""What `mlflow models serve` lacks around the model: a limit of a request's size and of an answer's.

MLflow reads a request of any size, and its errors repeat what was sent: 100 MB of zeros are answered with 500 MB.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

MAX_BYTES = 32_000_000
"""Of a request's body: a picture of 20 MB in base64 and what is around it."""
_LONGEST = 2_000  # bytes of an error
_PATIENCE = 16

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]


class Guard:
    """An ASGI application before another one.

    A request that is too large gets 413, one without a content type 415, one that says that it is JSON and is not 400;
    the other application does not see them. Long errors are cut.

    Args:
        app: The other one.
        max_bytes: Of a request's body.
    """

    def __init__(self, app: App, max_bytes: int = MAX_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if not kind:
            await _answer(send, 415, "the request has no Content-Type; send application/json")
            return
        length = headers.get(b"content-length", b"0")
        body = await self._body(receive, fits=length.isdigit() and int(length) <= self._max_bytes)
        if body is None:
            await _answer(send, 413, f"the request is larger than {self._max_bytes:,} bytes")
        elif kind == b"application/json" and not await asyncio.to_thread(_is_json, body):
            await _answer(send, 400, "the request is not JSON" if body else "the request is empty")
        else:
            await self._app(scope, _replayed(body, receive), _Cutting(send))

    async def _body(self, receive: Receive, *, fits: bool) -> bytes | None:
        """The whole request; None where it is too large, by what it says or by what comes.

        What is too large is read and forgotten, for a client that still sends does not hear an answer; up to a size
        that nobody sends by mistake.
        """
        parts: list[bytes] = []
        size, more = 0, True
        while more and size <= _PATIENCE * self._max_bytes:
            message = await receive()
            part = message.get("body", b"")
            size += len(part)
            fits = fits and size <= self._max_bytes
            if fits:
                parts.append(part)
            else:
                parts.clear()
            more = message["type"] == "http.request" and message.get("more_body", False)
        return b"".join(parts) if fits else None


class _Cutting:
    """Sends what the application says, its errors cut."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._parts: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        body = _cut(b"".join(self._parts))
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await self._send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def guard_server() -> bool:
    """Puts the guard before MLflow's scoring server, if it is that which loads the model; whether it is.

    The server's module loads the model and only then makes its application, of a class that it imports at that moment.
    """
    if "mlflow.pyfunc.scoring_server.app" not in sys.modules:
        return False
    import fastapi

    plain: Any = fastapi.FastAPI

    class Guarded(plain):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            fastapi.FastAPI = plain  # type: ignore[misc]
            super().__init__(*args, **kwargs)
            self.add_middleware(Guard)

    fastapi.FastAPI = Guarded  # type: ignore[misc]
    return True


def _replayed(body: bytes, receive: Receive) -> Receive:
    left = [body]

    async def replay() -> Message:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return replay


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _cut(body: bytes) -> bytes:
    """An error whose reason, which MLflow puts last in its `message`, is kept."""
    if len(body) <= _LONGEST:
        return body
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        return body[:_LONGEST]
    _, found, reason = message.rpartition("\nError: ")
    short = reason if found else message
    return _error(short if len(short) <= _LONGEST else f"{short[:_LONGEST]}...")


def _error(reason: str) -> bytes:
    return json.dumps({"error_code": "BAD_REQUEST", "message": reason}).encode()


async def _answer(send: Send, status: int, reason: str) -> None:
    body = _error(reason)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 413:
        headers.append((b"connection", b"close"))  # the rest of the request is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
