"""The parts of a training: network, data, module, parameter groups; made and not begun."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from fovea.core.errors import UserError
from fovea.loading import PictureDataModule
from fovea.loading.features import FeatureDataModule
from fovea.models import anatomy
from fovea.models.normalize import NormalizedNet
from fovea.training import teacher
from fovea.training.features import Looks, table_of
from fovea.training.finetune import check, keeps_features
from fovea.training.freezing import Freezing
from fovea.training.groups import finetuning_groups
from fovea.training.head import HeadModule
from fovea.training.job import TrainJob
from fovea.training.loss import Loss
from fovea.training.module import ClassifierModule
from fovea.training.network import build_network, load_first_weights
from fovea.training.ranks import ALONE, Ranks
from fovea.training.schedules import Steps
from fovea.training.weights import class_weights

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig
    from fovea.loading.sampler import Share
    from fovea.models.matching import Matching
    from fovea.shards import PreparedData


class Assembly(NamedTuple):
    """The parts of a training.

    Attributes:
        network: From pictures to logits, as it is delivered.
        module: Trains it, or its head alone.
        data: What the module is trained on: pictures, or features of them.
        steps: Length of the run.
        freezing: What is trained from which epoch on.
        matching: What became of the weights that the network begins with; None: it begins with new ones.
    """

    network: nn.Module
    module: ClassifierModule
    data: PictureDataModule | FeatureDataModule
    steps: Steps
    freezing: Freezing
    matching: Matching | None = None


def assemble(job: TrainJob, prepared: PreparedData, ranks: Ranks = ALONE) -> Assembly:
    """Makes the network with its first weights, the loaders, and the module with its loss and optimiser.

    Where a head is trained on kept features, those that were not computed before are computed now.

    Args:
        job: What to train.
        prepared: On what.
        ranks: The place of this process among all.

    Raises:
        UserError: The model, its weights, the augmentation, the loss or the teacher does not fit the data, the
            optimiser is none, or there is nothing to fine-tune.
        RunError: Weights can be had nowhere, or features could not be computed or kept.
    """
    check(job)
    job = job.at_scaled_rate()
    if job.trainer.threads is not None:
        torch.set_num_threads(job.trainer.threads)
    torch.manual_seed(job.seed)
    network = build_network(job.model, job.data)
    matching = load_first_weights(network, job.model)
    reused = () if matching is None else matching.loaded
    if matching is not None and job.model.init is None:
        _empty_new_heads(network.net, matching.new)
    groups = finetuning_groups(network.net, job.finetune, job.optimizer, reused)
    parts = _on_features if keeps_features(job) else _on_pictures
    assembly = parts(job, prepared, network, groups, ranks)._replace(matching=matching)
    if assembly.freezing.is_needed:
        assembly.freezing.freeze(1)
    return assembly


def _on_pictures(
    job: TrainJob, prepared: PreparedData, network: NormalizedNet, groups: list[dict[str, Any]], ranks: Ranks
) -> Assembly:
    data = PictureDataModule(
        prepared,
        data=job.data,
        loader=job.loader,
        augment=job.augment,
        seed=job.seed,
        limit_batches=job.trainer.limit_batches,
        overfit_batches=job.trainer.overfit_batches,
        rank=ranks.rank,
        world_size=ranks.world_size,
    )
    loader = data.train_dataloader()
    steps = Steps.of(len(loader), job.trainer)
    name = job.loss.distill.teacher
    module = ClassifierModule(
        network,
        job.optimizer,
        job.schedule,
        steps,
        loss=_loss(job, prepared, loader.share),
        groups=groups,
        teacher=None if name is None else teacher.Teacher(teacher.find(name, job.data).network()),
        channels_last=job.trainer.channels_last,
    )
    return Assembly(network, module, data, steps, Freezing(network, groups))


def _on_features(
    job: TrainJob, prepared: PreparedData, network: NormalizedNet, groups: list[dict[str, Any]], ranks: Ranks
) -> Assembly:
    _refuse_new_layers(groups)
    tables = {}
    looks = Looks(job.data, job.augment, job.loader, job.seed)
    on_gpu = job.trainer.accelerator != "cpu" and torch.cuda.is_available()
    dropout, path = anatomy.head_dropout(network.net), f"net.{anatomy.heads(network.net)[0]}"
    _check_features(network.eval(), job.data)
    with anatomy.body(network.net) as head:
        network.eval().to("cuda" if on_gpu else "cpu")
        for split, views in (("train", job.finetune.views), ("val", 1)):
            tables[split] = table_of(network, job.model.name, prepared, split, looks._replace(views=views))
        network.to("cpu")
    classes = job.data.class_names
    place = {"rank": ranks.rank, "world_size": ranks.world_size}
    data = FeatureDataModule(tables["train"], tables["val"], loader=job.loader, classes=classes, seed=job.seed, **place)
    loader = data.train_dataloader()
    steps = Steps.of(len(loader), job.trainer)
    loss = _loss(job, prepared, loader.share)
    own = set(map(id, head.parameters()))  # not those of auxiliary heads, which features do not reach
    groups = [{**group, "params": [one for one in group["params"] if id(one) in own]} for group in groups]
    module = HeadModule(network, path, head, dropout, job.optimizer, job.schedule, steps, loss=loss, groups=groups)
    return Assembly(network, module, data, steps, Freezing(module.net, groups))


def _empty_new_heads(net: nn.Module, new: Collection[str]) -> None:
    """Lets new heads begin at zero, as Dosovitskiy et al. (2021, arXiv:2010.11929, section 3.2) do.

    What is drawn at random, by timm up to 1 / sqrt(classes), stays in the weights of features that do not matter.
    """
    for name in anatomy.heads(net):
        if f"{name}.weight" in new:
            for parameter in net.get_submodule(name).parameters():
                nn.init.zeros_(parameter)


def _refuse_new_layers(groups: list[dict[str, Any]]) -> None:
    new = sum(len(group["params"]) for group in groups if group["name"].startswith("new layers"))
    if new:
        raise UserError(
            f"{new} tensors before the head are new and must be trained, so the features cannot be computed once; take "
            "finetune.cache_features=false, or weights that fit the network"
        )


def _check_features(network: NormalizedNet, data: DataConfig) -> None:
    """Refuses a network that makes its classes of more than its head and the features, as timm's VOLO and LeViT do.

    Raises:
        UserError: The head on the features does not give what the network gives.
    """
    numbers = torch.Generator().manual_seed(0)
    shape = (1, data.channels, data.image_size, data.image_size)
    picture = torch.randint(256, shape, generator=numbers, dtype=torch.uint8)
    with torch.no_grad():
        whole = network(picture)
        with anatomy.body(network.net) as head:
            try:
                apart = head(network(picture))
            except RuntimeError:  # what else makes the classes has nothing to do with so many features
                apart = None
    near = 1e-3 * float(whole.abs().max())
    if apart is None or apart.shape != whole.shape or not torch.allclose(apart, whole, rtol=0.0, atol=near):
        raise UserError(
            "the network makes its classes of more than one linear layer, so its features cannot be kept; take "
            "finetune.cache_features=false"
        )


def _loss(job: TrainJob, prepared: PreparedData, share: Share) -> Loss:
    names = job.data.class_names
    counts = np.bincount(prepared.split("train").labels, minlength=len(names)).tolist()
    return Loss(job.loss, class_weights(job.loss, counts, names), share)
