"""A network as a program of `torch.export`: a `.pt2` file that needs PyTorch, and none of the code that built it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.files import explained

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fovea.serving.scaling import Scaling


def write_program(network: nn.Module, path: Path, *, example: Tensor, facts: Mapping[str, str]) -> None:
    """Writes a network from pictures [batch, C, H, W] of any batch to float32 logits.

    Args:
        network: In eval mode, on the CPU.
        path: The file to write.
        example: At least two pictures of the type and size that the network takes.
        facts: Plain texts, which `torch.export.load(path, extra_files={name: ""})` gives back.

    Raises:
        RunError: The disk is full.
    """
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        shapes = ({0: torch.export.Dim("batch")},)
        program = torch.export.export(network, (example,), dynamic_shapes=shapes)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # it has the paths of this machine
        with explained(f"writing {path}"):
            torch.export.save(program, path, extra_files=dict(facts))


class ProgramRunner:
    """A program that this process wrote, loaded again.

    Args:
        path: The file.
        scaling: What is done to pixels first, of a program that has no normalisation inside.
    """

    def __init__(self, path: Path, scaling: Scaling | None = None) -> None:
        import torch

        self._module = torch.export.load(path).module()
        self._scaling = scaling

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits float32 [B, K] of pixels [B, C, H, W] of 0..255."""
        import torch

        with torch.inference_mode():
            images: Any = pixels if self._scaling is None else self._scaling(pixels)
            logits: NDArray[np.float32] = self._module(torch.from_numpy(images)).numpy()
        return logits
