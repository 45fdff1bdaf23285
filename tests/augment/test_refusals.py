from __future__ import annotations

import numpy as np
import pytest

from fovea.augment import build, build_eval
from fovea.core.errors import RunError, UserError


def refusal(*entries, channels=1, image_size=28):
    with pytest.raises(UserError) as caught:
        build(list(entries), channels=channels, image_size=image_size)
    return str(caught.value)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"p": 0.5}, "augment.train[0] has no _target_; add one such as albumentations.HorizontalFlip"),
        ({"_target_": 5}, "augment.train[0] has no _target_; add one such as albumentations.HorizontalFlip"),
        (
            {"_target_": "albumentations.HorizontalFlipp"},
            "augment.train[0] 'albumentations.HorizontalFlipp' is not an albumentations transform; did you mean "
            "'albumentations.HorizontalFlip'?",
        ),
        (
            {"_target_": "Affine"},
            "augment.train[0] 'Affine' is not an albumentations transform; did you mean 'albumentations.Affine'?",
        ),
        (
            {"_target_": "os.system", "command": "true"},
            "augment.train[0] 'os.system' is not an albumentations transform; name one, as in albumentations.Affine",
        ),
        (
            {"_target_": "albumentations.Affine", "rotation": 5},
            "augment.train[0] albumentations.Affine takes no argument 'rotation'; did you mean 'rotate'?",
        ),
        (
            {"_target_": "albumentations.HorizontalFlip", "seed": 1},
            "augment.train[0] albumentations.HorizontalFlip takes no argument 'seed'; known: p",
        ),
        (
            {"_target_": "albumentations.HorizontalFlip", "p": 1.5},
            "augment.train[0] albumentations.HorizontalFlip refuses its arguments: p: Input should be less than or "
            "equal to 1",
        ),
        (
            {"_target_": "albumentations.OneOf", "transforms": []},
            "augment.train[0] albumentations.OneOf needs transforms, a list of entries that each have a _target_",
        ),
        (
            {"_target_": "albumentations.OneOf", "transforms": [{"_target_": "albumentations.Affin"}]},
            "augment.train[0].transforms[0] 'albumentations.Affin' is not an albumentations transform; did you mean "
            "'albumentations.Affine'?",
        ),
        (
            {"_target_": "albumentations.ToFloat"},
            "augment.train turns a 28x28x1 picture into a 28x28x1 float32 one; use transforms that keep channels and "
            "type (normalisation happens later, on the device)",
        ),
    ],
)
def test_a_wrong_entry_is_refused_in_one_sentence(entry, sentence):
    assert refusal(entry) == sentence


@pytest.mark.parametrize("name", ["ISONoise", "ChannelDropout", "HueSaturationValue", "PlanckianJitter", "RandomRain"])
def test_colour_transforms_are_refused_for_grey_pictures(name):
    message = refusal({"_target_": "albumentations.HorizontalFlip"}, {"_target_": f"albumentations.{name}", "p": 0.01})
    assert message.startswith(f"augment.train[1] albumentations.{name} cannot change a 28x28x1 picture: ")
    assert "\n" not in message
    assert build([{"_target_": f"albumentations.{name}"}], channels=3, image_size=28)


def test_a_crop_larger_than_the_picture_is_refused():
    message = refusal({"_target_": "albumentations.RandomCrop", "height": 50, "width": 50})
    assert message.startswith("augment.train[0] albumentations.RandomCrop cannot change a 28x28x1 picture: ")


def test_a_crop_that_is_resized_again_is_fine():
    entries = [
        {"_target_": "albumentations.RandomCrop", "height": 20, "width": 20, "p": 1.0},
        {"_target_": "albumentations.Resize", "height": 28, "width": 28, "p": 1.0},
    ]
    picture = np.zeros((28, 28, 1), dtype=np.uint8)
    assert build(entries, channels=1, image_size=28)(picture, seed=0, epoch=0, key=0).shape == (28, 28, 1)


@pytest.mark.parametrize("kind", ["OneOf", "SomeOf", "Sequential"])
def test_a_mistake_within_a_choice_is_told_whichever_would_be_chosen(kind):
    inner = [{"_target_": "albumentations.HorizontalFlip"}] * 9 + [{"_target_": "albumentations.ISONoise"}]
    message = refusal({"_target_": f"albumentations.{kind}", "transforms": inner})
    assert message.startswith("augment.train[0].transforms[9] albumentations.ISONoise cannot change a 28x28x1 picture")


CROP = {"_target_": "albumentations.RandomCrop", "height": 20, "width": 20, "p": 1.0}


@pytest.mark.parametrize("size", [(12, 40), (40, 12)])
def test_pictures_too_small_for_a_crop_are_told_before_training(size):
    sizes = np.array([[40, 40], size, [30, 50]])
    with pytest.raises(UserError, match=r"augment.train\[0\] albumentations.RandomCrop cannot change a \d+x\d+x3"):
        build([CROP], channels=3, image_size=16, sizes=sizes)
    assert build([CROP], channels=3, image_size=16, sizes=sizes[[0, 2]])


def test_the_evaluation_s_transforms_are_told_by_their_own_name():
    with pytest.raises(UserError, match=r"^augment\.eval\[0\] albumentations\.ISONoise cannot change a 8x8x1 picture"):
        build_eval([{"_target_": "albumentations.ISONoise"}], channels=1, image_size=8)


def test_a_picture_that_shows_a_mistake_only_later_stops_the_run():
    augmenter = build([CROP], channels=1, image_size=28)
    with pytest.raises(RunError, match=r"augment\.train cannot change a 10x30x1 picture: "):
        augmenter(np.zeros((10, 30, 1), dtype=np.uint8), seed=0, epoch=0, key=0)
