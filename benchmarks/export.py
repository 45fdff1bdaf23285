"""What leaves the house against what stays: logits, accuracy and the time of one picture, in every form of export.

A row a preset and form. Claims: no logit of the ONNX file differs by more than 1e-4 and its accuracy is equal; the
8-bit file is at most 0.5 points less accurate. `python benchmarks/export.py digits` measures one preset.
"""

from __future__ import annotations

import csv
import sys

from common import BIN, keep, project_copy, timed

_PRESETS = {
    "digits": ["trainer.max_epochs=3"],
    "mnist_fast": ["experiment=mnist_fast"],
    "resnet18": ["model=resnet18", "trainer.max_epochs=3"],
}
_FORMS = ["export.int8=true", "export.torch_export=true"]
_PIPELINES = "--pipelines=ingest,prepare,train,export"


def main() -> None:
    """Trains each preset, exports it in all forms and keeps what the export stage found."""
    rows: list[dict[str, object]] = []
    for preset in sys.argv[1:] or _PRESETS:
        with project_copy() as root:
            timed([str(BIN / "kedro"), "run", _PIPELINES, *_PRESETS[preset], *_FORMS], root)
            with (root / "data" / "06_models" / "export" / "forms.csv").open() as stream:
                rows += [{"preset": preset, **row} for row in csv.DictReader(stream)]
        keep("export", rows)  # what is measured stays, whatever becomes of the rest
    exact = [row for row in rows if row["form"] in ("onnx", "torch_export")]
    assert all(float(str(row["largest_logit_difference"])) <= 1e-4 for row in exact)
    assert all(row["accuracy_exported"] == row["accuracy_pytorch"] for row in exact)


if __name__ == "__main__":
    main()
