from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from collections import Counter
from itertools import product

import cv2
import numpy as np
import pytest

from fovea.augment import Augmenter, build

AFFINE = {"_target_": "albumentations.Affine", "rotate": [-10, 10], "scale": [0.9, 1.1], "p": 0.9}
FLIPS = [
    {"_target_": "albumentations.HorizontalFlip", "p": 0.5},
    {"_target_": "albumentations.VerticalFlip", "p": 0.5},
]
NOISE = {"_target_": "albumentations.CoarseDropout", "p": 1.0}
PICTURE = np.random.default_rng(1).integers(0, 256, (28, 28, 1), dtype=np.uint8)

# Prints a digest of augmented pictures; what is asked of it first must not matter.
SCRIPT = """
import hashlib, sys
import numpy as np
from fovea.augment import build
picture = np.random.default_rng(1).integers(0, 256, (28, 28, 1), dtype=np.uint8)
augmenter = build({entries!r}, channels=1, image_size=28)
np.random.seed(1)
augmenter(picture, seed=5, epoch=5, key=5)
parts = [augmenter(picture, seed=0, epoch=e, key=k).tobytes() for e in range(2) for k in range(20)]
print(hashlib.sha256(b"".join(parts)).hexdigest())
"""


def digest(augmenter: Augmenter) -> str:
    parts = [augmenter(PICTURE, seed=0, epoch=e, key=k).tobytes() for e in range(2) for k in range(20)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.fixture(scope="module")
def augmenter() -> Augmenter:
    return build([AFFINE, NOISE], channels=1, image_size=28)


def test_the_same_position_gives_the_same_picture_whatever_came_before(augmenter):
    first = augmenter(PICTURE, seed=0, epoch=3, key=7)
    for key in range(5):
        augmenter(PICTURE, seed=1, epoch=0, key=key)
    np.random.seed(0)
    assert np.array_equal(augmenter(PICTURE, seed=0, epoch=3, key=7), first)


def test_another_process_gives_the_same_pictures(augmenter):
    script = SCRIPT.format(entries=[AFFINE, NOISE])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(augmenter)


def test_pickled_it_carries_its_configuration_alone(augmenter):
    packed = pickle.dumps(augmenter)
    assert len(packed) < 1000
    assert digest(pickle.loads(packed)) == digest(augmenter)  # noqa: S301


@pytest.mark.parametrize(("name", "other"), [("seed", 1), ("epoch", 1), ("key", 1), ("key", 2**64 - 1)])
def test_seed_epoch_and_key_each_matter(augmenter, name, other):
    position = {"seed": 0, "epoch": 0, "key": 0}
    changed = augmenter(PICTURE, **{**position, name: other})
    assert not np.array_equal(changed, augmenter(PICTURE, **position))


def test_the_picture_itself_is_never_changed(augmenter):
    picture = PICTURE.copy()
    picture.flags.writeable = False
    for key in range(20):
        augmenter(picture, seed=0, epoch=0, key=key)
    assert np.array_equal(picture, PICTURE)


def test_decisions_of_two_flips_are_independent():
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    outcomes = {
        (h, v): picture[:: -1 if v else 1, :: -1 if h else 1].tobytes() for h, v in product((False, True), repeat=2)
    }
    names = {image: decision for decision, image in outcomes.items()}
    augmenter = build(FLIPS, channels=1, image_size=4)
    counts = dict.fromkeys(outcomes, 0)
    for key in range(2000):
        counts[names[augmenter(picture, seed=0, epoch=0, key=key).tobytes()]] += 1
    # Chi-square against a quarter each, three degrees of freedom: 16.27 is passed by chance once in a thousand.
    assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 16.27


def test_decisions_of_neighbouring_epochs_are_independent():
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    augmenter = build(FLIPS[:1], channels=1, image_size=4)
    flipped = np.array(
        [[not np.array_equal(augmenter(picture, seed=0, epoch=e, key=k), picture) for e in (0, 1)] for k in range(2000)]
    )
    counts = np.bincount(flipped[:, 0] * 2 + flipped[:, 1], minlength=4)
    assert ((counts - 500) ** 2 / 500).sum() < 16.27


def test_choices_in_turn_are_uniform_and_independent():
    # Whether flipped from left to right, from top to bottom, and about the diagonal: eight outcomes, all different.
    names = ("HorizontalFlip", "VerticalFlip", "Transpose")
    entries = [
        {
            "_target_": "albumentations.OneOf",
            "transforms": [
                {"_target_": "albumentations.NoOp", "p": 1.0},
                {"_target_": f"albumentations.{name}", "p": 1.0},
            ],
            "p": 1.0,
        }
        for name in names
    ]
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    augmenter = build(entries, channels=1, image_size=4)
    counts = Counter(augmenter(picture, seed=0, epoch=0, key=key).tobytes() for key in range(2000))
    assert len(counts) == 8
    # Seven degrees of freedom: 24.32 is passed by chance once in a thousand.
    assert sum((count - 250) ** 2 / 250 for count in counts.values()) < 24.32


def test_strengths_of_two_transforms_are_uncorrelated():
    shift = {"_target_": "albumentations.RandomBrightnessContrast", "contrast_limit": [0, 0], "p": 1.0}
    entries = [{**shift, "brightness_limit": [-0.2, 0.2]}, {**shift, "brightness_limit": [-0.2, 0.2]}]
    first, both = (build(part, channels=1, image_size=2) for part in (entries[:1], entries))
    picture = np.full((2, 2, 1), 128, np.uint8)
    levels = np.array([[int(a(picture, seed=0, epoch=0, key=k)[0, 0, 0]) for a in (first, both)] for k in range(1000)])
    one, other = levels[:, 0], levels[:, 1] - levels[:, 0]
    # The standard error of a correlation of 1,000 independent pairs is 0.032.
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
    assert other.std() > 10


def test_a_picture_drawn_again_in_an_epoch_is_changed_otherwise(augmenter):
    first, again = (augmenter(PICTURE, seed=0, epoch=3, key=7, draw=draw) for draw in (0, 1))
    assert np.array_equal(first, augmenter(PICTURE, seed=0, epoch=3, key=7))
    assert not np.array_equal(first, again)


def test_without_transforms_nothing_is_imported_or_changed():
    code = (
        "import sys, numpy as np; from fovea.augment import build; a = build([], channels=1, image_size=2);"
        "x = np.ones((2, 2, 1), np.uint8); assert a(x, seed=0, epoch=0, key=0) is x;"
        "print([m for m in ('albumentations', 'cv2', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_import_asks_no_network():
    code = (
        "import sys\n"
        "calls = []\n"
        "sys.addaudithook(lambda event, _: calls.append(event) if event.startswith('socket.getaddrinfo') else None)\n"
        "from fovea.augment import build\n"
        "build([{'_target_': 'albumentations.HorizontalFlip'}], channels=1, image_size=8)\n"
        "print(calls)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_opencv_uses_the_calling_thread(augmenter):
    cv2.setNumThreads(4)
    build([AFFINE], channels=1, image_size=28)
    assert cv2.getNumThreads() == 1
    assert not cv2.ocl.useOpenCL()


def test_nested_choices_work():
    entry = {"_target_": "albumentations.OneOf", "transforms": FLIPS, "p": 1.0}
    augmenter = build([entry], channels=3, image_size=8)
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    results = {augmenter(picture, seed=0, epoch=0, key=key).tobytes() for key in range(50)}
    assert results == {picture[:, ::-1].tobytes(), picture[::-1].tobytes()}
