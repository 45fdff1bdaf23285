"""One training from config to weights, through Lightning."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import nn

from fovea.training.assembly import Assembly, assemble
from fovea.training.averaging import Averaging
from fovea.training.beating import Beating
from fovea.training.budget import Budget
from fovea.training.checkpoint_store import CheckpointStore
from fovea.training.checkpoints import Checkpointer, StopSignals
from fovea.training.checks import check_machine
from fovea.training.compiling import compiled
from fovea.training.compression import Compression
from fovea.training.divergence import Divergence
from fovea.training.heartbeat import own_heart
from fovea.training.job import TrainJob
from fovea.training.network import build_network
from fovea.training.out_of_memory import memory_told
from fovea.training.patience import EarlyStopping, Plateau
from fovea.training.plan import plan
from fovea.training.progress import ProgressBar, epoch_line, wants_bar
from fovea.training.randomness import StepRandomness
from fovea.training.ranks import ALONE, Ranks
from fovea.training.recorder import Recorder, Row
from fovea.training.schedules import Steps
from fovea.training.sharding import saved
from fovea.training.shared_noise import Noise, share_noise
from fovea.training.strategies import SharedStatistics, first_of_all, strategy_of
from fovea.training.sync_norm import synchronised
from fovea.training.watching import Watch, Watching

if TYPE_CHECKING:
    from fovea.config.schema import TrainerConfig
    from fovea.shards import PreparedData
    from fovea.tracking import Run
    from fovea.training.module import ClassifierModule

log = logging.getLogger("fovea")

_PRECISION = {"32": "32-true", "64": "64-true", "bf16": "bf16-mixed", "16": "16-mixed"}  # others by their own names


class Fit:
    """What a training left in the work folder.

    Attributes:
        network: The trained network in float32, with the weights of the last step or their average.
        rows: The history, a row an epoch.
        best: Epoch and validation metrics of the best weights.
        best_path: Where they lie.
    """

    def __init__(
        self, network: nn.Module, rows: list[Row], best: dict[str, float] | None, best_path: Path | None
    ) -> None:
        self.network = network
        self.rows = rows
        self.best = best
        self.best_path = best_path


def fit(
    job: TrainJob,
    prepared: PreparedData,
    folder: Path,
    run: Run,
    ranks: Ranks = ALONE,
    watch: Watch | None = None,
) -> Fit:
    """Trains, from the checkpoint in `folder` if there is one.

    One of several processes gives the same as all others do.

    Args:
        job: What to train.
        prepared: On what.
        folder: Where the checkpoints go.
        run: The MLflow run that the metrics of each epoch go to.
        ranks: The place of this process among all.
        watch: Sees each epoch, and may end training.

    Raises:
        UserError: The model does not fit the data, or the precision the machine.
        RunError: Training diverged, memory ran out, or a checkpoint could not be written.
        Interrupted: A signal ended it; the checkpoint has been saved.
        Halted: `watch` ended it.
    """
    assembly = assemble(job, prepared, ranks)
    noise = _share_layers(job.trainer, assembly.module, ranks)
    recorder = Recorder(_reporter(job, run))
    stop = StopSignals()
    digest = job.digest(prepared.meta.digest)
    store = CheckpointStore(folder, digest, job.callbacks.checkpoint.keep_last, ranks.world_size)
    checkpointer = Checkpointer(store, job.callbacks.checkpoint, stop)
    start = _start(store, ranks)
    _announce(job, assembly, start, run)
    compiling = compiled(assembly.module.net, wanted=job.trainer.compile)
    with memory_told(job, prepared), quiet(), _threads_given_back(), stop, compiling:
        diverges = Divergence(job.optimizer.lr, store.newest, scaled=job.lr)
        callbacks = [
            StepRandomness(job.seed, noise),
            *([assembly.freezing] if assembly.freezing.is_needed else []),
            diverges,
            *_watchers(job, assembly.steps),
            *_together(job.trainer, ranks),
            recorder,
            *_judges(job),
            *([] if watch is None else [Watching(watch, recorder, run)]),
            checkpointer,
        ]
        assembly.freezing.let_join()
        sharing = strategy_of(job.trainer, ranks, joins_later=assembly.freezing.has_late)
        sharing["plugins"] = [*sharing.get("plugins", []), store]
        trainer = make_trainer(job, folder, callbacks, **sharing)
        trainer.fit(assembly.module, datamodule=assembly.data, ckpt_path=start, weights_only=True)
    network = _whole(job, assembly, store, ranks)
    store.write_best()
    best = checkpointer.best
    return Fit(network, recorder.rows, best, None if best is None else store.best_path(int(best["epoch"])))


def _reporter(job: TrainJob, run: Run) -> Callable[[Row, float], None]:
    """What is done with the row of an epoch and its pictures per second: MLflow's curves, and a line."""

    def report(row: Row, pictures_per_second: float) -> None:
        step = int(row["epoch"])
        values = {name: value for name, value in row.items() if name not in ("epoch", "step")}
        run.log_metrics({**values, "throughput/images_per_second": pictures_per_second}, step=step)
        if job.callbacks.progress != "none":
            log.info(epoch_line(row, job.trainer.max_epochs, pictures_per_second))

    return report


def _announce(job: TrainJob, assembly: Assembly, start: Path | None, run: Run) -> None:
    """Says and records what will be trained; of a training that goes on, only from where."""
    lines = plan(job, assembly.module, assembly.steps)
    run.log_text("\n".join(lines) + "\n", "config/plan.txt")
    for line in lines if start is None else []:
        log.info("plan: %s", line)
    if assembly.matching is not None:
        run.log_text(assembly.matching.report(), "config/weights.txt")
        log.info("weights: %s", assembly.matching.summary())
    if start is not None:
        log.info("train: going on from %s", start)


def _whole(job: TrainJob, assembly: Assembly, store: CheckpointStore, ranks: Ranks) -> nn.Module:
    """The trained network in one piece, in float32."""
    newest = store.newest()
    if job.trainer.strategy == "fsdp" and ranks.world_size > 1 and newest is not None:
        network: nn.Module = build_network(job.model, job.data)
        network.load_state_dict(saved(newest))
        return network
    network = assembly.network.float().requires_grad_(True)
    network.load_state_dict(assembly.module.delivered())
    return network


def _start(store: CheckpointStore, ranks: Ranks) -> Path | None:
    """The checkpoint to go on from, which rank 0 chooses."""
    found = store.usable() if ranks.is_first else None
    said = first_of_all(None if found is None else str(found))
    return None if said is None else Path(said)


def _share_layers(trainer: TrainerConfig, module: ClassifierModule, ranks: Ranks) -> Noise | None:
    """Lets layers that take a batch as a whole do so across processes; gives the numbers of the random ones."""
    if ranks.world_size == 1:
        return None
    if trainer.sync_batch_norm:
        synchronised(module.net)
    return share_noise(module.net, module.share)


def _together(trainer: TrainerConfig, ranks: Ranks) -> Iterator[pl.Callback]:
    """What several processes need: one state of batch norms, gradients that travel, and signs of life."""
    if ranks.world_size > 1:
        yield SharedStatistics()
        if trainer.gradient_compression != "none":
            yield Compression(trainer.gradient_compression)
    heart = own_heart()
    if heart is not None:
        yield Beating(heart)


def _watchers(job: TrainJob, steps: Steps) -> Iterator[pl.Callback]:
    """What acts within an epoch."""
    if job.trainer.max_minutes is not None:
        yield Budget(job.trainer.max_minutes)
    if job.callbacks.averaging.kind != "none":
        yield Averaging(job.callbacks.averaging, steps.total)
    if wants_bar(job.callbacks.progress):
        yield ProgressBar()


def _judges(job: TrainJob) -> Iterator[pl.Callback]:
    """What acts on the metrics of an epoch, after they are recorded and before the state is saved."""
    if job.callbacks.early_stopping.patience is not None:
        yield EarlyStopping(job.callbacks.early_stopping)
    if job.schedule.name == "plateau":
        yield Plateau(job.schedule)


def make_trainer(job: TrainJob, folder: Path, callbacks: list[pl.Callback], **changes: Any) -> pl.Trainer:
    """A trainer as the section `trainer` describes it, which writes and shows nothing of its own.

    Args:
        job: What to train.
        folder: Where Lightning believes that its files lie.
        callbacks: All of them.
        changes: Other arguments of Lightning's trainer, which win.

    Raises:
        UserError: The machine has not what the config asks for.
    """
    config = job.trainer
    check_machine(config)
    options: dict[str, Any] = {
        "max_epochs": config.max_epochs,
        "accelerator": config.accelerator,
        "devices": 1,
        "precision": _PRECISION.get(config.precision, config.precision),
        "deterministic": config.deterministic,
        "accumulate_grad_batches": config.accumulate_batches,
        "gradient_clip_val": config.gradient_clip_norm or config.gradient_clip_value,
        "gradient_clip_algorithm": "value" if config.gradient_clip_value is not None else "norm",
    }
    return pl.Trainer(
        **options | changes,
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


@contextmanager
def _threads_given_back() -> Iterator[None]:
    """Leaves torch as many threads as before, also where training is cut short: Lightning then tears no module down."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Silences what a user of the project cannot act on."""
    rank_zero = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    before = rank_zero.level
    rank_zero.setLevel(logging.WARNING)  # the list of accelerators that are not there
    with warnings.catch_warnings():
        # The loader's workers are a choice of the config; pictures held in memory need none.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # What is frozen is a choice of the config too, and stays in evaluation mode.
        warnings.filterwarnings("ignore", message=".*module.* in eval mode at the start of training.*")
        # The work folder holds our own checkpoints; Lightning expects to own the folder.
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        # What is logged of validation is the same on every process already.
        warnings.filterwarnings("ignore", message=".*recommended to use .*sync_dist=True.*")
        # Lightning 2.6 reads trees in a way that torch 2.14 has renamed.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
        try:
            yield
        finally:
            rank_zero.setLevel(before)
