"""`kedro run --pipelines=predict` with the pictures and the models of one short training."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fovea.pictures.pillow import packed
from fovea.shards import PreparedData

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

PREDICT = ("kedro", "run", "--pipelines=predict")
SETTINGS = "trainer: {max_epochs: 1, limit_batches: 5}\nevaluate: {gallery: 2, grad_cam: 0, embedding_map: 0}\n"
COUNT = 30


@pytest.fixture(scope="module")
def trained(make_project: Callable[..., Any]) -> Any:
    """A project with one run, its export, and test pictures as files, in an archive and in a table."""
    pytest.importorskip("onnxscript")
    project = make_project("predict", SETTINGS)
    project.run("kedro", "run", "--pipelines=__default__,export")
    pictures = project.root.parent / "pictures"
    pictures.mkdir()
    test = PreparedData.open(project.root / "data/05_model_input/prepared").split("test")
    lines = ["path,label"]
    with zipfile.ZipFile(pictures / "all.zip", "w") as archive:
        for row in range(COUNT):
            name, data = f"{row:02}.png", packed(test.image(row))
            (pictures / name).write_bytes(data)
            archive.writestr(f"within/{name}", data)
            lines.append(f"{name},{test.labels[row]}")
    (pictures / "bad.jpg").write_text("a text that is named .jpg")
    (pictures / "list.csv").write_text("\n".join(lines) + "\n")
    return project


def pictures(project: Any, name: str = "") -> str:
    return f"predict.source={project.root.parent / 'pictures' / name}"


def table(project: Any) -> pd.DataFrame:
    return pd.read_csv(project.root / "data/07_model_output/prediction_table.csv", dtype={"predicted": str})


def evaluated(project: Any) -> pd.DataFrame:
    return pd.read_parquet(project.root / "data/07_model_output/predictions.parquet").head(COUNT)


def test_the_last_model_classifies_a_folder(trained: Any) -> None:
    said = trained.run(*PREDICT, pictures(trained), "predict.temperature=1").stderr
    assert "31 pictures, 1 unreadable" in said
    found = table(trained)
    assert found["reason"].iloc[-1] == "not a picture"
    assert found["predicted"].iloc[:-1].tolist() == evaluated(trained)["predicted"].tolist()
    assert found["probability"].iloc[:-1].tolist() == pytest.approx(
        evaluated(trained)["probability"].tolist(), abs=1e-5
    )
    page = (trained.root / "data/08_reporting/predictions/predictions.html").read_text()
    assert page.count("data:image/png;base64,") == COUNT
    assert "bad.jpg</td><td>not a picture" in page


def test_a_run_and_what_was_exported_of_it_say_the_same_at_its_temperature(trained: Any) -> None:
    model = trained.root / "data/06_models/model"
    shutil.move(model, model.with_name("elsewhere"))  # a model that is named needs no other
    try:
        said = trained.run(*PREDICT, pictures(trained, "list.csv"), "predict.model=latest").stderr
        by_run = table(trained)
        trained.run(*PREDICT, pictures(trained, "all.zip"), "predict.model=data/06_models/export/pyfunc")
    finally:
        shutil.move(model.with_name("elsewhere"), model)
    assert "which its run fitted on validation pictures" in said
    right = (evaluated(trained)["predicted"] == evaluated(trained)["label"]).mean()
    assert f"accuracy {100 * right:.2f} %" in said
    assert by_run["predicted"].tolist() == evaluated(trained)["predicted"].tolist()
    by_export = table(trained)
    assert by_export["path"].tolist() == [f"within/{name}" for name in by_run["path"]]
    assert by_export["predicted"].tolist() == by_run["predicted"].tolist()
    assert by_export["probability"].tolist() == pytest.approx(by_run["probability"].tolist(), abs=1e-4)
    assert by_run["probability"].tolist() != pytest.approx(evaluated(trained)["probability"].tolist(), abs=1e-3)


@pytest.mark.parametrize(
    ("source", "model", "words"),
    [
        ("bad.jpg", "latest", "cannot be classified: not a picture"),
        ("", "lenet5-digits-none", "there is no run 'lenet5-digits-none' in the experiment 'fovea'"),
        ("", "models:/digits@champion", "there is no registered model 'digits'"),
    ],
)
def test_wrong_input_is_one_sentence_and_changes_nothing(trained: Any, source: str, model: str, words: str) -> None:
    before = trained.outputs()
    command = (*PREDICT, pictures(trained, source), f"predict.model={model}")
    assert words in trained.refused(*command, code=2, before=before)


def test_a_deleted_model_is_told(trained: Any) -> None:
    run = trained.runs()[0]
    shutil.rmtree(trained.root / "data/06_models/_members", ignore_errors=True)
    artifacts = Path(run.info.artifact_uri.removeprefix("file://")) / "model"
    shutil.rmtree(artifacts)
    command = (*PREDICT, pictures(trained), f"predict.model={run.info.run_id}")
    assert "its artifact 'model' is not there or was deleted" in trained.refused(
        *command, code=2, before=trained.outputs()
    )
