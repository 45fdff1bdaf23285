"""`mlflow models serve` under mixed load: 500 good and bad requests from 8 clients, then a thousand connections.

Claims: every good request is answered right, every bad one with a 4xx and a reason, none is lost, memory stays.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import requests
from common import BIN, environment, keep, project_copy, timed

from fovea.pictures.pillow import packed
from fovea.shards import PreparedData

_REQUESTS, _CLIENTS, _CROWD = 500, 8, 1000
_JSON = {"Content-Type": "application/json"}
Case = tuple[bytes, str]  # a request's body, and the class that it is answered with, nothing for a bad one


def main() -> None:
    """Trains and exports the default model, serves it and asks it."""
    with _project() as root:
        cases = _cases(root)
        with _served(root / "data" / "06_models" / "export" / "pyfunc") as (url, pid):
            _load(url, cases[:50])
            before, found = _memory(pid, "VmRSS"), _load(url, cases)
            after = _memory(pid, "VmRSS")
            _load(url, cases)
            again = _memory(pid, "VmRSS")
            crowd = asyncio.run(_crowd(url, cases[1][0]))
            peak = _memory(pid, "VmHWM")
    good = [seconds for (_, name), (seconds, status, said) in zip(cases, found, strict=True) if name]
    bad = [seconds for (_, name), (seconds, status, said) in zip(cases, found, strict=True) if not name]
    right = sum(
        status == 200 and said == name for (_, name), (_, status, said) in zip(cases, found, strict=True) if name
    )
    refused = sum(
        400 <= status < 500 and bool(said)
        for (_, name), (_, status, said) in zip(cases, found, strict=True)
        if not name
    )
    row = {"requests": len(cases), "clients": _CLIENTS, "good": len(good), "right": right, "bad": len(bad)}
    numbers = {"refused": refused, **_times("good", good), **_times("bad", bad)}
    memory = {
        "mb_before": round(before),
        "mb_after": round(after),
        "mb_after_as_many_more": round(again),
        "mb_peak": round(peak),
    }
    keep("serve", [{**row, **numbers, **memory, "crowd": _CROWD, "crowd_answered": crowd}])
    assert right == len(good)
    assert refused == len(bad)


@contextmanager
def _project() -> Iterator[Path]:
    """A project that has trained and exported: that of `FOVEA_BENCH_PROJECT`, or a copy made for it."""
    if named := os.environ.get("FOVEA_BENCH_PROJECT"):
        yield Path(named)
        return
    with project_copy() as root:
        timed([str(BIN / "kedro"), "run", "--pipelines=__default__,export", "trainer.max_epochs=3"], root)
        yield root


def _times(name: str, seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {f"{name}_p50_ms": round(1000 * cuts[49], 1), f"{name}_p95_ms": round(1000 * cuts[94], 1)}


def _cases(root: Path) -> list[Case]:
    """Test pictures and what the evaluation said of them; every fifth request is bad, of eight kinds in turn."""
    test = PreparedData.open(root / "data" / "05_model_input" / "prepared").split("test")
    said = pd.read_parquet(root / "data" / "07_model_output" / "predictions.parquet").set_index("id")["predicted"]
    text = base64.b64encode(b"this is a text and its name ends in .jpg").decode()
    cut = base64.b64encode(packed(test.image(0))[:-20]).decode()
    bad = [
        _request(text),
        _request(""),
        _request(cut),
        _request("/etc/passwd"),
        b"",
        b"{",
        _request("A" * 28_000_000),
        bytes(100_000_000),
    ]
    cases: list[Case] = []
    for number in range(_REQUESTS):
        if number % 5 == 0:
            cases.append((bad[number // 5 % len(bad)], ""))
        else:
            row = number % len(test)
            picture = base64.b64encode(packed(test.image(row))).decode()
            cases.append((_request(picture), str(said[test.ids[row]])))
    return cases


def _request(picture: str) -> bytes:
    return json.dumps({"dataframe_split": {"columns": ["image"], "data": [[picture]]}}).encode()


@contextmanager
def _served(model: Path) -> Iterator[tuple[str, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, place = f"http://127.0.0.1:{port}", ["-h", "127.0.0.1", "-p", str(port)]
    command = [str(BIN / "mlflow"), "models", "serve", "-m", str(model), "--env-manager", "local", *place]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment(), start_new_session=True, stdout=quiet, stderr=quiet)
    try:
        while not _answers(url):
            assert process.poll() is None
            time.sleep(0.2)
        yield url, _worker(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/ping", timeout=5).ok
    except requests.ConnectionError:
        return False


def _worker(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _worker(int(children[0])) if children else pid


def _memory(pid: int, line: str) -> float:
    return int(Path(f"/proc/{pid}/status").read_text().partition(f"{line}:")[2].split()[0]) / 1000


def _load(url: str, cases: list[Case]) -> list[tuple[float, int, str]]:
    def ask(case: Case) -> tuple[float, int, str]:
        start = time.perf_counter()
        answer = requests.post(f"{url}/invocations", data=case[0], headers=_JSON, timeout=120)
        seconds, content = time.perf_counter() - start, answer.json()
        said = content["predictions"][0]["predicted"] if answer.ok else content["message"]
        return seconds, answer.status_code, said

    with ThreadPoolExecutor(_CLIENTS) as clients:
        return list(clients.map(ask, cases))


async def _crowd(url: str, body: bytes) -> int:
    """How many of a thousand connections that are all open before any asks get their answer."""
    host, _, port = url.removeprefix("http://").partition(":")
    pairs = [await asyncio.open_connection(host, int(port)) for _ in range(_CROWD)]
    head = f"POST /invocations HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    for _, writer in pairs:
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answers = await asyncio.gather(*(reader.read() for reader, _ in pairs), return_exceptions=True)
    for _, writer in pairs:
        writer.close()
    return sum(isinstance(answer, bytes) and answer.startswith(b"HTTP/1.1 200") for answer in answers)


if __name__ == "__main__":
    main()
