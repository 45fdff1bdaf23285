from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fovea.tracking.run import NullRun
from fovea.tracking.side_by_side import log_pictures


class Kept(NullRun):
    """Remembers the sizes of the files that it is given, and the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, tuple[int, int]] = {}
        self.tags: dict[str, object] = {}

    def log_artifacts(self, directory: Path, folder: str = "") -> None:
        self.files |= {f"{folder}/{path.name}": Image.open(path).size for path in directory.iterdir()}

    def set_tags(self, tags: object) -> None:
        self.tags |= dict(tags)  # type: ignore[call-overload]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "wide.png"
    Image.new("RGBA", (1600, 400), "white").save(path)
    return path


def test_a_picture_is_there_whole_and_small_under_the_names_that_mlflow_looks_for(picture: Path) -> None:
    run = Kept()
    log_pictures(run, {"grad.cam": picture})
    assert run.tags == {"mlflow.loggedImages": True}
    small, whole = sorted(run.files, key=len, reverse=True)
    assert whole.startswith("images/pictures~grad.cam+step+0+timestamp+0+")
    assert small == f"{whole.removesuffix('.png')}+compressed.webp"
    assert (run.files[whole], run.files[small]) == ((1600, 400), (340, 85))


def test_pictures_logged_again_take_the_place_of_the_first(picture: Path) -> None:
    run = Kept()
    log_pictures(run, {"one": picture, "two": picture})
    before = dict(run.files)
    log_pictures(run, {"two": picture, "one": picture})
    assert run.files == before
    assert len(before) == 4
