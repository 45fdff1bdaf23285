"""A project folder, small IDX files, and a web server whose faults can be ordered."""

from __future__ import annotations

import gzip
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WriteIdx = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of an empty project, found through FOVEA_ROOT."""
    root = tmp_path / "project"
    (root / "conf").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(root))
    return root


@pytest.fixture
def write_idx() -> WriteIdx:
    """Writes an array as an IDX file, gzipped if the name ends so."""

    def write(path: Path, values: np.ndarray[Any, Any], *, magic: bytes | None = None, shape: Any = None) -> Path:
        shape = values.shape if shape is None else shape
        header = magic or bytes((0, 0, 8, len(shape)))
        content = header + struct.pack(f">{len(shape)}I", *shape) + values.astype(np.uint8).tobytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
        return path

    return write


@dataclass
class Server:
    """What the web server has, what goes wrong with the next requests, and what was asked of it.

    Faults, one a request, in order: an int (answered with that status), ``cut:N`` (N bytes, then the connection ends),
    ``norange`` (sends the whole file), ``wrongrange`` (sends another part), ``nolength`` (does not tell the length),
    ``slow`` (answers after the client's patience), ``none``.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Any] = field(default_factory=list)
    etag: str | None = '"1"'
    requests: list[dict[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    state: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self.state.requests.append({"path": self.path, **self.headers})
        fault = self.state.faults.pop(0) if self.state.faults else "none"
        content = self.state.files.get(self.path)
        if isinstance(fault, int) or content is None:
            self.send_error(fault if isinstance(fault, int) else 404)
            return
        if fault == "slow":
            time.sleep(0.5)
        begin = self.begin(fault)
        if begin is not None and begin >= len(content):
            self.send_error(416)
            return
        self.answer(content, begin, fault)

    def begin(self, fault: str) -> int | None:
        """Where the asked part begins; None for the whole file."""
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if asked is None or fault == "norange" or (condition and condition != self.state.etag):
            return None
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def answer(self, content: bytes, begin: int | None, fault: str) -> None:
        body = content[begin or 0 :]
        self.send_response(200 if begin is None else 206)
        if begin is not None:
            shown = begin + (3 if fault == "wrongrange" else 0)
            self.send_header("Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}")
        if self.state.etag:
            self.send_header("ETag", self.state.etag)
        if fault != "nolength":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: int(fault.removeprefix("cut:"))] if fault.startswith("cut:") else body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    state = _Handler.state = Server(f"http://127.0.0.1:{httpd.server_address[1]}")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def jpeg() -> Callable[[int], bytes]:
    """Makes a small JPEG file, another one for each number."""
    import cv2

    def make(number: int) -> bytes:
        pixels = np.random.default_rng(number).integers(0, 256, (8, 10, 3), np.uint8)
        return bytes(cv2.imencode(".jpg", pixels)[1])

    return make
