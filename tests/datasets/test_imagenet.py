from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fovea.config.schema import DataConfig, parse
from fovea.core.errors import RunError, UserError
from fovea.datasets.devkit import names_of, read_devkit
from fovea.datasets.imagenet import ingest, read
from fovea.datasets.registry import class_names
from fovea.datasets.samples import Samples
from fovea.datasets.source import SourceFiles

WORDS = {"n00000003": "crane", "n00000001": "tench, Tinca tinca", "n00000002": "crane, bird"}
TRUTH = [2, 1, 3, 1]  # numbers of the kit, not of the sorted ids
NUMBERS = {1: "n00000003", 2: "n00000001", 3: "n00000002"}
FILES = {"train": {"name": "train.tar"}, "val": {"name": "val.tar"}, "devkit": {"name": "devkit.tar.gz"}}


def tarred(content: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def kit(truth: list[int] = TRUTH, numbers: dict[int, str] = NUMBERS) -> bytes:
    from scipy.io import savemat

    rows = [(number, wnid, WORDS.get(wnid, wnid), 0) for number, wnid in numbers.items()]
    rows.append((9, "n09999999", "animal", 3))  # a class with children
    synsets = np.array(rows, [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")])
    stream = io.BytesIO()
    savemat(stream, {"synsets": synsets})
    return gzip.compress(
        tarred(
            {
                "kit/data/meta.mat": stream.getvalue(),
                "kit/data/ILSVRC2012_validation_ground_truth.txt": "".join(f"{one}\n" for one in truth).encode(),
            }
        )
    )


def config(**changes: Any) -> DataConfig:
    values: dict[str, Any] = {
        "name": "tiny",
        "source": "imagenet",
        "channels": 3,
        "image_size": 64,
        "classes": None,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "files": FILES,
    }
    return parse(DataConfig, values | changes, "data")


@pytest.fixture
def raw(root: Path) -> Path:
    """The folder of raw data with the three archives: two pictures a class, four for validation."""
    folder = root / "data/01_raw/imagenet"
    folder.mkdir(parents=True)
    classes = {wnid: tarred({f"{wnid}_{at}.JPEG": f"{wnid}{at}".encode() for at in (1, 2)}) for wnid in WORDS}
    (folder / "train.tar").write_bytes(tarred({f"{wnid}.tar": content for wnid, content in classes.items()}))
    pictures = {f"ILSVRC2012_val_{at:08d}.JPEG": f"val{at}".encode() for at in (3, 1, 4, 2)}
    (folder / "val.tar").write_bytes(tarred(pictures))
    (folder / "devkit.tar.gz").write_bytes(kit())
    return folder


def rows(data: DataConfig, source: SourceFiles | None = None) -> list[tuple[str | None, str, int, bytes]]:
    return [
        (samples.split, name, int(label), samples.images.read(row))
        for samples in read(source or ingest(data), data)
        for row, (name, label) in enumerate(zip(samples.ids, samples.labels, strict=True))
    ]


def test_the_three_archives_are_read_without_unpacking(raw: Path) -> None:
    assert rows(config()) == [
        ("train", "train/n00000003/n00000003_1.JPEG", 2, b"n000000031"),
        ("train", "train/n00000003/n00000003_2.JPEG", 2, b"n000000032"),
        ("train", "train/n00000001/n00000001_1.JPEG", 0, b"n000000011"),
        ("train", "train/n00000001/n00000001_2.JPEG", 0, b"n000000012"),
        ("train", "train/n00000002/n00000002_1.JPEG", 1, b"n000000021"),
        ("train", "train/n00000002/n00000002_2.JPEG", 1, b"n000000022"),
        ("test", "val/n00000001/ILSVRC2012_val_00000001.JPEG", 0, b"val1"),
        ("test", "val/n00000003/ILSVRC2012_val_00000002.JPEG", 2, b"val2"),
        ("test", "val/n00000002/ILSVRC2012_val_00000003.JPEG", 1, b"val3"),
        ("test", "val/n00000003/ILSVRC2012_val_00000004.JPEG", 2, b"val4"),
    ]


def test_classes_are_named_by_the_kit_in_the_order_of_their_ids(raw: Path) -> None:
    data = config()
    assert class_names(ingest(data), data) == ["tench", "crane (n00000002)", "crane (n00000003)"]
    assert names_of(["n1", "n2"], {"n1": "a, b"}) == ["a", "n2"]


def test_some_classes_are_taken_by_their_ids(raw: Path) -> None:
    data = config(wnids=["n00000003", "n00000001"])
    assert class_names(ingest(data), data) == ["tench", "crane"]
    assert [(split, label) for split, _, label, _ in rows(data)] == [
        *[("train", 1)] * 2,
        *[("train", 0)] * 2,
        ("test", 0),
        ("test", 1),
        ("test", 1),
    ]


def test_the_validation_pictures_alone_need_no_training_archive(raw: Path) -> None:
    (raw / "train.tar").unlink()
    data = config(files={role: FILES[role] for role in ("val", "devkit")})
    assert [(split, label) for split, _, label, _ in rows(data)] == [("test", 0), ("test", 2), ("test", 1), ("test", 2)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"wnids": ["n00000001", "n00000009"]}, "data.wnids has 'n00000009' but 'devkit.tar.gz' has no such class"),
        ({"wnids": ["n00000001", "n00000001"]}, "data.wnids has 'n00000001' twice"),
        (
            {"classes": ["a", "b"]},
            "data.classes has 2 names but there are 3 classes of ImageNet; set data.classes=null",
        ),
        ({"files": {"devkit": FILES["devkit"]}}, "data.files must name devkit and at least one of train and val"),
        ({"files": {"vall": FILES["val"]}}, "data.files has 'vall'; did you mean 'val'"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(raw: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        rows(config(**changes))


def test_missing_files_are_all_named_with_where_to_get_and_to_put_them(root: Path) -> None:
    with pytest.raises(RunError) as caught:
        ingest(config())
    assert str(caught.value) == (
        "train.tar, val.tar and devkit.tar.gz are not there; the ILSVRC2012 files are given at "
        "https://image-net.org/download-images after a free registration; put them into "
        f"'{root}/data/01_raw/imagenet', or set data.folder to the folder that has them, or FOVEA_MIRROR to one that "
        "has imagenet/train.tar"
    )


def test_files_missing_from_the_users_folder_are_named(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "val.tar").write_bytes((raw / "val.tar").read_bytes())
    with pytest.raises(
        UserError, match=r"^train.tar and devkit.tar.gz are not in '.*mine', which data.folder names; the"
    ):
        ingest(config(folder=str(tmp_path / "mine")))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "devkit.tar.gz",
            kit([1, 2]),
            "val.tar' has 4 validation pictures but 'devkit.tar.gz' labels 2; they are of dif",
        ),
        (
            "devkit.tar.gz",
            kit([1, 2, 3, 77]),
            "labels a validation picture with class '77', which its meta.mat does not",
        ),
        (
            "devkit.tar.gz",
            kit(TRUTH, {1: "n00000003", 2: "n00000001", 3: "n00000007"}),
            "train.tar' has class n00000002",
        ),
        (
            "devkit.tar.gz",
            gzip.compress(tarred({"kit/data/meta.mat": b"x"}), mtime=0),
            "has no data/ILSVRC2012_validation_ground",
        ),
        ("devkit.tar.gz", b"no archive", "devkit.tar.gz' is no tar archive"),
        (
            "train.tar",
            tarred({"ILSVRC2012_val_00000001.JPEG": b"1"}),
            "train.tar' has no archives of classes, as n0144",
        ),
        ("train.tar", tarred({"n00000001.tar": tarred({"1": b"1"})[:-9000]}), "n00000001.tar' is cut short"),
        (
            "val.tar",
            tarred({"ILSVRC2012_val_00000001.JPEG": b"1"})[:700],
            "val.tar' is cut short: the tar archive has no",
        ),
    ],
)
def test_files_that_do_not_belong_together_are_refused(raw: Path, name: str, content: bytes, words: str) -> None:
    (raw / name).write_bytes(content)
    with pytest.raises(RunError, match=words):
        rows(config())


def test_a_damaged_or_growing_meta_file_is_refused(tmp_path: Path) -> None:
    import struct
    import zlib

    bomb = zlib.compress(bytes(70 << 20))
    for meta, words in {
        b"MATLAB 5.0 MAT-file" + bytes(200): "its meta.mat cannot be read",
        bytes(128) + struct.pack("<2I", 15, len(bomb)) + bomb: "its meta.mat unpacks to more than 64 MB",
        bytes(126) + b"MI" + struct.pack(">2I", 15, len(bomb)) + bomb: "its meta.mat unpacks to more than 64 MB",
    }.items():
        path = tmp_path / "kit.tar.gz"
        path.write_bytes(
            gzip.compress(
                tarred({"data/meta.mat": meta, "data/ILSVRC2012_validation_ground_truth.txt": b"1\n"}), mtime=0
            )
        )
        with pytest.raises(RunError, match=words):
            read_devkit(path)


def test_members_that_do_not_belong_there_are_told(raw: Path) -> None:
    inner = tarred({"n00000001_1.JPEG": b"1", "../n00000001_2.JPEG": b"2"})
    (raw / "train.tar").write_bytes(tarred({"n00000001.tar": inner, "readme.txt": b"x"}))
    data = config(files={role: FILES[role] for role in ("train", "devkit")})
    told: list[tuple[str, int, str | None]] = [
        (name, int(label), problem) for samples in read(ingest(data), data) for name, label, problem in _told(samples)
    ]
    assert told == [
        ("train.tar/readme.txt", -1, "no_label"),
        ("train/n00000001/n00000001_1.JPEG", 0, None),
        ("train/n00000001/../n00000001_2.JPEG", 0, "unsafe_name"),
    ]


def _told(samples: Samples) -> list[tuple[str, int, str | None]]:
    return list(zip(samples.ids, samples.labels.tolist(), samples.problems or [], strict=True))


@pytest.fixture
def unpacked(tmp_path: Path, jpeg: Callable[[int], bytes]) -> Path:
    folder = tmp_path / "ilsvrc"
    for at, name in enumerate(["train/n00000003/a", "train/n00000001/b", "train/n00000002/c", "val/n00000003/d"]):
        path = folder / f"{name}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(at))
    return folder


def test_unpacked_folders_are_read_where_they_lie(root: Path, unpacked: Path, jpeg: Callable[[int], bytes]) -> None:
    data = config(folder=str(unpacked))
    source = ingest(data)
    assert class_names(source, data) == sorted(WORDS)
    assert rows(data, source) == [
        ("train", "train/n00000001/b.JPEG", 0, jpeg(1)),
        ("train", "train/n00000002/c.JPEG", 1, jpeg(2)),
        ("train", "train/n00000003/a.JPEG", 2, jpeg(0)),
        ("test", "val/n00000003/d.JPEG", 2, jpeg(3)),
    ]
    (unpacked / "devkit.tar.gz").write_bytes(kit())
    assert class_names(ingest(data), data) == ["tench", "crane (n00000002)", "crane (n00000003)"]
    some = config(folder=str(unpacked), wnids=["n00000003", "n00000001"])
    assert [(name, label) for _, name, label, _ in rows(some)] == [
        ("train/n00000001/b.JPEG", 0),
        ("train/n00000003/a.JPEG", 1),
        ("val/n00000003/d.JPEG", 1),
    ]


def test_unpacked_folders_that_do_not_fit_are_refused(root: Path, unpacked: Path) -> None:
    with pytest.raises(UserError, match=r"data.wnids has 'n00000009' but '.*ilsvrc' has no such class"):
        ingest(config(folder=str(unpacked), wnids=["n00000001", "n00000009"]))
    (unpacked / "val" / "n00000001").mkdir()  # it has training pictures
    ingest(config(folder=str(unpacked)))
    (unpacked / "train" / "n00000000").mkdir()
    with pytest.raises(UserError, match="ilsvrc' has no pictures of 'n00000000'; put some into the folder, or remove"):
        ingest(config(folder=str(unpacked)))
    (unpacked / "train" / "cats").mkdir()
    with pytest.raises(
        UserError, match="train' has 'cats', which is no WordNet id as n01440764; use data=image_folder"
    ):
        ingest(config(folder=str(unpacked)))
    (unpacked / "train").rename(unpacked / "other")
    with pytest.raises(UserError, match="has no folder 'train'; put it there, or use data=imagenet_val"):
        ingest(config(folder=str(unpacked)))


@pytest.mark.realdata
def test_the_real_archives_are_read(root: Path, real_data: Path) -> None:
    names = {
        "train": "ILSVRC2012_img_train_mini.tar",
        "val": "ILSVRC2012_img_val_mini.tar",
        "devkit": "ILSVRC2012_devkit_t12_mini.tar.gz",
    }
    data = config(folder=str(real_data / "imagenet"), files={role: {"name": name} for role, name in names.items()})
    source = ingest(data)
    assert class_names(source, data)[:3] == ["tench", "English springer", "cassette player"]
    counts: dict[str | None, int] = {}
    for samples in read(source, data):
        counts[samples.split] = counts.get(samples.split, 0) + len(samples)
        assert samples.images.read(0)[:2] == b"\xff\xd8"
        assert set(samples.problems or []) == {None}
    assert counts == {"train": 1500, "test": 500}
    assert not list((root / "data/01_raw/imagenet").glob("*.tar"))
