"""The arithmetic of convolutions and pools, without torch (Dumoulin and Visin 2016, sections 2 and 5)."""

from __future__ import annotations


def output_size(size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Side of the output of a convolution or pool: (n + 2p - f) / s + 1, rounded down.

    Args:
        size: Side of the input, in pixels.
        kernel: Side of the kernel.
        stride: Step of the kernel.
        padding: Pixels added on each side.
        dilation: Distance between the kernel's taps; the kernel then spans ``dilation * (kernel - 1) + 1`` pixels.

    Raises:
        ValueError: The kernel does not fit into the padded input.
    """
    room = size + 2 * padding - (dilation * (kernel - 1) + 1)
    if room < 0:
        raise ValueError(f"a kernel of {kernel} does not fit into {size} pixels with a padding of {padding}")
    return room // stride + 1


def receptive_field(field: int, jump: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Receptive field and cumulative stride after one more layer (Araujo, Norris and Sim 2019).

    Args:
        field: Receptive field before the layer, in pixels of the picture; 1 for the picture itself.
        jump: Distance, in pixels of the picture, between neighbours of the layer's input; 1 for the picture itself.
        kernel: Side of the kernel.
        stride: Step of the kernel.
        dilation: Distance between the kernel's taps.
    """
    return field + dilation * (kernel - 1) * jump, jump * stride
