"""Grad-CAM: where in a picture a network found what speaks for a class (Selvaraju et al. 2017, section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.gallery import Judged
from fovea.evaluation.insides import named
from fovea.inspection.drawing import tile
from fovea.inspection.sheets import captioned

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

Heat = NDArray[np.float32]

_SIDE = 96  # pixels of the longer side of a picture
_COLUMNS = 8  # an even number: a picture and its heat stay side by side
_SHARE = 0.55  # of the heat's colour


@dataclass(frozen=True, eq=False)
class Cam:
    """What spoke for one class in each of some pictures.

    Attributes:
        layer: Name of the convolution whose maps are weighed.
        heat: float32 [B, h, w], at the size of its maps, each from 0 to at most 1; all 0 where nothing spoke for it.
    """

    layer: str
    heat: Heat


@dataclass(frozen=True, eq=False)
class Explained:
    """Pictures, and what spoke for the prediction in each.

    Attributes:
        pictures: B, as the network sees them.
        cam: Of them.
    """

    pictures: Sequence[Judged]
    cam: Cam


def grad_cam(network: nn.Module, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Cam | None:
    """Weighs the maps of the last convolution by how a class's logit grows with them, and keeps what is positive.

    The last convolution is the one that is called last, of those that give more than one place: the 1x1 maps of
    squeeze-and-excitation and of heads say nothing of where.

    Args:
        network: In eval mode; takes uint8 [B, C, H, W].
        images: uint8 [B, H, W, C].
        labels: int64 [B], the class that is explained in each picture.

    Returns:
        None of a network without such a convolution.
    """
    import torch

    found: list[tuple[str, Tensor]] = []
    with torch.enable_grad(), _listening(named(network), found):
        logits = network(torch.from_numpy(np.array(images.transpose(0, 3, 1, 2), order="C")))
        if not found:
            return None
        layer, maps = found[-1]
        chosen = logits.gather(1, torch.from_numpy(labels)[:, None]).sum()
        (slopes,) = torch.autograd.grad(chosen, maps)
    weights = slopes.mean(dim=(2, 3), keepdim=True)
    heat = (weights * maps).sum(dim=1).clamp(min=0).detach().float()
    heat = heat / heat.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    return Cam(layer, heat.cpu().numpy())


def heat_sheet(explained: Explained) -> Figure:
    """Each picture over its caption, with the same picture under its heat beside it."""
    images, captions = [], []
    for one, warm in zip(explained.pictures, explained.cam.heat, strict=True):
        shown = tile(one.image, _SIDE)
        images += [shown, _heated(shown, warm)]
        captions += [one.caption, "Grad-CAM"]
    return captioned(images, captions, columns=_COLUMNS)


def _heated(image: NDArray[np.uint8], heat: Heat) -> NDArray[np.uint8]:
    """A picture [H, W, 3] in grey, coloured by the heat [h, w] from viridis's dark blue to its yellow."""
    import cv2
    from matplotlib import colormaps

    spread = cv2.resize(heat, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    colours = colormaps["viridis"](spread)[..., :3] * 255
    mixed: NDArray[np.uint8] = (_SHARE * colours + (1 - _SHARE) * image.mean(axis=2, keepdims=True)).astype(np.uint8)
    return mixed


@contextmanager
def _listening(net: nn.Module, found: list[tuple[str, Tensor]]) -> Iterator[None]:
    """Collects the outputs of convolutions that are maps, the last called last."""
    from torch import Tensor, nn

    def keep(name: str, output: Any) -> Any:
        if not isinstance(output, Tensor) or output.dim() != 4 or output.shape[2] * output.shape[3] < 2:
            return output
        if not output.requires_grad:
            output.requires_grad_()
        found[:] = [(name, output)]
        return output.clone()  # a ReLU that follows may write into it

    hooks = [
        module.register_forward_hook(lambda _module, _args, output, name=name: keep(name, output))
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
