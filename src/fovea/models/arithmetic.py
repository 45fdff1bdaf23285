"""The arithmetic of convolutions and pools, without torch (Dumoulin and Visin 2016, sections 2 and 5)."""

from __future__ import annotations


def output_size(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1, ceil: bool = False
) -> int:
    """Side of the output of a convolution or pool: (n + 2p - f) / s + 1, rounded down.

    Args:
        size: Side of the input, in pixels.
        kernel: Side of the kernel.
        stride: Step of the kernel.
        padding: Pixels added on each side.
        dilation: Distance between the kernel's taps; the kernel then spans ``dilation * (kernel - 1) + 1`` pixels.
        ceil: Round up, as pools may; a last window that would begin in the padding behind the input is left out.

    Raises:
        ValueError: The kernel does not fit into the padded input.
    """
    room = size + 2 * padding - (dilation * (kernel - 1) + 1)
    if room < 0:
        raise ValueError(f"a kernel of {kernel} does not fit into {size} pixels with a padding of {padding}")
    if not ceil:
        return room // stride + 1
    steps = -(-room // stride)
    return steps if steps * stride >= size + padding else steps + 1


def transposed_size(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1, extra: int = 0
) -> int:
    """Side of the output of a transposed convolution, the input side of the convolution that it turns round.

    Args:
        size: Side of the input, in pixels.
        kernel: Side of the kernel.
        stride: Distance that neighbours of the input have in the output.
        padding: Pixels taken away on each side.
        dilation: Distance between the kernel's taps.
        extra: Pixels added at the end.
    """
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1


def adaptive_window(size: int, outputs: int) -> tuple[int, int]:
    """The largest window of an adaptive pool, and the step from one to the next, rounded down, at least 1.

    Window i of m goes from floor(i n / m) to ceil((i + 1) n / m).

    Args:
        size: Side n of the input.
        outputs: Side m of the output.
    """
    windows = (-(-(place + 1) * size // outputs) - place * size // outputs for place in range(outputs))
    return max(windows), max(1, size // outputs)
