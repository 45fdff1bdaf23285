"""What a user may get wrong about files, folders, disks and ports: one sentence, and what was there stays."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FILES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}
UNCHECKED = "data: {mirrors: [], files: {" + ", ".join(f"{role}: {{md5: null, bytes: null}}" for role in FILES) + "}}\n"
"""No checksums, so that a damaged file comes as far as the reader."""

SHORT = "trainer: {max_epochs: 1, limit_batches: 4}\nevaluate: {gallery: 4}\n"


def idx(values: Any, *, magic: bytes = b"", shape: tuple[int, ...] = ()) -> bytes:
    shape = shape or values.shape
    header = (magic or bytes((0, 0, 8, len(shape)))) + struct.pack(f">{len(shape)}I", *shape)
    return header + values.astype(np.uint8).tobytes()


def labels(count: int) -> Any:
    return np.arange(count) % 10


def fill(mirror: Path, **instead: bytes) -> Path:
    """A mirror with 300 and 60 pictures of noise."""
    noise = np.random.default_rng(0)
    whole = {
        "train_images": idx(noise.integers(0, 256, (300, 28, 28))),
        "train_labels": idx(labels(300)),
        "test_images": idx(noise.integers(0, 256, (60, 28, 28))),
        "test_labels": idx(labels(60)),
    }
    (mirror / "mnist").mkdir(parents=True)
    for role, name in FILES.items():
        (mirror / "mnist" / name).write_bytes(instead.get(role) or gzip.compress(whole[role], mtime=0))
    return mirror


@pytest.fixture(scope="module")
def prepared(make_project: Callable[..., Any]) -> Any:
    """A copy of the project with prepared digits, and with outputs of the later stages. Tests leave it as it is."""
    project = make_project("prepared", SHORT)
    project.run("kedro", "run", "--pipelines=ingest,prepare")
    for name in ("06_models/model/model.json", "07_model_output/predictions.parquet", "08_reporting/metrics.json"):
        path = project.root / "data" / name
        path.parent.mkdir(parents=True)
        path.write_text("earlier")
    return project


@pytest.fixture
def own(prepared: Any, tmp_path: Path) -> Any:
    """A copy of `prepared` that a test may change."""
    root = tmp_path / "project"
    shutil.copytree(prepared.root, root, symlinks=True)
    return type(prepared)(root, prepared.environment | {"PYTHONPATH": str(root / "src")})


@pytest.fixture
def write(prepared: Any) -> Iterator[Callable[[str, bytes], Path]]:
    """Changes a file of `prepared` until the test ends."""
    before: list[tuple[Path, bytes | None]] = []

    def change(name: str, content: bytes) -> Path:
        path: Path = prepared.root / name
        before.append((path, path.read_bytes() if path.exists() else None))
        path.write_bytes(content)
        return path

    yield change
    for path, content in reversed(before):
        path.chmod(0o644)
        path.unlink()
        if content is not None:
            path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("conf/model/lenet5.yaml", b"name: [lenet5\n", "conf/model/lenet5.yaml is not valid YAML at line 2: "),
        ("conf/base/catalog.yml", b"metrics: {type\n", "conf/base/catalog.yml is not valid YAML at line 2: "),
        ("conf/local/overrides.yaml", b"# \xe9\n", "conf/local/overrides.yaml is not valid YAML: it holds characters"),
        ("conf/local/overrides.yaml", b"- 1\n", "conf/local/overrides.yaml must hold keys and values"),
        (
            "conf/local/overrides.yaml",
            b"trainer: {max_epoch: 1}\n",
            "conf/local/overrides.yaml: unknown key 'trainer.max_epoch' = 1; did you mean 'max_epochs'?",
        ),
    ],
)
def test_a_broken_file_of_the_configuration(
    prepared: Any, write: Callable[..., Path], name: str, content: bytes, sentence: str
) -> None:
    write(name, content)
    assert prepared.refused("kedro", "run", code=2, before=prepared.outputs()).startswith(f"Error: {sentence}")


def test_a_file_of_the_configuration_that_may_not_be_read(
    prepared: Any, write: Callable[..., Path], plain_user: list[str]
) -> None:
    write("conf/local/overrides.yaml", b"seed: 1\n").chmod(0)
    sentence = prepared.refused(*plain_user, "kedro", "run", code=2, before=prepared.outputs())
    assert sentence == (
        "Error: conf/local/overrides.yaml cannot be read: permission denied; make it readable for this user"
    )


def test_a_file_in_the_place_of_the_data_folder(own: Any) -> None:
    shutil.rmtree(own.root / "data")
    (own.root / "data").write_text("in the way")
    sentence = own.refused("kedro", "run", code=1, before={})
    assert "/data/01_raw/digits/" in sentence
    assert "a part of the path is a file, not a folder; move that file away" in sentence
    assert (own.root / "data").read_text() == "in the way"


def test_a_data_folder_that_is_not_there_is_made(own: Any) -> None:
    shutil.rmtree(own.root / "data")
    own.run("kedro", "run", "--pipelines=ingest,prepare")
    assert (own.root / "data/05_model_input/prepared/prepared.json").is_file()


def test_a_folder_that_may_not_be_written(own: Any, plain_user: list[str]) -> None:
    folder = own.root / "data/02_intermediate"
    folder.chmod(0o555)
    sentence = own.refused(*plain_user, "kedro", "run", code=1, before=own.outputs())
    folder.chmod(0o755)
    assert sentence == (
        f"Error: writing {folder}/source failed: permission denied; make the folder writable for this user "
        "(log: logs/fovea.log)"
    )


def test_a_read_only_file_system(own: Any, mount: Callable[..., None]) -> None:
    data = own.root / "data"
    mount(data, "--bind", str(data))
    mount(data, "-o", "remount,ro,bind")
    sentence = own.refused("kedro", "run", code=1, before=own.outputs())
    assert sentence.startswith(f"Error: writing {data}/02_intermediate/source failed: the file system is read-only")


@pytest.mark.parametrize(
    ("size", "what"), [("400k", "the bytes of mnist_5k.csv.gz"), ("2m", "the shards of data 'digits'")]
)
def test_a_full_disk_is_noticed_before_anything_is_written(
    own: Any, mount: Callable[..., None], size: str, what: str
) -> None:
    data = own.root / "data"
    shutil.rmtree(data)
    data.mkdir()
    mount(data, "-t", "tmpfs", "-o", f"size={size}", "none")
    sentence = own.refused("kedro", "run", code=1, before={})
    assert sentence.startswith(f"Error: {what} need ")
    assert "free some space and run the same command again" in sentence


@pytest.mark.slow
def test_a_disk_that_fills_up_in_training_and_is_emptied(own: Any, mount: Callable[..., None]) -> None:
    data = own.root / "data"
    shutil.rmtree(data)
    data.mkdir()
    mount(data, "-t", "tmpfs", "-o", "size=6m", "none")
    own.run("kedro", "run", "--pipelines=ingest,prepare")
    sentence = own.refused("kedro", "run", code=1, before=own.outputs())
    assert sentence.startswith(f"Error: writing {data}/06_models/_work/")
    assert " failed: the disk is full; free some space and run the same command again" in sentence
    (failed,) = own.runs()
    assert failed.info.status == "FAILED"
    assert "the disk is full" in failed.data.tags["error"]
    mount(data, "-o", "remount,size=64m")
    own.run("kedro", "run")
    (run,) = own.runs()
    assert (run.info.run_id, run.info.status) == (failed.info.run_id, "FINISHED")
    assert "error" not in run.data.tags
    assert run.data.metrics["test/acc"] == own.metrics()["test/acc"]


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        (
            gzip.compress(idx(labels(60), magic=b"\0\0\x08\x03"), mtime=0),
            "begins with 0x00000803 where the magic number",
        ),
        (gzip.compress(idx(labels(60), magic=b"\0\0\x0d\x01")), "holds float32 values where uint8 are expected"),
        (gzip.compress(idx(labels(55), shape=(60,))), "ends after 55 of the 60 values"),
        (gzip.compress(idx(labels(62), shape=(60,))), "has more than the 60 values"),
        (gzip.compress(idx(labels(60), shape=(4_000_000_000,))), "announces 4,000,000,000 values, more than a file of"),
        (gzip.compress(idx(labels(60)))[:-9], "is cut short: its gzip stream has no end"),
        (gzip.compress(idx(labels(60)))[:-6] + b"damage", "is damaged: its gzip stream cannot be unpacked"),
        (gzip.compress(idx(labels(60) + 3)), "has label 10 at position 7, but data.classes names 10 classes"),
    ],
    ids=["magic", "type", "missing", "extra", "lie", "cut", "gzip", "label"],
)
def test_a_damaged_idx_file(own: Any, tmp_path: Path, damaged: bytes, words: str) -> None:
    mirror = fill(tmp_path / "mirror", test_labels=damaged)
    own.settings(UNCHECKED)
    sentence = own.refused("kedro", "run", "data=mnist", code=1, before=own.outputs(), FOVEA_MIRROR=str(mirror))
    assert sentence.startswith(f"Error: '{own.root}/data/01_raw/mnist/{FILES['test_labels']}' {words}")


def test_a_file_with_another_checksum_is_kept_aside(own: Any, tmp_path: Path) -> None:
    mirror = fill(tmp_path / "mirror")
    own.settings(UNCHECKED.replace("test_labels: {md5: null", f"test_labels: {{md5: {'f' * 32}"))
    sentence = own.refused("kedro", "run", "data=mnist", code=1, before=own.outputs(), FOVEA_MIRROR=str(mirror))
    md5 = hashlib.md5((mirror / "mnist" / FILES["test_labels"]).read_bytes(), usedforsecurity=False).hexdigest()
    assert sentence.startswith(f"Error: {FILES['test_labels']} could not be had")
    assert f"kept as {FILES['test_labels']}.bad-{md5[:8]}" in sentence
    kept = {path.name for path in (own.root / "data/01_raw/mnist").iterdir() if not path.name.startswith(".")}
    assert kept == {*FILES.values(), f"{FILES['test_labels']}.bad-{md5[:8]}"} - {FILES["test_labels"]}


def test_a_port_that_is_taken(prepared: Any) -> None:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        port = one.getsockname()[1]
        sentence = prepared.refused("kedro", "ui", f"--port={port}", code=2, before=prepared.outputs())
    assert sentence.startswith(f"Error: --port={port} is taken by another program; choose another")
    assert not (prepared.root / "mlflow.db").exists()
