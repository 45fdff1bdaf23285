"""The augmentations that the project offers."""

from __future__ import annotations

import numpy as np
import pytest

from fovea.augment import build, build_eval
from fovea.config.compose import compose

NAMES = [
    *("imagenet", "imagenet_eval", "imagenet_mix", "mnist", "mnist_strong", "none"),
    *("randaugment", "textbook", "trivialaugment", "trivialaugment_mix"),
]
UNCHANGING = ("none", "imagenet_eval")
SIZES = np.array([[375, 500], [500, 333], [90, 31]])


def section(project, name, size):
    return compose(project / "conf", [f"augment={name}", f"data.image_size={size}"]).config["augment"]


def noise(height, width, channels):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def test_every_file_is_looked_at(project):
    assert sorted(path.stem for path in (project / "conf" / "augment").glob("*.yaml")) == NAMES


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 64)])
@pytest.mark.parametrize("name", NAMES)
def test_each_takes_grey_and_coloured_pictures_of_any_size(project, name, channels, size):
    entries = section(project, name, size)
    sizes = None if channels == 1 else SIZES
    augmenter = build(entries["train"], channels=channels, image_size=size, sizes=sizes)
    view = build_eval(entries["eval"], channels=channels, image_size=size, sizes=sizes)
    picture = noise(size, size, channels) if sizes is None else noise(120, 160, channels)
    results = [augmenter(picture, seed=0, epoch=0, key=key) for key in range(12)]
    assert {result.shape for result in (*results, view(picture))} == {(size, size, channels)}
    assert len({result.tobytes() for result in results}) == (1 if name in UNCHANGING else 12)


def test_the_eval_cut_is_seven_eighths_of_the_short_side(project):
    entries = section(project, "imagenet", 56)["eval"]
    picture = noise(64, 96, 3)
    view = build_eval(entries, channels=3, image_size=56)
    assert np.array_equal(view(picture), picture[4:60, 20:76])


@pytest.mark.parametrize(("name", "times"), [("randaugment", 2), ("trivialaugment", 1)])
def test_the_automatic_ones_choose_among_fourteen_operations(project, name, times):
    choices = section(project, name, 32)["train"][2:]
    assert [len(choice["transforms"]) for choice in choices] == [14] * times
    assert {(choice["_target_"], choice["p"]) for choice in choices} == {("albumentations.OneOf", 1.0)}
    assert {inner["p"] for choice in choices for inner in choice["transforms"]} == {1.0}


def test_only_the_mix_differs_between_imagenet_and_imagenet_mix(project):
    plain, mixed = section(project, "imagenet", 32), section(project, "imagenet_mix", 32)
    assert {key for key in plain if plain[key] != mixed[key]} == {"mix"}
