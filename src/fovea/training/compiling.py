"""A network that torch compiles while it trains, and that is the plain one before and after."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fovea.core.errors import UserError

if TYPE_CHECKING:
    from torch import nn


def check_compiler() -> None:
    """Refuses where torch would find no compiler for the code that it writes.

    Raises:
        UserError: There is neither what `CXX` names, nor g++, nor clang++.
    """
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    if not any(shutil.which(name) for name in names):
        raise UserError(
            f"trainer.compile=true needs a C++ compiler, and there is no {' or '.join(names)}; install g++, or set "
            "trainer.compile=false"
        )


@contextmanager
def compiled(network: nn.Module, *, wanted: bool) -> Iterator[None]:
    """Lets torch compile the calls of a network within the block, if wanted.

    In place: the names and the tensors stay those of the plain network, so that its checkpoints load without torch
    compiling anything.

    Raises:
        UserError: There is no C++ compiler.
    """
    if not wanted:
        yield
        return
    check_compiler()
    # Says on a machine without a GPU that it has found none, though CUDA's files are there.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    network.compile()
    try:
        yield
    finally:
        network._compiled_call_impl = None  # torch has no public way back
