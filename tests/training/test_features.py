from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fovea.core.errors import RunError
from fovea.core.places import CACHE
from fovea.loading.features import FeatureDataset, FeatureTable
from fovea.loading.sampler import BatchKey
from fovea.training import features
from fovea.training.features import Looks, table_of, tensors_digest
from fovea.training.job import TrainJob

MakeJob = Callable[..., TrainJob]
BLUR = [{"_target_": "albumentations.GaussNoise", "p": 1.0}]


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))


class Body(nn.Module):
    """A network that counts its pictures."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(144, 6)
        self.seen = 0

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        self.seen += len(pictures)
        result: torch.Tensor = self.layer(pictures.float().flatten(1) / 255)
        return result


@pytest.fixture
def looks(make_job: MakeJob) -> Looks:
    job = make_job()
    return Looks(job.data, job.augment, job.loader, job.seed)


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / CACHE).iterdir() if not path.name.endswith((".lock", ".holder")))


def test_features_are_computed_once_and_are_what_the_network_says(looks: Looks, squares: Any, tmp_path: Path) -> None:
    body, pictures = Body().eval(), squares.split("train")
    first = table_of(body, "net", squares, "train", looks)
    assert body.seen == 200
    again = table_of(body, "net", squares, "train", looks)
    assert body.seen == 200
    with torch.inference_mode():
        expected = body(torch.from_numpy(pictures.images()).permute(0, 3, 1, 2)).numpy()
    assert np.allclose(first.features[0], expected, atol=1e-6)
    assert np.array_equal(again.features[0], first.features[0])
    assert np.array_equal(first.labels, pictures.labels)
    assert len(files(tmp_path)) == 1


def test_whatever_decides_the_features_makes_other_ones(
    looks: Looks, make_job: MakeJob, squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = Body().eval()
    table_of(body, "net", squares, "train", looks)
    others = [
        lambda: table_of(body, "net", squares, "val", looks),
        lambda: table_of(
            body, "net", squares, "train", looks._replace(augment=make_job(augment={"eval": BLUR}).augment)
        ),
        lambda: (torch.nn.init.zeros_(body.layer.bias), table_of(body, "net", squares, "train", looks)),
        lambda: (monkeypatch.setattr(features, "_BATCH", 8), table_of(body, "net", squares, "train", looks)),
        lambda: (
            monkeypatch.setattr(features, "version", lambda _: "0"),
            table_of(body, "net", squares, "train", looks),
        ),
        lambda: (
            monkeypatch.setattr(squares.meta, "digest", "f" * 64),
            table_of(body, "net", squares, "train", looks),
        ),
    ]
    for number, compute in enumerate(others, 2):
        compute()
        assert len(files(tmp_path)) == number


def test_the_seed_and_the_augmentation_decide_the_views_after_the_first_alone(
    looks: Looks, make_job: MakeJob, squares: Any, tmp_path: Path
) -> None:
    body = Body().eval()
    looks = looks._replace(augment=make_job(augment={"train": BLUR}).augment, views=3)
    table = table_of(body, "net", squares, "train", looks)
    assert body.seen == 600
    assert len(files(tmp_path)) == 3
    assert not np.array_equal(table.features[1], table.features[2])
    plain = table_of(body, "net", squares, "train", looks._replace(views=1))
    assert body.seen == 600
    assert np.array_equal(plain.features[0], table.features[0])
    other = table_of(body, "net", squares, "train", looks._replace(seed=1))
    assert body.seen == 1000
    assert np.array_equal(other.features[0], table.features[0])
    assert not np.array_equal(other.features[1], table.features[1])


def test_a_computation_that_breaks_off_leaves_no_file(
    looks: Looks, squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = Body().eval()

    def broken(self: Body, pictures: torch.Tensor) -> torch.Tensor:
        self.seen += len(pictures)
        if self.seen > 100:
            raise KeyboardInterrupt
        return self.layer(pictures.float().flatten(1))

    with monkeypatch.context() as patch:
        patch.setattr(Body, "forward", broken)
        with pytest.raises(KeyboardInterrupt):
            table_of(body, "net", squares, "train", looks)
    assert files(tmp_path) == []
    assert len(table_of(body, "net", squares, "train", looks).features[0]) == 200


def test_a_file_that_may_be_read_and_not_touched_is_used(
    looks: Looks, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = Body().eval()
    first = table_of(body, "net", squares, "train", looks)

    def refuse(self: Path) -> None:
        raise PermissionError(errno.EPERM, "not the owner", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", refuse)
        again = table_of(body, "net", squares, "train", looks)
    assert body.seen == 200
    assert np.array_equal(again.features[0], first.features[0])


def test_a_file_that_another_process_removes_meanwhile_is_no_error(looks: Looks, squares: Any, tmp_path: Path) -> None:
    folder = tmp_path / CACHE
    folder.mkdir(parents=True)
    gone = folder / f"squares-{squares.split('train').name}-net-view0-{'0' * 16}.npy"
    gone.symlink_to(tmp_path / "gone")  # its name is there, and asking for its time fails
    assert len(table_of(Body().eval(), "net", squares, "train", looks).features[0]) == 200
    assert len(files(tmp_path)) == 2


def test_a_file_cut_short_is_made_anew(looks: Looks, squares: Any, tmp_path: Path) -> None:
    body = Body().eval()
    whole = np.array(table_of(body, "net", squares, "train", looks).features[0])
    (path,) = (tmp_path / CACHE).glob("*.npy")
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:1000])
    assert np.array_equal(table_of(body, "net", squares, "train", looks).features[0], whole)


def test_the_disk_is_asked_for_room_before(
    looks: Looks, squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path, needed: int, what: str) -> None:
        raise RunError(f"{what} need {needed}")

    monkeypatch.setattr(features, "require_space", full)
    with pytest.raises(RunError, match=f"the features of 1 need {200 * 6 * 4}"):
        table_of(Body().eval(), "net", squares, "train", looks)
    assert files(tmp_path) == []


def test_old_files_go_when_there_are_many(
    looks: Looks, squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = Body().eval()
    monkeypatch.setattr(features, "_KEPT", 2)
    for value in range(4):
        nn.init.constant_(body.layer.bias, value)
        table_of(body, "net", squares, "train", looks)
    assert len(files(tmp_path)) == 2


def test_the_log_says_where_features_came_from(looks: Looks, squares: Any, caplog: pytest.LogCaptureFixture) -> None:
    body = Body().eval()
    with caplog.at_level(logging.INFO, "fovea"):
        table_of(body, "net", squares, "train", looks)
        table_of(body, "net", squares, "train", looks)
    assert "features: 200 pictures of 1, " in caplog.messages[0]
    assert caplog.messages[1] == "features: those of 200 pictures of 1 were computed before"


def test_a_digest_tells_names_shapes_and_values_of_tensors_apart() -> None:
    nets = [Body(), nn.Linear(144, 6), nn.Linear(6, 144)]
    changed = Body()
    with torch.no_grad():
        changed.layer.weight[0, 0] += 1e-6
    assert len({tensors_digest(net) for net in [*nets, changed]}) == 4
    assert tensors_digest(Body()) == tensors_digest(Body())


def test_every_view_is_shown_equally_often_and_not_the_same_of_all_pictures() -> None:
    views, count = 3, 30
    stacked = [np.full((count, 2), view, np.float32) for view in range(views)]
    dataset = FeatureDataset(
        FeatureTable(stacked, np.zeros(count, np.int64), np.arange(100, 100 + count, dtype=np.uint64))
    )
    rows = np.arange(count, dtype=np.int64)
    shown = np.stack([dataset.__getitems__(BatchKey(epoch, rows)).images[:, 0].numpy() for epoch in range(6)])
    for view in range(views):
        assert ((shown == view).sum(axis=0) == 2).all()
        assert ((shown == view).sum(axis=1) == 10).all()
    assert np.array_equal(shown[0], shown[3])
    drawn_again = dataset.__getitems__(BatchKey(0, rows, np.ones(count, np.int64))).images[:, 0].numpy()
    assert np.array_equal(drawn_again, shown[1])
