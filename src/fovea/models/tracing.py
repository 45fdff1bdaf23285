"""One forward pass that is watched: which module does what, in order, and where its numbers come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from fovea.models.operations import Operation
from fovea.models.trails import Trail


@dataclass
class Call:
    """A call of a module, or of an operation outside of the smallest modules.

    Attributes:
        name: Path of the module inside the network.
        kind: Its class, or the name of the operation.
        trail: Where its output comes from; None: not from the picture.
        shape: Of its output.
        parameters: Of the tensors that it was the first to use.
        multiply_adds: Of all that was done in it.
    """

    name: str
    kind: str
    trail: Trail | None = None
    shape: tuple[int, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0


@dataclass
class Watched:
    """What a pass has shown.

    Attributes:
        calls: In their order.
        reached: Paths of the modules that were called.
        unused: Names of the parameters that no operation used, with their sizes.
    """

    calls: list[Call] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)
    unused: dict[str, int] = field(default_factory=dict)


def watch(net: nn.Module, channels: int, image_size: int, *, device: str = "meta") -> Watched:
    """Watches a network in evaluation mode on one empty picture; the network is left as it was.

    Args:
        net: A network for pictures [B, channels, image_size, image_size].
        channels: Channels of the pictures.
        image_size: Height and width of the pictures.
        device: ``meta``: no number is computed, and none of the weights is touched or copied. Otherwise the weights
            are brought there.
    """
    tensors = {name: tensor.detach().to(device) for name, tensor in [*net.named_parameters(), *net.named_buffers()]}
    kind = next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.float32)
    picture = torch.zeros(1, channels, image_size, image_size, dtype=kind, device=device)
    watcher = _Watcher(picture, {name: tensors[name] for name, _ in net.named_parameters()})
    with ExitStack() as stack:
        stack.enter_context(_evaluating(net))
        stack.enter_context(torch.no_grad())
        stack.enter_context(_hooked(net, watcher))
        fast = torch.backends.mha.get_fastpath_enabled()
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)  # it would do a whole layer of attention in one operation
        stack.enter_context(watcher)
        functional_call(net, tensors, (picture,))
    return watcher.seen


class _Watcher(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation, and is told when modules begin and end.

    Args:
        picture: What the network is given.
        parameters: Its parameters by name, as the operations get them.
    """

    def __init__(self, picture: Tensor, parameters: Mapping[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen = Watched(unused={name: tensor.numel() for name, tensor in parameters.items()})
        self._names = {id(tensor): name for name, tensor in parameters.items()}
        self._trails: MutableMapping[Tensor, Trail] = WeakTensorKeyDictionary()
        self._trails[picture] = Trail.of_picture(picture.shape)
        self._open: list[tuple[Call, bool]] = [(Call("", ""), False)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = _bound(func, args, kwargs or {})
        call, is_leaf = self._open[-1]
        call.parameters += self._first_used(given)
        trails = self._trails_in(given)
        outputs = [output for output in tree_leaves(result) if isinstance(output, Tensor)]
        if not trails or not outputs:
            return result
        step = Operation(func._schema.name.partition("::")[2], given, trails)
        after = [step.after(output, number) for number, output in enumerate(outputs)]
        for output, trail in zip(outputs, after, strict=True):
            self._trails[output] = trail
        cost = step.multiply_adds(outputs[0])
        if is_leaf:
            call.multiply_adds += cost
        elif outputs[0].dim() and (cost or call.parameters or step.is_step(after[0])):
            self._note(Call(call.name, step.label, parameters=call.parameters, multiply_adds=cost), outputs[0])
            call.parameters = 0
        return result

    def begin(self, name: str, module: nn.Module) -> None:
        """A module is called."""
        self.seen.reached.add(name)
        self._open.append((Call(name, type(module).__name__), not any(module.children())))

    def end(self, output: Any) -> None:
        """The module that was called last gives its output."""
        call, is_leaf = self._open.pop()
        if (is_leaf and call.kind != "Identity") or call.parameters:
            first = next((leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)), None)
            self._note(call, first)

    def _note(self, call: Call, output: Tensor | None) -> None:
        if output is not None:
            call.trail = self._trails.get(output)
            call.shape = tuple(output.shape)
        self.seen.calls.append(call)

    def _first_used(self, given: Mapping[str, Any]) -> int:
        used = (self._names.get(id(leaf)) for leaf in tree_leaves(dict(given)))
        return sum(self.seen.unused.pop(name, 0) for name in used if name is not None)

    def _trails_in(self, given: Mapping[str, Any]) -> dict[str, Trail]:
        """By argument; those of a list are numbered. An argument that is given twice counts once."""
        found: dict[str, Trail] = {}
        tensors: set[int] = set()
        for name, value in given.items():
            many = isinstance(value, (list, tuple))
            for number, leaf in enumerate(value if many else [value]):
                trail = self._trails.get(leaf) if isinstance(leaf, Tensor) and id(leaf) not in tensors else None
                if trail is not None:
                    found[f"{name}.{number}" if many else name] = trail
                    tensors.add(id(leaf))
        return found


def _bound(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an operation by name, its defaults too."""
    schema = func._schema.arguments
    given = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    given |= {argument.name: value for argument, value in zip(schema, args, strict=False)}
    return given | dict(kwargs)


@contextmanager
def _hooked(net: nn.Module, watcher: _Watcher) -> Iterator[None]:
    hooks = []
    for name, module in net.named_modules():
        hooks.append(
            module.register_forward_pre_hook(lambda module, _args, name=name: watcher.begin(name, module), prepend=True)
        )
        hooks.append(module.register_forward_hook(lambda _module, _args, output: watcher.end(output)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in net.modules()]
    try:
        net.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training
