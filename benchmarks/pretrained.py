"""Published weights of EfficientNet-Lite0 on ILSVRC validation pictures, over all 1,000 classes. Claim: at least 70 %.

The samples are pictures of 160 pixels, enlarged to 224; the 75.1 % that are published are for pictures of full size.

    python benchmarks/pretrained.py
"""

from __future__ import annotations

import os
import time

from common import PROJECT, keep, mirror
from samples import IMAGENETTE


def main() -> None:
    """Loads the weights as `model.weights=imagenet` does, and asks for the 500 pictures of the test split."""
    os.environ["FOVEA_MIRROR"] = str(mirror())
    import numpy as np
    from timm.data import ImageNetInfo

    from fovea.augment import Augmenter
    from fovea.config.compose import compose
    from fovea.config.schema import DataConfig, ModelConfig, parse
    from fovea.evaluation.infer import logits
    from fovea.evaluation.metrics import top1
    from fovea.models import weights
    from fovea.models.matching import load
    from fovea.models.normalize import NormalizedNet
    from fovea.models.registry import create
    from fovea.pipelines.ingest.nodes import ingest
    from fovea.pipelines.prepare.nodes import prepare

    words = ["data=imagenette", *IMAGENETTE, "augment=imagenet", "model=efficientnet_lite0", "model.weights=imagenet"]
    config = compose(PROJECT / "conf", words).config
    prepared = prepare(ingest(config["data"]), config["data"], config["prepare"])
    data, model = parse(DataConfig, config["data"], "data"), parse(ModelConfig, config["model"], "model")
    net = create(model, channels=3, num_classes=1000, image_size=data.image_size)
    file = weights.find(model)
    assert file is not None
    matching = load(net, file)
    assert [*matching.new, *matching.skipped] == []
    network = NormalizedNet(net, *weights.normalization(model, data, file)).eval()
    test = prepared.split("test")
    view = Augmenter(
        config["augment"]["eval"], channels=3, image_size=data.image_size, where="augment.eval", fixed=True
    )
    start = time.perf_counter()
    answers = logits(network, test, view, 50)
    seconds = time.perf_counter() - start
    order = {wnid: place for place, wnid in enumerate(ImageNetInfo().label_names())}
    assert data.wnids is not None
    labels = [order[sorted(data.wnids)[label]] for label in test.labels.tolist()]
    right = top1(answers.argmax(axis=1), np.asarray(labels, np.int64))
    keep(
        "pretrained",
        [{"pictures": len(test), "classes": answers.shape[1], "top1": right, "seconds": round(seconds, 1)}],
    )


if __name__ == "__main__":
    main()
