"""The files of a training under way: its last states and the weights that were best, each whole or not at all."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning_fabric.plugins import CheckpointIO
from safetensors.torch import save
from torch import Tensor, nn

from fovea.core.digest import file_digest
from fovea.core.errors import RunError
from fovea.core.files import atomic_file
from fovea.training.checkpoint_sidecar import STEPS, Sidecar, beside, newest_first

log = logging.getLogger("fovea")

_BESTS = "best-epoch-*.safetensors"


def save_weights(network: nn.Module, path: Path) -> None:
    """Writes the tensors of a network to a safetensors file: see `save_tensors`."""
    save_tensors(network.state_dict(), path)


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> str:
    """Writes tensors to a safetensors file, in one piece or not at all; floating ones as float32.

    Returns:
        Hex sha256 of the file.

    Raises:
        RunError: The disk is full, read-only or not writable.
    """
    content = save({name: _float32(tensor.detach().cpu()).contiguous() for name, tensor in tensors.items()})
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)  # safetensors' own writing hides why the disk refused
    return hashlib.sha256(content).hexdigest()


def _float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


class CheckpointStore(CheckpointIO):
    """Keeps the last few checkpoints and the best weights in a work folder; Lightning saves and loads through it.

    A checkpoint is written aside, renamed, and made whole by its sidecar. Older ones, and best weights that no kept
    checkpoint refers to, are removed only then: what is kept before is never touched for what is to come.

    Args:
        folder: The work folder, which this process holds.
        config_digest: Of all that decides the weights; a checkpoint of another is foreign.
        keep_last: How many checkpoints are kept.
        world_size: Processes that train together.
    """

    def __init__(self, folder: Path, config_digest: str, keep_last: int = 2, world_size: int = 1) -> None:
        self.folder = folder
        self._digest = config_digest
        self._keep_last = keep_last
        self._world_size = world_size
        self._best: tuple[str, str] | None = None
        self._offered: tuple[int, dict[str, Tensor]] | None = None
        self._error: RunError | None = None

    def path(self, step: int) -> Path:
        """Where the state after a step goes."""
        return self.folder / f"step-{step:08d}.ckpt"

    def best_path(self, epoch: int) -> Path:
        """Where weights that were the best go.

        Named by their epoch: a training that resumes from a checkpoint must find the best until then, not one of a
        later epoch that was given up.
        """
        return self.folder / f"best-epoch-{epoch:04d}.safetensors"

    def newest(self) -> Path | None:
        """The newest checkpoint that was written to its end."""
        return next((path for path in newest_first(self.folder) if beside(path).exists()), None)

    def usable(self) -> Path | None:
        """The newest checkpoint that is whole and of this config; what is not is put aside with a word.

        Nothing in a file is executed: it is read with `weights_only=True`.
        """
        for left in (*self.folder.glob(f".{STEPS}*.tmp"), *self.folder.glob(f".{_BESTS}*.tmp")):
            left.unlink(missing_ok=True)  # of a process that was killed
        refused: list[str] = []
        for path in newest_first(self.folder):
            sidecar = Sidecar.read(path)
            reason = self._refusal(path, sidecar)
            if reason is None and sidecar is not None:
                self._tell(refused, f"training goes on from {path.name}")
                self._best = (sidecar.best, sidecar.best_sha256) if sidecar.best and sidecar.best_sha256 else None
                return path
            refused.append(f"{path} {reason}")
            path.replace(path.with_name(f"{path.name}.bad"))
            beside(path).unlink(missing_ok=True)
        self._tell(refused, "training starts over")
        return None

    def offer_best(self, epoch: int, tensors: Mapping[str, Tensor]) -> None:
        """Hands over the best weights so far, which are written with the next checkpoint.

        Args:
            epoch: After which they are the best, from 1.
            tensors: The weights; copied.
        """
        self._offered = epoch, {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}

    def write_best(self) -> None:
        """Writes the weights that were handed over, unless they are written.

        Raises:
            RunError: The disk is full, read-only or not writable; they are kept for the next try.
        """
        if self._offered is not None:
            epoch, tensors = self._offered
            path = self.best_path(epoch)
            self._best = path.name, save_tensors(tensors, path)
            self._offered = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Writes a checkpoint, after the best weights that it refers to.

        Other processes wait meanwhile, so that an error is kept for `take_error`.
        """
        try:
            self._write(checkpoint, Path(path))
        except RunError as error:
            self._error = error
        except OSError as error:
            self._error = RunError(f"writing {path} failed: {error.strerror or error}")

    def take_error(self) -> RunError | None:
        """What prevented the last saving, once."""
        error, self._error = self._error, None
        return error

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads a checkpoint; never executes anything in it."""
        content: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return content

    def remove_checkpoint(self, path: str | Path) -> None:
        """Removes a checkpoint with its sidecar, which goes first."""
        beside(Path(path)).unlink(missing_ok=True)
        Path(path).unlink(missing_ok=True)

    def _refusal(self, path: Path, sidecar: Sidecar | None) -> str | None:
        """Why training cannot go on from a checkpoint."""
        if sidecar is None:
            return "was not written to its end"
        if sidecar.config_digest != self._digest:
            return "is of another configuration"
        return _refusal_of_content(path, sidecar) or self._refusal_of_best(sidecar)

    def _refusal_of_best(self, sidecar: Sidecar) -> str | None:
        if sidecar.best is None:
            return None
        best = self.folder / Path(sidecar.best).name
        if not best.is_file():
            return f"refers to {best.name}, which is missing"
        return None if file_digest(best) == sidecar.best_sha256 else f"refers to {best.name}, which is damaged"

    @staticmethod
    def _tell(refused: list[str], consequence: str) -> None:
        for sentence in refused:
            log.warning("%s; it is put aside as *.bad and %s", sentence, consequence)

    def _write(self, checkpoint: dict[str, Any], path: Path) -> None:
        self.write_best()
        with atomic_file(path) as temporary:
            sha256 = _save(checkpoint, temporary)
        step, epoch = checkpoint["global_step"], checkpoint["epoch"] + 1
        try:
            Sidecar(sha256, step, epoch, self._digest, self._world_size, *(self._best or (None, None))).write(path)
        except RunError:
            path.unlink()  # on a full disk it only takes room
            raise
        self._prune()

    def _prune(self) -> None:
        """Removes what no resume will ask for."""
        kept, wanted = 0, set[str | None]()
        for path in newest_first(self.folder):
            sidecar = Sidecar.read(path) if kept < self._keep_last else None
            if sidecar is None:
                self.remove_checkpoint(path)
                continue
            kept += 1
            wanted.add(sidecar.best)
        for best in self.folder.glob(_BESTS):
            if best.name not in wanted:
                best.unlink(missing_ok=True)


class _Hashing:
    """A file that is hashed while it is written.

    torch's writer turns an error of the file into one without its reason; it is kept here.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        """Takes what torch writes, to the end, whatever happens."""
        if self._error is None:
            try:
                self._stream.write(data)
                self._sha256.update(data)
            except OSError as error:
                self._error = error
        return len(data)

    def flush(self) -> None:
        """For torch; `digest` does it."""

    def digest(self) -> str:
        """Hex sha256 of what was written.

        Raises:
            OSError: The file refused something.
        """
        if self._error is not None:
            raise self._error
        self._stream.flush()
        return self._sha256.hexdigest()


def _save(content: dict[str, Any], path: Path) -> str:
    """Writes a checkpoint and gives its hex sha256."""
    with path.open("wb") as stream:
        hashing = _Hashing(stream)
        torch.save(content, hashing)  # type: ignore[arg-type]
        return hashing.digest()


def _refusal_of_content(path: Path, sidecar: Sidecar) -> str | None:
    try:
        if file_digest(path) != sidecar.sha256:
            return "is damaged (its sha256 is not that of its sidecar)"
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a foreign file can fail to load in any way
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        return f"cannot be read ({words[:120]})"
    whole = isinstance(content, dict) and {"state_dict", "loops"} <= content.keys()
    return None if whole else "is not a checkpoint"
