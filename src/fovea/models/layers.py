"""The layer table: sizes, parameters, multiply-adds, receptive field and stride, by arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fovea.models.arithmetic import output_size, receptive_field


@dataclass(frozen=True)
class LayerRow:
    """One layer, in the order of the forward pass.

    Attributes:
        name: Path of the module inside the network.
        type: Class of the module.
        output: Shape of its output for one picture: (C, H, W) or (F,).
        parameters: Trainable numbers.
        multiply_adds: Multiplications with addition, for one picture; biases, pools and activations count as none.
        receptive_field: Side, in pixels of the picture, of what one output sees.
        stride: Distance, in pixels of the picture, between neighbouring outputs.
    """

    name: str
    type: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: int
    stride: int


@dataclass(frozen=True)
class _State:
    shape: tuple[int, ...]
    field: int = 1
    jump: int = 1


def layer_table(net: nn.Module, channels: int, image_size: int) -> list[LayerRow]:
    """The table of a network whose layers follow one another.

    One forward pass of an empty picture tells the order of the layers; every number is then computed, not measured:
    output size (n + 2p - f) / s + 1, receptive field and stride as in `fovea.models.arithmetic`. A linear layer after
    flattening counts as a convolution as large as its input.

    Args:
        net: A network for pictures [B, channels, image_size, image_size].
        channels: Channels of the pictures.
        image_size: Height and width of the pictures.

    Raises:
        ValueError: A layer does not take the output of the one before (a branch), or has a kernel that is not square.
    """
    state = _State((channels, image_size, image_size))
    rows = []
    for name, module, seen in _trace(net, channels, image_size):
        if seen != state.shape:
            raise ValueError(f"layer '{name}' takes {seen}, not the {state.shape} of the layer before it")
        parameters = sum(p.numel() for p in module.parameters() if p.requires_grad)
        multiply_adds, state = _step(module, state)
        kind = type(module).__name__
        rows.append(LayerRow(name, kind, state.shape, parameters, multiply_adds, state.field, state.jump))
    return rows


def _trace(net: nn.Module, channels: int, image_size: int) -> list[tuple[str, nn.Module, tuple[int, ...]]]:
    """Leaf modules in the order of their calls, each with the shape of its input without the batch."""
    calls: list[tuple[str, nn.Module, tuple[int, ...]]] = []
    leaves = [(name, module) for name, module in net.named_modules() if not any(module.children())]

    def hook_of(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, args: tuple[Tensor, ...], _: Tensor) -> None:
            calls.append((name, module, tuple(args[0].shape[1:])))

        return hook

    hooks = [module.register_forward_hook(hook_of(name)) for name, module in leaves]
    modes = [(module, module.training) for module in net.modules()]
    at = next((p for p in net.parameters()), torch.zeros(()))
    try:
        net.eval()
        with torch.no_grad():
            net(torch.zeros(1, channels, image_size, image_size, dtype=at.dtype, device=at.device))
    finally:
        for module, training in modes:
            module.training = training
        for hook in hooks:
            hook.remove()
    return calls


def _step(module: nn.Module, before: _State) -> tuple[int, _State]:
    """Multiply-adds of a layer and what follows it."""
    if isinstance(module, nn.Conv2d):
        after = _slide(module, before, module.out_channels)
        taps = math.prod(module.kernel_size) * module.in_channels // module.groups
        return math.prod(after.shape) * taps, after
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return 0, _slide(module, before, before.shape[0])
    if isinstance(module, nn.Flatten):
        return 0, _State((math.prod(before.shape),), *_whole(before))
    if isinstance(module, nn.Linear):
        return module.in_features * module.out_features, _State((module.out_features,), before.field, before.jump)
    return 0, before


def _slide(module: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d, before: _State, channels: int) -> _State:
    kernel, stride = _side(module.kernel_size), _side(module.stride)
    padding, dilation = _side(module.padding), _side(getattr(module, "dilation", 1))
    height, width = (
        output_size(n, kernel, stride=stride, padding=padding, dilation=dilation) for n in before.shape[1:]
    )
    field, jump = receptive_field(before.field, before.jump, kernel, stride=stride, dilation=dilation)
    return _State((channels, height, width), field, jump)


def _whole(before: _State) -> tuple[int, int]:
    """Receptive field and stride of something that sees all of a feature map."""
    if len(before.shape) == 1:
        return before.field, before.jump
    return receptive_field(before.field, before.jump, before.shape[-1])


def _side(value: int | str | Sequence[int]) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, str) or len(set(value)) != 1:
        raise ValueError(f"only square kernels with equal padding on all sides have a place in the table, not {value}")
    return value[0]


def to_text(rows: Sequence[LayerRow]) -> str:
    """The table as aligned text, with totals in its last line."""
    head = ("layer", "type", "output", "parameters", "multiply-adds", "field", "stride")
    body = [
        (
            row.name,
            row.type,
            "x".join(map(str, row.output)),
            f"{row.parameters:,}",
            f"{row.multiply_adds:,}",
            str(row.receptive_field),
            str(row.stride),
        )
        for row in rows
    ]
    total = ("total", "", "", f"{sum(r.parameters for r in rows):,}", f"{sum(r.multiply_adds for r in rows):,}", "", "")
    lines = [head, *body, total]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
