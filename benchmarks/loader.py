"""Batches of photographs on one core, ours and those of others: random resized crop to 224, flip, normalisation.

    python benchmarks/loader.py [ROUNDS] [SIDE...]      default: 5 rounds of every side

The pictures are the good JPEG files of the cats-vs-dogs samples beside the checkout, in class folders, the same for
every side. Each side runs in a process of its own, bound to one core (`two workers`: to two), and gives batches of 32.
Claims: ours at least 2.5 x torchvision, 0.8 x the bare decoding of the same bytes, 1.3 x timm and 1.3 x Hugging Face
datasets.

Hugging Face's `datasets` is not part of the project. Put it into a folder of its own and name that on the path:
`pip install --target FOLDER --no-deps datasets dill multiprocess xxhash huggingface_hub fsspec`, `PYTHONPATH=FOLDER`.
"""

from __future__ import annotations

import csv
import os
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from common import PROJECT, environment, keep, mirror, timed

_BATCH = 32
_SIZE = 224
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_EPOCHS = 3
_CLAIMS = {"torchvision": 2.5, "bare cv2.imdecode": 0.8, "timm": 1.3, "datasets": 1.3}
Epoch = Callable[[], Iterable[int]]
"""Gives the numbers of pictures of the batches of an epoch, each when it is ready."""


def main() -> None:
    """Alternates the sides, so that the machine's mood meets all of them."""
    words = sys.argv[1:]
    rounds = int(words.pop(0)) if words and words[0].isdigit() else 5
    sides = [side for side in _SIDES if not words or side in words]
    if "datasets" in sides and not _has_datasets():
        print("datasets is not installed, so it is left out; how to get it stands in this file's first lines")
        sides.remove("datasets")
    rates: dict[str, list[float]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory(prefix="fovea-bench-") as folder:
        _unpack(Path(folder) / "pictures")
        (Path(folder) / "conf").mkdir()
        (Path(folder) / "pyproject.toml").touch()
        for _ in range(rounds):
            for side, measured in rates.items():
                measured.append(_rate(side, Path(folder)))
    medians = {side: statistics.median(measured) for side, measured in rates.items()}
    rows: list[dict[str, object]] = []
    for side, median in medians.items():
        row: dict[str, object] = {"side": side, "images/s": round(median), "best": round(max(rates[side]))}
        if side in _CLAIMS:
            for ours in ("ours, uint8", "ours, normalised"):
                row[f"{ours} over it"] = round(medians[ours] / median, 2) if ours in medians else ""
            row["claim"] = _CLAIMS[side]
        rows.append(row)
    keep("loader", rows)


def _has_datasets() -> bool:
    from importlib.util import find_spec

    return find_spec("datasets") is not None


def _unpack(target: Path) -> None:
    samples = mirror() / "cats_vs_dogs"
    with (samples / "expected.csv").open() as stream:
        odd = {row["member"] for row in csv.DictReader(stream) if row["kind"] != "good"}
    with zipfile.ZipFile(samples / "kagglecatsanddogs_mini.zip") as archive:
        for name in archive.namelist():
            parts = Path(name).parts
            data = archive.read(name) if len(parts) == 3 and name not in odd else b""
            if data[:2] == b"\xff\xd8":
                file = target / parts[1] / parts[2]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)


def _rate(side: str, folder: Path) -> float:
    env = environment(
        OMP_NUM_THREADS="1",
        FOVEA_ROOT=str(folder),
        HF_HOME=str(folder / "hf"),
        HF_HUB_OFFLINE="1",
        HF_DATASETS_DISABLE_PROGRESS_BARS="1",
    )
    run = timed([sys.executable, __file__, "--measure", side, str(folder / "pictures")], PROJECT, env)
    return float(run.output.strip().splitlines()[-1])


def _measure(side: str, pictures: Path) -> float:
    cores = 2 if "two workers" in side else 1
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])
    import cv2
    import torch

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    epoch = _SIDES[side](pictures)
    sum(epoch())  # files into memory, workers started
    best = 0.0
    for _ in range(_EPOCHS):
        start = time.perf_counter()
        count = sum(epoch())
        best = max(best, count / (time.perf_counter() - start))
    return best


def _ours(pictures: Path, *, normalised: bool, workers: int = 0, cache: str = "none") -> Epoch:
    from torch import nn

    from fovea.config.compose import compose
    from fovea.config.schema import AugmentConfig, DataConfig, LoaderConfig, parse
    from fovea.loading import PictureDataModule
    from fovea.models.normalize import NormalizedNet
    from fovea.pipelines.ingest.nodes import ingest
    from fovea.pipelines.prepare.nodes import prepare

    overrides = ["data=image_folder", "augment=imagenet", f"data.folder={pictures}", "prepare.executor=serial"]
    overrides += ["prepare.test_fraction=0.001", "prepare.val_fraction=0.001", "prepare.duplicates=keep"]
    overrides += [f"loader.cache={cache}", f"loader.batch_size={_BATCH}", f"loader.num_workers={workers}"]
    config = compose(PROJECT / "conf", overrides).config
    crop, flip, *_ = config["augment"]["train"]
    data = PictureDataModule(
        prepare(ingest(config["data"]), config["data"], config["prepare"]),
        data=parse(DataConfig, config["data"], "data"),
        loader=parse(LoaderConfig, config["loader"], "loader"),
        augment=parse(AugmentConfig, {**config["augment"], "train": [crop, flip]}, "augment"),
        seed=0,
    )
    loader = data.train_dataloader()
    net = NormalizedNet(nn.Identity(), _MEAN, _STD)
    epochs = iter(range(1000))

    def epoch() -> Iterable[int]:
        loader.batch_sampler.sampler.set_epoch(next(epochs))  # type: ignore[union-attr]
        for batch in loader:
            if normalised:
                net.normalize(batch.images)
            yield len(batch.labels)

    return epoch


def _bare(pictures: Path) -> Epoch:
    import cv2
    import numpy as np

    files = [np.frombuffer(path.read_bytes(), np.uint8) for path in sorted(pictures.rglob("*.jpg"))]

    def epoch() -> Iterable[int]:
        for data in files:
            cv2.imdecode(data, cv2.IMREAD_COLOR)
            yield 1

    return epoch


def _transforms() -> Any:
    import torch
    from torchvision.transforms import v2

    chain = [v2.RandomResizedCrop(_SIZE), v2.RandomHorizontalFlip(), v2.ToImage()]
    return v2.Compose([*chain, v2.ToDtype(torch.float32, scale=True), v2.Normalize(_MEAN, _STD)])


def _torchvision(pictures: Path, *, workers: int = 0) -> Epoch:
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    loader = DataLoader(
        ImageFolder(pictures, _transforms()),
        batch_size=_BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    return lambda: (len(labels) for _, labels in loader)


def _timm(pictures: Path, *, workers: int = 0) -> Epoch:
    import torch
    from timm.data import create_dataset, create_loader

    loader = create_loader(
        create_dataset("", str(pictures)),
        input_size=(3, _SIZE, _SIZE),
        batch_size=_BATCH,
        is_training=True,
        hflip=0.5,
        color_jitter=None,
        interpolation="bilinear",
        mean=_MEAN,
        std=_STD,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=False,
        device=torch.device("cpu"),
    )
    return lambda: (len(labels) for _, labels in loader)


def _datasets(pictures: Path) -> Epoch:
    from datasets import load_dataset
    from torch.utils.data import DataLoader

    transforms = _transforms()

    def change(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {"image": [transforms(image.convert("RGB")) for image in rows["image"]], "label": rows["label"]}

    data = load_dataset("imagefolder", data_dir=str(pictures), split="train").with_transform(change)
    loader = DataLoader(data, batch_size=_BATCH, shuffle=True, drop_last=True)
    return lambda: (len(batch["label"]) for batch in loader)


_SIDES: dict[str, Callable[[Path], Epoch]] = {
    "bare cv2.imdecode": _bare,
    "ours, uint8": lambda pictures: _ours(pictures, normalised=False),
    "ours, normalised": lambda pictures: _ours(pictures, normalised=True),
    "torchvision": _torchvision,
    "timm": _timm,
    "datasets": _datasets,
    "ours, uint8, decoded pictures kept": lambda pictures: _ours(pictures, normalised=False, cache="memory"),
    "ours, uint8, two workers": lambda pictures: _ours(pictures, normalised=False, workers=2),
    "torchvision, two workers": lambda pictures: _torchvision(pictures, workers=2),
    "timm, two workers": lambda pictures: _timm(pictures, workers=2),
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(_measure(sys.argv[2], Path(sys.argv[3])))
    else:
        main()
