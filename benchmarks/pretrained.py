"""Published weights of EfficientNet-Lite0 on the ILSVRC validation samples, over all 1,000 classes.

Claim: at least 70 % top-1. The samples have a short side of 160 pixels and are enlarged; the published 75.1 % is for
pictures of full size. Needs no network: the weights are those of the package.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from common import PROJECT, keep, mirror
from PIL import Image
from scipy.io import loadmat
from timm.data import ImageNetInfo

from fovea.config.compose import compose
from fovea.config.schema import DataConfig, ModelConfig, parse
from fovea.models import weights
from fovea.training.network import build_network, load_first_weights


def main() -> None:
    """Measures three ways of cropping."""
    config = compose(PROJECT / "conf").config
    data = parse(DataConfig, {**config["data"], **_PICTURES}, "data")
    model = parse(ModelConfig, {**config["model"], **_MODEL}, "model")
    model = weights.resolve(model, data)
    network = build_network(model, data)
    matching = load_first_weights(network, model)
    assert matching is not None
    assert not matching.new
    rows = [_measured(network.eval(), *sizes) for sizes in ((256, 224), (224, 224), (160, 160))]
    keep("pretrained", rows)


_PICTURES = {
    "name": "ilsvrc",
    "channels": 3,
    "image_size": 224,
    "classes": ImageNetInfo().label_names(),
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
_MODEL = {"library": "fovea", "name": "efficientnet_lite0", "dropout": None, "init": None, "weights": "imagenet"}


def _measured(network: torch.nn.Module, resize: int, crop: int) -> dict[str, object]:
    right, pictures = 0, 0
    for picture, wnid in _samples(mirror() / "imagenet"):
        with torch.inference_mode():
            answer = int(network(_pixels(picture, resize, crop)).argmax())
        right += _PICTURES["classes"][answer] == wnid
        pictures += 1
    return {"short side": resize, "crop": crop, "pictures": pictures, "top-1": round(right / pictures, 4)}


def _pixels(picture: Image.Image, resize: int, crop: int) -> torch.Tensor:
    scale = resize / min(picture.size)
    width, height = (round(side * scale) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - crop) // 2, (height - crop) // 2
    return torch.from_numpy(np.array(picture.crop((left, top, left + crop, top + crop)))).permute(2, 0, 1)[None]


def _samples(folder: Path) -> Iterator[tuple[Image.Image, str]]:
    """Each validation picture with its WordNet id, in the order of the names."""
    with tarfile.open(folder / "ILSVRC2012_devkit_t12_mini.tar.gz") as kit:
        content = {Path(member.name).name: member for member in kit.getmembers()}
        meta = loadmat(io.BytesIO(kit.extractfile(content["meta.mat"]).read()))
        truth = kit.extractfile(content["ILSVRC2012_validation_ground_truth.txt"]).read().split()
    wnids = {int(row[0][0][0][0]): str(row[0][1][0]) for row in meta["synsets"]}
    with tarfile.open(folder / "ILSVRC2012_img_val_mini.tar") as tar:
        members = sorted((member for member in tar.getmembers() if member.isfile()), key=lambda member: member.name)
        for member, label in zip(members, truth, strict=True):
            yield Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB"), wnids[int(label)]


if __name__ == "__main__":
    main()
