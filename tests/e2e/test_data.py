"""From an archive or a folder of pictures to a trained network, by the commands that a user gives."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SHORT = """\
trainer: {max_epochs: 1, limit_batches: 4}
evaluate: {gallery: 4}
"""
CATS = f"""\
defaults:
  - override /data: cats_vs_dogs
  - override /augment: textbook
data:
  image_size: 32
  files: {{archive: {{name: kagglecatsanddogs_mini.zip, sha256: null, bytes: null}}}}
{SHORT}"""
KINDS = {
    "empty": ("quarantined", "empty"),
    "truncated": ("quarantined", "truncated"),
    "not_an_image": ("quarantined", "not_an_image"),
    "good": ("kept", ""),
    "duplicate_of_7": ("left_out", "duplicate"),
    "label_conflict_with_Cat/8": ("left_out", "label_conflict"),
}
IMAGENETTE = [
    "data=imagenette",
    *(f"data.files.{role}.{what}=null" for role in ("train", "val", "devkit") for what in ("md5", "bytes")),
    "data.files.train.name=ILSVRC2012_img_train_mini.tar",
    "data.files.val.name=ILSVRC2012_img_val_mini.tar",
    "data.files.devkit.name=ILSVRC2012_devkit_t12_mini.tar.gz",
]
NAMES = [
    *("tench", "English springer", "cassette player", "chain saw", "church"),
    *("French horn", "garbage truck", "gas pump", "golf ball", "parachute"),
]
PREPARE = ("kedro", "run", "--pipelines=ingest,prepare")


def manifest(project: Any) -> pd.DataFrame:
    return pd.read_parquet(project.root / "data/05_model_input/prepared/manifest.parquet").set_index("id")


def meta(project: Any) -> Any:
    return json.loads((project.root / "data/05_model_input/prepared/prepared.json").read_text())


def client(project: Any) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{project.root}/mlflow.db")


def data_runs(project: Any) -> list[Any]:
    found = client(project).get_experiment_by_name("fovea-data")
    return list(client(project).search_runs([found.experiment_id]))


@pytest.fixture(scope="module")
def cats(make_project: Callable[..., Any], real_data: Path) -> Any:
    """A copy after `kedro run` on real cats and dogs."""
    project = make_project("cats", CATS)
    done = project.run("kedro", "run", FOVEA_MIRROR=str(real_data))
    assert "WARNING" not in done.stderr
    return project


@pytest.mark.realdata
def test_every_cat_and_dog_is_what_is_expected(cats: Any, real_data: Path) -> None:
    rows = manifest(cats)
    expected = {
        row["member"]: KINDS[row["kind"]] for row in csv.DictReader((real_data / "cats_vs_dogs/expected.csv").open())
    }
    assert len(expected) == 15
    assert {name: (rows.status[name], rows.reason.fillna("")[name]) for name in expected} == expected
    others = rows.drop(list(expected))
    assert set(others.status) == {"kept"}
    assert others.reason.isna().all()
    assert [meta(cats)["classes"], len(others)] == [["cat", "dog"], 2002]
    assert (rows.class_name == rows.index.str.split("/").str[1].str.lower()).all()
    assert rows.duplicate_of["PetImages/Dog/9005.jpg"] == "PetImages/Dog/7.jpg"
    assert rows.conflict_with["PetImages/Dog/9006.jpg"] == "PetImages/Cat/8.jpg"


@pytest.mark.realdata
def test_mlflow_has_a_run_of_the_training_and_one_of_the_data(cats: Any) -> None:
    (run,) = cats.runs()
    (data,) = data_runs(cats)
    assert (run.info.status, data.info.status) == ("FINISHED", "FINISHED")
    assert run.data.tags["data_run"] == data.info.run_id
    prepared = cats.root / "data/05_model_input/prepared"
    kept = Path(client(cats).download_artifacts(data.info.run_id, ""))
    for name in ("data_report.html", "data_report.json"):
        assert (kept / name).read_bytes() == (prepared / name).read_bytes()
    assert data.data.metrics["kept"] == (manifest(cats).status == "kept").sum()
    assert data.data.metrics["quarantined"] == 8
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.name == "cats_vs_dogs"
    profile = json.loads(dataset.dataset.profile)
    assert (profile["quality"]["left_out"], profile["counts"]) == (3, meta(cats)["counts"])


@pytest.mark.realdata
def test_the_second_time_all_is_in_place(cats: Any, real_data: Path) -> None:
    before = cats.outputs()
    said = cats.run(*PREPARE, FOVEA_MIRROR=str(real_data)).stderr.splitlines()
    assert [line.rpartition(", ")[2] for line in said if line.startswith(("ingest: ", "prepare: "))] == ["in place"] * 2
    assert cats.outputs() == before


@pytest.mark.slow
@pytest.mark.realdata
def test_dvc_repro_gives_the_same_metrics(cats: Any, make_project: Callable[..., Any], real_data: Path) -> None:
    project = make_project("cats with dvc", CATS)
    project.run("dvc", "repro", FOVEA_MIRROR=str(real_data))
    assert project.metrics() == cats.metrics()
    assert len(project.runs()) == len(data_runs(project)) == 1
    assert project.run("dvc", "status").stdout.strip() == "Data and pipelines are up to date."


def truth(folder: Path) -> list[str]:
    """The WordNet ids of the validation pictures, in the order of their numbers."""
    from scipy.io import loadmat

    with tarfile.open(folder / "ILSVRC2012_devkit_t12_mini.tar.gz") as kit:
        files = {Path(one.name).name: kit.extractfile(one).read() for one in kit if one.isfile()}  # type: ignore[union-attr]
    rows = loadmat(io.BytesIO(files["meta.mat"]), squeeze_me=True)["synsets"]
    wnids = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in rows}
    return [wnids[int(line)] for line in files["ILSVRC2012_validation_ground_truth.txt"].split()]


@pytest.mark.realdata
def test_imagenet_from_the_official_archives(make_project: Callable[..., Any], real_data: Path, tmp_path: Path) -> None:
    project = make_project("imagenette")
    done = project.run(*PREPARE, *IMAGENETTE, f"data.folder={real_data / 'imagenet'}")
    assert "2,000 pictures" in done.stderr
    assert meta(project)["classes"] == NAMES
    rows = manifest(project)
    assert set(rows.status) == {"kept"}
    wnids = rows.index.str.split("/").str[1]
    assert rows.label.tolist() == [sorted(set(wnids)).index(wnid) for wnid in wnids]
    assert rows.class_name.tolist() == [NAMES[label] for label in rows.label]
    assert (rows.groupby("label").size() == 200).all()
    test = rows[rows.split == "test"]
    assert test.index.to_series().str.split("/").str[1].tolist() == truth(real_data / "imagenet")
    assert (len(test), (test.groupby("label").size() == 50).all()) == (500, True)
    assert (rows.index.str.startswith("val/") == (rows.split == "test")).all()
    assert list((project.root / "data/01_raw").rglob("*.tar")) == [], "the archives stay where they are"
    before = project.outputs()
    sentence = project.refused(*PREPARE, *IMAGENETTE, f"data.folder={tmp_path}", code=2, before=before)
    assert sentence == (
        "Error: ILSVRC2012_img_train_mini.tar, ILSVRC2012_img_val_mini.tar and ILSVRC2012_devkit_t12_mini.tar.gz are "
        f"not in '{tmp_path}', which data.folder names; the ILSVRC2012 files are given at "
        "https://image-net.org/download-images after a free registration; put them there, or correct data.folder or "
        "data.files"
    )
    sentence = project.refused(*PREPARE, "data=imagenet_val", code=1, before=before)
    store = project.root / "data/01_raw/imagenet"
    assert sentence.startswith("Error: ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz are not there; ")
    assert f"put them into '{store}', or set data.folder to the folder that has them" in sentence


def picture(path: Path, number: int) -> None:
    """A picture of noise, another one for each number; 300 kB as a PNG."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 256, (250, 320, 3), np.uint8))


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of 60 pictures."""
    base = tmp_path_factory.mktemp("my own") / "pets"
    for label, name in enumerate(("cat", "dog")):
        for number in range(30):
            picture(base / name / f"{number:02}.{'png' if number % 2 else 'jpg'}", 100 * label + number)
    return base


@pytest.fixture(scope="module")
def own(make_project: Callable[..., Any], pets: Path) -> Any:
    """A copy with prepared class folders."""
    settings = f"""\
defaults:
  - override /data: image_folder
  - override /augment: textbook
data: {{name: pets, folder: {pets}, image_size: 32}}
prepare: {{shard_mb: 1}}
loader: {{batch_size: 8}}
{SHORT}"""
    project = make_project("own pictures", settings)
    project.run(*PREPARE)
    return project


def test_folders_of_train_and_val_alone_have_a_test(own: Any, pets: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(pets.rglob("*.*"))):
        target = tmp_path / ("train" if number % 3 else "val") / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(path)
    said = own.run(*PREPARE, "data.name=halves", f"data.folder={tmp_path}").stderr
    assert f"'{tmp_path}' has no test split: its validation pictures are the test" in said
    rows = manifest(own)
    assert (rows.index.str.startswith("val/") == (rows.split == "test")).all()
    assert set(rows.split) == {"train", "val", "test"}


def test_preview_draws_and_trains_nothing(own: Any, tmp_path: Path) -> None:
    before, runs = own.outputs(), len(own.runs())
    done = own.run("kedro", "preview", "augment.mix.mixup_alpha=0.2", f"--output={tmp_path}/drawn")
    assert done.stdout.strip() == f"The preview is in {tmp_path}/drawn/preview.html"
    assert (own.outputs(), len(own.runs())) == (before, runs)
    drawn = {path.name for path in (tmp_path / "drawn").iterdir()}
    assert "preview.html" in drawn
    assert len([name for name in drawn if name.endswith(".png")]) >= 4


def test_added_pictures_move_none(own: Any, pets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    shutil.copytree(pets, folder)
    own.run(*PREPARE, "data.name=growing", f"data.folder={folder}")
    before, old = meta(own), manifest(own)
    picture(folder / "cat" / "15a.png", 900)
    picture(folder / "dog" / "07a.jpg", 901)
    said = own.run(*PREPARE, "data.name=growing", f"data.folder={folder}").stderr
    after, new = meta(own), manifest(own)
    assert "prepare: 62 pictures" in said
    pd.testing.assert_series_equal(new.split[old.index], old.split)
    assert set(new.index) - set(old.index) == {"cat/15a.png", "dog/07a.jpg"}
    known = {shard["sha256"] for shard in before["shards"]}
    written = [shard for shard in after["shards"] if shard["sha256"] not in known]
    assert len(known) >= 10
    assert 1 <= len(written) <= 4, "few shards hold the two pictures"


def test_a_table_of_pictures(own: Any, pets: Path, tmp_path: Path) -> None:
    lines = ["path,label,split"]
    for label, name in enumerate(("cat", "dog")):
        for number in range(30):
            split = "test" if number % 5 == label else "val" if number % 5 == 2 else "train"
            lines.append(f"{name}/{number:02}.{'png' if number % 2 else 'jpg'},{name}s,{split}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    own.run(*PREPARE, "data.name=listed", f"data.table={tmp_path}/labels.csv")
    rows = manifest(own)
    assert meta(own)["classes"] == ["cats", "dogs"]
    listed = [line.split(",") for line in lines[1:]]
    assert {name: (rows.class_name[name], rows.split[name]) for name, *_ in listed} == {
        name: (label, split) for name, label, split in listed
    }


@pytest.mark.slow
def test_a_network_that_learnt_from_folders_predicts_and_is_exported(own: Any, pets: Path) -> None:
    own.run("kedro", "run")
    assert (meta(own)["classes"], sum(meta(own)["counts"].values())) == (["cat", "dog"], 60)
    assert own.metrics()["test/count"] == meta(own)["counts"]["test"]
    own.run("kedro", "run", "--pipelines=predict,export", f"predict.source={pets}", "predict.temperature=1")
    table = pd.read_csv(own.root / "data/07_model_output/prediction_table.csv")
    assert len(table) == 60
    assert set(table["predicted"]) <= {"cat", "dog"}
    # Prediction reads the files, evaluation the shards; both say the same of a picture.
    tested = pd.read_parquet(own.root / "data/07_model_output/predictions.parquet").set_index("id")
    again = table.set_index("path").loc[tested.index]
    assert again["predicted"].tolist() == tested["predicted"].tolist()
    np.testing.assert_allclose(again["probability"], tested["probability"], atol=1e-5)
    assert list((own.root / "data/06_models/export").glob("*.onnx"))
