"""What stands beside a checkpoint and makes it whole; read without loading torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from fovea.core.files import atomic_file

STEPS = "step-*.ckpt"
"""The names of checkpoints, which sort by their step."""


def beside(checkpoint: Path) -> Path:
    """The place of a checkpoint's sidecar."""
    return checkpoint.with_suffix(".json")


def newest_first(folder: Path) -> Iterator[Path]:
    """The checkpoints of a work folder, whole or not."""
    yield from sorted(folder.glob(STEPS), reverse=True)


@dataclass(frozen=True)
class Sidecar:
    """What stands beside a checkpoint, written after it: a checkpoint without one is not whole.

    Attributes:
        sha256: Of the checkpoint.
        step: Steps taken.
        epoch: The epoch, from 1, in which it was taken.
        config_digest: Of all that decides the weights.
        world_size: Processes that trained together.
        best: The file of the best weights until then, in the same folder.
        best_sha256: Of that file.
    """

    sha256: str
    step: int
    epoch: int
    config_digest: str
    world_size: int
    best: str | None
    best_sha256: str | None

    @classmethod
    def read(cls, checkpoint: Path) -> Sidecar | None:
        """That of a checkpoint; None where there is none that can be read."""
        try:
            return cls(**json.loads(beside(checkpoint).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, checkpoint: Path) -> None:
        """Makes a checkpoint whole."""
        with atomic_file(beside(checkpoint)) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n")
