"""The files of a training under way: what is kept, what is refused."""

from __future__ import annotations

import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fovea.core.digest import file_digest
from fovea.core.errors import RunError
from fovea.training.checkpoint_store import CheckpointStore, Sidecar, _save, save_weights


def state(step: int, epoch: int = 0) -> dict[str, Any]:
    return {"state_dict": {"w": torch.full((4,), float(step))}, "loops": {}, "global_step": step, "epoch": epoch}


def saved(store: CheckpointStore, *steps: int) -> None:
    for step in steps:
        store.save_checkpoint(state(step), store.path(step))
        assert store.take_error() is None


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_are_kept_each_with_its_sidecar(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, "digest", keep_last=2, world_size=3)
    assert store.newest() is None
    assert store.usable() is None
    saved(store, 5, 10, 100)
    assert names(tmp_path) == ["step-00000010.ckpt", "step-00000010.json", "step-00000100.ckpt", "step-00000100.json"]
    path = tmp_path / "step-00000100.ckpt"
    assert store.newest() == path
    assert store.usable() == path
    sidecar = Sidecar.read(path)
    assert sidecar is not None
    assert (sidecar.step, sidecar.epoch, sidecar.config_digest, sidecar.world_size) == (100, 1, "digest", 3)
    assert store.load_checkpoint(path)["global_step"] == 100


def test_best_weights_stay_as_long_as_a_checkpoint_refers_to_them(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, "digest", keep_last=2)
    for epoch, best in enumerate([True, False, True, True], start=1):
        if best:
            store.offer_best(epoch, {"w": torch.full((2,), float(epoch), dtype=torch.float64)})
        store.save_checkpoint(state(10 * epoch, epoch - 1), store.path(10 * epoch))
        bests = [path.name for path in sorted(tmp_path.glob("best-*"))]
        assert bests == [f"best-epoch-{one:04d}.safetensors" for one in ([1], [1], [1, 3], [3, 4])[epoch - 1]]
    assert torch.equal(load_file(store.best_path(4))["w"], torch.tensor([4.0, 4.0]))


def test_a_training_that_resumes_refers_to_the_best_of_its_checkpoint(tmp_path: Path) -> None:
    first = CheckpointStore(tmp_path, "digest")
    first.offer_best(1, {"w": torch.ones(1)})
    saved(first, 10)
    first.offer_best(2, {"w": torch.zeros(1)})
    saved(first, 20)
    first.best_path(2).write_bytes(b"damaged")
    again = CheckpointStore(tmp_path, "digest")
    assert again.usable() == again.path(10)
    saved(again, 15, 20)
    sidecar = Sidecar.read(again.path(20))
    assert sidecar is not None
    assert sidecar.best == "best-epoch-0001.safetensors"
    assert [path.name for path in tmp_path.glob("best-*")] == ["best-epoch-0001.safetensors"]


def test_what_is_not_whole_or_foreign_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = CheckpointStore(tmp_path, "digest", keep_last=9)
    saved(store, 10, 20, 30, 40, 50, 60)
    (tmp_path / "step-00000060.json").unlink()
    (tmp_path / "step-00000050.json").write_text("{")
    (tmp_path / "step-00000040.ckpt").write_bytes(store.path(40).read_bytes()[:-1])
    foreign = json.loads((tmp_path / "step-00000030.json").read_text()) | {"config_digest": "another"}
    (tmp_path / "step-00000030.json").write_text(json.dumps(foreign))
    (tmp_path / ".step-00000070.ckpt.host-1-abc.tmp").write_bytes(b"half")
    (tmp_path / ".best-epoch-0007.safetensors.host-1-abc.tmp").write_bytes(b"half")
    with caplog.at_level(logging.WARNING, "fovea"):
        assert store.usable() == store.path(20)
    assert [record.message for record in caplog.records] == [
        f"{store.path(step)} {reason}; it is put aside as *.bad and training goes on from step-00000020.ckpt"
        for step, reason in (
            (60, "was not written to its end"),
            (50, "was not written to its end"),
            (40, "is damaged (its sha256 is not that of its sidecar)"),
            (30, "is of another configuration"),
        )
    ]
    assert not list(tmp_path.glob(".*"))
    assert len(list(tmp_path.glob("*.bad"))) == 4
    assert store.usable() == store.path(20)


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, [1, 2]])
def test_what_torch_can_read_may_be_no_checkpoint(
    content: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = forged(tmp_path, content)
    assert store.usable() is None
    assert "is not a checkpoint; it is put aside as *.bad and training starts over" in caplog.text


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "ran"),))

    store = forged(tmp_path, {"state_dict": {}, "loops": Hostile()})
    with pytest.raises(Exception, match="weights_only"):
        store.load_checkpoint(store.path(1), weights_only=False)
    assert store.usable() is None
    assert not (tmp_path / "ran").exists()


def forged(folder: Path, content: Any) -> CheckpointStore:
    """A checkpoint with any content and a sidecar that says it is right."""
    store = CheckpointStore(folder, "digest")
    torch.save(content, store.path(1))
    sha256 = file_digest(store.path(1))
    Sidecar(sha256, 1, 1, "digest", 1, None, None).write(store.path(1))
    return store


@pytest.mark.parametrize("part", ["step-00000020.ckpt", "step-00000020.json", "best-epoch-0002.safetensors"])
def test_a_full_disk_leaves_what_is_there(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CheckpointStore(tmp_path, "digest")
    store.offer_best(1, {"w": torch.ones(1)})
    saved(store, 10)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    fsync = os.fsync

    def full(descriptor: int) -> None:
        if part in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    store.offer_best(2, {"w": torch.zeros(1)})
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        store.save_checkpoint(state(20), store.path(20))
    error = store.take_error()
    assert isinstance(error, RunError)
    assert str(error).endswith("failed: the disk is full; free some space and run the same command again")
    assert store.take_error() is None
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {"best-epoch-0002.safetensors"}
    assert CheckpointStore(tmp_path, "digest").usable() == store.path(10)
    saved(store, 20)
    assert store.best_path(2).exists()


def test_a_disk_that_fills_while_torch_writes() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        _save(state(1) | {"much": torch.zeros(1_000_000)}, Path("/dev/full"))


def test_weights_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best.safetensors"
    path.write_bytes(b"earlier")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RunError, match=r"writing .*best\.safetensors failed: the disk is full; free some space"):
        save_weights(torch.nn.Linear(2, 2), path)
    assert [(left.name, left.read_bytes()) for left in tmp_path.iterdir()] == [("best.safetensors", b"earlier")]
