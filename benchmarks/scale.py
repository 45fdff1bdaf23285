"""What ImageNet would take, by arithmetic from rates measured here on one core.

The cost of each step is fitted as `a + b x pixels + c x bytes` over the cats-vs-dogs samples, at the quality they have
and saved again at 98, so that bytes and pixels vary apart. ImageNet's training pictures have 115 kB (147.9 GB in
1,281,167 files) and 181,500 pixels (469 x 387) on average. The table in docs/scale.md is this script's.

    python benchmarks/scale.py
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from common import keep, mirror

from fovea.augment import build
from fovea.pictures import Limits, decode, examine
from fovea.shards.reduce import reduce

_COUNT, _PIXELS, _BYTES = 1_281_167, 469 * 387, 147_897_477_120 / 1_281_167
_SHORT, _QUALITY, _SIDE = 256, 92, 224
_CORES = (2, 16, 64)
_ROUNDS = 3


def main() -> None:
    """Measures the steps and multiplies."""
    import cv2

    cv2.setNumThreads(0)
    files = _files()
    small = [reduce(decode(file, 3), 1, _SHORT, _QUALITY)[0] for file in files]
    crop = [{"_target_": "albumentations.RandomResizedCrop", "size": [_SIDE, _SIDE]}]
    augment = build([*crop, {"_target_": "albumentations.HorizontalFlip"}], channels=3, image_size=_SIDE)

    def prepare(file: bytes) -> None:
        examine(file, "a.jpg", Limits())

    def resize(file: bytes) -> None:
        examine(file, "a.jpg", Limits())
        reduce(decode(file, 3), 1, _SHORT, _QUALITY)

    def read(file: bytes) -> None:
        augment(decode(file, 3, fast=True), seed=0, epoch=0, key=1)

    shrunk = _PIXELS * (_SHORT / 387) ** 2
    small_bytes = float(np.dot(_fit(small, [float(len(file)) for file in small], by_bytes=False), (1, shrunk, 0)))
    rows = []
    for what, step, taken, pixels, size in (
        ("prepare", prepare, files, _PIXELS, _BYTES),
        ("prepare, prepare.resize=256", resize, files, _PIXELS, _BYTES),
        ("read and augment to 224", read, files, _PIXELS, _BYTES),
        ("read and augment to 224, resized", read, small, shrunk, small_bytes),
    ):
        seconds = float(np.dot(_fit(taken, _timed(step, taken)), (1, pixels, size)))
        row: dict[str, Any] = {"what": what, "pictures/s on one core": round(1 / seconds)}
        row["GB read"] = round(size * _COUNT / 1e9)
        row["GB written"] = {"prepare": round(_BYTES * _COUNT / 1e9)}.get(what, "")
        if what.endswith("=256"):
            row["GB written"] = round(small_bytes * _COUNT / 1e9)
        rows.append(row | {f"minutes, {cores} cores": round(seconds * _COUNT / cores / 60, 1) for cores in _CORES})
    keep("scale", rows)


def _files() -> list[bytes]:
    import simplejpeg

    with zipfile.ZipFile(mirror() / "cats_vs_dogs" / "kagglecatsanddogs_mini.zip") as samples:
        names = [name for name in samples.namelist() if name.endswith(".jpg")][::4]
        found = [samples.read(name) for name in names]
    files = [file for file in found if examine(file, "a.jpg", Limits()).mode == "RGB" and file[:2] == b"\xff\xd8"]
    files = [file for file in files if min(decode(file, 3).shape[:2]) > _SHORT]
    return files + [simplejpeg.encode_jpeg(decode(file, 3), 98) for file in files[::2]]


def _timed(step: Callable[[bytes], None], files: list[bytes]) -> list[float]:
    """Seconds for each file, the best of some rounds."""
    best = [float("inf")] * len(files)
    for _ in range(_ROUNDS):
        for number, file in enumerate(files):
            start = time.perf_counter()
            step(file)
            best[number] = min(best[number], time.perf_counter() - start)
    return best


def _fit(files: list[bytes], values: list[float], *, by_bytes: bool = True) -> np.ndarray:
    """Least squares: the constant, by the pixel, by the byte."""
    shapes = [decode(file, 3).shape for file in files]
    columns = [np.ones(len(files)), [height * width for height, width, _ in shapes]]
    columns.append([len(file) for file in files] if by_bytes else np.zeros(len(files)))
    found: np.ndarray = np.linalg.lstsq(np.column_stack(columns).astype(float), np.array(values), rcond=None)[0]
    return found


if __name__ == "__main__":
    main()
