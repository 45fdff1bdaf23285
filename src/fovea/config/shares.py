"""How a batch is shared out between processes."""

from __future__ import annotations

from fovea.core.errors import UserError


def check_shares(batch_size: int, world_size: int, *, mixed: bool) -> None:
    """Refuses a batch that so many processes cannot share evenly.

    Args:
        batch_size: `loader.batch_size`, of all processes together.
        world_size: Processes.
        mixed: Whether neighbouring pictures are mixed, and so must stay together.

    Raises:
        UserError: It is no multiple of them, or pairs would be torn apart.
    """
    if batch_size % world_size:
        raise UserError(
            f"loader.batch_size {batch_size} cannot be shared evenly by {world_size} processes; choose a multiple of "
            f"{world_size}"
        )
    if mixed and world_size > 1 and batch_size // world_size % 2:
        raise UserError(
            f"augment.mix mixes pairs of pictures, and loader.batch_size {batch_size} gives each of {world_size} "
            f"processes {batch_size // world_size}; choose a multiple of {2 * world_size}"
        )
