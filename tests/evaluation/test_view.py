"""A model looks at pictures as it did when it was validated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fovea.augment import fit
from fovea.core.errors import UserError
from fovea.evaluation.view import view_of

PICTURE = np.random.default_rng(0).integers(0, 256, (9, 6, 1), dtype=np.uint8)
FLIP = {"_target_": "albumentations.HorizontalFlip", "p": 1.0}


@pytest.mark.parametrize("config", [None, {}, {"augment": {"train": [FLIP]}}, {"augment": {"eval": []}}])
def test_without_transforms_the_centre_is_seen(model: Any, config: Any) -> None:
    model.facts |= {} if config is None else {"config": config}
    assert np.array_equal(view_of(model)(PICTURE), fit(PICTURE, 4))


def test_the_models_own_transforms_come_first(model: Any) -> None:
    model.facts["config"] = {"augment": {"train": [], "eval": [FLIP]}}
    assert np.array_equal(view_of(model)(PICTURE), fit(PICTURE[:, ::-1], 4))


def test_a_wrong_transform_is_told(model: Any) -> None:
    model.facts["config"] = {"augment": {"eval": [{"_target_": "albumentations.Flop"}]}}
    with pytest.raises(
        UserError, match=r"^augment\.eval\[0\] 'albumentations\.Flop' is not an albumentations transform"
    ):
        view_of(model)
