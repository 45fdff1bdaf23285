"""Transfer learning on real photographs, by the command that a user gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.realdata, pytest.mark.timeout(900)]

SAMPLE = """\
data:
  files: {archive: {name: kagglecatsanddogs_mini.zip, sha256: null, bytes: null}}
"""


def test_a_head_on_imagenet_features_tells_cats_from_dogs_and_computes_the_features_once(
    make_project: Callable[..., Any], real_data: Path
) -> None:
    project = make_project("transfer", SAMPLE)
    command = ("kedro", "run", "experiment=transfer")
    first = project.run(*command, FOVEA_MIRROR=str(real_data))
    assert project.metrics()["test/acc"] >= 0.985
    said = first.stdout + first.stderr
    assert "294 of 296 tensors reused" in said
    # The validation pictures; the evaluation computes those of the test pictures alone.
    assert said.count("were computed before") == 1
    weights = (project.root / "data/06_models/model/model.safetensors").read_bytes()
    again = project.run(*command, FOVEA_MIRROR=str(real_data))
    said = again.stdout + again.stderr
    # Training, validation and test pictures, the last two of them for the evaluation.
    assert said.count("were computed before") == 4
    assert "images/s" not in "".join(line for line in said.splitlines() if line.startswith("features:"))
    assert (project.root / "data/06_models/model/model.safetensors").read_bytes() == weights


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["model.weights=null"], "finetune=head has nothing to reuse; set model.weights=imagenet"),
        (["finetune=from_scratch"], "finetune=from_scratch begins with new weights, but model.weights=imagenet"),
        (["augment=imagenet_mix", "data.image_size=224"], "augment.mix mixes pictures anew in every epoch"),
        (["finetune.views=3"], "finetune.views=3 keeps differently augmented views, but augment.train changes nothing"),
    ],
)
def test_what_cannot_be_fine_tuned_is_refused_at_once(
    options: list[str], words: str, make_project: Callable[..., Any]
) -> None:
    project = make_project("refused", SAMPLE)
    assert words in project.refused("kedro", "run", "experiment=transfer", *options, code=2, before={})
