"""The layer table: sizes, parameters, multiply-adds, receptive field and stride, by arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fovea.core.errors import RunError
from fovea.models.layer_rows import LayerRow

if TYPE_CHECKING:
    from torch import nn

    from fovea.models.tracing import Call, Watched


def layer_table(net: nn.Module, channels: int, image_size: int) -> list[LayerRow]:
    """The table of any network, a row a call of a module that has no modules inside.

    One forward pass of an empty picture, in which nothing is computed, tells the order of the calls; the numbers follow
    by arithmetic: output size (n + 2p - f) / s + 1, receptive field and stride as in `fovea.models.trails`. A layer
    that looks at a whole map (a global pool, a linear layer after flattening) counts as a convolution as large as the
    map; after attention every output sees the whole picture. Norms count as working place by place.

    What a module does between the modules inside it has a row where it has parameters or multiply-adds, widens the
    field or joins branches; its type is then the operation's name. Parameters that are used twice count where they are
    used first; those that evaluation does not use (auxiliary heads) come last, without output.

    Args:
        net: A network for pictures [B, channels, image_size, image_size]; left as it was.
        channels: Channels of the pictures.
        image_size: Height and width of the pictures.

    Raises:
        RunError: The network cannot take such a picture.
    """
    from fovea.models.tracing import watch

    try:
        try:
            watched = watch(net, channels, image_size)
        except Exception:  # a network that looks at numbers in its forward pass needs some
            watched = watch(net, channels, image_size, device="cpu")
    except Exception as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"the layers of {type(net).__name__} cannot be told from a picture of {channels}x{image_size}x{image_size} "
            f"({reason})"
        ) from error
    return [*map(_row, watched.calls), *_unused(net, watched)]


def _row(call: Call) -> LayerRow:
    trail = call.trail
    output = (call.shape if trail is None else trail.shape)[1:]
    numbers = ((0, 0), (0, 0)) if trail is None else (trail.field, trail.stride)
    return LayerRow(call.name, call.kind, output, call.parameters, call.multiply_adds, *numbers)


def _unused(net: nn.Module, watched: Watched) -> Iterator[LayerRow]:
    """A row for each largest module that was not called, and one for what is left."""
    sizes: dict[str, int] = {}
    for name, size in watched.unused.items():
        parts = name.split(".")[:-1]
        heads = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
        head = next((head for head in heads if head not in watched.reached and _is_closed(head, watched)), "")
        sizes[head] = sizes.get(head, 0) + size
    for name, size in sizes.items():
        yield LayerRow(name, type(net.get_submodule(name)).__name__, (), size, 0, (0, 0), (0, 0))


def _is_closed(name: str, watched: Watched) -> bool:
    """Whether nothing inside a module was called."""
    return not any(reached.startswith(f"{name}.") for reached in watched.reached)
