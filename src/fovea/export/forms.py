"""The forms that a model leaves in: each is written, run again from its file, compared and timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.digest import file_digest
from fovea.core.errors import UserError
from fovea.evaluation.infer import pictures
from fovea.export.latency import milliseconds
from fovea.export.parity import Parity, parity

if TYPE_CHECKING:
    from fovea.augment import Augmenter
    from fovea.shards import Split

Answers = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Logits float32 [B, K] of pixels uint8 [B, C, H, W]."""


@dataclass(frozen=True)
class Form:
    """One file of an exported model.

    Attributes:
        name: `onnx`, `onnx_int8` or `torch_export`.
        file: Its name in the folder.
        sha256: Of its bytes.
        bytes: Its size.
        parity: Its agreement with the original.
        milliseconds: Median time of one picture, on this machine.
    """

    name: str
    file: str
    sha256: str
    bytes: int
    parity: Parity
    milliseconds: float

    def row(self) -> dict[str, Any]:
        """A row of `forms.csv`."""
        return {
            "form": self.name,
            "file": self.file,
            **self.parity.plain(),
            "milliseconds": round(self.milliseconds, 4),
            "bytes": self.bytes,
        }

    def metrics(self) -> dict[str, float]:
        """As metrics of a run: `export/onnx/acc` and others."""
        return {
            f"export/{self.name}/acc": self.parity.accuracy_exported,
            f"export/{self.name}/largest_logit_difference": self.parity.largest_logit_difference,
            f"export/{self.name}/milliseconds": self.milliseconds,
            f"export/{self.name}/megabytes": self.bytes / 1e6,
        }


@dataclass(frozen=True)
class Trial:
    """What every form is compared with.

    Attributes:
        split: The test pictures.
        view: Brings them to the network's size.
        batch_size: Pictures at a time.
        original: Logits float32 [N, K] of the network itself.
    """

    split: Split
    view: Augmenter
    batch_size: int
    original: NDArray[np.float32]

    def of(self, name: str, path: Path, answers: Answers) -> Form:
        """Lets a form answer for every test picture, and takes the time of one."""
        parts = [answers(self.batch(start)) for start in range(0, len(self.split), self.batch_size)]
        found = parity(self.original, np.concatenate(parts), self.split.labels)
        taken = self.milliseconds(answers)
        return Form(name, path.name, file_digest(path), path.stat().st_size, found, taken)

    def milliseconds(self, answers: Answers) -> float:
        """Median time of one picture, decoded already."""
        one = self.batch(0)[:1]
        return milliseconds(lambda: answers(one))

    def batch(self, start: int) -> NDArray[np.uint8]:
        """Pixels [B, C, H, W] of the pictures from `start` on."""
        return planes(pictures(self.split, self.view, start, self.batch_size))


def calibration(split: Split, view: Augmenter, count: int) -> NDArray[np.uint8]:
    """Pixels [B, C, H, W] of at most `count` pictures, at even distances in a split.

    Raises:
        UserError: The split has no picture.
    """
    if not len(split):
        raise UserError("the data have no training pictures to calibrate with; go without by export.int8=false")
    rows = np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).round().astype(int))
    return planes(np.concatenate([pictures(split, view, row, 1) for row in rows.tolist()]))


def planes(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures [B, H, W, C] as [B, C, H, W], in memory of their own."""
    return np.array(images.transpose(0, 3, 1, 2), order="C")
