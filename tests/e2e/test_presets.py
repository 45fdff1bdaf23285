"""Every preset runs, in a shortened form, on the samples of the real data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.realdata, pytest.mark.timeout(600)]

PROJECT = Path(__file__).resolve().parents[2]
SHORT = ["trainer.max_epochs=1", "trainer.limit_batches=2", "loader.batch_size=8", "evaluate.gallery=4"]
ILSVRC = [
    *(f"data.files.{role}.{what}=null" for role in ("train", "val", "devkit") for what in ("md5", "bytes")),
    "data.files.train.name=ILSVRC2012_img_train_mini.tar",
    "data.files.val.name=ILSVRC2012_img_val_mini.tar",
    "data.files.devkit.name=ILSVRC2012_devkit_t12_mini.tar.gz",
]
SAMPLES = {
    "mnist": [],
    "cats_vs_dogs": [
        "data.files.archive.name=kagglecatsanddogs_mini.zip",
        "data.files.archive.sha256=null",
        "data.files.archive.bytes=null",
    ],
    "imagenet": ILSVRC,
    "imagenette": ILSVRC,
}
# Nothing here depends on the size of photographs, and every test picture is looked at.
SMALL = {name: ["data.image_size=48", "model.stem=standard"] for name in SAMPLES if name != "mnist"}
# One epoch is shorter than what these wait for or count.
UNBOUND = {"schedule": {"step": ["schedule.every_epochs=1"], "cosine": ["schedule.warmup_epochs=0.0"]}}
PRESETS = sorted(path.stem for path in (PROJECT / "conf" / "experiment").glob("*.yaml"))


@pytest.fixture(scope="module")
def presets(make_project: Callable[..., Any], real_data: Path) -> Any:
    return make_project("presets")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_runs(preset: str, presets: Any, real_data: Path) -> None:
    import yaml

    config = yaml.safe_load(presets.run("kedro", "config", f"experiment={preset}").stdout)
    data = config["data"]["name"]
    words = [*SAMPLES[data], *SMALL.get(data, []), *SHORT, *UNBOUND["schedule"].get(config["schedule"]["name"], [])]
    known = {run.info.run_id for run in presets.runs()}
    done = presets.run("kedro", "run", f"experiment={preset}", *words, FOVEA_MIRROR=str(real_data))
    (made,) = [run for run in presets.runs() if run.info.run_id not in known]
    assert made.info.status == "FINISHED"
    assert made.data.params["model.name"] == config["model"]["name"]
    assert 0 <= presets.metrics()["test/acc"] <= 1
    assert "test accuracy" in done.stderr


def test_every_preset_tells_its_command() -> None:
    for preset in PRESETS:
        head = (PROJECT / "conf" / "experiment" / f"{preset}.yaml").read_text().splitlines()
        assert head[0] == "# @package _global_", preset
        assert any(f"kedro run experiment={preset}" in line for line in head[1:8]), preset
