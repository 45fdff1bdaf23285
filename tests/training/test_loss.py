"""The loss against explicit targets, in every combination of what may change it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fovea.augment import Mix
from fovea.augment.mixing import plan
from fovea.config.schema import DistillConfig, LossConfig
from fovea.config.schema.data import MixConfig
from fovea.core.errors import UserError
from fovea.training.loss import Loss, distillation, smoothed
from fovea.training.weights import class_weights

CLASSES = 5
WEIGHTS = [0.5, 2.0, 1.0, 3.0, 0.25]
LABELS = torch.tensor([0, 1, 2, 3, 4, 1, 1])


def config_of(**changes: Any) -> LossConfig:
    plain = {"name": "cross_entropy", "label_smoothing": 0.0, "class_weights": None, "distill": distill_of(0.0)}
    return LossConfig(**{**plain, **changes})


def distill_of(weight: float) -> DistillConfig:
    return DistillConfig(teacher=None, temperature=4.0, weight=weight)


def logits_of(seed: int) -> Tensor:
    return torch.randn(len(LABELS), CLASSES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mix_of() -> Mix:
    both = MixConfig(mixup_alpha=0.4, cutmix_alpha=1.0, prob=1.0, switch_prob=0.5)
    return plan(np.arange(len(LABELS), dtype=np.uint64), seed=0, epoch=0, config=both, image_size=8)


def explicit(
    logits: Tensor, *, name: str, smoothing: float, weights: list[float] | None, mix: Mix | None, taught: float
) -> Tensor:
    """The same loss, picture after picture and label after label."""
    teacher = logits_of(2)
    total, counted = torch.zeros((), dtype=torch.float64), 0.0
    for row in range(len(LABELS)):
        parts = [(int(LABELS[row]), 1.0)]
        if mix is not None:
            share = float(mix.share[row])
            parts = [(int(LABELS[row]), share), (int(LABELS[mix.partner[row]]), 1 - share)]
        soft = torch.softmax(teacher[row] / 4, 0)
        kl = 16 * (soft * (soft.log() - torch.log_softmax(logits[row] / 4, 0))).sum()
        for label, share in parts:
            target = torch.full((CLASSES,), smoothing / CLASSES, dtype=torch.float64)
            target[label] += 1 - smoothing
            if name == "cross_entropy":
                hard = -(target * torch.log_softmax(logits[row], 0)).sum()
            else:
                yes = torch.sigmoid(logits[row])
                hard = -(target * yes.log() + (1 - target) * (1 - yes).log()).mean()
            weight = share * (1.0 if weights is None else weights[label])
            total = total + weight * (taught * kl + (1 - taught) * hard)
            counted += weight
    return total / counted


@pytest.mark.parametrize(
    ("name", "smoothing", "weights", "mixed", "taught"),
    list(itertools.product(["cross_entropy", "bce"], [0.0, 0.1], [None, WEIGHTS], [False, True], [None, 0.7])),
)
def test_every_combination_is_that_of_explicit_targets(
    name: str, smoothing: float, weights: list[float] | None, mixed: bool, taught: float | None
) -> None:
    logits = logits_of(1).requires_grad_()
    mix = mix_of() if mixed else None
    loss = Loss(config_of(name=name, label_smoothing=smoothing, distill=distill_of(taught or 0.0)), weights)
    found = loss(logits, LABELS, mix, None if taught is None else logits_of(2))
    wanted = explicit(logits, name=name, smoothing=smoothing, weights=weights, mix=mix, taught=taught or 0.0)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
    gradients = [torch.autograd.grad(one, logits)[0] for one in (found, wanted)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-8)


def test_without_extras_it_is_torch_s_cross_entropy() -> None:
    logits = logits_of(1).float()
    assert Loss(config_of())(logits, LABELS).item() == pytest.approx(functional.cross_entropy(logits, LABELS).item())
    weighted = functional.cross_entropy(logits, LABELS, weight=torch.tensor(WEIGHTS))
    assert Loss(config_of(), WEIGHTS)(logits, LABELS).item() == pytest.approx(weighted.item())


def test_logits_of_16_bits_are_summed_in_32() -> None:
    logits = logits_of(1).bfloat16()
    loss = Loss(config_of())(logits, LABELS)
    assert loss.dtype == torch.float32
    assert loss.item() == functional.cross_entropy(logits.float(), LABELS, reduction="none").mean().item()


def test_smoothed_targets_keep_their_sum() -> None:
    target = smoothed(torch.tensor([1]), 4, 0.2)
    assert target.tolist()[0] == pytest.approx([0.05, 0.85, 0.05, 0.05])


def test_a_student_that_says_the_same_has_nothing_to_learn() -> None:
    logits = logits_of(1)
    assert distillation(logits, logits + 3.0, 4.0).abs().max().item() < 1e-12


def test_the_gradient_of_distillation_keeps_its_size_at_high_temperatures() -> None:
    """Hinton et al. 2015, equation 4: with zero-mean logits the gradient tends to (student - teacher) / K."""
    student = (logits_of(1) - logits_of(1).mean(1, keepdim=True)).requires_grad_()
    teacher = logits_of(2) - logits_of(2).mean(1, keepdim=True)
    distillation(student, teacher, 1000.0).sum().backward()
    torch.testing.assert_close(student.grad, (student.detach() - teacher) / CLASSES, rtol=0.02, atol=1e-3)


def test_balanced_weights_make_every_class_weigh_the_same() -> None:
    weights = class_weights(config_of(class_weights="balanced"), [10, 30, 60], ["a", "b", "c"])
    assert weights == pytest.approx([100 / 30, 100 / 90, 100 / 180])
    assert class_weights(config_of(), [10, 30], ["a", "b"]) is None
    assert class_weights(config_of(class_weights=[1.0, 2.0]), [10, 30], ["a", "b"]) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0], r"loss\.class_weights has 1 numbers, but there are 2 classes; give one for each"),
        ("balanced", r"class 'b' has no training pictures, so that loss\.class_weights=balanced cannot weigh it"),
    ],
)
def test_weights_that_do_not_suit_the_classes_are_refused(weights: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        class_weights(config_of(class_weights=weights), [3, 0], ["a", "b"])
