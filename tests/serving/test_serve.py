"""`mlflow models serve` over HTTP: good, bad, huge, empty and concurrent requests."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import requests

from fovea.export.pyfunc import write_pyfunc
from fovea.pictures.pillow import packed
from fovea.serving.classifier import Classifier

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

JSON = {"Content-Type": "application/json"}
SHADES = (0, 255)
NAMES = {0: "dark", 255: "bright"}


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        url: Where.
        pid: Of the process that has the model.
    """

    url: str
    pid: int

    def ask(self, body: bytes, headers: dict[str, str] | None = None) -> requests.Response:
        return requests.post(f"{self.url}/invocations", data=body, headers=headers or JSON, timeout=60)

    def memory(self, line: str) -> float:
        """Megabytes: `VmRSS`, those of now, `VmHWM`, the most that there ever were."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition(f"{line}:")[2].split()[0]) / 1000


def save(folder: Path, write_classifier: Callable[..., Path]) -> Path:
    """The folder that MLflow loads."""
    made = write_classifier(folder / "made")
    data = {"classes": ["dark", "bright"], "channels": 3, "image_size": 8, "name": "shades"}
    model: Any = SimpleNamespace(facts={"data": data, "run_name": "brightness", "data_digest": "ab" * 32})
    write_pyfunc(folder / "pyfunc", made / "model.onnx", model, None, np.zeros((8, 8, 3), np.uint8))
    return folder / "pyfunc"


def environment() -> dict[str, str]:
    """That of a stranger: this Python and its packages, and nothing of the project."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "FOVEA_", "PYTHON"))}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "DO_NOT_TRACK": "true"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, write_classifier: Callable[..., Path]) -> Path:
    return save(tmp_path_factory.mktemp("model"), write_classifier)


@pytest.fixture(scope="module")
def server(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = ["-m", str(saved), "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", *place],
            cwd=log.parent,
            env=environment(),
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(f"http://127.0.0.1:{port}", _ready(f"http://127.0.0.1:{port}", process, log))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _ready(url: str, process: subprocess.Popen[bytes], log: Path) -> int:
    """The process that listens, once it does."""
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            if requests.get(f"{url}/ping", timeout=5).ok:
                return _last_child(process.pid)
        except requests.ConnectionError:
            time.sleep(0.1)
    pytest.fail(f"the server did not come up:\n{log.read_text()[-3000:]}", pytrace=False)


def _last_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _last_child(int(children[0])) if children else pid


def of(*cells: object) -> bytes:
    return json.dumps({"dataframe_split": {"columns": ["image"], "data": [[cell] for cell in cells]}}).encode()


def png(value: int) -> str:
    return base64.b64encode(packed(np.full((30, 20, 3), value, np.uint8))).decode()


@pytest.mark.parametrize(
    "body",
    [
        of(png(0), png(255)),
        json.dumps({"dataframe_records": [{"image": png(0)}, {"image": png(255)}]}).encode(),
        json.dumps({"inputs": {"image": [png(0), png(255)]}}).encode(),
        of([[[0, 0, 0]]], [[[255, 255, 255]]]),
    ],
    ids=["split", "records", "inputs", "arrays"],
)
def test_good_requests_are_answered(server: Server, body: bytes) -> None:
    answer = server.ask(body)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"]
    assert [row["predicted"] for row in rows] == ["dark", "bright"]
    assert rows[1]["probabilities"] == pytest.approx({"dark": 0.0, "bright": 1.0})


def test_the_example_that_lies_beside_the_model_is_a_good_request(server: Server, saved: Path) -> None:
    answer = server.ask((saved / "serving_input_example.json").read_bytes())
    assert answer.json()["predictions"][0]["predicted"] == "dark"


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (of(base64.b64encode(b"a text named .jpg").decode()), JSON, 400, "picture 1 of 1: not a picture"),
        (of(png(0), ""), JSON, 400, "picture 2 of 2: the file is empty"),
        (of("/etc/passwd"), JSON, 400, "a text that is not base64 of a file"),
        (of(None), JSON, 400, "of type NoneType"),
        (of(), JSON, 400, "0 pictures"),
        (b"", JSON, 400, "the request is empty"),
        (b"{", JSON, 400, "the request is not JSON"),
        (json.dumps({"dataframe_split": {"columns": ["img"], "data": [["x"]]}}).encode(), JSON, 400, "missing inputs"),
        (b"\xff\xd8\xff", {"Content-Type": "image/jpeg"}, 415, "only supports the following content types"),
        (lambda: bytes(100_000_000), JSON, 413, "the request is larger than 32,000,000 bytes"),
        (lambda: of("A" * 31_000_000), JSON, 400, "too many pixels or bytes"),
        (lambda: bytes(30_000_000), JSON, 400, "the request is not JSON"),
    ],
    ids=["text", "empty", "path", "null", "none", "nothing", "cut", "column", "kind", "zeros", "long", "few_zeros"],
)
def test_bad_requests_get_a_reason(server: Server, body: Any, headers: Any, status: int, words: str) -> None:
    answer = server.ask(body() if callable(body) else body, headers)
    assert answer.status_code == status
    assert words in answer.text
    assert len(answer.content) < 3000


def test_many_at_once_are_all_answered_and_memory_stays(server: Server) -> None:
    def one(number: int) -> tuple[int, str]:
        value = SHADES[number % 2]
        answer = server.ask(of("AAAA") if number % 5 == 0 else of(png(value)))
        return answer.status_code, "" if number % 5 == 0 else answer.json()["predictions"][0]["predicted"]

    def round_of(count: int) -> list[tuple[int, str]]:
        with ThreadPoolExecutor(8) as clients:
            return list(clients.map(one, range(count)))

    round_of(50)
    before = server.memory("VmRSS")
    found = round_of(200)
    assert found == [(400, "") if i % 5 == 0 else (200, NAMES[SHADES[i % 2]]) for i in range(200)]
    for _ in range(3):
        assert server.ask(bytes(100_000_000)).status_code == 413
    assert server.memory("VmRSS") - before < 100


def test_the_model_needs_neither_the_project_nor_pytorch(saved: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(saved, tmp_path / "elsewhere")
    program = (
        "import sys; sys.path.insert(0, 'code')\n"
        "class No:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'kedro', 'albumentations', 'pydantic', 'hydra'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        "from pathlib import Path\n"
        "from fovea.serving.classifier import Classifier\n"
        "import fovea, numpy, fovea.serving.pyfunc\n"
        "found = Classifier(Path('data/made'))\n"
        "seen = found.array(numpy.full((9, 9, 3), 255))\n"
        "print(Path(fovea.__file__).parent, found.classes[found.probabilities([seen])[0].argmax()])\n"
    )
    program = program.replace("data/made", f"data/{next((copy / 'data').iterdir()).name}")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=copy, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [str(copy / "code" / "fovea"), "bright"], done.stderr


def test_the_saved_folder_holds_no_pickle(saved: Path) -> None:
    # Python keeps what it compiled of the code that it runs there.
    kinds = {path.suffix for path in saved.rglob("*") if path.is_file() and path.parent.name != "__pycache__"}
    assert kinds <= {"", ".yaml", ".txt", ".json", ".onnx", ".py"}
    pinned = (saved / "requirements.txt").read_text().split()
    assert all("==" in line for line in pinned)
    assert not [line for line in pinned if line.startswith(("torch", "albumentations", "kedro"))]
    assert isinstance(Classifier(next((saved / "data").iterdir())), Classifier)
