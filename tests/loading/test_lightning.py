"""Lightning finds the sampler's epoch and the loader's state by itself."""

from __future__ import annotations

import warnings
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint


class Recording(pl.LightningModule):
    """Trains one number and notes the rows and pixels of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append((self.current_epoch, batch_idx, batch.rows.tolist(), int(batch.images.sum())))
        return self.weight * batch.images.float().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


class Stop(Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(trainer.default_root_dir + "/stopped.ckpt")
            raise KeyError("stopped")


def fit(data, folder, *callbacks, resume=None):
    module = Recording()
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        callbacks=list(callbacks),
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            trainer.fit(module, train_dataloaders=data.train_dataloader(), ckpt_path=resume, weights_only=True)
        except KeyError:
            assert resume is None
    return module.seen


@pytest.fixture
def augmented(module, affine):
    return partial(module, train=affine)


@pytest.fixture
def whole(augmented, tmp_path):
    return fit(augmented(), tmp_path)


def test_every_epoch_has_its_own_order_and_augmentation(whole, augmented):
    assert [(epoch, batch) for epoch, batch, *_ in whole] == [(e, b) for e in range(3) for b in range(6)]
    loader = augmented().train_dataloader()
    loader.batch_sampler.sampler.set_epoch(2)
    assert [(b.rows.tolist(), int(b.images.sum())) for b in loader] == [(rows, total) for *_, rows, total in whole[12:]]


@pytest.mark.parametrize(("step", "workers"), [(1, 0), (4, 1), (6, 0), (6, 1), (9, 0), (12, 1), (17, 0)])
def test_a_killed_fit_goes_on_with_the_same_batches(whole, augmented, tmp_path, step, workers):
    before = fit(augmented(num_workers=workers), tmp_path, Stop(step))
    assert before == whole[:step]
    after = fit(augmented(num_workers=workers), tmp_path, resume=tmp_path / "stopped.ckpt")
    assert after == whole[step:]


def test_checkpoints_at_the_end_of_an_epoch_go_on_with_the_next(whole, augmented, tmp_path):
    keep = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    fit(augmented(), tmp_path, keep)
    assert fit(augmented(), tmp_path, resume=tmp_path / "epoch=0.ckpt") == whole[6:]
    assert fit(augmented(), tmp_path, resume=tmp_path / "epoch=1.ckpt") == whole[12:]
