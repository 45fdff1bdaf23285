"""The weights that a network begins with: published ones, a file, or those of a model that was trained before.

Finding them imports no torch (but the library, where `model.library` is timm or torchvision); `fovea.models.matching`
puts them into a network.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.core.digest import kept_digest
from fovea.core.errors import UserError
from fovea.core.files import explained
from fovea.core.places import RAW, from_home, shared_root
from fovea.datasets.fetch import fetch
from fovea.datasets.mirrors import Mirror, mirrors
from fovea.datasets.wanted import Wanted
from fovea.models.published import Published, check_published, published

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig, ModelConfig

IMAGENET = "imagenet"
FOLDER = RAW / "weights"
"""Where published files are kept, and where a user without a network puts them."""

_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
_TENSORS, _FACTS = "model.safetensors", "model.json"


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that lies on this machine and is what the configuration asks for.

    Attributes:
        path: Where it lies.
        sha256: Its digest, 64 digits.
        origin: Where it came from, in words.
        mean: Per channel, of pixels in 0..1, as its network expects them; None: not known.
        std: Likewise.
        network: The options that name the network it belongs to, as ``model.name=resnet18``; None: not known.
    """

    path: Path
    sha256: str
    origin: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    network: str | None = None


def check(model: ModelConfig, channels: int) -> None:
    """Refuses, without importing anything heavy, weights that cannot be there.

    Raises:
        UserError: There are no published weights of the network, there is no such file or folder, or `model.mean` and
            `model.std` are not a pair of the data's channels.
    """
    for key, values in (("mean", model.mean), ("std", model.std)):
        if values is not None and len(values) != channels:
            raise UserError(f"model.{key} has {len(values)} numbers but the data's channels are {channels}")
    if (model.mean is None) != (model.std is None):
        given, other = ("mean", "std") if model.std is None else ("std", "mean")
        raise UserError(f"model.{given} is set but model.{other} is not; set both or none")
    if model.weights == IMAGENET:
        check_published(model)
    elif model.weights is not None:
        _own_path(model.weights)
    elif model.sha256 is not None:
        raise UserError(f"model.sha256 is '{model.sha256}' but model.weights is null; set model.weights to the file")


def find(model: ModelConfig) -> WeightsFile | None:
    """The file that `model.weights` asks for, checked; None where the network begins with new weights.

    Published weights are looked for in `data/01_raw/weights`, in `FOVEA_MIRROR` (as ``weights/<file>``), and at their
    public address, which is asked last; what was fetched is kept in `data/01_raw/weights`.

    Raises:
        UserError: There is no such file or folder, nobody has published such weights, or the file's digest is not
            `model.sha256`.
        RunError: A published file can be had nowhere, or not the one that was announced.
    """
    if model.weights is None:
        return None
    if model.weights == IMAGENET:
        return _published(model)
    path = _own_path(model.weights)
    folder = path.is_dir()
    file = path / _TENSORS if folder else path
    digest = _digest(file)
    _check_digest(model, file, digest)
    return _of_folder(path, digest) if folder else WeightsFile(file, digest, f"'{file}'")


def resolve(model: ModelConfig, data: DataConfig) -> ModelConfig:
    """The section with everything in it that the weights decide, so that the network can be built without them.

    Sets `sha256` to the whole digest, `mean` and `std` to those the network will have, and `stem` where `auto` depends
    on the kind of weights. The section stays as it is where the network begins with new weights.

    Raises:
        UserError: As `find`, and where the channels of weights and data cannot be brought together.
        RunError: As `find`.
    """
    found = find(model)
    if found is None:
        return model
    mean, std = normalization(model, data, found)
    stem = "standard" if model.stem == "auto" and model.weights == IMAGENET else model.stem
    return model.model_copy(update={"sha256": found.sha256, "mean": mean, "std": std, "stem": stem})


def normalization(
    model: ModelConfig, data: DataConfig, found: WeightsFile | None = None
) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel that pictures are normalised with.

    Those of `model`, else those that the weights expect, else the data's. One channel gets the mean over the colours;
    colours get that of the one channel.

    Args:
        model: The `model` section of the configuration.
        data: The `data` section.
        found: The weights that the network begins with.

    Raises:
        UserError: The weights expect so many channels that they cannot be made the data's.
    """
    if model.mean is not None and model.std is not None:
        return model.mean, model.std
    if found is None or found.mean is None or found.std is None:
        return data.mean, data.std
    return _for_channels(found.mean, data.channels), _for_channels(found.std, data.channels)


def _for_channels(values: Sequence[float], channels: int) -> list[float]:
    if len(values) == channels:
        return list(values)
    if 1 in (len(values), channels):
        return [sum(values) / len(values)] * channels
    raise UserError(
        f"the weights expect pictures of {len(values)} channels but the data's have {channels}; set model.mean and "
        "model.std, or begin with new weights: model.weights=null"
    )


def _published(model: ModelConfig) -> WeightsFile:
    file = published(model)
    if file.installed is not None:
        digest, path, origin = _digest(file.installed), file.installed, f"the installed package's '{file.name}'"
        _check_digest(model, path, digest, file.sha256)
    else:
        wanted = Wanted(file.name, sha256=model.sha256 or file.sha256)
        fetched = fetch(wanted, shared_root() / FOLDER, lambda: _places(file))
        digest, path, origin = fetched.facts.sha256, fetched.path, f"'{file.name}' ({fetched.origin})"
    return WeightsFile(path, digest, origin, file.mean, file.std)


def _places(file: Published) -> list[Mirror]:
    places = mirrors(FOLDER.name, [])
    if file.url is not None:
        base, _, name = file.url.rpartition("/")
        places.append(Mirror(base, label=file.url, file=name))
    return places


def _own_path(text: str) -> Path:
    """The file or folder that a user names: absolute, from the home folder (``~``), or from the project's root."""
    path = Path(os.path.normpath(shared_root() / from_home(text)))
    if path.is_dir():
        if not ((path / _TENSORS).is_file() and (path / _FACTS).is_file()):
            raise UserError(
                f"model.weights is '{text}' but '{path}' is no trained model: it has no {_TENSORS} and {_FACTS}"
            )
    elif not path.is_file():
        raise UserError(
            f"model.weights is '{text}' but '{path}' does not exist; set it to 'imagenet', a file of tensors, or the "
            "folder of a trained model"
        )
    elif path.suffix not in _SUFFIXES:
        raise UserError(f"model.weights is '{text}' but weights are read from {', '.join(_SUFFIXES)} files")
    return path


def _of_folder(path: Path, digest: str) -> WeightsFile:
    try:
        facts: dict[str, Any] = json.loads((path / _FACTS).read_text())
        model, data = facts["model"], facts["data"]
        mean, std = (tuple(model.get(key) or data[key]) for key in ("mean", "std"))
        network = f"model.library={model['library']} model.name={model['name']}"
        origin = f"the trained model '{path}' ({facts['run_name']})"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"'{path / _FACTS}' does not describe a Fovea model ({error!r})") from error
    return WeightsFile(path / _TENSORS, digest, origin, mean, std, network)


def _digest(path: Path) -> str:
    with explained(f"reading {path}"):
        return kept_digest(path)


def _check_digest(model: ModelConfig, path: Path, digest: str, announced: str | None = None) -> None:
    wanted = model.sha256 or announced
    if wanted is not None and not digest.startswith(wanted):
        said = "model.sha256" if model.sha256 else "its publisher"
        raise UserError(
            f"'{path}' has the sha256 {digest}, but {said} says {wanted}; get the right file, or set model.sha256 to "
            "its digest if it is meant to be this one"
        )
