"""What a trained network looks for and what it makes of a picture: first kernels and activation maps, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import UserError, nearest
from fovea.evaluation.infer import pictures

if TYPE_CHECKING:
    from torch import nn

    from fovea.augment import Augmenter
    from fovea.shards import Split

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Maps:
    """What a layer gives for some pictures.

    Attributes:
        layer: Its name, as `kedro describe-model` shows it.
        values: float32 [B, C, H, W].
    """

    layer: str
    values: Floats


def check_layers(wanted: Literal["auto"] | Sequence[str], layers: Sequence[Mapping[str, Any]]) -> None:
    """Refuses names of layers that the layer table does not have, or that give no maps.

    Args:
        wanted: `evaluate.activations`.
        layers: The table, as `model.json` holds it; empty where there is none, and every name may be right.

    Raises:
        UserError: A name is none of them.
    """
    known = {row["name"] for row in layers if len(row["output"]) == 3}
    for name in [] if wanted == "auto" or not layers else wanted:
        if name not in known:
            others = any(row["name"] == name for row in layers)
            wrong = "gives no maps" if others else "is no layer of the network"
            close = nearest(name, known)
            way_out = close if close.startswith("; did you mean") else "; `kedro describe-model` lists the layers"
            raise UserError(f"evaluate.activations names '{name}', which {wrong}{way_out}")


def first_kernels(network: nn.Module) -> Floats | None:
    """The weights [outputs, inputs, height, width] of the first convolution; None: there is none."""
    from torch import nn

    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    return None if first is None else first.weight.detach().float().cpu().numpy()


def activation_maps(
    network: nn.Module, images: NDArray[np.uint8], wanted: Literal["auto"] | Sequence[str]
) -> list[Maps]:
    """What chosen layers give.

    Args:
        network: In eval mode; takes uint8 [B, C, H, W]. A normalisation around it is no part of the layers' names.
        images: uint8 [B, H, W, C].
        wanted: Names of layers; `auto`: the first convolution that is called, one in the middle, and the last.

    Raises:
        UserError: A name is no layer of the network.
    """
    from torch import nn

    net = named(network)
    if wanted == "auto":
        convolutions = [name for name, module in net.named_modules() if isinstance(module, nn.Conv2d)]
        called = [*_outputs(network, net, images[:1], convolutions)]
        wanted = list(dict.fromkeys(called[place] for place in (0, len(called) // 2, -1))) if called else []
    known = dict(net.named_modules())
    for name in wanted:
        if name not in known:
            raise UserError(f"evaluate.activations names '{name}', which is no layer of the network")
    return [Maps(name, values) for name, values in _outputs(network, net, images, wanted).items()]


def samples(split: Split, view: Augmenter, count: int) -> NDArray[np.uint8]:
    """The first picture of each of the first `count` classes that a split has, uint8 [B, H, W, C]."""
    _, rows = np.unique(split.labels, return_index=True)
    return np.concatenate([pictures(split, view, row, 1) for row in rows[:count].tolist()])


def named(network: nn.Module) -> nn.Module:
    """The network whose modules have the names of the layer table: without a normalisation around it."""
    from fovea.models.normalize import NormalizedNet

    return network.net if isinstance(network, NormalizedNet) else network


def _outputs(network: nn.Module, net: nn.Module, images: NDArray[np.uint8], names: Sequence[str]) -> dict[str, Floats]:
    """Outputs [B, C, H, W] of modules by name, in the order of their first calls; of several calls, the last one's."""
    from fovea.evaluation.infer import batch_logits

    found: dict[str, Floats] = {}
    with _listening(net, names, found):
        batch_logits(network, images)
    return found


@contextmanager
def _listening(net: nn.Module, names: Sequence[str], found: dict[str, Floats]) -> Iterator[None]:
    from torch import Tensor

    def keep(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4:
            found[name] = output.float().cpu().numpy()

    hooks = [
        net.get_submodule(name).register_forward_hook(lambda _module, _args, output, name=name: keep(name, output))
        for name in names
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
