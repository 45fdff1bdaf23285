"""What MLflow's table becomes: bytes, arrays, paths and base64 in; classes and probabilities out."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from fovea.pictures.pillow import packed
from fovea.serving.classifier import Classifier
from fovea.serving.pyfunc import PyfuncModel


@pytest.fixture
def model(classifier: Classifier) -> PyfuncModel:
    return PyfuncModel(classifier, served=False)


def table(*cells: object) -> pd.DataFrame:
    return pd.DataFrame({"image": pd.Series(list(cells), dtype=object)})


def test_every_kind_of_picture_gets_its_row(model: PyfuncModel, tmp_path: Path, picture) -> None:
    path = tmp_path / "bright.png"
    path.write_bytes(picture(250))
    noise = packed(np.random.default_rng(0).integers(0, 100, (30, 30, 3)).astype(np.uint8))  # longer than a name can be
    cells = [
        picture(0),
        np.full((9, 9, 3), 255, np.uint8),
        str(path),
        base64.b64encode(noise).decode(),
        [[[255, 255, 255]]],
    ]
    found = model.predict(table(*cells))
    assert list(found["predicted"]) == ["dark", "bright", "bright", "dark", "bright"]
    assert list(found.columns) == ["predicted", "probability", "probabilities"]
    assert found["probabilities"][1] == pytest.approx({"dark": 0.0, "bright": 1.0})
    assert found["probability"].min() > 0.99


def test_a_cell_of_many_texts_or_of_a_batch_is_as_many_pictures(model: PyfuncModel, picture) -> None:
    texts = [base64.b64encode(picture(value)).decode() for value in (0, 255)]
    batch = np.stack([np.full((8, 8, 3), value, np.uint8) for value in (255, 0)])
    assert list(model.predict(table(texts, batch))["predicted"]) == ["dark", "bright", "bright", "dark"]


def test_every_bad_picture_is_named(model: PyfuncModel, picture) -> None:
    with pytest.raises(MlflowException) as caught:
        model.predict(table(picture(0), b"text", None, [[1], [1, 2]], "no/such.png"))
    assert caught.value.get_http_status_code() == 400
    assert str(caught.value).endswith(
        "picture 2 of 5: not a picture; picture 3 of 5: of type NoneType; wanted are bytes of a file, an array or the "
        "path or the base64 of a file; picture 4 of 5: lists of unequal length are no array; picture 5 of 5: a text "
        "that is not the path or the base64 of a file"
    )


@pytest.mark.parametrize("count", [0, 257])
def test_a_request_has_some_pictures_and_not_too_many(model: PyfuncModel, count: int) -> None:
    with pytest.raises(MlflowException, match=f"{count} pictures; a request has 1 to 256"):
        model.predict(table(*[b""] * count))


def test_a_server_reads_no_paths(classifier: Classifier, tmp_path: Path, picture) -> None:
    path = tmp_path / "bright.png"
    path.write_bytes(picture(250))
    with pytest.raises(MlflowException, match="a text that is not base64 of a file"):
        PyfuncModel(classifier, served=True).predict(table(str(path)))


def test_a_text_that_is_too_long_is_not_decoded(model: PyfuncModel) -> None:
    with pytest.raises(MlflowException, match="too many pixels or bytes"):
        model.predict(table("A" * 27_000_000))
