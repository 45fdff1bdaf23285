"""What each operation of a forward pass does to the trail of its input, and what it costs in multiply-adds.

Operations are those that torch hands to a dispatch mode, after composed ones are taken apart. One that is not named
here works place by place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from fovea.models.arithmetic import adaptive_window, transposed_size
from fovea.models.axes import Axis, Piece
from fovea.models.trails import Trail, Window, met


@dataclass(frozen=True)
class Operation:
    """One operation of a pass.

    Attributes:
        name: Without namespace and overload, as in `convolution`.
        given: Its arguments by name, defaults too.
        trails: Those of its arguments that come from the picture, in their order, at least one.
    """

    name: str
    given: Mapping[str, Any]
    trails: Mapping[str, Trail]

    @property
    def trail(self) -> Trail:
        """That of the first argument that has one."""
        return next(iter(self.trails.values()))

    @property
    def label(self) -> str:
        """What the table calls it where no module of its own does it."""
        if "scaled_dot_product" in self.name:
            return "attention"
        plain = self.name.strip("_")
        return _LABELS.get(plain, plain)

    def after(self, output: Tensor, number: int) -> Trail:
        """The trail of one of its outputs."""
        rule = _RULES.get(self.name) or _RULES.get(self.name.removesuffix("_"), _place_by_place)
        trail = rule(self, output, number)
        return trail if len(trail.axes) == output.dim() else met([*self.trails.values()], output.shape)

    def multiply_adds(self, output: Tensor) -> int:
        """Multiplications with addition; none for biases, norms, activations and pools."""
        given = self.given
        if self.name == "convolution":
            places = given["input"] if given["transposed"] else output
            return int(places.numel() * math.prod(given["weight"].shape[1:]))
        if self.name in _MATRICES:
            return int(output.numel() * given[_MATRICES[self.name][0]].shape[-1])
        if "scaled_dot_product" in self.name:
            query, keys, value = given["query"], given["key"].shape[-2], given["value"]
            return int(query.numel() * keys + math.prod(query.shape[:-1]) * keys * value.shape[-1])
        return 0

    def is_step(self, after: Trail) -> bool:
        """Whether it widened fields, changed strides, or joined branches."""
        before = {(trail.low, trail.high, trail.stride, trail.whole) for trail in self.trails.values()}
        return before != {(after.low, after.high, after.stride, after.whole)} or len(self.trails) > 1


_LABELS = {
    "convolution": "conv2d",
    "max_pool2d_with_indices": "max_pool2d",
    "addmm": "linear",
    "mm": "linear",
    "bmm": "matmul",
    "baddbmm": "matmul",
    "mul": "multiply",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "native_batch_norm_legit_no_training": "batch_norm",
}
_MATRICES = {
    "mm": ("self", "mat2"),
    "bmm": ("self", "mat2"),
    "addmm": ("mat1", "mat2"),
    "baddbmm": ("batch1", "batch2"),
}


def _place_by_place(step: Operation, output: Tensor, _: int) -> Trail:
    return met([*step.trails.values()], output.shape)


def _convolution(step: Operation, output: Tensor, _: int) -> Trail:
    given = step.given
    kernel = given["weight"].shape[2:]
    first = output.dim() - len(kernel)
    trail = step.trail.seen_along(first - 1)  # places may have been folded into channels
    for axis, side in enumerate(kernel):
        stride, padding, dilation = (_at(given[name], axis) for name in ("stride", "padding", "dilation"))
        if given["transposed"]:
            extra = _at(given["output_padding"], axis)
            options = {"stride": stride, "padding": padding, "dilation": dilation, "extra": extra}
            outputs = transposed_size(trail.shape[first + axis], side, **options)
            # An output sees every `stride`-th tap; how far neighbours lie apart, less than a step, is not followed.
            trail = trail.slid(first + axis, Window(-(-side // stride), dilation=dilation, outputs=outputs))
        else:
            trail = trail.slid(first + axis, Window(side, stride, padding, dilation))
    return trail.with_axis(first - 1, (Piece(output.shape[first - 1]),))


def _pool(step: Operation, output: Tensor, _: int) -> Trail:
    given, trail = step.given, step.trail
    for axis in range(2):
        kernel, padding = _at(given["kernel_size"], axis), _at(given["padding"], axis)
        stride = _at(given["stride"], axis) if given["stride"] else kernel
        window = Window(kernel, stride, padding, _at(given.get("dilation", 1), axis), given["ceil_mode"])
        trail = trail.slid(output.dim() - 2 + axis, window)
    return trail


def _adaptive_pool(step: Operation, output: Tensor, _: int) -> Trail:
    trail, sides = step.trail, step.given["output_size"]
    for axis in range(2):
        place, outputs = output.dim() - 2 + axis, _at(sides, axis)
        if outputs == 1:
            trail = trail.summed([place], keep=True)
            continue
        kernel, stride = adaptive_window(trail.shape[place], outputs)
        trail = trail.slid(place, Window(kernel, stride, outputs=outputs))
    return trail


def _pad(step: Operation, output: Tensor, _: int) -> Trail:
    trail, pad = step.trail, step.given.get("pad", step.given.get("padding"))
    for number in range(len(pad) // 2):
        trail = trail.padded(output.dim() - 1 - number, pad[2 * number], pad[2 * number + 1])
    return trail


def _sum(step: Operation, output: Tensor, _: int) -> Trail:
    places = step.given.get("dim")
    places = [places] if isinstance(places, int) else places
    return step.trail.summed(places or range(len(step.trail.axes)), keep=bool(step.given.get("keepdim")))


def _softmax(step: Operation, output: Tensor, _: int) -> Trail:
    return step.trail.seen_along(step.given["dim"])


def _matrices(step: Operation, output: Tensor, _: int) -> Trail:
    left, right = (step.trails.get(name) for name in _MATRICES[step.name])
    if left is not None and right is not None:  # attention: every place meets every other
        left, right = left.everywhere(), right.everywhere()
        together = met([left.with_axes(()), right.with_axes(())], ())
        return together.with_axes([*left.axes[:-1], right.axes[-1]])
    if left is not None:
        return left.summed([-1]).with_axes([*left.summed([-1]).axes, *_channels(output.shape[-1:])])
    if right is not None:
        seen = right.summed([-2])
        return seen.with_axes([*seen.axes[:-1], *_channels(output.shape[-2:-1]), seen.axes[-1]])
    return step.trail  # only the bias is of the picture


def _attention(step: Operation, output: Tensor, number: int) -> Trail:
    together = met([trail.everywhere().with_axes(()) for trail in step.trails.values()], ())
    query = step.trails.get("query", step.trail)
    return together.with_axes(query.axes) if number == 0 else together.with_axes(_channels(output.shape))


def _reshape(step: Operation, output: Tensor, _: int) -> Trail:
    return step.trail.reshaped(output.shape)


def _pixel_unshuffle(step: Operation, output: Tensor, _: int) -> Trail:
    factor, shape = step.given["downscale_factor"], step.trail.shape
    rest, (height, width) = shape[:-2], (side // factor for side in shape[-2:])
    split = step.trail.reshaped((*rest, height, factor, width, factor))
    first = len(rest)
    order = [*range(first), first + 1, first + 3, first, first + 2]
    return split.permuted(order).reshaped(output.shape)


def _permute(step: Operation, output: Tensor, _: int) -> Trail:
    return step.trail.permuted(step.given["dims"])


def _transpose(step: Operation, output: Tensor, _: int) -> Trail:
    order = list(range(output.dim()))
    first, second = step.given.get("dim0", 0), step.given.get("dim1", 1)
    if output.dim() > 1:
        order[first], order[second] = order[second], order[first]
    return step.trail.permuted(order)


def _cat(step: Operation, output: Tensor, _: int) -> Trail:
    trails = [*step.trails.values()]
    place = step.given.get("dim", 0) % output.dim()
    size = output.shape[place]
    # Of the others' axes the lengths agree; along this one they add up.
    return met([trail.resized(place, size) for trail in trails], output.shape)


def _select(step: Operation, output: Tensor, _: int) -> Trail:
    gone = step.given["dim"] % len(step.trail.axes)
    return step.trail.with_axes(axis for place, axis in enumerate(step.trail.axes) if place != gone)


def _slice(step: Operation, output: Tensor, _: int) -> Trail:
    given, trail = step.given, step.trail
    place = given["dim"] % output.dim()
    size = trail.shape[place]
    start = min(max((given["start"] or 0) + (size if (given["start"] or 0) < 0 else 0), 0), size)
    return trail.thinned(place, start, given["step"], output.shape[place])


def _split(step: Operation, output: Tensor, number: int) -> Trail:
    place = step.given["dim"] % output.dim()
    return step.trail.resized(place, output.shape[place])


def _channels(shape: Sequence[int]) -> list[Axis]:
    return [(Piece(n),) for n in shape]


def _at(values: int | Sequence[int], axis: int) -> int:
    """Of a number for each axis, or one for all."""
    if isinstance(values, int):
        return values
    return values[axis] if len(values) > 1 else values[0]


Rule: TypeAlias = Callable[[Operation, Tensor, int], Trail]

_RULES: dict[str, Rule] = {
    "convolution": _convolution,
    "max_pool2d_with_indices": _pool,
    "avg_pool2d": _pool,
    "_adaptive_avg_pool2d": _adaptive_pool,
    "adaptive_max_pool2d": _adaptive_pool,
    "_softmax": _softmax,
    "transpose": _transpose,
    "t": _transpose,
    "permute": _permute,
    "pixel_unshuffle": _pixel_unshuffle,
    "cat": _cat,
    "select": _select,
    "unbind": _select,
    "slice": _slice,
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), _pad),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "var", "std", "linalg_vector_norm"), _sum),
    **dict.fromkeys(_MATRICES, _matrices),
    **dict.fromkeys(("view", "_unsafe_view", "unsqueeze", "squeeze", "_reshape_alias", "reshape"), _reshape),
    **dict.fromkeys(("split", "split_with_sizes", "chunk"), _split),
}
