"""Pictures of a run, laid where MLflow's chart view looks for them to show those of several runs side by side."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from fovea.core.files import explained, scratch_directory
from fovea.tracking.charts import GROUP
from fovea.tracking.run import Run

FOLDER = "images"

_THUMBNAIL = 340  # pixels of the longer side: two fit beside each other in a window of 1,400; a click shows the whole
_QUALITY = 80
_MARK = "mlflow.loggedImages"


def log_pictures(run: Run, pictures: Mapping[str, Path]) -> None:
    """Adds pictures, each under a name that other runs give to theirs too; those of an earlier call are replaced.

    MLflow's own `log_image` puts the moment and a random number into the name of the file, so that what is evaluated
    again would be there twice. Here they follow from the name.

    Args:
        run: The run.
        pictures: PNG files by name, of letters, digits, spaces and `_-.`.

    Raises:
        RunError: The disk is full, or MLflow is out of reach and `tracking.on_error` is `stop`.
    """
    folder = scratch_directory()
    try:
        with explained("writing the pictures for MLflow"):
            for name, path in pictures.items():
                _lay(path, folder / _stem(name))
        run.log_artifacts(folder, FOLDER)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    run.set_tags({_MARK: True})


def _stem(name: str) -> str:
    """The name as `MlflowClient.log_image` forms it; `~` stands for the slash after which MLflow groups."""
    key = f"{GROUP}~{name}"
    return f"{key}+step+0+timestamp+0+{uuid.uuid5(uuid.NAMESPACE_URL, key)}"


def _lay(picture: Path, target: Path) -> None:
    """The picture as it is, and a small one, which the panels show."""
    from PIL import Image

    # Not with_suffix: a name may have dots.
    shutil.copyfile(picture, target.with_name(f"{target.name}.png"))
    with Image.open(picture) as image:
        small = image.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    small.save(target.with_name(f"{target.name}+compressed.webp"), quality=_QUALITY)
