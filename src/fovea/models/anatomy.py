"""The parts of a network: its head, the blocks of its body in order, and the body alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from fovea.core.errors import UserError

_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_NORMS = (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
_CLASSIFIERS = (nn.Linear, nn.Conv2d)
_LEAST_PARTS = 3  # of a network whose parts need not be opened
# The auxiliary classifiers of GoogLeNet and Inception, in torchvision and timm.
_AUXILIARY = re.compile(r"^aux", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """Neighbouring layers of the body, which are frozen and trained together.

    Attributes:
        name: Path of the module, or of the first of several; `stem` for the layers that see the picture.
        parameters: Names of its parameters in the network, in their order.
    """

    name: str
    parameters: tuple[str, ...]


def heads(net: nn.Module) -> list[str]:
    """Names of the layers that give the classes, the auxiliary ones last.

    timm's networks say it themselves; elsewhere it is the last layer in the order in which the layers were made. Layers
    of an `aux...` part with as many outputs belong to them.

    Raises:
        ValueError: The last layer is neither linear nor a convolution.
    """
    main = _told_by_timm(net)
    if not main:
        name, layer = _leaves(net)[-1]
        if not isinstance(layer, _CLASSIFIERS):
            raise ValueError(f"the last layer '{name}' is a {type(layer).__name__} and gives no classes")
        main = [name]
    outputs = _outputs(net.get_submodule(main[0]))
    auxiliary = [
        name
        for name, layer in _leaves(net)
        if _AUXILIARY.match(name) and isinstance(layer, _CLASSIFIERS) and _outputs(layer) == outputs
    ]
    return [*main, *(name for name in auxiliary if name not in main)]


def blocks(net: nn.Module) -> list[Block]:
    """The body's blocks, from the picture to the head; every parameter outside the head is in one of them.

    A block is what the network's authors put side by side: `layer1` to `layer4` of a ResNet, an inception module, the
    convolutions of a VGG up to the next pool. timm's networks say their own blocks.
    """
    heads_ = heads(net)
    body = [name for name, _ in net.named_parameters() if name.rpartition(".")[0] not in heads_]
    grouped = _grouped_by_timm(net, body) if hasattr(net, "group_matcher") else _grouped_by_tree(net, body, heads_)
    return _named(grouped, body)


def head_dropout(net: nn.Module) -> float:
    """Part of the features that the network leaves out in training just before its head."""
    main = heads(net)[0]
    trained = {f"{main}.{name}" for name, _ in net.get_submodule(main).named_parameters()}
    layers = [float(layer.p) for layer, mode in trains(net, trained) if mode and isinstance(layer, nn.Dropout)]
    # timm's networks drop out in a function, where they have no layer for it.
    return layers[0] if layers else float(getattr(net, "drop_rate", 0.0))


@contextmanager
def body(net: nn.Module) -> Iterator[nn.Linear]:
    """Makes the network give its features [B, D], float, for the block; yields the head that is taken away.

    The network must be in evaluation mode, or what it drops out before the head is missing from the features.

    Raises:
        UserError: The network has several heads, or one that does not sit on a vector of features.
    """
    (name, *_) = main = [one for one in heads(net) if not _AUXILIARY.match(one)]
    head = net.get_submodule(name)
    if len(main) != 1 or not isinstance(head, nn.Linear):
        raise UserError(
            f"the network has no single linear layer for its classes ({', '.join(main)}), so its features cannot be "
            "kept; take finetune.cache_features=false"
        )
    parent = net.get_submodule(name.rpartition(".")[0])
    setattr(parent, name.rpartition(".")[2], nn.Identity())
    try:
        yield head
    finally:
        setattr(parent, name.rpartition(".")[2], head)


def trains(net: nn.Module, trainable: set[str]) -> Iterator[tuple[nn.Module, bool]]:
    """Every module, and whether it is to be in training mode while only some parameters are trained.

    A module that holds parameters is, if one of them is trained. A layer without any (dropout) goes with the next layer
    that has some, unless a part that is frozen as a whole holds it. So the dropout before a head is the head's, while
    what is frozen drops nothing out and leaves the statistics of its batch norms as they are.

    Args:
        net: The network.
        trainable: Names of the parameters that are trained.

    Yields:
        From the head to the picture.
    """
    modules = dict(net.named_modules())
    modes = {
        name: not trainable.isdisjoint(f"{name}.{p}" if name else p for p, _ in module.named_parameters())
        for name, module in modules.items()
        if any(True for _ in module.parameters())
    }
    following = True
    for name, module in reversed(modules.items()):
        if module._parameters:
            following = modes[name]
        if name in modes:
            yield module, modes[name]
        else:
            yield module, following and all(modes.get(above, True) for above in _above(name))


def _above(name: str) -> Iterator[str]:
    """The paths of the parts that hold a module."""
    steps = name.split(".")
    yield from (".".join(steps[:i]) for i in range(len(steps)))


def _told_by_timm(net: nn.Module) -> list[str]:
    if not hasattr(net, "get_classifier"):
        return []
    found = net.get_classifier()  # type: ignore[operator]
    parts = found if isinstance(found, tuple | list) else (found,)
    classes = getattr(net, "num_classes", None)
    layers = [layer for part in parts if isinstance(part, nn.Module) for layer in _classifiers(part, classes)]
    names = {id(module): name for name, module in net.named_modules()}
    return [names[id(layer)] for layer in layers]


def _classifiers(part: nn.Module, classes: Any) -> list[nn.Module]:
    """A part that gives the classes, or the layers inside it that do: LeViT and CrossViT have several of them."""
    if isinstance(part, _CLASSIFIERS):
        return [part]
    return [layer for layer in part.modules() if isinstance(layer, _CLASSIFIERS) and _outputs(layer) == classes]


def _grouped_by_timm(net: nn.Module, body: list[str]) -> list[tuple[str, ...]]:
    from timm.models import group_parameters

    matcher: Any = net.group_matcher(coarse=True)  # type: ignore[operator]
    numbers: dict[str, int] = group_parameters(net, matcher, return_values=False, reverse=True)
    return [tuple(name for name in body if numbers[name] == number) for number in sorted(set(numbers.values()))]


def _grouped_by_tree(net: nn.Module, body: list[str], heads_: list[str]) -> list[tuple[str, ...]]:
    """Walks down from the network while one or two parts hold everything, and groups the parts found there."""
    units = _opened(net, "", heads_)
    while 0 < len(compound := [name for name in units if _is_compound(net.get_submodule(name))]) < _LEAST_PARTS:
        largest = max(compound, key=lambda name: sum(p.numel() for p in net.get_submodule(name).parameters()))
        at = units.index(largest)
        units[at : at + 1] = _opened(net.get_submodule(largest), largest, heads_)
    groups: list[list[str]] = [[]]
    joins = True  # what comes next belongs to the group that is open
    for unit in units:
        module = net.get_submodule(unit)
        parameters = [f"{unit}.{name}" for name, _ in module.named_parameters()]
        if not parameters:
            joins = joins and not isinstance(module, _POOLS)
            continue
        alone = not _is_compound(module)
        follows = isinstance(module, _NORMS) or _AUXILIARY.match(unit) is not None
        if groups[-1] and not follows and not (joins and alone):
            groups.append([])
        groups[-1] += parameters
        joins = joins if follows else alone
    # Parameters that stand in no layer of their own (a class token) are seen first.
    loose = set(body).difference(*groups)
    groups[0] = [*loose, *groups[0]]
    return [tuple(name for name in body if name in set(group)) for group in groups]


def _opened(module: nn.Module, name: str, heads_: list[str]) -> list[str]:
    """Paths of a module's children; one that holds a head is opened further, and the head left out."""
    units: list[str] = []
    for child, part in module.named_children():
        path = f"{name}.{child}" if name else child
        if path in heads_:
            continue
        if any(head.startswith(f"{path}.") for head in heads_) and not _AUXILIARY.match(path):
            units += _opened(part, path, heads_)
        else:
            units.append(path)
    return units


def _is_compound(module: nn.Module) -> bool:
    """Whether a module is made of layers that have parameters."""
    return any(True for child in module.children() for _ in child.parameters())


def _leaves(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """Layers that hold parameters of their own."""
    return [(name, module) for name, module in net.named_modules() if name and module._parameters]


def _outputs(layer: nn.Module) -> int:
    return int(layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)  # type: ignore[arg-type]


def _named(groups: list[tuple[str, ...]], body: list[str]) -> list[Block]:
    """Blocks by the widest part of the network that lies in the block as a whole and holds its first layer."""
    found: list[Block] = []
    for group in (group for group in groups if group):
        own, name = set(group), next(p for p in group if "." in p).rpartition(".")[0]
        while "." in name and own.issuperset(_below(name.rpartition(".")[0], body)):
            name = name.rpartition(".")[0]
        whole = len(_below(name, body)) == len(group)
        found.append(Block(name if found or whole else "stem", group))
    return found


def _below(path: str, parameters: list[str]) -> list[str]:
    return [name for name in parameters if name.startswith(f"{path}.")]
