"""Tensors out of files that may come from anywhere: nothing that a file holds is ever run."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fovea.core.errors import UserError

# What training scripts put the weights under, and what they put before the names of tensors.
_INSIDE = ("state_dict", "model_state_dict", "model")
# Words with which torch tells what it refuses to run; of a file that is no pickle at all it says other things.
_CODE = ("GLOBAL", "Can only build", "Can only create", "Trying to call")
_PREFIXES = ("", "net.net.", "net.", "module.", "model.", "_orig_mod.")


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by their names, on the CPU, in the file's order.

    Of a checkpoint of a training with averaged weights they are the averages, which that training would deliver.

    Args:
        path: A safetensors file, or one that `torch.save` has written.

    Raises:
        UserError: The file cannot be read, is damaged, holds code, or no tensors.
    """
    content = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    for key in _INSIDE:
        if _has(content, key):
            content = _averages(content) or content[key]
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
    if not tensors:
        raise UserError(f"'{path}' holds no tensors by name; save the network's state_dict() to it")
    return tensors


def _has(content: Any, key: str) -> bool:
    return isinstance(content, Mapping) and isinstance(content.get(key), Mapping)


def _averages(checkpoint: Mapping[str, Any]) -> Any:
    """What the callback of that name keeps in a checkpoint, empty before its first update; None if there is none."""
    found: Any = checkpoint
    for key in ("callbacks", "Averaging", "tensors"):
        if not _has(found, key):
            return None
        found = found[key]
    return found


def without_prefix(tensors: Mapping[str, Tensor], names: set[str]) -> dict[str, Tensor]:
    """The tensors without the prefix that keeps most of them from having one of `names`; others are left out."""
    stripped = [
        {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        for prefix in _PREFIXES
    ]
    return max(stripped, key=lambda one: len(names & one.keys()))


def _safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"'{path}' is not a safetensors file or is damaged ({error}); get it again") from error
    except OSError as error:
        raise UserError(f"'{path}' cannot be read ({error.strerror}); make it readable for this user") from error


def _torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not any(words in str(error) for words in _CODE):
            raise _damaged(path) from error
        raise UserError(
            f"'{path}' holds code beside its tensors, and none of it has been run; have its publisher save the "
            "state_dict() alone, best as safetensors"
        ) from error
    except OSError as error:
        raise UserError(f"'{path}' cannot be read ({error.strerror}); make it readable for this user") from error
    except Exception as error:  # torch's reader of damaged files stumbles in any way
        raise _damaged(path) from error


def _damaged(path: Path) -> UserError:
    return UserError(f"'{path}' is not a file of tensors or is damaged; get it again")
