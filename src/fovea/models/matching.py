"""Weights put into a network: which tensors fit, which do not, and which of the network's are new."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fovea.core.errors import UserError
from fovea.models.stems import first_convolution
from fovea.models.tensors import read, without_prefix
from fovea.models.weights import WeightsFile

# EfficientNet-Lite0 as its package ships it: other names than timm's, the same tensors in the same order.
_BY_ORDER = "57934424"
_ENOUGH = 0.75  # of the tensors outside the head, on either side: below it they are of another network
_DENSE = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(\d)\.")


@dataclass(frozen=True)
class Matching:
    """What became of the tensors of a file and of a network; names are the network's, without any wrapper's prefix.

    Attributes:
        origin: The file, in words.
        loaded: Tensors of the network that now have the file's numbers.
        skipped: Tensors of the file that were not taken, and why.
        new: Tensors of the network that the file does not have, or in another shape.
    """

    origin: str
    loaded: tuple[str, ...]
    skipped: dict[str, str]
    new: tuple[str, ...]

    def __str__(self) -> str:
        told = [f"{len(self.loaded)} tensors of {self.origin}"]
        if self.skipped:
            told.append("skipped: " + ", ".join(f"{name} ({why})" for name, why in self.skipped.items()))
        if self.new:
            told.append("new: " + ", ".join(self.new))
        return "; ".join(told)

    def summary(self) -> str:
        """One line: how many tensors were reused, skipped and are new."""
        words = [f"{len(self.loaded)} of {len(self.loaded) + len(self.new)} tensors reused from {self.origin}"]
        for kind, names in (("skipped", list(self.skipped)), ("new", list(self.new))):
            words += [f"{len(names)} {kind} ({_few(names)})"] if names else []
        return ", ".join(words)

    def report(self) -> str:
        """Every tensor on a line, with what became of it."""
        lines = [f"from {self.origin}", *(f"loaded   {name}" for name in self.loaded)]
        lines += [f"skipped  {name}: {why}" for name, why in self.skipped.items()]
        return "\n".join([*lines, *(f"new      {name}" for name in self.new)]) + "\n"


def _few(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def load(net: nn.Module, file: WeightsFile) -> Matching:
    """Puts the tensors of a file into a network, in place.

    Args:
        net: The network, not behind its normalisation.
        file: The weights.

    Raises:
        UserError: As `match`; nothing was loaded then.
    """
    fitting, matching = match(net, file)
    net.load_state_dict(fitting, strict=False)
    return matching


def match(net: nn.Module, file: WeightsFile) -> tuple[dict[str, Tensor], Matching]:
    """The tensors of a file that fit a network, as they fit, and what becomes of all others.

    A layer for another number of classes stays new, the first convolution is made one for the channels of the pictures
    (summed over the colours for one channel), everything else must fit.

    Args:
        net: The network, not behind its normalisation; on the meta device it does as well.
        file: The weights.

    Raises:
        UserError: The file is damaged, holds code, or the weights of another network.
    """
    own = net.state_dict()
    tensors = _renamed(read(file.path), net, own, file)
    fitting: dict[str, Tensor] = {}
    skipped: dict[str, str] = {}
    for name, tensor in tensors.items():
        there = own.get(name)
        if there is None:
            skipped[name] = "no place"
            continue
        adapted = _channels(name, tensor, there, net)
        if adapted.shape == there.shape:
            fitting[name] = adapted
        else:
            skipped[name] = f"{_shape(tensor)}, here {_shape(there)}"
    new = tuple(name for name in own if name not in fitting)
    _refuse_another(net, tensors, fitting, file)
    return fitting, Matching(file.origin, tuple(name for name in own if name in fitting), skipped, new)


def _renamed(
    tensors: dict[str, Tensor], net: nn.Module, own: Mapping[str, Tensor], file: WeightsFile
) -> dict[str, Tensor]:
    """The tensors under the names of the network."""
    if file.sha256.startswith(_BY_ORDER) and not own.keys() & tensors.keys():
        return _by_order(tensors, own, file)
    found = without_prefix(tensors, set(own))
    if own.keys() - found.keys():
        # torchvision's files of DenseNet are older than its names of layers.
        found = {_DENSE.sub(r"\1\2.", name): value for name, value in found.items()}
    return _adapted_by_library(found, net, own)


def _by_order(tensors: dict[str, Tensor], own: Mapping[str, Tensor], file: WeightsFile) -> dict[str, Tensor]:
    if len(tensors) != len(own) or any(a.dim() != b.dim() for a, b in zip(tensors.values(), own.values(), strict=True)):
        raise _another(file, 0, len(own))
    return dict(zip(own, tensors.values(), strict=True))


def _adapted_by_library(tensors: dict[str, Tensor], net: nn.Module, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Position embeddings and old names as the library itself brings them into its network."""
    if all(name in tensors and tensors[name].shape == there.shape for name, there in own.items()):
        return tensors
    module = sys.modules[type(net).__module__]
    adapt = getattr(module, "checkpoint_filter_fn", None)
    if adapt is not None:  # timm
        return dict(adapt(tensors, net))
    position = "encoder.pos_embedding"
    if position in tensors and position in own and hasattr(module, "interpolate_embeddings"):  # torchvision
        return dict(module.interpolate_embeddings(net.image_size, net.patch_size, dict(tensors)))
    return tensors


def _channels(name: str, tensor: Tensor, there: Tensor, net: nn.Module) -> Tensor:
    """The kernels of the first convolution for the network's channels, where either side has one channel."""
    first = first_convolution(net)
    if first is None or name != f"{first[0]}.weight" or tensor.dim() != 4 or tensor.shape[1] == there.shape[1]:
        return tensor
    if there.shape[1] == 1:
        return tensor.float().sum(1, keepdim=True)
    if tensor.shape[1] == 1:
        return tensor.repeat(1, there.shape[1], 1, 1) / there.shape[1]
    return tensor


def _refuse_another(
    net: nn.Module, tensors: Mapping[str, Tensor], fitting: Mapping[str, Tensor], file: WeightsFile
) -> None:
    own = net.state_dict()
    first = first_convolution(net)
    kernel = f"{first[0]}.weight" if first is not None else ""
    body = _counted({name for name in own if not _is_head(name, tensors, own)})
    theirs = _counted({name for name in tensors if not _is_head(name, tensors, own) and not name.startswith("aux")})
    fit = _counted(set(fitting)) & body
    if len(fit) < _ENOUGH * len(body) or len(fit) < _ENOUGH * len(theirs):
        raise _another(file, len(fit), max(len(body), len(theirs)))
    if kernel in tensors and kernel not in fitting and tensors[kernel].shape[2:] != own[kernel].shape[2:]:
        theirs_, ours = (_shape(one[0, 0]) for one in (tensors[kernel], own[kernel]))
        stem = "small" if tensors[kernel].shape[-1] < own[kernel].shape[-1] else "standard"
        raise UserError(
            f"{file.origin} begins with a convolution of {theirs_} and the network with one of {ours}; set "
            f"model.stem={stem}"
        )


def _counted(names: set[str]) -> set[str]:
    return {name for name in names if not name.endswith("num_batches_tracked")}


def _is_head(name: str, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> bool:
    """Whether a layer is the same but for its number of outputs."""
    layer = name.rpartition(".")[0]
    pairs = [
        (tensors[f"{layer}.{part}"], own[f"{layer}.{part}"])
        for part in ("weight", "bias")
        if f"{layer}.{part}" in tensors and f"{layer}.{part}" in own
    ]
    return bool(pairs) and all(a.shape[1:] == b.shape[1:] and a.shape[:1] != b.shape[:1] for a, b in pairs)


def _another(file: WeightsFile, fit: int, of: int) -> UserError:
    way_out = file.network or "model.name to the network they belong to"
    return UserError(f"{file.origin} holds the weights of another network: {fit} of {of} tensors fit; set {way_out}")


def _shape(tensor: Tensor | torch.Size) -> str:
    return "x".join(map(str, tensor.shape if isinstance(tensor, Tensor) else tensor)) or "one number"
