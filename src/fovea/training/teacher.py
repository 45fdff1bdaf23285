"""A trained model that another learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fovea.core.digest import kept_digest
from fovea.core.errors import RunError, UserError
from fovea.core.places import from_home, shared_root
from fovea.training.result import WEIGHTS, TrainedModel

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fovea.config.schema import DataConfig


def find(name: str, data: DataConfig) -> TrainedModel:
    """The model that `loss.distill.teacher` names: absolute, from the home folder (``~``), or from the project's root.

    Raises:
        UserError: There is no trained model, or it was trained for other classes or other pictures.
    """
    try:
        model = TrainedModel.open(shared_root() / from_home(name))
    except RunError as error:
        raise UserError(f"loss.distill.teacher: {error}") from None
    taught = model.facts["data"]
    for key, own in (("classes", data.classes), ("channels", data.channels), ("image_size", data.image_size)):
        if own is not None and own != taught.get(key):
            raise UserError(
                f"loss.distill.teacher '{name}' was trained with data.{key}={_short(taught.get(key))}, but here it is "
                f"{_short(own)}; choose a teacher for the same classes and pictures"
            )
    return model


def digest(name: str, data: DataConfig) -> str:
    """Hex sha256 of the teacher's weights.

    Raises:
        UserError: As `find`, or its weights are missing.
    """
    path = find(name, data).path / WEIGHTS
    try:
        return kept_digest(path)
    except OSError as error:
        raise UserError(f"loss.distill.teacher: {path} cannot be read ({error.strerror}); train it again") from None


class Teacher:
    """The teacher at work. Not a module, so that its weights are neither trained nor saved with the student's.

    Args:
        network: Takes pictures [B, C, H, W] of 0..255, gives logits [B, K].
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network.eval().requires_grad_(False)
        self._device: object = None

    def __call__(self, images: Tensor) -> Tensor:
        """The logits [B, K] of the pictures, without a gradient."""
        import torch

        if images.device != self._device:
            self._network.to(images.device)
            self._device = images.device
        with torch.no_grad():
            logits: Tensor = self._network(images)
        return logits


def _short(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 3:
        return f"[{', '.join(map(str, value[:3]))}, ...] ({len(value)})"
    return str(value)
