"""Initial weights by the name of their rule."""

from __future__ import annotations

from torch import nn


def initialise(net: nn.Module, rule: str) -> None:
    """Draws the weights of all convolutions and linear layers anew and sets their biases to zero, in place.

    Args:
        net: Any network.
        rule: ``he`` (normal, fan-in, gain of ReLU; He et al. 2015, section 2.2) or ``xavier`` (uniform; Glorot and
            Bengio 2010, equation 16).

    Raises:
        ValueError: The rule has another name.
    """
    if rule not in ("he", "xavier"):
        raise ValueError(f"unknown rule of initial weights: {rule}")
    for module in net.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        if rule == "he":
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        else:
            nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
