"""Pictures and archives as nobody wants them: quarantined, or refused in one sentence, and never half prepared."""

from __future__ import annotations

import csv
import gzip
import io
import os
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PREPARE = ("kedro", "run", "--pipelines=ingest,prepare")
ZIP = (
    "data=cats_vs_dogs",
    "data.files.archive.name=pets.zip",
    "data.files.archive.sha256=null",
    "data.files.archive.bytes=null",
)
TARS = tuple(f"data.files.{role}.{what}=null" for role in ("train", "val", "devkit") for what in ("md5", "bytes"))
WNIDS = ("n01440764", "n02102040")

Member = str | bytes | zipfile.ZipInfo | tarfile.TarInfo


def jpeg(number: int) -> bytes:
    """A picture of noise, another one for each number."""
    import cv2

    pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", pixels)[1])


def folders(base: Path, **counts: int) -> Path:
    """A folder of class folders with so many pictures each."""
    for label, (name, count) in enumerate(counts.items()):
        (base / name).mkdir(parents=True)
        for number in range(count):
            (base / name / f"{number:03}.jpg").write_bytes(jpeg(1000 * label + number))
    return base


def bomb() -> bytes:
    """A PNG of 5 kB that announces 50,000 x 50,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">2I5B", 50_000, 50_000, 8, 0, 0, 0, 0)
    content = zlib.compress(bytes(5_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def nested(depth: int) -> bytes:
    """A zip archive in a zip archive in a zip archive, and so on, around 20 MB of zeros."""
    content = bytes(20_000_000)
    for _ in range(depth):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("again.zip", content)
        content = stream.getvalue()
    return content


def write_zip(path: Path, members: Sequence[tuple[str | zipfile.ZipInfo, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # two members of one name
        for name, content in members:
            archive.writestr(name, content)
    # Python writes names as UTF-8 only.
    path.write_bytes(path.read_bytes().replace(b"caf__", b"caf\xe9\xff"))


def zip_link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


def tar(members: Sequence[tuple[str | tarfile.TarInfo, bytes]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def tar_link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def devkit(path: Path, truth: Sequence[int], wnids: Sequence[str] = WNIDS) -> None:
    """A development kit of these classes, with the numbers of the validation pictures' classes."""
    from scipy.io import savemat

    fields = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)]
    synsets = np.array([(n + 1, wnid, f"{wnid} word, other", 0) for n, wnid in enumerate(wnids)], fields)
    meta = io.BytesIO()
    savemat(meta, {"synsets": synsets})
    base = "ILSVRC2012_devkit_t12/data"
    lines = "".join(f"{number}\n" for number in truth).encode()
    content = tar([(f"{base}/meta.mat", meta.getvalue()), (f"{base}/ILSVRC2012_validation_ground_truth.txt", lines)])
    path.write_bytes(gzip.compress(content, mtime=0))


def ilsvrc(folder: Path, odd: Sequence[tuple[str | tarfile.TarInfo, bytes]] = ()) -> Path:
    """The three archives: 20 training pictures and 4 validation pictures of two classes."""
    folder.mkdir()
    inner = {
        wnid: [(f"{wnid}_{number}.JPEG", jpeg(100 * label + number)) for number in range(20)]
        for label, wnid in enumerate(WNIDS)
    }
    classes = [(f"{wnid}.tar", tar([*inner[wnid], *(odd if wnid == WNIDS[0] else ())])) for wnid in WNIDS]
    (folder / "ILSVRC2012_img_train.tar").write_bytes(tar(classes))
    pictures = [(f"ILSVRC2012_val_{number:08}.JPEG", jpeg(900 + number)) for number in range(1, 5)]
    (folder / "ILSVRC2012_img_val.tar").write_bytes(tar(pictures))
    devkit(folder / "ILSVRC2012_devkit_t12.tar.gz", [1, 2, 2, 1])
    return folder


def manifest(copy: Any) -> pd.DataFrame:
    return pd.read_parquet(copy.root / "data/05_model_input/prepared/manifest.parquet")


def reasons(copy: Any) -> dict[str, str]:
    """Of each file that is not kept, why."""
    rows = manifest(copy)
    rows = rows[rows["status"] != "kept"]
    return dict(zip(rows["id"], rows["reason"], strict=True))


def tree(folder: Path) -> dict[str, Any]:
    return {str(path.relative_to(folder)): path.lstat().st_size for path in sorted(folder.rglob("*"))}


@pytest.fixture(scope="module")
def copy(make_project: Callable[..., Any]) -> Any:
    """A copy of the project, of which each test uses another data set."""
    return make_project("wrong data", "prepare: {workers: 2}\n")


@pytest.fixture
def images(copy: Any) -> tuple[str, ...]:
    """The command that prepares class folders."""
    return (*PREPARE, "data=image_folder")


def test_a_hostile_zip(copy: Any, tmp_path: Path) -> None:
    good = [
        (f"PetImages/{name}/{n}.jpg", jpeg(n + 500 * (name == "Dog"))) for name in ("Cat", "Dog") for n in range(20)
    ]
    odd: Mapping[str, tuple[str | zipfile.ZipInfo, bytes]] = {
        "unsafe_name": ("PetImages/Cat/../../../../climbs.jpg", jpeg(2001)),
        "unsafe_name ": (f"{tmp_path}/absolute/Dog/1.jpg", jpeg(2002)),
        "unsafe_name  ": ("C:\\Windows\\Dog\\1.jpg", jpeg(2003)),
        "not_a_file": (zip_link("PetImages/Dog/link.jpg"), b"/etc/passwd"),
        "duplicate_member": ("PetImages/Cat/0.jpg", jpeg(2004)),
        "bomb": ("PetImages/Dog/huge.png", bomb()),
        "too_large": ("PetImages/Cat/zeros.jpg", bytes(101_000_000)),
        "not_an_image": ("PetImages/Cat/nested.zip", nested(6)),
    }
    write_zip(tmp_path / "in/pets.zip", [*good, *odd.values(), ("PetImages/Cat/caf__.jpg", jpeg(2005))])
    before = tree(tmp_path)
    done = copy.run(*PREPARE, *ZIP, f"data.folder={tmp_path}/in", "prepare.max_bad_fraction=0.5")
    assert "prepare: 41 pictures: " in done.stderr
    assert " 8 quarantined " in done.stderr
    names = {value[0] if isinstance(value[0], str) else value[0].filename: key.strip() for key, value in odd.items()}
    names["PetImages/Cat/0.jpg#2"] = names.pop("PetImages/Cat/0.jpg")
    assert reasons(copy) == names
    rows = manifest(copy)
    assert sorted(rows["id"][rows["status"] == "kept"]) == sorted([*dict(good), "PetImages/Cat/caf\\xe9\\xff.jpg"])
    assert tree(tmp_path) == before
    assert list(copy.root.parent.rglob("climbs.jpg")) == []
    assert "climbs.jpg" in (copy.root / "data/05_model_input/prepared/data_report.html").read_text()


def test_hostile_tars(copy: Any, tmp_path: Path) -> None:
    odd: dict[str, tuple[str | tarfile.TarInfo, bytes]] = {
        "unsafe_name": ("../../climbs.JPEG", jpeg(2001)),
        "unsafe_name ": (f"{tmp_path}/absolute.JPEG", jpeg(2002)),
        "not_a_file": (tar_link("symbolic.JPEG", tarfile.SYMTYPE, "/etc/passwd"), b""),
        "not_a_file ": (tar_link("hard.JPEG", tarfile.LNKTYPE, f"{WNIDS[0]}_0.JPEG"), b""),
        "not_a_file  ": (tar_link("device.JPEG", tarfile.CHRTYPE, ""), b""),
        "duplicate_member": (f"{WNIDS[0]}_0.JPEG", jpeg(2003)),
        "bomb": ("huge.JPEG", bomb()),
    }
    foreign = tarfile.TarInfo("caf\udce9.JPEG")
    folder = ilsvrc(tmp_path / "in", [*odd.values(), (foreign, jpeg(2004))])
    before = tree(tmp_path)
    settings = ("data=imagenet", *TARS, f"data.folder={folder}", "prepare.max_bad_fraction=0.5")
    copy.run(*PREPARE, *settings)
    names = {value[0] if isinstance(value[0], str) else value[0].name: key.strip() for key, value in odd.items()}
    names[f"{WNIDS[0]}_0.JPEG#2"] = names.pop(f"{WNIDS[0]}_0.JPEG")
    assert reasons(copy) == {f"train/{WNIDS[0]}/{name}": reason for name, reason in names.items()}
    rows = manifest(copy).set_index("id")
    assert rows.loc[f"train/{WNIDS[0]}/caf\\xe9.JPEG", "status"] == "kept"
    assert rows["status"].value_counts()["kept"] == 45
    assert {name: rows.loc[name, "split"] for name in rows.index if name.startswith("val/")} == {
        f"val/{WNIDS[label]}/ILSVRC2012_val_{number:08}.JPEG": "test"
        for number, label in enumerate((0, 1, 1, 0), start=1)
    }
    assert tree(tmp_path) == before
    # Of another year: one class less, then one label more.
    kit = folder / "ILSVRC2012_devkit_t12.tar.gz"
    left = copy.outputs()
    devkit(kit, [1, 1, 1, 1], WNIDS[:1])
    sentence = copy.refused(*PREPARE, *settings, code=1, before=left)
    assert "ILSVRC2012_img_train.tar' has class n02102040, which 'ILSVRC2012_devkit_t12.tar.gz' does not" in sentence
    devkit(kit, [1, 2, 2, 1, 1])
    sentence = copy.refused(*PREPARE, *settings, code=1, before=left)
    assert "has 4 validation pictures but 'ILSVRC2012_devkit_t12.tar.gz' labels 5; they are of different" in sentence


def test_a_hostile_folder(copy: Any, images: tuple[str, ...], tmp_path: Path) -> None:
    folder = folders(tmp_path / "in", cat=10, dog=10)
    (folder / "dog/huge.png").write_bytes(bomb())
    (folder / "dog/nested.zip").write_bytes(nested(3))
    (folder / "dog/link.jpg").symlink_to("/etc/passwd")
    (folder / "dog/gone.jpg").symlink_to("nowhere.jpg")
    (folder / "dog/again").symlink_to("..", target_is_directory=True)
    os.mkfifo(folder / "dog/fifo.jpg")
    (folder / os.fsdecode(b"cat/caf\xe9.jpg")).write_bytes(jpeg(77))
    (folder / "cat/two\nlines.jpg").write_bytes(jpeg(78))
    done = copy.run(*images, "data.name=odd", f"data.folder={folder}", "prepare.max_bad_fraction=0.5")
    assert "dog/again' is a link to a folder and is passed over" in done.stderr
    assert reasons(copy) == {
        "dog/huge.png": "bomb",
        "dog/nested.zip": "not_an_image",
        **dict.fromkeys(("dog/link.jpg", "dog/gone.jpg", "dog/fifo.jpg"), "not_a_file"),
    }
    assert {"cat/caf\\xe9.jpg", "cat/two\nlines.jpg"} < set(manifest(copy)["id"])


def test_archives_cut_in_the_middle(copy: Any, tmp_path: Path) -> None:
    before = copy.outputs()
    path = tmp_path / "pets.zip"
    write_zip(path, [(f"{name}.{number}.jpg", jpeg(number)) for name in ("cat", "dog") for number in range(9)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    sentence = copy.refused(*PREPARE, *ZIP, f"data.folder={tmp_path}", code=1, before=before)
    assert sentence.startswith(f"Error: '{path}' is cut short")
    assert "get it again" in sentence
    folder = ilsvrc(tmp_path / "in")
    path = folder / "ILSVRC2012_img_train.tar"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    sentence = copy.refused(*PREPARE, "data=imagenet", *TARS, f"data.folder={folder}", code=1, before=before)
    assert "is cut short: the tar archive has no end; get it again" in sentence


def test_a_class_with_one_picture(copy: Any, images: tuple[str, ...], tmp_path: Path) -> None:
    folder = folders(tmp_path / "in", cat=12, dog=1)
    done = copy.run(*images, "data.name=one", f"data.folder={folder}")
    assert "hardly any training pictures of class 'dog' (" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "code", "sentence"),
    [
        (["data.folder={0}/empty"], 2, "'{0}/empty' has no pictures of 'bird'; put some into the folder, or remove it"),
        (["data.folder={0}/in", "data.classes=[cat,dogs]"], 2, "'{0}/in' has class 'dog', which data.classes does not"),
        (["data.folder={0}/in", "data.table=x.csv"], 2, "'{0}/in/x.csv' has no column 'label': its first line has"),
        (["data.folder={0}/in", "data.table=y.csv"], 1, "2 of 26 pictures of data 'pets' cannot be used (2 missing)"),
        (["data.folder={0}/bad"], 1, "3 of 23 pictures of data 'pets' cannot be used (2 not_an_image, 1 empty), more"),
        (["data.folder={0}/nowhere"], 2, "data.folder is '{0}/nowhere' but '{0}/nowhere' does not exist; set"),
    ],
    ids=["empty class", "classes", "columns", "missing files", "too many", "folder"],
)
def test_a_folder_that_is_not_as_it_should_be(
    copy: Any, images: tuple[str, ...], tmp_path: Path, settings: list[str], code: int, sentence: str
) -> None:
    folder = folders(tmp_path / "in", cat=12, dog=12)
    folders(tmp_path / "empty", bird=0, cat=2, dog=2)
    bad = folders(tmp_path / "bad", cat=10, dog=10) / "dog"
    for name, content in (("a.jpg", b""), ("b.jpg", b"<html>"), ("c.jpg", b"\0" * 99)):
        (bad / name).write_bytes(content)
    listed = [f"{name}/{number:03}.jpg,{name}" for name in ("cat", "dog") for number in range(13)]
    (folder / "x.csv").write_text("\n".join(["path,labels", *listed]))
    (folder / "y.csv").write_text("\n".join(["path,label", *listed]))
    words = [one.format(tmp_path) for one in settings]
    said = copy.refused(*images, "data.name=pets", *words, code=code, before=copy.outputs())
    assert said.startswith(f"Error: {sentence.format(tmp_path)}")
    if "cannot be used" in said:
        path = copy.root / "data/03_primary/pets-rejected.csv"
        assert f"all are listed in '{path}'; mend the source or raise the limit" in said
        assert len(list(csv.DictReader(path.open()))) == int(sentence.split(maxsplit=1)[0])
        path.unlink()


def test_folders_that_may_not_be_read(
    copy: Any, images: tuple[str, ...], tmp_path: Path, plain_user: list[str]
) -> None:
    folder = folders(tmp_path / "in", cat=2, dog=2)
    command = (*plain_user, *images, f"data.folder={folder}")
    for closed in (folder, folder / "dog"):
        closed.chmod(0)
        sentence = copy.refused(*command, code=2, before=copy.outputs())
        closed.chmod(0o755)
        assert f"'{closed}' cannot be read" in sentence
        assert "make it readable for this user" in sentence
