"""The guard before the scoring server: requests that never reach it, and errors that are cut."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fovea.serving.guard import Guard, guard_server

JSON = [(b"content-type", b"application/json; charset=utf-8")]


class Echo:
    """Answers in two parts: with the request's body, or as it is told."""

    def __init__(self, status: int = 200, answer: bytes | None = None) -> None:
        self.status, self.answer, self.seen = status, answer, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen += 1
        body = self.answer if self.answer is not None else (await receive())["body"]
        headers = [(b"content-length", str(len(body)).encode()), (b"x-kept", b"yes")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body[:3], "more_body": True})
        await send({"type": "http.response.body", "body": body[3:]})


def ask(
    app: Any, parts: list[bytes], headers: list[Any], method: str = "POST"
) -> tuple[int, bytes, dict[bytes, bytes]]:
    left, sent = list(parts), []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(Guard(app, max_bytes=50)({"type": "http", "method": method, "headers": headers}, receive, send))
    start = sent[0]
    return start["status"], b"".join(one.get("body", b"") for one in sent[1:]), dict(start["headers"])


def test_a_good_request_goes_through_whole() -> None:
    status, body, headers = ask(Echo(), [b'{"a":', b" 1}"], JSON)
    assert (status, body, headers[b"x-kept"]) == (200, b'{"a": 1}', b"yes")


@pytest.mark.parametrize(
    ("parts", "headers", "status", "words"),
    [
        ([b"{}"], [], 415, "has no Content-Type"),
        ([b"{}"], [*JSON, (b"content-length", b"51")], 413, "larger than 50 bytes"),
        ([b"{}"], [*JSON, (b"content-length", b"many")], 413, "larger than 50 bytes"),
        ([b"[" + b"1," * 20, b"1," * 20, b"1]"], JSON, 413, "larger than 50 bytes"),
        ([b""], JSON, 400, "the request is empty"),
        ([bytes(50)], JSON, 400, "the request is not JSON"),
        ([b"[" * 50], JSON, 400, "the request is not JSON"),
    ],
)
def test_a_bad_request_never_reaches_the_server(parts, headers, status, words) -> None:
    app = Echo()
    found, body, _ = ask(app, parts, headers)
    assert (found, app.seen) == (status, 0)
    assert words in json.loads(body)["message"]


def test_what_is_asked_without_a_body_goes_through() -> None:
    assert ask(Echo(answer=b"\n"), [b""], [], method="GET")[:2] == (200, b"\n")


def test_a_long_error_keeps_its_reason() -> None:
    long = json.dumps({"message": f"Failed to predict data '{'A' * 9000}'. \nError: picture 1 of 1: not a picture"})
    status, body, headers = ask(Echo(400, long.encode()), [b"{}"], JSON)
    assert (status, json.loads(body)["message"]) == (400, "picture 1 of 1: not a picture")
    assert int(headers[b"content-length"]) == len(body)


@pytest.mark.parametrize("answer", [b"x" * 9000, json.dumps({"message": "y" * 9000}).encode()])
def test_a_long_error_of_another_kind_is_cut(answer: bytes) -> None:
    status, body, _ = ask(Echo(500, answer), [b"{}"], JSON)
    assert status == 500
    assert len(body) < 2100


def test_short_errors_stay_as_they_are() -> None:
    assert ask(Echo(400, b'{"message": "no"}'), [b"{}"], JSON)[1] == b'{"message": "no"}'


def test_outside_of_a_server_nothing_is_changed() -> None:
    import fastapi

    before = fastapi.FastAPI
    assert guard_server() is False
    assert fastapi.FastAPI is before
