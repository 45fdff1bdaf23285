"""A model, prepared data and a config that do not belong together are refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from fovea.core.errors import UserError
from fovea.evaluation.fit import check_model, check_prepared, unlike_training


def test_data_prepared_for_another_config_are_refused(prepared: Any) -> None:
    with pytest.raises(UserError, match=r"holds 'insects', but the config says data.name=digits; .* data=insects"):
        check_prepared(prepared, "digits")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("classes", ["ant", "bee"], "it knows 2 classes, the data have 3"),
        ("classes", ["ant", "bee", "dog"], "it knows class 2 as 'dog', the data as 'cat'"),
        ("channels", 3, "it wants channels=3, the data have 1"),
        ("image_size", 28, "it wants image_size=28, the data have 4"),
    ],
)
def test_a_model_of_other_data_is_refused(prepared: Any, model: Any, key: str, value: object, words: str) -> None:
    model.facts["data"] = model.facts["data"] | {"name": "zoo", key: value}
    with pytest.raises(UserError) as caught:
        check_model(prepared, model)
    message = str(caught.value)
    assert "was trained on data=zoo and does not fit 'insects'" in message
    assert words in message
    assert message.endswith("choose data=zoo or train a model on these data")


def test_a_model_of_the_same_classes_under_another_name_fits(prepared: Any, model: Any) -> None:
    model.facts["data"] |= {"name": "more_insects"}
    check_model(prepared, model)
    assert prepared.name != model.facts["data"]["name"]


def test_pictures_of_any_size_fit_every_model(prepared: Any, model: Any) -> None:
    prepared.image_size = None
    model.facts["data"] |= {"image_size": 224}
    check_model(prepared, model)
    assert prepared.meta.image_size is None


def test_a_model_that_does_not_tell_its_data_is_tested_without_a_word(prepared: Any, model: Any) -> None:
    assert unlike_training(model, prepared) == ""
    model.facts["data_digest"] = "cd" * 32
    assert unlike_training(model, prepared).startswith("the model was trained on 'insects' (digest cdcdcdcdcdcd)")
    del model.facts["data_digest"]
    assert unlike_training(model, prepared) == ""


def test_data_without_test_pictures_are_refused(prepared: Any, model: Any, make_split: Any) -> None:
    prepared.splits["test"] = make_split([], [])
    with pytest.raises(UserError, match=r"'insects' has no test pictures; raise prepare\.test_fraction"):
        check_model(prepared, model)
