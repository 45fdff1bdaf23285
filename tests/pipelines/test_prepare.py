from __future__ import annotations

import inspect
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import cv2
import numpy as np
import pytest

from fovea.core.errors import UserError
from fovea.pipelines.ingest import nodes as ingesting
from fovea.pipelines.prepare import nodes
from fovea.pipelines.prepare.pipeline import create_pipeline


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of an empty project, found through FOVEA_ROOT."""
    root = tmp_path / "project"
    (root / "conf").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(root))
    return root


def test_the_pipeline_has_one_node_of_the_stages_name() -> None:
    (only,) = create_pipeline().nodes
    assert (only.name, only.tags) == ("prepare", {"prepare"})
    assert (only.inputs, only.outputs) == (["source", "params:data", "params:prepare"], ["prepared"])


def test_one_line_says_what_came_out(root: Path, conf: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    source = ingesting.ingest(conf["data"])
    lines = []
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="fovea"):
            prepared = nodes.prepare(source, conf["data"], conf["prepare"])
        lines.append([record.getMessage() for record in caplog.records if record.name == "fovea"])
    line = f"prepare: 5,000 pictures: train 3,594, val 394, test 1,012 -> 03_primary/{prepared.path.name}"
    assert lines == [[line], [f"{line}, in place"]]


def test_the_source_of_other_data_is_refused(root: Path, conf: dict[str, Any]) -> None:
    source = ingesting.ingest(conf["data"])
    with pytest.raises(UserError, match=r"data.name is 'fashion' but the source is that of 'digits'; run `kedro run"):
        nodes.prepare(source, {**conf["data"], "name": "fashion"}, conf["prepare"])


def test_the_line_tells_of_what_was_set_aside(
    root: Path, tmp_path: Path, conf: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "own"
    for number in range(40):
        path = folder / "ab"[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng(number).integers(0, 256, (24, 24, 3), np.uint8)
        path.write_bytes(bytes(cv2.imencode(".png", image)[1]))
    (folder / "a" / "98.png").write_bytes((folder / "a" / "00.png").read_bytes())
    (folder / "a" / "99.png").touch()
    data = {"name": "own", "source": "image_folder", "channels": 3, "image_size": 16, "classes": None}
    data |= {"mean": [0.5] * 3, "std": [0.5] * 3, "folder": str(folder)}
    settings = {**conf["prepare"], "max_bad_fraction": 0.1}
    with caplog.at_level(logging.INFO, logger="fovea"):
        prepared = nodes.prepare(ingesting.ingest(data), data, settings)
    line = caplog.messages[-1]
    assert line.startswith("prepare: 40 pictures: train ")
    assert f", 1 left out, 1 quarantined -> 03_primary/{prepared.path.name}" in line
    assert sorted(file.name for file in prepared.meta.report) == ["data_report.html", "data_report.json"]
    assert all((prepared.path / file.name).stat().st_size == file.bytes for file in prepared.meta.report)


def test_preparing_the_digits_imports_nothing_that_training_needs(root: Path, conf: dict[str, Any]) -> None:
    code = (
        "import json, sys; from fovea.pipelines.ingest.nodes import ingest;"
        "from fovea.pipelines.prepare.nodes import prepare;"
        "conf = json.load(sys.stdin); prepare(ingest(conf['data']), conf['data'], conf['prepare']);"
        "print([name for name in ('torch', 'PIL', 'mlflow', 'albumentations', 'matplotlib') if name in sys.modules])"
    )
    sections = json.dumps({name: conf[name] for name in ("data", "prepare")})
    done = subprocess.run([sys.executable, "-c", code], input=sections, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_digits_are_split_by_content(digits: Any) -> None:
    table = digits.manifest()
    assert len(table) == 5000
    shares = table.groupby(["label", "split"]).size().unstack()
    assert shares.test.between(70, 130).all()
    assert shares.val.between(20, 65).all()
    train = digits.split("train")
    assert np.bincount(train.labels).tolist() == shares.train.tolist()


def test_a_wrong_section_is_refused(root: Path, conf: dict[str, Any]) -> None:
    source = ingesting.ingest(conf["data"])
    with pytest.raises(UserError, match=r"prepare.val_fraction"):
        nodes.prepare(source, conf["data"], {**conf["prepare"], "val_fraction": 2.0})
    assert not (root / "data/03_primary").exists()


@pytest.mark.parametrize("function", [ingesting.ingest, nodes.prepare])
def test_kedro_can_read_the_hints_of_the_nodes(function: Any) -> None:
    assert set(get_type_hints(function)) == {*inspect.signature(function).parameters, "return"}
