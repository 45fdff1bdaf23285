"""How a model looks at a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fovea.augment import Augmenter

if TYPE_CHECKING:
    from fovea.training import TrainedModel


def view_of(model: TrainedModel) -> Augmenter:
    """The transform that a model's validation pictures went through, from any size to the model's.

    Raises:
        UserError: The transforms that its `model.json` names are none.
    """
    data = model.facts["data"]
    entries = model.facts.get("config", {}).get("augment", {}).get("eval", [])
    # Not tried on noise: they have served, and what size the pictures will be is not known here.
    kind: dict[str, Any] = {"where": "augment.eval", "fixed": True}
    return Augmenter(entries, channels=data["channels"], image_size=data["image_size"], **kind)
