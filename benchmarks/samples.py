"""The samples of the real photographs, as words for `kedro run`."""

from __future__ import annotations

CATS = [
    "data.files.archive.name=kagglecatsanddogs_mini.zip",
    "data.files.archive.sha256=null",
    "data.files.archive.bytes=null",
]
IMAGENETTE = [
    *(f"data.files.{role}.{what}=null" for role in ("train", "val", "devkit") for what in ("md5", "bytes")),
    "data.files.train.name=ILSVRC2012_img_train_mini.tar",
    "data.files.val.name=ILSVRC2012_img_val_mini.tar",
    "data.files.devkit.name=ILSVRC2012_devkit_t12_mini.tar.gz",
]
