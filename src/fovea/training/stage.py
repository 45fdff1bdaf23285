"""The train stage: a job and prepared data in, a trained model and its MLflow run out."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea import tracking
from fovea.config.shares import check_shares
from fovea.core.errors import RunError, UserError
from fovea.core.files import atomic_directory, link_or_copy
from fovea.training.checks import check_machine
from fovea.training.devices import check_devices, count_devices, is_mixed
from fovea.training.job import TrainJob
from fovea.training.ranks import ALONE, Ranks
from fovea.training.result import FACTS, HISTORY, LAYERS, RECORD, WEIGHTS, TrainedModel
from fovea.training.unfinished import nearest_unfinished
from fovea.training.workfolder import WorkFolder, is_fresh, let_go

if TYPE_CHECKING:
    from torch import nn

    from fovea.config.schema import DataConfig
    from fovea.models.layer_rows import LayerRow
    from fovea.shards import PreparedData
    from fovea.training.fit import Fit
    from fovea.training.watching import Watch

log = logging.getLogger("fovea")


def train(
    job: TrainJob, prepared: PreparedData, tags: Mapping[str, str] | None = None, watch: Watch | None = None
) -> TrainedModel:
    """Trains a job, or goes on where an earlier process was stopped, or takes up what it had finished.

    On one device in this process, on several in processes of their own (`fovea.training.launcher`).

    Args:
        job: What to train.
        prepared: On what.
        tags: Of the run, beside its own.
        watch: Sees each epoch of a training on one device, and may end it.

    Raises:
        UserError: Job and data, or network and weights, do not fit each other; nothing was written then.
        RunError: Training failed, or another process trains the same job.
        Interrupted: A signal ended it; the same call goes on from its checkpoint.
        Halted: `watch` ended it.
    """
    check_fit(job, prepared)
    devices = 1
    if is_fresh() or not work_of(job, prepared).is_finished:  # else other machines may have trained it
        devices = count_devices(job.trainer)
        check_devices(job, devices)
    if devices == 1:
        train_here(job, prepared, tags, watch=watch)
        return TrainedModel.open(work_of(job, prepared).result)
    job = checked(job, prepared, builds=False)
    work = work_of(job, prepared)
    work.take()
    try:
        if not work.is_finished:
            _tell_of_another(work, job)
            work.write_job(job, prepared.address, tags)
            _launch(work, job, devices)
    except BaseException:
        let_go(remove=False)
        raise
    return TrainedModel.open(work.result)


def train_here(
    job: TrainJob,
    prepared: PreparedData,
    tags: Mapping[str, str] | None = None,
    ranks: Ranks = ALONE,
    *,
    is_held: bool = False,
    watch: Watch | None = None,
) -> TrainedModel | None:
    """Trains a job in this process, alone or as one of several that were joined before.

    Args:
        job: What to train.
        prepared: On what.
        tags: Of the run, beside its own.
        ranks: The place of this process among all.
        is_held: Whether the process that started this one holds the work folder.
        watch: Sees each epoch, and may end training by `Halted`.

    Returns:
        The model; None on ranks other than 0.
    """
    job = checked(job, prepared)
    check_shares(job.loader.batch_size, ranks.world_size, mixed=is_mixed(job))
    digest = job.digest(prepared.meta.digest)
    work = work_of(job, prepared)
    try:
        if ranks.is_first and not is_held:
            work.take()
            _tell_of_another(work, job)
            work.write_job(job, prepared.address, tags)
        if ranks.is_first or not work.is_finished:
            _train(job, prepared, digest, work, tags or {}, ranks, watch)
    except BaseException:
        let_go(remove=False)
        raise
    return TrainedModel.open(work.result) if ranks.is_first else None


def _tell_of_another(work: WorkFolder, job: TrainJob) -> None:
    """Says which training that was stopped was perhaps meant, where this one is new."""
    if not work.path.exists():
        other = nearest_unfinished(work, job)
        if other is not None:
            log.info("train: %s", other.sentence())


def _launch(work: WorkFolder, job: TrainJob, devices: int) -> None:
    """Trains in processes of their own, and sees to it that the MLflow run ends as they did."""
    from fovea.training.launcher import Group, launch

    try:
        launch(work.resolved, Group(devices), job.trainer, is_held=True)
    except UserError:
        if not work.record.exists():
            work.remove()
        raise
    except BaseException:
        if not work.record.exists():
            raise
        with tracking.stage("train", record=work.record):
            raise


def checked(job: TrainJob, prepared: PreparedData, *, builds: bool = True) -> TrainJob:
    """The job with all that the data and the weights to begin with decide; refuses it before anything is written.

    Args:
        job: What to train.
        prepared: On what.
        builds: Whether to build the network for it, which loads torch; the processes of a launcher do it themselves.

    Raises:
        UserError: Job, data, machine, network and weights do not fit each other.
        RunError: The weights to begin with can be had nowhere.
    """
    check_fit(job, prepared)
    check_machine(job.trainer)
    job = job.with_classes(prepared.meta.classes).with_weights()
    if builds and not work_of(job, prepared).is_finished:
        from fovea.training.network import check_network

        check_network(job.model, job.data)
    return job


def work_of(job: TrainJob, prepared: PreparedData) -> WorkFolder:
    """The folder in which a job is trained on these data, whether there is one or not."""
    job = job.with_classes(prepared.meta.classes).with_weights()
    return WorkFolder.of(job.run_name(job.digest(prepared.meta.digest)))


def check_fit(job: TrainJob, prepared: PreparedData) -> None:
    """Refuses data that were prepared for another config.

    Raises:
        UserError: The prepared data are of another name, size or set of classes, or have no training pictures. Pictures
            of any size fit every size, and any classes fit a config that names none.
    """
    meta = prepared.meta
    for key, found, wanted in (
        ("data.name", meta.name, job.data.name),
        ("data.image_size", meta.image_size, job.data.image_size),
        ("data.channels", meta.channels, job.data.channels),
        ("data.classes", list(meta.classes), job.data.classes),
    ):
        if found is not None and wanted is not None and found != wanted:
            raise UserError(
                f"{prepared.path} was prepared with {key}={found}, but the config says {wanted}; "
                "run the whole pipeline (`kedro run`) or `kedro run --pipelines=prepare` first"
            )
    if not meta.counts["train"]:
        raise UserError(
            f"data '{meta.name}' has no training pictures, it serves to test a network that is trained already "
            f"(`kedro run --pipelines=ingest,prepare,evaluate data={meta.name}`); train on other data"
        )


def _train(
    job: TrainJob,
    prepared: PreparedData,
    digest: str,
    work: WorkFolder,
    tags: Mapping[str, str],
    ranks: Ranks,
    watch: Watch | None,
) -> None:
    name = work.path.name
    with tracking.stage("train", record=work.record, run_name=name, params=job.plain()) as run:
        meta = prepared.meta
        facts = {"config_digest": digest, "data_digest": meta.digest, "precision": job.trainer.precision}
        run.set_tags({**tags, **facts})
        tracking.log_data(run, prepared.origin)
        if work.is_finished:
            log.info("train: %s was trained before; only what comes after was missing", name)
        else:
            from fovea.training.fit import fit

            among = f" in {ranks.world_size} processes" if ranks.world_size > 1 else ""
            log.info("train: %s%s, at most %d epochs", name, among, job.trainer.max_epochs)
            run.set_tags({"world_size": ranks.world_size})
            start = time.perf_counter()
            outcome = fit(job, prepared, work.path, run, ranks, watch)
            if not ranks.is_first:
                return
            run.log_metrics({"time/fit_seconds": time.perf_counter() - start})
            _deliver(job, prepared, digest, work, outcome)
        run.log_artifacts(work.result, "model")
        run.log_artifact(work.resolved, "config")


def _deliver(job: TrainJob, prepared: PreparedData, digest: str, work: WorkFolder, outcome: Fit) -> None:
    """Writes the result folder; `model.json` makes it whole."""
    from fovea.models.layer_rows import to_csv
    from fovea.training.checkpoint_store import save_weights

    best = job.callbacks.checkpoint.keep == "best" and outcome.best is not None
    chosen = outcome.best if best and outcome.best is not None else outcome.rows[-1]
    layers = _layers(outcome.network, job.data)
    facts: dict[str, Any] = {
        "run_name": work.path.name,
        "model": job.model.model_dump(mode="json"),
        "data": job.data.model_dump(mode="json"),
        "config": job.plain(),
        "config_digest": digest,
        "data_digest": prepared.meta.digest,
        "delivered": job.callbacks.checkpoint.keep,
        "epoch": int(chosen["epoch"]),
        "val/acc": chosen["val/acc"],
        "val/loss": chosen["val/loss"],
        "parameters": sum(parameter.numel() for parameter in outcome.network.parameters()),
        "layers": [row.plain() for row in layers],
    }
    with atomic_directory(work.result) as folder:
        if best and outcome.best_path is not None:
            link_or_copy(outcome.best_path, folder / WEIGHTS)
        else:
            save_weights(outcome.network, folder / WEIGHTS)
        if work.record.exists():
            shutil.copy2(work.record, folder / RECORD)
        _write_json(folder / HISTORY, outcome.rows)
        if layers:
            (folder / LAYERS).write_text(to_csv(layers))
        _write_json(folder / FACTS, facts)


def _layers(network: nn.Module, data: DataConfig) -> list[LayerRow]:
    """The layer table, or nothing where there is none: what was trained is not lost for it."""
    from fovea.models.layers import layer_table
    from fovea.models.normalize import NormalizedNet

    try:
        net = network.net if isinstance(network, NormalizedNet) else network
        return layer_table(net, data.channels, data.image_size)
    except RunError as error:
        log.warning("train: no layer table: %s", error)
        return []


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
